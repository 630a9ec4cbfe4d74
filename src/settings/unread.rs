//! Variables that begin with HOKUSAI_ and set nothing: one underscore instead of two, or an unknown setting.
//!
//! They are warnings and not errors, because an orchestrator may set variables of its own.

use std::collections::HashMap;

use super::problem::Problem;
use crate::code::Code;

const PREFIX: &str = "HOKUSAI_";
/// Variables that commands and the tests' stack read.
const READ_ELSEWHERE: [&str; 3] = ["HOKUSAI_API_KEY", "HOKUSAI_API_KEY_FILE", "HOKUSAI_STACK"];
/// The similarity from which a name counts as a misprint of a setting; 1 is equal.
const LIKENESS: f64 = 0.8;
/// The longest name that is shown.
const LONGEST: usize = 80;

/// The names of variables that are not read.
pub(super) fn names(environment: &HashMap<String, String>) -> Vec<String> {
    let mut names: Vec<String> = environment
        .keys()
        .filter(|name| name.starts_with(PREFIX) && !name.starts_with("HOKUSAI__"))
        .filter(|name| !READ_ELSEWHERE.contains(&name.as_str()) && !is_service_link(name, environment))
        .cloned()
        .collect();
    names.sort_unstable();
    names
}

/// Whether it is from Kubernetes: for a Service such as `hokusai-gateway`, every pod of its namespace gets
/// `HOKUSAI_GATEWAY_SERVICE_HOST`, `HOKUSAI_GATEWAY_PORT` and so on, together.
fn is_service_link(name: &str, environment: &HashMap<String, String>) -> bool {
    let of_service = |service: &str| environment.contains_key(&format!("{service}_SERVICE_HOST"));
    let is_port = |rest: &str| {
        let mut parts = rest.split('_');
        parts.next().is_some_and(|port| port.parse::<u16>().is_ok())
            && parts.next().is_some_and(|protocol| ["TCP", "UDP", "SCTP"].contains(&protocol))
            && parts.next().is_none_or(|what| ["PROTO", "PORT", "ADDR"].contains(&what))
            && parts.next().is_none()
    };
    name.match_indices("_SERVICE_").chain(name.match_indices("_PORT")).any(|(at, _)| {
        let (service, rest) = name.split_at(at);
        let is_links = match rest {
            "_SERVICE_HOST" | "_SERVICE_PORT" | "_PORT" => true,
            _ => rest.starts_with("_SERVICE_PORT_") || rest.strip_prefix("_PORT_").is_some_and(is_port),
        };
        is_links && of_service(service)
    })
}

/// The warning for a name. The value is not shown: it may be a secret.
pub(super) fn warning(name: &str, settings: &[&str]) -> Problem {
    // HOKUSAI_MLFLOW__URL, HOKUSAI_MLFLOW_URL and mlflow.url mean the same.
    let plain = |name: &str| name.to_lowercase().replace(['_', '.'], "");
    let (wanted, likeness) = (plain(&name[PREFIX.len()..]), |key: &str| {
        strsim::normalized_damerau_levenshtein(&plain(key), &plain(&name[PREFIX.len()..]))
    });
    let near = settings.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let near = near.filter(|key| plain(key) == wanted || likeness(key) >= LIKENESS);
    let is_plain = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_';
    let shown = if name.len() <= LONGEST && name.bytes().all(is_plain) { name } else { "HOKUSAI_…" };
    match near {
        Some(key) => Problem::new(
            Code::UnknownSetting,
            key,
            format!(
                "is not set by {shown}, which is not read: names need two underscores before and between them"
            ),
            format!("{} instead", super::sources::variable(key)),
        ),
        None => Problem::new(
            Code::UnknownSetting,
            "",
            format!("{shown} sets nothing: no setting has a similar name"),
            "HOKUSAI__SECTION__KEY (config/default.toml has them all), or nothing",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unread(names_set: &[&str]) -> Vec<String> {
        names(&names_set.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect())
    }

    #[test]
    fn what_kubernetes_writes_of_a_service_is_not_ours() {
        let links = [
            "HOKUSAI_GATEWAY_SERVICE_HOST",
            "HOKUSAI_GATEWAY_SERVICE_PORT",
            "HOKUSAI_GATEWAY_SERVICE_PORT_HTTP_METRICS",
            "HOKUSAI_GATEWAY_PORT",
            "HOKUSAI_GATEWAY_PORT_8001_TCP",
            "HOKUSAI_GATEWAY_PORT_8001_TCP_PROTO",
            "HOKUSAI_GATEWAY_PORT_8001_TCP_PORT",
            "HOKUSAI_GATEWAY_PORT_8001_TCP_ADDR",
        ];
        assert_eq!(unread(&links), [""; 0]);
        // The same shapes where there is no such service.
        assert_eq!(unread(&links[3..5]), &links[3..5]);
        let beside =
            ["HOKUSAI_GATEWAY_SERVICE_HOST", "HOKUSAI_GATEWAY_PORT_8001_TCP_URL", "HOKUSAI_GATEWAY_URL"];
        assert_eq!(unread(&beside), ["HOKUSAI_GATEWAY_PORT_8001_TCP_URL", "HOKUSAI_GATEWAY_URL"]);
    }

    #[test]
    fn a_name_is_told_with_the_setting_that_is_meant() {
        let settings = ["server.bind", "mlflow.url", "mlflow.artifacts_url", "auth.service.url", "redis.url"];
        for (name, key) in [
            ("HOKUSAI_MLFLOW__URL", "mlflow.url"),
            ("HOKUSAI_MLFLOW_URL", "mlflow.url"),
            ("HOKUSAI_MLFLOW__ARTIFACT_URL", "mlflow.artifacts_url"),
            ("HOKUSAI_AUTH_SERVICE__URL", "auth.service.url"),
            ("HOKUSAI_SERVER__BINDS", "server.bind"),
            ("HOKUSAI_HAPROXY_BIND", ""),
            ("HOKUSAI_", ""),
        ] {
            let warning = warning(name, &settings);
            assert_eq!(warning.key, key, "{name}");
            assert!(warning.what.contains(name), "{name}");
        }
        assert!(!warning("HOKUSAI_hk_live_9sdf", &settings).what.contains("hk_live"));
    }
}
