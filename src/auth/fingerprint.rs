//! The names of cached verdicts: keyed digests that do not reveal the key.

use std::net::IpAddr;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256, Sha512};

use super::Principal;

/// The secret that fingerprints are keyed with. `Hmac` does not show it in its Debug output.
#[derive(Debug, Clone)]
pub(super) struct Pepper(Hmac<Sha256>);

impl Pepper {
    /// The pepper of the settings. Instances that share a Redis must have the same one.
    pub(super) fn new(secret: &SecretString) -> Self {
        // The digest gives an HMAC key for a secret of any length.
        let key: [u8; 64] = Sha512::digest(secret.expose_secret()).into();
        Self(Hmac::new(&key.into()))
    }

    /// A pepper for this process only.
    pub(super) fn random() -> Self {
        let secret: [u8; 64] = rand::rng().random();
        Self(Hmac::new(&secret.into()))
    }

    /// The name of the verdict on `key` for this service and this client address, on which the verdict may depend.
    pub(super) fn fingerprint(&self, key: &str, service_id: &str, client_ip: Option<IpAddr>) -> Fingerprint {
        let client_ip = client_ip.map(|address| address.to_string()).unwrap_or_default();
        Fingerprint(self.mac("verdict", &[key.as_bytes(), service_id.as_bytes(), client_ip.as_bytes()]))
    }

    /// The name of a key alone: a revocation must find its verdicts for all client addresses.
    pub(super) fn key_digest(&self, key: &str, service_id: &str) -> KeyDigest {
        KeyDigest(self.mac("key", &[key.as_bytes(), service_id.as_bytes()]))
    }

    /// The MAC of `parts` for a purpose.
    pub(super) fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.over(purpose, parts).finalize().into_bytes().into()
    }

    /// Whether `mac` is the one of these parts; in constant time.
    pub(super) fn verifies(&self, purpose: &str, parts: &[&[u8]], mac: &[u8]) -> bool {
        self.over(purpose, parts).verify_slice(mac).is_ok()
    }

    /// Each part with its length before it, so that two different lists never give the same bytes.
    fn over(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        for part in [purpose.as_bytes()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

/// HMAC-SHA256 of a key, its service and its client address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// HMAC-SHA256 of a key and its service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct KeyDigest([u8; 32]);

/// The prefix that tells a digest from a key id.
const DIGEST: &str = "key-digest:";

impl KeyDigest {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The name under which the key is revoked: its id, or this digest if the service gives it no id.
    pub(super) fn revocation_name(&self, principal: &Principal) -> String {
        match &principal.key_id {
            Some(key_id) => key_id.clone(),
            None => format!("{DIGEST}{}", hex::encode(self.0)),
        }
    }

    /// The digest in the name of a key without an id.
    pub(super) fn from_revocation_name(name: &str) -> Option<Self> {
        let mut digest = [0; 32];
        hex::decode_to_slice(name.strip_prefix(DIGEST)?, &mut digest).ok()?;
        Some(Self(digest))
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

    #[test]
    fn a_key_is_revoked_by_its_id_or_by_a_digest_that_is_found_again() {
        let pepper = Pepper::random();
        let (digest, other) = (pepper.key_digest("key", "platform"), pepper.key_digest("kez", "platform"));
        let named = Principal { key_id: Some("k-1".to_owned()), ..Principal::default() };
        assert_eq!(digest.revocation_name(&named), "k-1");
        let name = digest.revocation_name(&Principal::default());
        assert!(KeyDigest::from_revocation_name(&name) == Some(digest) && digest != other);
        for name in ["k-1", "*", "", "key-digest:", "key-digest:00", &name[1..]] {
            assert_eq!(KeyDigest::from_revocation_name(name), None, "{name}");
        }
    }
}
