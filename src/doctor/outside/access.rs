//! Keys: no key, a wrong key, and the good key in both ways in which MLflow's client sends it; and what it permits.

use awc::http::Method;
use serde_json::json;

use super::{
    Deployment,
    expectation::{are_experiments, expect, unexpected},
    made::Made,
};
use crate::{
    code::Code,
    doctor::{Fault, Finding, Journal, Response, passed},
    upstream::search,
    vocabulary::Reason,
};

const WRONG_KEY: &str = "Bearer hokusai-gateway-doctor-this-is-no-key";
/// The most requests that the checks after this one make.
const NEEDED: u64 = 120;
const LIMITS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

impl Deployment {
    /// `None` if the key does not work, or not for every check after this one.
    pub(super) async fn access(&self, journal: &mut Journal, made: &Made) -> Option<()> {
        journal.check("no key", self.denied(None, Reason::CredentialMissing)).await;
        journal.check("wrong key", self.denied(Some(WRONG_KEY), Reason::CredentialRejected)).await;
        let answer = journal.check("key", self.allowed(&self.authorization)).await;
        journal.check("key as a password", self.allowed(&self.as_password)).await;
        let Some(answer) = answer else {
            journal.skip("limits", "the key does not work");
            return None;
        };
        journal.check("own page", self.own_page()).await;
        self.client_address(journal).await;
        let left = journal.check("limits", async { limits(&answer) }).await;
        let enough = journal.check("enough requests left", async { enough(left) }).await;
        let may_delete = journal.check("key may delete", self.may_delete(made)).await;
        enough.and(may_delete)
    }

    /// Deletes a model that does not exist, before anything is made that could not be removed.
    async fn may_delete(&self, made: &Made) -> Finding {
        let body = json!({ "name": made.name });
        let answer = expect(self.call(Method::DELETE, "registered-models/delete", &body).await, 404)?;
        if answer.is_from_gateway() {
            Err(unexpected(&answer, 404))
        } else {
            passed("what this command makes can be removed")
        }
    }

    /// A search without results: clients cannot make its answer long.
    pub(super) async fn search(&self, headers: &[(&str, &str)]) -> Result<Response, String> {
        self.site.get(&format!("{}/api{}", self.mount, search()), headers).await
    }

    async fn denied(&self, authorization: Option<&str>, reason: Reason) -> Finding {
        let reason = reason.word();
        let answer = self.search(authorization.map(|value| ("authorization", value)).as_slice()).await;
        if let Ok(answer) = &answer
            && answer.status.is_success()
        {
            return Err(Fault::new(
                Code::GatewayBypass,
                format!("accepted: {}", answer.status.as_u16()),
                "requests reach MLflow past the gateway, or the auth service accepts everything",
                "the rule of this mount must lead to the gateway; `hokusai-gateway check --probe` checks the auth service",
            ));
        }
        let answer = expect(answer, 401)?;
        if answer.is_from_gateway()
            && answer.json()["reason"] == reason
            && answer.header("www-authenticate").is_some()
        {
            passed(format!("401 {reason}"))
        } else {
            Err(Fault::new(
                Code::CredentialsChanged,
                format!("a 401, but not the gateway's {reason}"),
                "a proxy before the gateway asks for credentials of its own",
                "let requests without such credentials through to the gateway",
            ))
        }
    }

    pub(super) async fn allowed(&self, authorization: &str) -> Finding<Response> {
        let answer = expect(self.search(&[("authorization", authorization)]).await, 200)?;
        are_experiments(&answer)?;
        let took = answer.took;
        Ok((answer, format!("200 after {took:.1?}")))
    }
}

/// The requests that the key's limit leaves.
fn limits(answer: &Response) -> Finding<u64> {
    let number = |name: &str| answer.header(name).and_then(|value| value.parse::<u64>().ok());
    let numbers: Option<Vec<u64>> = LIMITS.iter().map(|name| number(name)).collect();
    let (what, cause) = match numbers.as_deref() {
        Some([limit, remaining, reset]) if remaining < limit => {
            let found = format!("{remaining} of {limit} requests left, all of them again in {reset} s");
            return Ok((*remaining, found));
        }
        Some(numbers) => {
            (format!("the RateLimit headers make no sense: {numbers:?}"), "this request was not counted")
        }
        None => (
            "no RateLimit headers".to_owned(),
            "limits.mode is off, or a proxy before the gateway removes headers",
        ),
    };
    Err(Fault::new(Code::RateLimitHeadersMissing, what, cause, "limits.mode = \"enforce\""))
}

/// Whether they are enough for all other checks and the clean-up.
fn enough(left: Option<u64>) -> Finding {
    match left {
        Some(left) if left < NEEDED => Err(Fault::new(
            Code::RateLimited,
            format!("the key's limit leaves {left} requests, and {NEEDED} may be needed"),
            "the limit is small, or others with this key used it up",
            "a key of its own for this command, with a limit of a few hundred; or wait, as RateLimit-Reset says",
        )),
        Some(_) => passed("for all checks"),
        None => passed("no limit is known"),
    }
}
