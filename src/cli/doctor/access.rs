//! Keys: none, a wrong one, the good one in both ways that MLflow's client sends it; and what it may.

use actix_web::http::header::{HeaderValue, TryIntoHeaderValue as _};
use actix_web_httpauth::headers::authorization::Basic;
use awc::{body, http::Method};

use super::{
    Patient,
    expectation::{are_experiments, expect},
};
use crate::cli::diagnosis::{Answer, Fault, Finding, Journal};

/// What nobody has.
const WRONG_KEY: &str = "Bearer hokusai-gateway-doctor-this-is-no-key";
const LIMITS: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

/// The Authorization of a user name and the key as the password.
pub(super) fn basic(key: &str) -> String {
    let value = Basic::new("doctor", Some(key.to_owned())).try_into_value();
    value
        .as_ref()
        .ok()
        .map(HeaderValue::as_bytes)
        .map(String::from_utf8_lossy)
        .unwrap_or_default()
        .into_owned()
}

impl Patient {
    /// `None` where the key does not work.
    pub(super) async fn access(&self, journal: &mut Journal) -> Option<()> {
        journal.check("no key", self.denied(None, "credential_missing")).await;
        journal.check("wrong key", self.denied(Some(WRONG_KEY), "credential_rejected")).await;
        let answer = journal.check("key", self.allowed(&self.authorization)).await;
        journal.check("key as a password", self.allowed(&self.as_password)).await;
        match &answer {
            Some(answer) => drop(journal.check("limits", async { limits(answer) }).await),
            None => journal.skip("limits", "the key does not work"),
        }
        answer.map(drop)
    }

    async fn search(&self, authorization: Option<&str>) -> Result<Answer, String> {
        let target = format!("{}/api/2.0/mlflow/experiments/search?max_results=1", self.mount);
        let headers: Vec<_> = authorization.iter().map(|value| ("authorization", *value)).collect();
        self.site.ask(Method::GET, &target, &headers, body::None::new()).await
    }

    async fn denied(&self, authorization: Option<&str>, reason: &str) -> Finding {
        let answer = self.search(authorization).await;
        if let Ok(answer) = &answer
            && answer.status.is_success()
        {
            return Err(Fault::new(
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

fn limits(answer: &Answer) -> Finding {
    let number = |name: &str| answer.header(name).and_then(|value| value.parse::<u64>().ok());
    let numbers: Option<Vec<u64>> = LIMITS.iter().map(|name| number(name)).collect();
    match numbers.as_deref() {
        Some([limit, remaining, reset]) if remaining < limit => {
            Ok(((), format!("{remaining} of {limit} requests left, whole again in {reset} s")))
        }
        Some(numbers) => Err(Fault::new(
            format!("the RateLimit headers make no sense: {numbers:?}"),
            "this request was not counted",
            "limits.mode = \"enforce\"",
        )),
        None => Err(Fault::new(
            "no RateLimit headers",
            "limits.mode is off, or something before the gateway takes headers away",
            "limits.mode = \"enforce\"",
        )),
    }
}
