//! The metrics must not be public: they show usage and failures.

use super::{Deployment, expectation::expect};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, passed},
};

impl Deployment {
    pub(super) async fn hidden_metrics(&self, journal: &mut Journal) {
        journal.check("metrics not public", self.no_metrics()).await;
    }

    /// At the host and below the mount, without a key and with it.
    async fn no_metrics(&self) -> Finding {
        let authorized = [("authorization", &*self.authorization)];
        let below = format!("{}/metrics", self.mount);
        for target in ["/metrics", "/metrics/", &below] {
            for (headers, client) in [(&[][..], "everybody"), (&authorized[..], "everybody with a key")] {
                let answer = self.site.get(target, headers).await;
                if let Ok(answer) = &answer
                    && is_prometheus(&answer.body)
                {
                    return Err(Fault::new(
                        Code::MetricsPublic,
                        format!("{target} gives Prometheus's text to {client}"),
                        "a proxy before the gateway leads the path to metrics.bind, or to the metrics of another server",
                        "no rule for /metrics at the load balancer; set metrics.bind to an address that only Prometheus reaches",
                    ));
                }
                // Other paths may belong to another service.
                if target == below {
                    expect(answer, 404)?;
                }
            }
        }
        passed("/metrics is not served here")
    }
}

/// Each family begins with one of these lines (Prometheus's text format 0.0.4).
fn is_prometheus(body: &[u8]) -> bool {
    body.split(|byte| *byte == b'\n').any(|line| line.starts_with(b"# TYPE ") || line.starts_with(b"# HELP "))
}
