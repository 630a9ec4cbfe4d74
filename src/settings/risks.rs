//! Warnings: settings that work, and may not do what the operator expects.

use std::{net::IpAddr, time::Duration};

use ipnet::IpNet;
use secrecy::ExposeSecret as _;

use super::{
    AuditOutput, AuthMode, DirectArtifacts, HostHeader, Limits, Mlflow, Mode, Policy, Promotion, Scope,
    Server, Settings, Telemetry, problem::Problem, redis_url::RedisUrl,
};
use crate::code::Code;

/// How long MLflow's server, uvicorn, keeps an idle connection (its `--timeout-keep-alive`).
const UVICORN_KEEP_ALIVE: Duration = Duration::from_secs(5);
/// The time after which MLflow's client retries (`MLFLOW_HTTP_REQUEST_TIMEOUT`).
const CLIENT_TIMEOUT: Duration = Duration::from_secs(120);
/// The default idle timeout of an ALB.
const BALANCER_IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// The period of the CloudWatch alarms (deploy/terraform/alarms).
const ALARM_PERIOD: Duration = Duration::from_secs(60);
/// The longest `auth.cache.ttl` without Redis that is not warned about.
const LONG_TTL: Duration = Duration::from_secs(600);

/// Every warning for the settings.
pub(super) fn of(settings: &Settings) -> Vec<Problem> {
    let mut risks = Risks(Vec::new());
    risks.of_server(&settings.server);
    risks.of_mlflow(&settings.mlflow);
    risks.of_auth(settings);
    risks.of_redis(settings);
    risks.of_sessions(settings);
    risks.of_policy(&settings.policy, &settings.limits);
    if settings.metrics.allow.iter().any(is_everybody) {
        let what = "lets everybody read the metrics";
        let fix = "the networks of your Prometheus servers";
        risks.add(Code::Unprotected, "metrics.allow", "0.0.0.0/0 or ::/0", what, fix);
    }
    if settings.audit.output == AuditOutput::Off {
        let what = "nobody can find out later who changed what";
        let fix = "stdout, or the path of a file";
        risks.add(Code::AuditOff, "audit.output", "off", what, fix);
    }
    risks.of_telemetry(&settings.telemetry);
    risks.0
}

struct Risks(Vec<Problem>);

impl Risks {
    fn add(&mut self, code: Code, key: &str, found: impl ToString, what: &str, fix: &str) {
        let (key, what, fix) = (key.to_owned(), what.to_owned(), fix.to_owned());
        self.0.push(Problem { code, key, found: Some(found.to_string()), what, fix });
    }

    /// A period that should be shorter or longer than another one.
    fn period(&mut self, key: &str, found: Duration, what: &str, fix: &str) {
        self.add(Code::MismatchedPeriods, key, humantime::format_duration(found), what, fix);
    }

    fn of_server(&mut self, server: &Server) {
        let bind = server.bind;
        if server.trusted_proxies.iter().any(is_everybody) {
            let what = "trusts everybody to name the client: each client can choose its own address";
            let fix = "the networks of your load balancers";
            self.add(Code::Unprotected, "server.trusted_proxies", "0.0.0.0/0 or ::/0", what, fix);
        }
        if !bind.ip().is_loopback() && server.tls.is_none() && server.trusted_proxies.is_empty() {
            let what = "is reachable from other machines without TLS, and no load balancer is trusted: keys travel in \
                        the clear, or all clients have the balancer's address";
            let fix =
                "the networks of your load balancers in server.trusted_proxies, or server.tls.cert and .key";
            self.add(Code::PlaintextCredentials, "server.bind", bind, what, fix);
        }
        if !server.trusted_proxies.is_empty() && server.keep_alive <= BALANCER_IDLE_TIMEOUT {
            let what = "is not longer than the idle timeout of a load balancer (60s by default for an ALB): it sends \
                        requests into closed connections, and answers 502";
            let fix = "more than the balancer's, such as 75s";
            self.period("server.keep_alive", server.keep_alive, what, fix);
        }
    }

    fn of_mlflow(&mut self, mlflow: &Mlflow) {
        if mlflow.keep_alive >= UVICORN_KEEP_ALIVE {
            let what =
                "is longer than MLflow's own 5s: requests are sent on connections that MLflow has closed";
            self.period("mlflow.keep_alive", mlflow.keep_alive, what, "less than MLflow's, such as 4s");
        }
        if mlflow.response_timeout > CLIENT_TIMEOUT {
            let what = "is longer than the timeout of MLflow's client, which retries after 120s";
            self.period("mlflow.response_timeout", mlflow.response_timeout, what, "120s or less");
        }
        if mlflow.queue_timeout > mlflow.response_timeout {
            let what = "is longer than mlflow.response_timeout: a request waits longer in the queue than for its response";
            self.period("mlflow.queue_timeout", mlflow.queue_timeout, what, "a few seconds, such as 2s");
        }
        if mlflow.connect_timeout > mlflow.response_timeout {
            let what = "is longer than mlflow.response_timeout: a request waits longer for a connection than for its response";
            self.period("mlflow.connect_timeout", mlflow.connect_timeout, what, "a few seconds, such as 5s");
        }
        if mlflow.host_header == HostHeader::Client {
            let what = "lets clients choose the Host that MLflow checks as its defence against DNS rebinding";
            let fix = "upstream, or the one host that MLflow allows";
            self.add(Code::Unprotected, "mlflow.host_header", "client", what, fix);
        }
        if mlflow.direct_artifacts == DirectArtifacts::Allow {
            let what = "lets clients transfer artifacts past the gateway: unaudited, unlimited, and for minutes after a key is revoked";
            self.add(Code::Unprotected, "mlflow.direct_artifacts", "allow", what, "deny");
        }
    }

    fn of_auth(&mut self, settings: &Settings) {
        let AuthMode::Service(service) = &settings.auth.mode else { return };
        let cache = &settings.auth.cache;
        if service.url.scheme() == "http" && !service.url.host_str().is_some_and(is_local) {
            let what = "sends every API key over the network in the clear";
            let fix = "its https address";
            self.add(Code::PlaintextCredentials, "auth.service.url", &service.url, what, fix);
        }
        if cache.negative_ttl > cache.ttl {
            let what = "is longer than auth.cache.ttl: a rejection is cached longer than a valid key";
            self.period("auth.cache.negative_ttl", cache.negative_ttl, what, "auth.cache.ttl or less");
        }
        if settings.redis.is_none() && cache.ttl > LONG_TTL {
            let what =
                "is how long a revoked key still works: without Redis this gateway receives no revocations";
            self.period("auth.cache.ttl", cache.ttl, what, "a minute or so, or redis.url");
        }
        if service.timeout >= CLIENT_TIMEOUT {
            let what = "is longer than the timeout of MLflow's client, which retries after 120s";
            self.period("auth.service.timeout", service.timeout, what, "a few seconds, such as 2s");
        }
    }

    fn of_sessions(&mut self, settings: &Settings) {
        let (auth, instances) = (&settings.auth, settings.limits.instances.get());
        let is_shared = !auth.session.secrets.is_empty() || auth.pepper.is_some();
        if instances > 1 && !is_shared && !auth.session.lifetime.is_zero() {
            let what = "is not set, nor auth.pepper: a person who logs in at one instance is not logged in at the others";
            let fix = "one long random text for all instances (openssl rand -hex 32); or auth.session.lifetime = \"0s\"";
            self.add(Code::SessionsNotShared, "auth.session.secret", "nothing", what, fix);
        }
        for (number, issuer) in (1..).zip(&auth.issuers).filter(|_| auth.session.lifetime.is_zero()) {
            let Some(login) = &issuer.login else { continue };
            let key = issuer.key_of("client_id", number);
            let what = "has no effect: with auth.session.lifetime = \"0s\" nobody can log in, and there is no button";
            let fix = "nothing, or a lifetime, such as 12h";
            self.add(Code::NoEffect, &key, &login.client_id, what, fix);
        }
    }

    fn of_redis(&mut self, settings: &Settings) {
        let Some(redis) = &settings.redis else { return };
        let service = matches!(settings.auth.mode, AuthMode::Service(_));
        if service && settings.auth.pepper.is_none() {
            let what = "is not set: other instances cannot read what this one writes to Redis";
            let fix = "one long random text for all instances";
            self.add(Code::PepperNotShared, "auth.pepper", "nothing", what, fix);
        }
        if !service && settings.limits.mode == Mode::Off {
            let what = "has no effect: keys come from a file, and limits are off";
            let fix = "nothing, or auth.service.url, or limits.mode = \"enforce\"";
            self.add(Code::NoEffect, "redis.url", "(hidden)", what, fix);
        }
        let is_here = |node: &String| node.rsplit_once(':').is_some_and(|(host, _)| is_local(host));
        let in_the_clear = RedisUrl::parse(redis.url.expose_secret())
            .is_some_and(|url| !url.tls && url.userinfo.is_some() && !url.nodes.iter().all(is_here));
        if in_the_clear {
            let what = "sends Redis's password over the network in the clear";
            let fix = "rediss://… where Redis speaks TLS";
            self.add(Code::PlaintextCredentials, "redis.url", "(hidden)", what, fix);
        }
    }

    fn of_policy(&mut self, policy: &Policy, limits: &Limits) {
        if policy.mode != Mode::Enforce {
            let what = "lets every valid key do everything, administration included";
            self.add(Code::Unprotected, "policy.mode", policy.mode.word(), what, "enforce");
        }
        if policy.promotion == Promotion::Separate && policy.default_scopes.contains(&Scope::Promote) {
            let what = "lets every key without a list of scopes promote, which policy.promotion = \"separate\" is to prevent";
            let fix = "the list without it, and a key with it for those who promote";
            self.add(Code::Unprotected, "policy.default_scopes", Scope::Promote.word(), what, fix);
        }
        if limits.mode != Mode::Enforce {
            let what = "lets one key use up MLflow for all";
            let fix = "enforce";
            self.add(Code::Unprotected, "limits.mode", limits.mode.word(), what, fix);
        }
    }

    fn of_telemetry(&mut self, telemetry: &Telemetry) {
        if telemetry.emf && telemetry.emf_interval > ALARM_PERIOD {
            let what = "leaves minutes without data, which the alarms take for a gateway that is down";
            self.period("telemetry.emf_interval", telemetry.emf_interval, what, "60s or less");
        }
    }
}

fn is_everybody(network: &IpNet) -> bool {
    network.prefix_len() == 0
}

/// Whether a host is this machine.
fn is_local(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
