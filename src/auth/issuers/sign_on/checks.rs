//! The word of an issuer on a session: what it was at the login, until it is asked again.
//!
//! It is asked with the session's refresh token, by one request of the session at a time. A refresh token may be good once: what the
//! issuer gives for it is remembered here, for the requests that still come with the earlier one.

use std::{borrow::Cow, sync::Arc};

use deadpool_redis::redis::cmd;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use super::{GrantFault, id_claims, subject_of};
use crate::{
    auth::{
        AuthError, Authenticated, Principal, Rejection,
        issuers::{Issuers, KeysFault, SessionFault, TrustedIssuer, name_of, remembered::Names},
    },
    credentials::Person,
    flight::Flights,
    vocabulary::VerdictSource,
};

/// How long the issuer's word counts, in seconds.
const FRESH: i64 = 300;
/// How long it counts while the issuer cannot be asked.
const STALE: i64 = 3600;
/// The time between two questions while it does not answer.
const PAUSE: i64 = 60;
/// How many sessions, and logins, are remembered; the least recently used are forgotten first.
const SESSIONS: usize = 10_000;

/// What this process has learned of sessions.
#[derive(Debug)]
pub(in crate::auth::issuers) struct SessionChecks {
    known: Cache<String, Known>,
    /// How many revocations were known when Redis was asked about a session.
    asked: Cache<String, u64>,
    flights: Arc<Flights<String, ()>>,
    /// The logins that have ended, by their `state`.
    ended_logins: Cache<String, ()>,
}

#[derive(Debug, Clone)]
enum Known {
    Ended {
        fault: SessionFault,
        /// A later word of the issuer's counts more.
        until: i64,
    },
    Going {
        /// As it was last sealed, or is to be.
        person: Arc<Person>,
        silence: Option<Silence>,
    },
}

/// That the issuer gave no answer.
#[derive(Debug, Clone)]
struct Silence {
    fault: KeysFault,
    /// When it may be asked again.
    until: i64,
}

impl SessionChecks {
    pub(in crate::auth::issuers) fn new() -> Self {
        Self {
            known: Cache::new(SESSIONS),
            asked: Cache::new(SESSIONS),
            flights: Arc::default(),
            ended_logins: Cache::new(SESSIONS),
        }
    }

    /// Whether a login ends for the first time.
    pub(super) fn is_first(&self, state: &str) -> bool {
        let mut is_first = false;
        let _ = self.ended_logins.get_or_insert_with(state, || {
            is_first = true;
            Ok::<_, std::convert::Infallible>(())
        });
        is_first
    }

    pub(super) fn end(&self, session: &str) {
        let ended = Known::Ended { fault: SessionFault::LoggedOut, until: i64::MAX };
        self.known.insert(session.to_owned(), ended);
    }

    fn has_ended(&self, person: &Person) -> Option<SessionFault> {
        match self.known.get(&person.id)? {
            Known::Ended { fault, until } if person.checked <= until => Some(fault),
            _ => None,
        }
    }

    fn learn(&self, person: Person, silence: Option<Silence>) {
        // A session that has ended meanwhile stays so.
        if self.has_ended(&person).is_none() {
            self.known.insert(person.id.clone(), Known::Going { person: Arc::new(person), silence });
        }
    }
}

impl Issuers {
    /// The verdict on the session of a person.
    pub(in crate::auth) async fn session_verdict(
        self: &Arc<Self>,
        sent: &Person,
    ) -> Result<Authenticated, AuthError> {
        let of_session = self.issuer_for_people(&sent.issuer);
        let (issuer, _) = of_session.ok_or_else(|| over(SessionFault::NoIssuer, None))?;
        let (person, silence) = self.newest(sent)?;
        let now = Timestamp::now().as_second();
        let is_due = person.refresh.is_some() && now - person.checked >= FRESH;
        let may_ask = silence.is_none_or(|silence| silence.until <= now);
        let asks = is_due && may_ask;
        let person = if asks {
            let (issuers, asked) = (Arc::clone(self), person.into_owned());
            let asking = || async move { issuers.ask_again(asked).await };
            self.sessions.flights.join(sent.id.clone(), asking).await;
            self.newest(sent)?.0
        } else {
            person
        };
        let principal = issuer.principal_of(&person)?;
        if let Some(at) = self.session_revoked_at(&person).await {
            return Err(over(SessionFault::Revoked(at), Some(principal)));
        }
        if person.refresh.is_some() && now - person.checked >= STALE {
            let fault = self.newest(sent)?.1.map_or(KeysFault::NotYet, |silence| silence.fault);
            return Err(AuthError::KeysUnavailable(fault));
        }
        let source = if asks { VerdictSource::Issuer } else { VerdictSource::Memory };
        Ok(Authenticated { principal, source })
    }

    /// What a session is to carry from now on, if that is not what it carries.
    pub(crate) fn renewed(&self, sent: &Person) -> Option<Person> {
        match self.newest(sent) {
            Ok((Cow::Owned(person), _)) => Some(person),
            _ => None,
        }
    }

    /// The session as it was sent, or as it has become since.
    fn newest<'a>(&self, sent: &'a Person) -> Result<(Cow<'a, Person>, Option<Silence>), AuthError> {
        match self.sessions.known.get(&sent.id) {
            Some(Known::Ended { fault, until }) if sent.checked <= until => Err(over(fault, None)),
            Some(Known::Going { person, silence }) if person.checked > sent.checked => {
                Ok((Cow::Owned(Person::clone(&person)), silence))
            }
            Some(Known::Going { silence, .. }) => Ok((Cow::Borrowed(sent), silence)),
            _ => Ok((Cow::Borrowed(sent), None)),
        }
    }

    /// Asks the issuer whether a session may go on, and remembers what it says.
    async fn ask_again(&self, sent: Person) {
        let asked = Timestamp::now().as_second();
        // Another request may have asked meanwhile.
        match self.newest(&sent) {
            Ok((Cow::Borrowed(_), silence))
                if silence.as_ref().is_none_or(|silence| silence.until <= asked) => {}
            _ => return,
        }
        let (Some((issuer, provider)), Some(refresh)) = (self.issuer_for_people(&sent.issuer), &sent.refresh)
        else {
            return;
        };
        if !self.may_ask(&sent, asked).await {
            return self
                .sessions
                .learn(sent, Some(Silence { fault: KeysFault::AskedElsewhere, until: asked + PAUSE }));
        }
        let answer = match provider.endpoints(issuer).await {
            Ok(endpoints) => endpoints.refresh(issuer.tls.as_ref(), refresh).await,
            Err(fault) => Err(GrantFault::Failed(fault)),
        };
        let tokens = match answer {
            Ok(tokens) => tokens,
            Err(GrantFault::Denied) => return self.end_by_issuer(&sent),
            Err(GrantFault::Failed(fault)) => {
                provider.outage_log.warn(fault.code(), &format_args!("{}: {fault}", sent.issuer));
                return self.sessions.learn(sent, Some(Silence { fault, until: asked + PAUSE }));
            }
        };
        provider.outage_log.end();
        let mut person = sent.clone();
        person.refresh = tokens.refresh.or(person.refresh);
        person.checked = asked;
        if let Some(id_token) = tokens.id_token {
            match id_claims(issuer, &provider.login, &id_token).await {
                Ok(claims) if claims.text("sub") == Some(subject_of(&sent)) => {
                    person.claims = issuer.needed_of(&claims);
                }
                // Another one's token, or nobody's (OpenID Connect Core 1.0 §12.2).
                Ok(_) | Err(AuthError::Rejected(_)) => return self.end_by_issuer(&sent),
                // It has said yes; what it says of the person is read the next time.
                Err(_) => {}
            }
        }
        self.sessions.learn(person, None);
    }

    fn end_by_issuer(&self, person: &Person) {
        let ended = Known::Ended { fault: SessionFault::EndedByIssuer, until: person.checked };
        self.sessions.known.insert(person.id.clone(), ended);
    }

    /// Whether no other instance asks: of two that send one refresh token, an issuer may refuse both.
    async fn may_ask(&self, session: &Person, now: i64) -> bool {
        let Some(redis) = &self.redis else { return true };
        let name = format!("hokusai:asked-for-session:{}", session.id);
        let claim = move |mut redis| async move {
            let mut claim = cmd("SET");
            claim.arg(name).arg(1).arg("NX").arg("EX").arg(PAUSE);
            claim.query_async::<Option<String>>(&mut redis).await
        };
        match redis.call(claim).await {
            Some(claimed) => claimed.is_some(),
            // For a moment the last word is good enough.
            None => now - session.checked >= 2 * FRESH,
        }
    }

    /// Redis is asked when a session is first seen, and again when revocations were heard of, or may have been missed.
    async fn session_revoked_at(&self, person: &Person) -> Option<Timestamp> {
        let subject = name_of(&person.issuer, subject_of(person));
        let names = Names { subject, token: None };
        let epoch = self.remembered.epoch();
        if self.sessions.asked.get(&person.id) == Some(epoch) {
            return self.remembered.revoked_at(&names, Some(person.since));
        }
        let (revoked, is_settled) = self.revoked_at(&names, Some(person.since)).await;
        if is_settled {
            self.sessions.asked.insert(person.id.clone(), epoch);
        }
        if self.sessions.known.get(&person.id).is_none() {
            self.sessions.learn(person.clone(), None);
        }
        revoked
    }
}

impl TrustedIssuer {
    /// Whoever a session is of, by the rules as they are now.
    fn principal_of(&self, person: &Person) -> Result<Arc<Principal>, AuthError> {
        // A rule on a claim that nobody asked for at the login could not keep anybody out.
        if !self.has_needed(&person.claims) {
            return Err(over(SessionFault::Outdated, None));
        }
        let claims = super::Claims(person.claims.clone());
        let principal = self.principal(&claims, Timestamp::from_second(person.ends).ok());
        principal.map(Arc::new).map_err(|missing| AuthError::NoRule {
            key_id: name_of(&person.issuer, subject_of(person)),
            missing: Arc::new(missing),
        })
    }
}

fn over(fault: SessionFault, owner: Option<Arc<Principal>>) -> AuthError {
    AuthError::Rejected(Rejection::Session { fault, owner })
}
