//! Whether MLflow's page works at this address: its requests have an `Origin`, which each server on the way may judge.

use serde_json::json;

use super::{Deployment, expectation::expect};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Response, excerpt, passed},
    vocabulary::Reason,
};

/// MLflow's word for a page that is not its own (mlflow/server/security_utils.py).
const BLOCKED: &str = "Cross-origin request blocked";

impl Deployment {
    /// A search, as the page at this address sends it: with what browsers add by themselves, and where it comes from.
    pub(super) async fn own_page(&self) -> Finding {
        let origin = self.url.origin().ascii_serialization();
        let target = format!("{}/ajax-api/2.0/mlflow/experiments/search", self.mount);
        let headers = [
            ("authorization", &*self.as_password),
            ("origin", &*origin),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/json"),
        ];
        let answer = self.site.post(&target, &headers, &json!({ "max_results": 1 })).await;
        if let Some(fault) = answer.as_ref().ok().and_then(|answer| refused(answer, &origin)) {
            return Err(fault);
        }
        expect(answer, 200)?;
        passed(format!("a page at {origin} may use the API"))
    }
}

fn refused(answer: &Response, origin: &str) -> Option<Fault> {
    let fault = |cause: &str, fix: &str| {
        let what = format!("a page at {origin} is refused: {}", excerpt(answer));
        Fault::new(Code::OwnPageRefused, what, cause, fix)
    };
    if answer.status.as_u16() != 403 {
        return None;
    }
    if answer.is_from_gateway() && answer.json()["reason"] == Reason::CrossOrigin.word() {
        return Some(fault(
            "the gateway does not know that browsers reach it at this address",
            "the networks of the load balancer in server.trusted_proxies; and let it send Host as the client does, and \
             X-Forwarded-Proto",
        ));
    }
    answer.text().contains(BLOCKED).then(|| {
        fault(
            "MLflow refuses its own page: the request reaches it past the gateway, or something between the two adds an Origin",
            "a rule that leads this path to the gateway; no Origin on the way from it to MLflow",
        )
    })
}
