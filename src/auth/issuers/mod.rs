//! Tokens of issuers: a CI job, a pod or a person with single sign-on has an identity already, and needs no key of ours.
//!
//! A credential in the form of a token that names one of `auth.issuers` is judged here and nowhere else; all others are keys. It is
//! good if the issuer signed it, with a key and in a way that count; for us; and now. What it may do, the issuer's rules say.

pub(crate) mod ask;
mod claims;
pub(crate) mod discovery;
mod example;
mod fault;
pub(crate) mod key_set;
mod keys;
pub(crate) mod marks;
mod remembered;
mod rules;
mod sign_on;
mod template;
mod token;
mod verification;

use std::{net::IpAddr, sync::Arc};

pub(crate) use claims::Claims;
pub(crate) use example::Example;
pub use fault::{KeysFault, LoginFault, SessionFault, TokenFault};
use jiff::Timestamp;
use keys::Keys;
pub(crate) use keys::keep;
use remembered::{Names, Remembered, TokenDigest, Verified};
pub use rules::NoRule;
pub(crate) use rules::RuleFault;
use rules::{Rules, SUBJECT};
use serde_json::Value;
pub(crate) use sign_on::{CallbackAnswer, SignOnButton};
use sign_on::{Provider, SessionChecks};
use token::Said;
use tokio::time::Instant;
use verification::{claims_for, is_guess, rejected};

use super::{AuthError, Authenticated, Principal, call_limiter::FailureLimit, revocation::EVERYTHING};
use crate::{
    http_client::Tls,
    outage_log::OutageLog,
    redis::Redis,
    settings::Issuer,
    telemetry::Metrics,
    vocabulary::{CacheResult, CacheTier, ValidationOutcome, VerdictSource},
};

/// Bad tokens of one client address in a minute: each costs a signature.
const FAILURES_PER_MINUTE: usize = 60;

/// All issuers whose tokens are credentials; shared by all workers.
#[derive(Debug)]
pub struct Issuers {
    issuers: Vec<Arc<TrustedIssuer>>,
    remembered: Remembered,
    failures: FailureLimit,
    sessions: SessionChecks,
    redis: Option<Redis>,
    metrics: Metrics,
}

/// One issuer, with what is made of its settings.
#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    pub(crate) settings: Issuer,
    pub(crate) tls: Option<Tls>,
    rules: Rules,
    keys: Keys,
    /// Only where it logs people in.
    provider: Option<Provider>,
    outage_log: OutageLog,
}

impl TrustedIssuer {
    /// # Errors
    /// What cannot be used of its rules.
    pub(crate) fn new(settings: Issuer, tls: Option<Tls>) -> Result<Self, Vec<RuleFault>> {
        let rules = Rules::compile(&settings)?;
        let outage_log =
            OutageLog::new("the keys of an issuer cannot be read", "the keys of an issuer are read again");
        let provider = settings.login.clone().map(Provider::new);
        Ok(Self { settings, tls, rules, keys: Keys::new(), provider, outage_log })
    }

    /// The principal of whoever has these claims by the issuer's word, in force until `ends`.
    ///
    /// # Errors
    /// No rule fits.
    pub(crate) fn principal(&self, claims: &Claims, ends: Option<Timestamp>) -> Result<Principal, NoRule> {
        let subject = claims.text(SUBJECT).unwrap_or_default();
        let key_id = Some(name_of(&self.settings.issuer, subject));
        Ok(Principal { key_id, expires_at: ends, ..self.rules.principal(claims)? })
    }
}

/// What the tokens of a subject are revoked by, and counted under.
fn name_of(issuer: &str, subject: &str) -> String {
    format!("{issuer}|{subject}")
}

/// The id of a token, also of an issuer that gives it numbers: else nobody could revoke it by what stands there.
fn as_written(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

impl Issuers {
    pub(crate) fn new(issuers: Vec<TrustedIssuer>, redis: Option<Redis>, metrics: Metrics) -> Self {
        Self {
            issuers: issuers.into_iter().map(Arc::new).collect(),
            remembered: Remembered::new(),
            failures: FailureLimit::new(FAILURES_PER_MINUTE),
            sessions: SessionChecks::new(),
            redis,
            metrics,
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<TrustedIssuer>> {
        self.issuers.iter()
    }

    /// The verdict on a credential; `None`: it is no token of an issuer's.
    pub(super) async fn verdict(
        &self,
        credential: &str,
        client_ip: Option<IpAddr>,
    ) -> Option<Result<Authenticated, AuthError>> {
        // A head begins with a brace.
        if !credential.starts_with('e') {
            return None;
        }
        let digest = self.remembered.digest(credential);
        if let Some(remembered) = self.recall(&digest).await {
            return Some(remembered);
        }
        let said = Said::by(credential)?;
        let place = self.issuers.iter().position(|issuer| issuer.settings.issuer == said.issuer)?;
        Some(self.verify(credential, digest, &said, place, client_ip).await)
    }

    async fn recall(&self, digest: &TokenDigest) -> Option<Result<Authenticated, AuthError>> {
        let verified = self.remembered.get(digest)?;
        let TrustedIssuer { keys, settings, .. } = &*self.issuers[verified.issuer];
        if keys.withdrawals() != verified.withdrawals || !keys.are_usable() {
            return None;
        }
        if let Some(end) = verified.principal.expires_at.filter(|end| *end <= Timestamp::now()) {
            self.remembered.remove(digest);
            let end = end.checked_sub(settings.leeway).unwrap_or(end);
            return Some(Err(rejected(TokenFault::Expired(end), Some(&verified.principal))));
        }
        if !verified.is_settled
            && let Some(at) = self.settle(digest, &verified).await
        {
            return Some(Err(rejected(TokenFault::Revoked(at), Some(&verified.principal))));
        }
        self.metrics.key_looked_up(CacheTier::Memory, CacheResult::Hit);
        Some(Ok(Authenticated { principal: Arc::clone(&verified.principal), source: VerdictSource::Memory }))
    }

    async fn verify(
        &self,
        token: &str,
        digest: TokenDigest,
        said: &Said,
        place: usize,
        client_ip: Option<IpAddr>,
    ) -> Result<Authenticated, AuthError> {
        self.failures.check(client_ip)?;
        self.metrics.key_looked_up(CacheTier::Memory, CacheResult::Miss);
        let began = Instant::now();
        let verdict = self.verified(token, digest, said, place).await;
        let outcome = match &verdict {
            Err(error) => {
                if is_guess(error)
                    && let Ok(failure) = self.failures.take(client_ip)
                {
                    failure.use_up();
                }
                match error {
                    AuthError::KeysUnavailable(_) => ValidationOutcome::Unavailable,
                    _ => ValidationOutcome::Rejected,
                }
            }
            Ok(_) => ValidationOutcome::Accepted,
        };
        self.metrics.key_validated(outcome, began.elapsed());
        verdict.map(|principal| Authenticated { principal, source: VerdictSource::Issuer })
    }

    async fn verified(
        &self,
        token: &str,
        digest: TokenDigest,
        said: &Said,
        place: usize,
    ) -> Result<Arc<Principal>, AuthError> {
        let issuer = &self.issuers[place];
        // Before it is verified: what happens meanwhile counts.
        let (epoch, withdrawals) = (self.remembered.epoch(), issuer.keys.withdrawals());
        let claims = claims_for(issuer, token, said, &issuer.settings.audiences).await?;
        let leeway = issuer.settings.leeway.as_secs() as i64;
        let ends = claims.time("exp").ok().flatten().map(|end| end.saturating_add(leeway));
        let ends = ends.and_then(|end| Timestamp::from_second(end).ok());
        let subject = name_of(&issuer.settings.issuer, claims.text(SUBJECT).unwrap_or_default());
        let principal = issuer.principal(&claims, ends);
        let principal = principal
            .map_err(|missing| AuthError::NoRule { key_id: subject.clone(), missing: Arc::new(missing) })?;
        let principal = Arc::new(principal);
        let token = claims.get("jti").filter(|id| !id.is_null()).map(as_written);
        let names = Names { subject, token };
        // By our clock it may have been issued that much earlier.
        let issued_at = said.issued_at.map(|at| at.saturating_sub(leeway));
        let (revoked, is_settled) = self.revoked_at(&names, issued_at).await;
        if let Some(at) = revoked {
            return Err(rejected(TokenFault::Revoked(at), Some(&principal)));
        }
        let owner = Arc::clone(&principal);
        let verified =
            Verified { principal: owner, issuer: place, withdrawals, names, issued_at, is_settled };
        self.remembered.insert(digest, verified, epoch);
        Ok(principal)
    }

    /// When a token was revoked, and whether Redis, where there is one, has been heard.
    async fn revoked_at(&self, names: &Names, issued_at: Option<i64>) -> (Option<Timestamp>, bool) {
        let elsewhere = match &self.redis {
            Some(redis) => marks::revoked_at(redis, names, issued_at).await,
            None => Some(None),
        };
        // What was heard while Redis was asked counts.
        (self.remembered.revoked_at(names, issued_at).max(elsewhere.flatten()), elsewhere.is_some())
    }

    /// Asks again about a token that was let in while Redis did not answer.
    async fn settle(&self, digest: &TokenDigest, verified: &Verified) -> Option<Timestamp> {
        let epoch = self.remembered.epoch();
        let (revoked, is_settled) = self.revoked_at(&verified.names, verified.issued_at).await;
        if revoked.is_some() {
            self.remembered.remove(digest);
        } else if is_settled {
            self.remembered.insert(*digest, Verified { is_settled, ..verified.clone() }, epoch);
        }
        revoked
    }

    /// Forgets what was verified: revocations may have been missed, and Redis has marks of them.
    pub(super) fn forget(&self) {
        self.remembered.clear();
    }

    /// A message revokes tokens by `iss|sub` or `jti`.
    pub(super) fn revoke_by_message(&self, name: &str) {
        if name == EVERYTHING {
            return self.forget();
        }
        if self.remembered.revoke(name) {
            tracing::info!(key_id = name, "revoked");
        }
        if let Some(redis) = &self.redis {
            marks::leave(redis, name);
        }
    }
}

#[cfg(feature = "bench")]
impl Issuers {
    /// Remembers a token of the first issuer, as if it were good.
    pub fn remember(&self, token: &str, principal: Principal) {
        let keys = &self.issuers[0].keys;
        keys.learn((Instant::now(), Timestamp::now()), Ok(key_set::KeySet::default()));
        let names = Names { subject: principal.key_id.clone().unwrap_or_default(), token: None };
        let verified = Verified {
            principal: Arc::new(principal),
            issuer: 0,
            withdrawals: keys.withdrawals(),
            names,
            issued_at: None,
            is_settled: true,
        };
        self.remembered.insert(self.remembered.digest(token), verified, self.remembered.epoch());
    }
}
