//! A login at an issuer that has begun and not ended, in a cookie of its own: only the browser that began it can end it.

use actix_web::{cookie::Cookie, http::header::HeaderMap};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Destination, NotSealed, Sessions,
    seal::{self, Name},
    sealed::only_cookie,
};
use crate::client_ip::Client;

pub(super) const NAME: Name = Name { over_tls: "__Host-hokusai-login", on_loopback: "hokusai-login" };
/// How long a person may take at the issuer, in seconds.
const LIFETIME: i64 = 600;

/// What the gateway has to know again when the issuer sends the browser back. All of it is secret.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) issuer: String,
    /// Comes back in the address (RFC 6749 §10.12).
    pub(crate) state: String,
    /// Comes back in the token (OpenID Connect Core 1.0 §3.1.2.1).
    pub(crate) nonce: String,
    /// The code is good for whoever has it alone (RFC 7636).
    pub(crate) verifier: String,
    /// Where the issuer sends the browser, as it was told.
    pub(crate) callback: String,
    /// Where the person wanted to go.
    pub(crate) next: String,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    #[serde(flatten)]
    attempt: Attempt,
    ends: i64,
}

impl Sessions {
    /// # Errors
    /// The cookie could be read by others. A destination that does not fit into it is forgotten.
    pub(crate) fn seal_attempt(
        &self,
        mut attempt: Attempt,
        client: Client,
        headers: &HeaderMap,
    ) -> Result<Cookie<'static>, NotSealed> {
        self.must_be_unreadable(client, headers)?;
        let ends = Timestamp::now().as_second() + LIFETIME;
        let seal = |attempt: &Attempt| {
            self.seal.seal(NAME, client, &Sealed { attempt: attempt.clone(), ends }, LIFETIME)
        };
        seal(&attempt)
            .or_else(|| {
                attempt.next = Destination::of("").as_str().to_owned();
                seal(&attempt)
            })
            .ok_or(NotSealed::TooLong)
    }

    /// The login that this browser has begun.
    pub(crate) fn attempt(&self, client: Client, headers: &HeaderMap) -> Option<Attempt> {
        let name = NAME.at(client);
        let Sealed { attempt, ends } = self.seal.open(name, only_cookie(headers, name)?.ok()?)?;
        (ends > Timestamp::now().as_second()).then_some(attempt)
    }
}

/// Its cookie is for one callback.
pub(crate) fn attempt_removal(client: Client) -> Cookie<'static> {
    seal::removal(NAME, client)
}
