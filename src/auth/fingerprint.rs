//! Under what name a verdict is remembered: a keyed digest, from which no key can be told.

use std::{fmt, net::IpAddr};

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use sha2::Sha256;

/// The secret that fingerprints are keyed with; its Debug output does not show it.
#[derive(Clone)]
pub(super) struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// A pepper of this process's own.
    pub(super) fn random() -> Self {
        let secret: [u8; 64] = rand::rng().random();
        Self(Hmac::new(&secret.into()))
    }

    /// The name of the verdict on `key`, for this service, and for this client where the verdict may depend on it.
    pub(super) fn fingerprint(&self, key: &str, service_id: &str, client_ip: Option<IpAddr>) -> Fingerprint {
        let mut mac = self.0.clone();
        mac.update(b"verdict\0");
        mac.update(key.as_bytes());
        // A key is visible ASCII: no key and service can be read as another key and service.
        mac.update(b"\0");
        mac.update(service_id.as_bytes());
        mac.update(b"\0");
        if let Some(client_ip) = client_ip {
            mac.update(client_ip.to_string().as_bytes());
        }
        Fingerprint(mac.finalize().into_bytes().into())
    }
}

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(…)")
    }
}

/// HMAC-SHA256 of a key, its service and its client.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_a_verdict_depends_on_changes_its_name() {
        let pepper = Pepper::random();
        let ip = |text: &str| Some(text.parse().unwrap());
        let names = [
            pepper.fingerprint("key", "platform", None),
            pepper.fingerprint("kez", "platform", None),
            pepper.fingerprint("key", "ml-platform", None),
            pepper.fingerprint("key", "platform", ip("192.0.2.1")),
            pepper.fingerprint("key", "platform", ip("192.0.2.2")),
            pepper.fingerprint("keyp", "latform", None),
            Pepper::random().fingerprint("key", "platform", None),
        ];
        for (at, name) in names.iter().enumerate() {
            assert!(names[at + 1..].iter().all(|other| other != name), "{at}");
        }
        assert_eq!(names[0], pepper.fingerprint("key", "platform", None));
    }
}
