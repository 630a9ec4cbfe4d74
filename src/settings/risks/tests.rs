use crate::settings::{Examined, Settings};

const MLFLOW: (&str, &str) = ("HOKUSAI__MLFLOW__URL", "http://127.0.0.1:5000");

fn owned((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// The keys that are warned about.
fn warned(pairs: &[(&str, &str)]) -> Vec<String> {
    let Examined { settings, problems, warnings, .. } =
        Settings::examine(None, [&[MLFLOW], pairs].concat().into_iter().map(owned));
    assert!(settings.is_some() && problems.iter().next().is_none(), "{pairs:?}: {problems}");
    warnings.into_iter().map(|warning| warning.key).collect()
}

#[test]
fn the_defaults_take_no_risk() {
    assert!(warned(&[]).is_empty());
}

const SERVICE: (&str, &str) = ("HOKUSAI__AUTH__SERVICE__URL", "https://auth");
const REDIS: (&str, &str) = ("REDIS_URL", "rediss://cache");
const PEPPER: (&str, &str) = ("HOKUSAI__AUTH__PEPPER", "a pepper of the fleet's");
const PROMOTING: (&str, &str) = ("HOKUSAI__POLICY__DEFAULT_SCOPES", "mlflow:write,mlflow:promote");
const PROXY: (&str, &str) = ("HOKUSAI__SERVER__TRUSTED_PROXIES", "10.0.0.0/8");

#[test]
fn each_risk_is_warned_about_and_its_counterpart_is_not() {
    let emf = ("HOKUSAI__TELEMETRY__EMF", "true");
    type Pairs<'a> = &'a [(&'a str, &'a str)];
    let table: &[(&str, Pairs<'_>, Pairs<'_>)] = &[
        (
            "server.bind",
            &[("HOKUSAI__SERVER__BIND", "0.0.0.0:8001")],
            &[("HOKUSAI__SERVER__BIND", "[::1]:8001")],
        ),
        ("server.trusted_proxies", &[("HOKUSAI__SERVER__TRUSTED_PROXIES", "10.0.0.0/8,::/0")], &[PROXY]),
        (
            "server.keep_alive",
            &[PROXY, ("HOKUSAI__SERVER__KEEP_ALIVE", "60s")],
            &[("HOKUSAI__SERVER__KEEP_ALIVE", "60s")],
        ),
        (
            "mlflow.keep_alive",
            &[("HOKUSAI__MLFLOW__KEEP_ALIVE", "5s")],
            &[("HOKUSAI__MLFLOW__KEEP_ALIVE", "4900ms")],
        ),
        (
            "mlflow.response_timeout",
            &[("HOKUSAI__MLFLOW__RESPONSE_TIMEOUT", "121s")],
            &[("HOKUSAI__MLFLOW__RESPONSE_TIMEOUT", "120s")],
        ),
        (
            "mlflow.queue_timeout",
            &[("HOKUSAI__MLFLOW__QUEUE_TIMEOUT", "121s")],
            &[("HOKUSAI__MLFLOW__QUEUE_TIMEOUT", "120s")],
        ),
        (
            "mlflow.connect_timeout",
            &[("HOKUSAI__MLFLOW__CONNECT_TIMEOUT", "121s")],
            &[("HOKUSAI__MLFLOW__CONNECT_TIMEOUT", "120s")],
        ),
        (
            "mlflow.host_header",
            &[("HOKUSAI__MLFLOW__HOST_HEADER", "client")],
            &[("HOKUSAI__MLFLOW__HOST_HEADER", "mlflow")],
        ),
        (
            "mlflow.direct_artifacts",
            &[("HOKUSAI__MLFLOW__DIRECT_ARTIFACTS", "allow")],
            &[("HOKUSAI__MLFLOW__DIRECT_ARTIFACTS", "deny")],
        ),
        (
            "auth.service.url",
            &[("HOKUSAI__AUTH__SERVICE__URL", "http://auth")],
            &[("HOKUSAI__AUTH__SERVICE__URL", "http://127.0.0.1:1")],
        ),
        (
            "auth.service.url",
            &[SERVICE, ("HOKUSAI__AUTH__MODE", "key_file")],
            &[SERVICE, ("HOKUSAI__AUTH__MODE", "service")],
        ),
        (
            "auth.service.timeout",
            &[SERVICE, ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "120s")],
            &[SERVICE, ("HOKUSAI__AUTH__SERVICE__TIMEOUT", "119s")],
        ),
        (
            "auth.cache.negative_ttl",
            &[SERVICE, ("HOKUSAI__AUTH__CACHE__TTL", "1s")],
            &[SERVICE, ("HOKUSAI__AUTH__CACHE__TTL", "2s")],
        ),
        (
            "auth.cache.ttl",
            &[SERVICE, ("HOKUSAI__AUTH__CACHE__TTL", "11m")],
            &[SERVICE, REDIS, PEPPER, ("HOKUSAI__AUTH__CACHE__TTL", "11m")],
        ),
        ("auth.pepper", &[SERVICE, REDIS], &[SERVICE, REDIS, PEPPER]),
        (
            "redis.url",
            &[SERVICE, PEPPER, ("REDIS_URL", "redis://:s3cr3t@cache")],
            &[SERVICE, PEPPER, ("REDIS_URL", "redis://:s3cr3t@127.0.0.1")],
        ),
        ("redis.url", &[REDIS, ("HOKUSAI__LIMITS__MODE", "off")], &[REDIS]),
        ("policy.mode", &[("HOKUSAI__POLICY__MODE", "report")], &[("HOKUSAI__POLICY__MODE", "enforce")]),
        (
            "policy.default_scopes",
            &[("HOKUSAI__POLICY__PROMOTION", "separate"), PROMOTING],
            &[("HOKUSAI__POLICY__PROMOTION", "write"), PROMOTING],
        ),
        ("limits.mode", &[("HOKUSAI__LIMITS__MODE", "off")], &[("HOKUSAI__LIMITS__MODE", "enforce")]),
        (
            "metrics.allow",
            &[("HOKUSAI__METRICS__ALLOW", "0.0.0.0/0")],
            &[("HOKUSAI__METRICS__ALLOW", "10.0.0.0/8")],
        ),
        ("audit.output", &[("HOKUSAI__AUDIT__OUTPUT", "off")], &[("HOKUSAI__AUDIT__OUTPUT", "stdout")]),
        (
            "telemetry.emf_interval",
            &[emf, ("HOKUSAI__TELEMETRY__EMF_INTERVAL", "61s")],
            &[("HOKUSAI__TELEMETRY__EMF_INTERVAL", "61s")],
        ),
        ("mlflow.url", &[("MLFLOW_SERVER_URL", "http://elder:1")], &[("MLFLOW_SERVER_URL", MLFLOW.1)]),
    ];
    for (key, risky, sound) in table {
        assert!(warned(risky).iter().any(|warned| warned == key), "{key}: {risky:?}: {:?}", warned(risky));
        assert!(!warned(sound).iter().any(|warned| warned == key), "{key}: {sound:?}");
    }
}

#[test]
fn a_warning_says_what_was_found_and_never_a_secret() {
    let pairs = [MLFLOW, SERVICE, PEPPER, ("REDIS_URL", "redis://:s3cr3t@cache")];
    let warnings = Settings::examine(None, pairs.map(owned)).warnings;
    let text = warnings.iter().map(ToString::to_string).collect::<String>();
    assert!(text.contains("redis.url (HOKUSAI__REDIS__URL or REDIS_URL): sends Redis's password"), "{text}");
    assert!(text.contains("write: rediss://") && !text.contains("s3cr3t"), "{text}");
}
