//! Keys: none, a wrong one, the good one in both ways that MLflow's client sends it; and what it may.

use awc::{body, http::Method};
use serde_json::json;

use super::{
    Deployment,
    expectation::{are_experiments, expect, unexpected},
    made::Made,
};
use crate::{
    code::Code,
    doctor::{Answer, Fault, Finding, Journal},
    upstream::search,
};

/// What nobody has.
const WRONG_KEY: &str = "Bearer hokusai-gateway-doctor-this-is-no-key";
/// The requests that the checks after this one make at the most.
const NEEDED: u64 = 120;
const LIMITS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

impl Deployment {
    /// `None` where the key does not work, or not for all that follows.
    pub(super) async fn access(&self, journal: &mut Journal, made: &Made) -> Option<()> {
        journal.check("no key", self.denied(None, "credential_missing")).await;
        journal.check("wrong key", self.denied(Some(WRONG_KEY), "credential_rejected")).await;
        let answer = journal.check("key", self.allowed(&self.authorization)).await;
        journal.check("key as a password", self.allowed(&self.as_password)).await;
        let Some(answer) = answer else {
            journal.skip("limits", "the key does not work");
            return None;
        };
        self.client_address(journal).await;
        let left = journal.check("limits", async { limits(&answer) }).await;
        // Without a limit that is told there is none that could be used up.
        let enough = journal.check("enough requests left", async { enough(left) }).await;
        let may_delete = journal.check("key may delete", self.may_delete(made)).await;
        enough.and(may_delete)
    }

    /// Asked about what is not there, before anything is made that could not be removed.
    async fn may_delete(&self, made: &Made) -> Finding {
        let body = json!({ "name": made.name() });
        let answer = expect(self.call(Method::DELETE, "registered-models/delete", &body).await, 404)?;
        if answer.is_the_gateways() {
            Err(unexpected(&answer, 404))
        } else {
            Ok(((), "what is made can be removed".to_owned()))
        }
    }

    /// For what nobody has: an answer that clients cannot make long.
    pub(super) async fn search(&self, authorization: Option<&str>) -> Result<Answer, String> {
        let target = format!("{}/api{}", self.mount, search());
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        self.site.ask(Method::GET, &target, &headers, body::None::new()).await
    }

    async fn denied(&self, authorization: Option<&str>, reason: &str) -> Finding {
        let answer = self.search(authorization).await;
        if let Ok(answer) = &answer
            && answer.status.is_success()
        {
            return Err(Fault::new(
                Code::PastTheGateway,
                format!("let in: {}", answer.status.as_u16()),
                "requests reach MLflow past the gateway, or the auth service accepts everything",
                "the rule of this mount must lead to the gateway; `hokusai-gateway check --probe` asks the auth service",
            ));
        }
        let answer = expect(answer, 401)?;
        if answer.is_the_gateways()
            && answer.json()["reason"] == reason
            && answer.header("www-authenticate").is_some()
        {
            Ok(((), format!("401 {reason}")))
        } else {
            Err(Fault::new(
                Code::CredentialsChanged,
                format!("a 401, but not the gateway's {reason}"),
                "something before the gateway asks for credentials of its own",
                "let requests without such credentials through to the gateway",
            ))
        }
    }

    async fn allowed(&self, authorization: &str) -> Finding<Answer> {
        let answer = expect(self.search(Some(authorization)).await, 200)?;
        are_experiments(&answer)?;
        let took = answer.took;
        Ok((answer, format!("200 after {took:.1?}")))
    }
}

/// The requests that are left.
fn limits(answer: &Answer) -> Finding<u64> {
    let number = |name: &str| answer.header(name).and_then(|value| value.parse::<u64>().ok());
    let numbers: Option<Vec<u64>> = LIMITS.iter().map(|name| number(name)).collect();
    match numbers.as_deref() {
        Some([limit, remaining, reset]) if remaining < limit => {
            Ok((*remaining, format!("{remaining} of {limit} requests left, whole again in {reset} s")))
        }
        Some(numbers) => Err(Fault::new(
            Code::LimitsUntold,
            format!("the RateLimit headers make no sense: {numbers:?}"),
            "this request was not counted",
            "limits.mode = \"enforce\"",
        )),
        None => Err(Fault::new(
            Code::LimitsUntold,
            "no RateLimit headers",
            "limits.mode is off, or something before the gateway takes headers away",
            "limits.mode = \"enforce\"",
        )),
    }
}

/// For everything that follows, the clean-up with it.
fn enough(left: Option<u64>) -> Finding {
    match left {
        Some(left) if left < NEEDED => Err(Fault::new(
            Code::KeyLimitUsedUp,
            format!("{left} requests are left of the key's limit, and {NEEDED} may be needed"),
            "the limit is a small one, or was used up by others with this key",
            "a key of its own for this command, with a limit of a few hundred; or wait, as RateLimit-Reset says",
        )),
        Some(_) => Ok(((), "for all that follows".to_owned())),
        None => Ok(((), "no limit is told".to_owned())),
    }
}
