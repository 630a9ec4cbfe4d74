//! The keys that an issuer publishes (RFC 7517), and which of them a token may be signed with.

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

use crate::settings::TokenAlgorithm;

/// The most keys that are kept of a set.
const MAX_KEYS: usize = 100;
/// The shortest RSA modulus, in bytes (RFC 7518 §3.3).
const MIN_MODULUS: usize = 2048 / 8;

/// The usable keys of an issuer.
#[derive(Debug, Default)]
pub(crate) struct KeySet(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The algorithms that it fits, of those in the settings.
    algorithms: Vec<Algorithm>,
    published: AlgorithmParameters,
    key: DecodingKey,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

/// What an issuer publishes, usable or not: for each key its members that are for people.
pub(crate) fn published(body: &[u8]) -> Vec<String> {
    let keys = serde_json::from_slice::<Document>(body).map(|document| document.keys).unwrap_or_default();
    let words = |key: &Value| {
        let members = ["kid", "kty", "crv", "alg", "use"];
        let words: Vec<_> = members
            .iter()
            .filter_map(|name| Some(format!("{name} {}", key.get(*name)?.as_str()?)))
            .chain(key.get("n").and_then(Value::as_str).map(|n| format!("{} bits", n.len() * 6 / 8 * 8)))
            .collect();
        words.join(", ")
    };
    keys.iter().take(MAX_KEYS).map(words).collect()
}

impl KeySet {
    /// `None`: no set of keys. A key that cannot be used is left out.
    pub(crate) fn read(body: &[u8], pinned: &[TokenAlgorithm]) -> Option<Self> {
        let Document { keys } = serde_json::from_slice(body).ok()?;
        let pinned: Vec<_> = pinned.iter().copied().map(algorithm).collect();
        Some(Self(keys.into_iter().filter_map(|key| Key::read(key, &pinned)).take(MAX_KEYS).collect()))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The id of each key, and the algorithms that it is for.
    pub(crate) fn keys(&self) -> impl Iterator<Item = (Option<&str>, Vec<String>)> {
        let words = |key: &Key| key.algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
        self.0.iter().map(move |key| (key.id.as_deref(), words(key)))
    }

    /// The keys that a token with this head may be signed with. Without an id only one may fit.
    pub(super) fn fitting(&self, id: Option<&str>, algorithm: Algorithm) -> Vec<&DecodingKey> {
        let fits =
            |key: &&Key| key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id);
        let fitting: Vec<_> = self.0.iter().filter(fits).map(|key| &key.key).collect();
        if id.is_none() && fitting.len() > 1 { Vec::new() } else { fitting }
    }

    /// Whether every key of `earlier` is still there.
    pub(super) fn has_all_of(&self, earlier: &Self) -> bool {
        let has = |lost: &Key| self.0.iter().any(|key| key.id == lost.id && key.published == lost.published);
        earlier.0.iter().all(has)
    }
}

impl Key {
    fn read(key: Value, pinned: &[Algorithm]) -> Option<Self> {
        let jwk: Jwk = serde_json::from_value(key).ok()?;
        let uses = jwk.common.key_operations.as_ref();
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature))
            || uses.is_some_and(|uses| !uses.contains(&KeyOperations::Verify))
        {
            return None;
        }
        // A key may name the one algorithm that it is for.
        let own = jwk.common.key_algorithm;
        let is_own = |algorithm: Algorithm| own.is_none_or(|own| own == KeyAlgorithm::from(algorithm));
        let fits = |algorithm: &Algorithm| is_own(*algorithm) && fits(&jwk.algorithm, *algorithm);
        let algorithms: Vec<_> = pinned.iter().copied().filter(fits).collect();
        let key = DecodingKey::from_jwk(&jwk).ok().filter(|_| !algorithms.is_empty())?;
        Some(Self { id: jwk.common.key_id, algorithms, published: jwk.algorithm, key })
    }
}

fn fits(key: &AlgorithmParameters, algorithm: Algorithm) -> bool {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    match key {
        AlgorithmParameters::RSA(key) => {
            // Base64: four characters for three bytes.
            let is_long = key.n.len() * 3 / 4 >= MIN_MODULUS;
            is_long && matches!(algorithm, RS256 | RS384 | RS512 | PS256 | PS384 | PS512)
        }
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => algorithm == ES256,
            EllipticCurve::P384 => algorithm == ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(key) => key.curve == EllipticCurve::Ed25519 && algorithm == EdDSA,
        // A secret has no place in a public document.
        _ => false,
    }
}

pub(super) fn algorithm(pinned: TokenAlgorithm) -> Algorithm {
    match pinned {
        TokenAlgorithm::Rs256 => Algorithm::RS256,
        TokenAlgorithm::Rs384 => Algorithm::RS384,
        TokenAlgorithm::Rs512 => Algorithm::RS512,
        TokenAlgorithm::Ps256 => Algorithm::PS256,
        TokenAlgorithm::Ps384 => Algorithm::PS384,
        TokenAlgorithm::Ps512 => Algorithm::PS512,
        TokenAlgorithm::Es256 => Algorithm::ES256,
        TokenAlgorithm::Es384 => Algorithm::ES384,
        TokenAlgorithm::EdDsa => Algorithm::EdDSA,
    }
}
