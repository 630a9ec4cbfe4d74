//! Whether each public path leads to the gateway; and if not, which rule of a load balancer matches it first.

use awc::{body, http::Method};
use rand::distr::{Alphanumeric, SampleString as _};

use super::{Deployment, expectation::unexpected};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, Response, excerpt, passed},
};

/// Each mount, and a request below it that needs a key.
const MOUNTS: [(&str, Method, &str); 11] = [
    ("/api/mlflow", Method::GET, "/api/2.0/mlflow/experiments/search?max_results=1"),
    ("/mlflow", Method::GET, "/"),
    ("/api/2.0/mlflow", Method::GET, "/experiments/search?max_results=1"),
    ("/api/3.0/mlflow", Method::GET, "/server-info"),
    ("/api/2.0/mlflow-artifacts", Method::GET, "/artifacts"),
    ("/ajax-api", Method::GET, "/2.0/mlflow/experiments/search?max_results=1"),
    ("/graphql", Method::POST, ""),
    ("/get-artifact", Method::GET, ""),
    ("/model-versions/get-artifact", Method::GET, ""),
    ("/v1/traces", Method::POST, ""),
    ("/static-files", Method::GET, "/static/js/main.js"),
];
/// The paths that load balancers ask for without a key.
const HEALTH: [&str; 2] = ["/api/mlflow/health/mlflow", "/mlflow/health/mlflow"];

impl Deployment {
    pub(super) async fn mounts(&self, journal: &mut Journal) {
        for (mount, method, below) in MOUNTS {
            journal.check(&format!("mount {mount}"), self.mount(mount, method, below)).await;
        }
        for path in HEALTH {
            journal.check(path, self.open_health(path)).await;
        }
    }

    async fn mount(&self, mount: &str, method: Method, below: &str) -> Finding {
        let target = format!("{mount}{below}");
        let answer = self.site.send(method.clone(), &target, &[], body::None::new()).await;
        match answer {
            Ok(answer) if answer.is_from_gateway() && answer.status.as_u16() == 401 => {
                passed("the gateway, which asks for a key")
            }
            Ok(answer) if answer.is_from_gateway() => Err(unexpected(&answer, 401)),
            Ok(answer) if answer.status.is_success() => Err(Fault::new(
                Code::GatewayBypass,
                format!("answered without a key, and not by the gateway: {}", excerpt(&answer)),
                "a rule leads this mount to MLflow itself, past the gateway, or to another service",
                format!(
                    "a rule that leads {mount}/* to the gateway, before every other rule that matches it"
                ),
            )),
            Ok(answer) => Err(self.shadowed(mount, method, &answer).await),
            Err(error) => Err(Fault::new(
                Code::GatewaySilent,
                format!("{target} is not answered: {error}"),
                "the server behind this path is down, or closes the connection",
                format!("a rule that leads {mount}/* to the gateway"),
            )),
        }
    }

    async fn open_health(&self, path: &str) -> Finding {
        match self.get(path).await {
            Ok(answer)
                if [200, 503].contains(&answer.status.as_u16()) && answer.json()["checks"].is_object() =>
            {
                passed("from the gateway itself, without a key")
            }
            Ok(answer) => Err(unexpected(&answer, 200)),
            Err(error) => Err(Fault::new(
                Code::GatewaySilent,
                format!("no answer: {error}"),
                "as for the mount",
                "as for the mount",
            )),
        }
    }

    /// Finds the rule that matches a mount: the widest pattern whose other paths get the same kind of answer.
    async fn shadowed(&self, mount: &str, method: Method, answer: &Response) -> Fault {
        let unknown = Alphanumeric.sample_string(&mut rand::rng(), 12);
        let what = format!("not answered by the gateway, but with {}", excerpt(answer));
        for (pattern, other) in wider(mount, &unknown) {
            let other = self.site.send(method.clone(), &other, &[], body::None::new()).await;
            let Ok(other) = other else { continue };
            if other.is_from_gateway() || kind(&other) != kind(answer) {
                continue;
            }
            if pattern == "*" {
                return Fault::new(
                    Code::NotTheGateway,
                    what,
                    "no rule leads it to the gateway: the default of the load balancer answers, or another service for the \
                     whole host",
                    format!("a rule on the listener of this address that leads {mount}/* to the gateway"),
                );
            }
            return Fault::new(
                Code::ShadowedPath,
                what,
                format!("a rule for `{pattern}` matches first, before the rule that leads to the gateway"),
                format!("a smaller priority number for the rule of {mount}/* than for that of {pattern}"),
            );
        }
        let fix =
            format!("a rule that leads {mount}/* to the gateway, before every other rule that matches it");
        Fault::new(Code::ShadowedPath, what, "a rule for this very path leads to another service", fix)
    }
}

/// The patterns that match a mount, the widest first, each with another path that it matches.
fn wider(mount: &str, unknown: &str) -> Vec<(String, String)> {
    let mut patterns = vec![("*".to_owned(), format!("/{unknown}"))];
    let ends = mount.match_indices('/').skip(1).map(|(at, _)| at).chain([mount.len()]);
    for end in ends {
        let start = &mount[..end];
        patterns.push((format!("{start}*"), format!("{start}{unknown}")));
        patterns.push((format!("{start}/*"), format!("{start}/{unknown}")));
    }
    patterns
}

/// Answers of one rule have this in common.
fn kind(answer: &Response) -> (u16, Option<&str>, Option<&str>) {
    (answer.status.as_u16(), answer.header("server"), answer.header("content-type"))
}

#[cfg(test)]
mod tests {
    use super::wider;

    #[test]
    fn the_patterns_of_a_mount_come_widest_first() {
        let patterns: Vec<_> = wider("/api/mlflow", "x").into_iter().collect();
        let expected = [
            ("*", "/x"),
            ("/api*", "/apix"),
            ("/api/*", "/api/x"),
            ("/api/mlflow*", "/api/mlflowx"),
            ("/api/mlflow/*", "/api/mlflow/x"),
        ];
        let expected = expected.map(|(pattern, path)| (pattern.to_owned(), path.to_owned()));
        assert_eq!(patterns, expected);
    }
}
