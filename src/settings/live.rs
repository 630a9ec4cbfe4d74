//! The settings that can change while the gateway runs.

use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{Auth, ForwardedHeader, Limits, Policy, Settings, UpstreamAuth};

/// Read again at SIGHUP.
#[derive(Debug, Clone)]
pub struct Live {
    pub trusted_proxies: Vec<IpNet>,
    pub forwarded_header: ForwardedHeader,
    pub metrics_allow: Vec<IpNet>,
    pub policy: Policy,
    /// Two of them change with a restart only.
    pub limits: Limits,
}

impl Settings {
    pub fn live(&self) -> Live {
        Live {
            trusted_proxies: self.server.trusted_proxies.clone(),
            forwarded_header: self.server.forwarded_header,
            metrics_allow: self.metrics.allow.clone(),
            policy: self.policy.clone(),
            limits: self.limits.clone(),
        }
    }

    /// The sections with changes in `new` that require a restart.
    pub fn differs_beyond_live(&self, new: &Self) -> Vec<&'static str> {
        let mut new = new.clone();
        new.server.trusted_proxies.clone_from(&self.server.trusted_proxies);
        new.server.forwarded_header = self.server.forwarded_header;
        new.metrics.allow.clone_from(&self.metrics.allow);
        new.policy.clone_from(&self.policy);
        new.limits.mode = self.limits.mode;
        new.limits.per_hour = self.limits.per_hour;
        new.limits.concurrent = self.limits.concurrent;
        new.limits.creates_per_hour = self.limits.creates_per_hour;
        new.telemetry.filter.clone_from(&self.telemetry.filter);
        let sections = |of: &Self| {
            [
                ("server", format!("{:?}", of.server)),
                ("mlflow", format!("{:?} {}", of.mlflow, secret_of(&of.mlflow.auth))),
                ("auth", format!("{:?} {}", of.auth, secrets_of(&of.auth))),
                ("redis", format!("{:?} {}", of.redis, digest(of.redis.as_ref().map(|redis| &redis.url)))),
                ("limits", format!("{:?}", of.limits)),
                ("audit", format!("{:?}", of.audit)),
                ("metrics", format!("{:?}", of.metrics)),
                ("telemetry", format!("{:?}", of.telemetry)),
            ]
        };
        let (old, new) = (sections(self), sections(&new));
        old.iter().zip(new).filter(|(old, new)| old.1 != new.1).map(|(old, _)| old.0).collect()
    }
}

fn secrets_of(auth: &Auth) -> String {
    let of_clients = auth.issuers.iter().filter_map(|issuer| issuer.login.as_ref()?.client_secret.as_ref());
    let secrets = auth.pepper.iter().chain(&auth.session.secrets).chain(of_clients);
    secrets.map(|secret| digest(Some(secret))).collect()
}

fn secret_of(auth: &UpstreamAuth) -> String {
    digest(match auth {
        UpstreamAuth::None => None,
        UpstreamAuth::Bearer(token) => Some(token),
        UpstreamAuth::Basic { password, .. } => Some(password),
    })
}

/// Makes a changed secret visible, which its Debug output does not.
fn digest(secret: Option<&SecretString>) -> String {
    secret.map_or_else(String::new, |secret| hex::encode(Sha256::digest(secret.expose_secret())))
}
