//! People who log in at an issuer: the code flow with PKCE, and how long the issuer's word counts.
//!
//! The token of a login is verified as one of a machine is. What the rules need of it goes into the person's session, and is judged
//! by them on every request.

mod checks;
mod provider;
mod relay;

use std::{net::IpAddr, sync::Arc};

use jiff::Timestamp;
use openidconnect::{PostLogoutRedirectUrl, RedirectUrl};
use rand::random;
use serde_json::{Map, Value};
use url::Url;

use super::{
    Claims, Issuers, KeysFault, LoginFault, TrustedIssuer, claims_for, fault::TokenFault, rejected,
    rules::SUBJECT, token::Said,
};
use crate::{
    auth::{AuthError, Rejection},
    credentials::Person,
    session::{Attempt, Destination},
    settings::IssuerLogin,
};
pub(super) use checks::SessionChecks;
use provider::GrantFault;
pub(super) use provider::Provider;

/// An issuer that logs people in, as the login page has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignOnButton {
    /// Its place in the settings, from 1.
    pub(crate) number: usize,
    pub(crate) name: String,
}

/// What the issuer sends the browser back with (RFC 6749 §4.1.2, RFC 9207).
pub(crate) struct CallbackAnswer {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) issuer: Option<String>,
}

impl Issuers {
    /// The issuers that log people in.
    pub(crate) fn buttons(&self) -> Vec<SignOnButton> {
        let numbered = (1..).zip(&self.issuers);
        let button = |(number, issuer): (usize, &Arc<TrustedIssuer>)| {
            Some(SignOnButton { number, name: issuer.provider.as_ref()?.login.name.clone() })
        };
        numbered.filter_map(button).collect()
    }

    /// Where the issuer with this number logs people in, for the gateway at this address; and what has to be known when it is over.
    /// `None`: no such issuer does.
    pub(crate) async fn begin(
        &self,
        number: usize,
        address: &str,
        next: &Destination,
    ) -> Option<Result<(Url, Attempt), AuthError>> {
        let issuer = self.issuers.get(number.checked_sub(1)?)?;
        let provider = issuer.provider.as_ref()?;
        let callback = RedirectUrl::new(format!("{address}/login/callback")).ok()?;
        let endpoints = provider.endpoints(issuer).await.map_err(AuthError::KeysUnavailable);
        Some(endpoints.map(|endpoints| endpoints.begin(issuer, &provider.login, &callback, next)))
    }

    /// Whoever the issuer has logged in, for a session that ends at `ends`.
    ///
    /// # Errors
    /// The answer is not the attempt's, the issuer says no or something that is no proof, or it cannot be asked.
    pub(crate) async fn complete(
        &self,
        attempt: Option<&Attempt>,
        answer: CallbackAnswer,
        ends: i64,
        client_ip: Option<IpAddr>,
    ) -> Result<Person, AuthError> {
        self.failures.check(client_ip)?;
        let is_named = answer.issuer.is_some();
        // What has not begun here is no guess: any page can make a browser come back with something, and it costs nothing.
        let (attempt, code) = self.answered(attempt, answer)?;
        let person = self.completed(attempt, code, is_named, ends).await;
        if let Err(AuthError::Rejected(_)) = &person
            && let Ok(failure) = self.failures.take(client_ip)
        {
            failure.use_up();
        }
        person
    }

    /// The code in an answer to this attempt.
    fn answered<'a>(
        &self,
        attempt: Option<&'a Attempt>,
        answer: CallbackAnswer,
    ) -> Result<(&'a Attempt, String), AuthError> {
        let attempt = attempt.ok_or_else(|| refused(LoginFault::NotBegun))?;
        let is_of = |issuer: &str| issuer == attempt.issuer;
        if answer.state.as_ref() != Some(&attempt.state) || !answer.issuer.as_deref().is_none_or(is_of) {
            return Err(refused(LoginFault::Foreign));
        }
        // The issuer takes a code once; here a browser's cookie could be kept and sent again.
        if !self.sessions.is_first(&attempt.state) {
            return Err(refused(LoginFault::NotBegun));
        }
        Ok((attempt, answer.code.ok_or_else(|| refused(LoginFault::Denied))?))
    }

    async fn completed(
        &self,
        attempt: &Attempt,
        code: String,
        is_named: bool,
        ends: i64,
    ) -> Result<Person, AuthError> {
        let of_attempt = self.issuer_for_people(&attempt.issuer);
        let (issuer, provider) = of_attempt.ok_or_else(|| refused(LoginFault::NotBegun))?;
        let endpoints = provider.endpoints(issuer).await.map_err(AuthError::KeysUnavailable)?;
        // The code may be another issuer's, which does not say so (RFC 9207 §2.4).
        if endpoints.names_itself && !is_named {
            return Err(refused(LoginFault::Foreign));
        }
        let now = Timestamp::now().as_second();
        let tokens = endpoints.redeem(issuer.tls.as_ref(), attempt, code).await;
        let tokens = tokens.map_err(|fault| match fault {
            GrantFault::Denied => refused(LoginFault::Denied),
            GrantFault::Failed(fault) => AuthError::KeysUnavailable(fault),
        })?;
        let id_token = tokens.id_token.ok_or(AuthError::KeysUnavailable(KeysFault::NoTokens))?;
        let claims = id_claims(issuer, &provider.login, &id_token).await?;
        if claims.text("nonce") != Some(&attempt.nonce) {
            return Err(rejected(TokenFault::Claim("nonce"), None));
        }
        Ok(Person {
            id: hex::encode(random::<[u8; 16]>()),
            issuer: attempt.issuer.clone(),
            claims: issuer.needed_of(&claims),
            since: now,
            checked: now,
            refresh: tokens.refresh,
            ends,
        })
    }

    /// Where a person whose session is over is logged out of its issuer, too, and sent back to the gateway at this address.
    pub(crate) async fn log_out(&self, person: &Person, address: &str) -> Option<Url> {
        self.sessions.end(&person.id);
        let (issuer, provider) = self.issuer_for_people(&person.issuer)?;
        let endpoints = provider.endpoints(issuer).await.ok()?;
        // The one address that the issuer knows.
        let back = PostLogoutRedirectUrl::new(format!("{address}/login/callback")).ok()?;
        endpoints.logout(&provider.login, back)
    }

    fn issuer_for_people(&self, name: &str) -> Option<(&Arc<TrustedIssuer>, &Provider)> {
        let issuer = self.issuers.iter().find(|issuer| issuer.settings.issuer == name)?;
        Some((issuer, issuer.provider.as_ref()?))
    }
}

impl TrustedIssuer {
    /// The claims that count, each by the name that it has in the rules.
    fn needed_of(&self, claims: &Claims) -> Map<String, Value> {
        let needed = self.rules.claims().map(|name| {
            // None of the rules fits an object.
            let value = claims.get(name).filter(|value| !value.is_object());
            (name.to_owned(), value.cloned().unwrap_or_default())
        });
        needed.collect()
    }

    /// Whether a session has, of the claims that count, at least that they were not there.
    fn has_needed(&self, claims: &Map<String, Value>) -> bool {
        self.rules.claims().all(|name| claims.contains_key(name))
    }
}

/// The claims of a token that says who a person is (OpenID Connect Core 1.0 §3.1.3.7), all but the nonce.
async fn id_claims(issuer: &TrustedIssuer, login: &IssuerLogin, token: &str) -> Result<Claims, AuthError> {
    let said = Said::by(token).ok_or_else(|| rejected(TokenFault::Unreadable, None))?;
    let claims = claims_for(issuer, token, &said, std::slice::from_ref(&login.client_id)).await?;
    let is_for_many = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
    let is_ours = match claims.text("azp") {
        Some(party) => party == login.client_id,
        None => !is_for_many,
    };
    if is_ours { Ok(claims) } else { Err(rejected(TokenFault::Audience, None)) }
}

fn refused(fault: LoginFault) -> AuthError {
    AuthError::Rejected(Rejection::Login(fault))
}

fn subject_of(person: &Person) -> &str {
    person.claims.get(SUBJECT).and_then(Value::as_str).unwrap_or_default()
}
