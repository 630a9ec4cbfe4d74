//! That the metrics are not public: who asks for how much, and what fails, is the operator's to know.

use awc::{body, http::Method};

use super::{Deployment, expectation::expect};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal},
};

impl Deployment {
    pub(super) async fn hidden_metrics(&self, journal: &mut Journal) {
        journal.check("metrics not public", self.no_metrics()).await;
    }

    /// Asked for at the host and below the mount, by a stranger and with the key.
    async fn no_metrics(&self) -> Finding {
        let authorized = [("authorization", &*self.authorization)];
        let below = format!("{}/metrics", self.mount);
        for target in ["/metrics", "/metrics/", &below] {
            for (headers, whom) in [(&[][..], "everybody"), (&authorized[..], "everybody with a key")] {
                let answer = self.site.ask(Method::GET, target, headers, body::None::new()).await;
                if let Ok(answer) = &answer
                    && is_prometheus(&answer.body)
                {
                    return Err(Fault::new(
                        Code::MetricsPublic,
                        format!("{target} gives Prometheus's text to {whom}"),
                        "something before the gateway leads the path to metrics.bind, or to another server's metrics",
                        "no rule for /metrics at the load balancer; as metrics.bind an address that only Prometheus reaches",
                    ));
                }
                // What is not below the mount may be another service's.
                if target == below {
                    expect(answer, 404)?;
                }
            }
        }
        Ok(((), "/metrics is nothing here".to_owned()))
    }
}

/// Each family begins with one of these lines (Prometheus's text format 0.0.4).
fn is_prometheus(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"# TYPE ") || line.starts_with(b"# HELP "))
}
