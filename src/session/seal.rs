//! How cookies are sealed: AES-256-GCM, by the cookie crate's private jar. The name is part of what is sealed: no cookie passes for
//! another one.

use actix_web::cookie::{Cookie, CookieJar, Key, SameSite, time};
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::{client_ip::Client, settings::Auth};

/// The longest name and value that browsers keep (RFC 6265 §6.1).
const LONGEST: usize = 4096;

/// What a cookie is called.
#[derive(Debug, Clone, Copy)]
pub(super) struct Name {
    /// Browsers accept it only over TLS, for this host alone and from this host alone (draft-ietf-httpbis-rfc6265bis §4.1.3.2).
    pub(super) over_tls: &'static str,
    /// Over plain HTTP, which is for this machine alone.
    pub(super) on_loopback: &'static str,
}

impl Name {
    pub(super) fn at(self, client: Client) -> &'static str {
        if client.secure { self.over_tls } else { self.on_loopback }
    }
}

/// Seals what cookies carry, and opens it.
#[derive(Clone)]
pub(super) struct Seal {
    /// The first seals.
    keys: Vec<Key>,
}

impl Seal {
    pub(super) fn new(settings: &Auth) -> Self {
        let secrets = settings.session.secrets.iter();
        let mut keys: Vec<_> =
            secrets.map(|secret| Key::derive_from(secret.expose_secret().as_bytes())).collect();
        if keys.is_empty() {
            keys.push(settings.pepper.as_ref().map_or_else(Key::generate, of_pepper));
        }
        Self { keys }
    }

    /// The cookie that carries `what` for so many seconds; `None`: browsers would not keep it.
    pub(super) fn seal(
        &self,
        name: Name,
        client: Client,
        what: &impl Serialize,
        seconds: i64,
    ) -> Option<Cookie<'static>> {
        let (text, plain) = (serde_json::to_string(what).ok()?, name.at(client));
        let mut jar = CookieJar::new();
        jar.private_mut(&self.keys[0]).add(Cookie::new(plain, text));
        let sealed = jar.get(plain)?.value().to_owned();
        let fits = plain.len() + sealed.len() <= LONGEST;
        fits.then(|| cookie(name, client, sealed, time::Duration::seconds(seconds)))
    }

    /// What a cookie of this name carries; `None`: it is not one of ours.
    pub(super) fn open<T: DeserializeOwned>(&self, name: &'static str, sealed: &[u8]) -> Option<T> {
        let (jar, sealed) = (CookieJar::new(), str::from_utf8(sealed).ok()?);
        let cookie = || Cookie::new(name, sealed.to_owned());
        let opened = self.keys.iter().find_map(|key| jar.private(key).decrypt(cookie()))?;
        serde_json::from_str(opened.value()).ok()
    }
}

/// The cookie that makes a browser forget one.
pub(super) fn removal(name: Name, client: Client) -> Cookie<'static> {
    cookie(name, client, String::new(), time::Duration::ZERO)
}

fn cookie(name: Name, client: Client, value: String, max_age: time::Duration) -> Cookie<'static> {
    // With Lax a link from elsewhere opens the page, and a form from elsewhere has no session.
    Cookie::build(name.at(client), value)
        .path("/")
        .secure(client.secure)
        .http_only(true)
        .same_site(SameSite::Lax)
        .max_age(max_age)
        .finish()
}

/// Instances that share a pepper share sessions, too.
fn of_pepper(pepper: &SecretString) -> Key {
    let mac = Hmac::<Sha256>::new_from_slice(pepper.expose_secret().as_bytes());
    let secret = mac.map(|mac| mac.chain_update("hokusai-gateway: sessions").finalize().into_bytes());
    secret.map_or_else(|_| Key::generate(), |secret| Key::derive_from(&secret))
}
