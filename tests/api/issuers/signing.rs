//! Keys made while the tests run, and tokens signed with them: by ring and openssl, not by what verifies them.

use std::{
    io::Write as _,
    process::{Command, Stdio},
    sync::OnceLock,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    rsa::{self, PublicKeyComponents},
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaEncoding},
};
use serde_json::{Value, json};

/// A private key, and what its holder calls it.
pub struct SigningKey {
    pub id: &'static str,
    kind: Kind,
}

enum Kind {
    Rsa(rsa::KeyPair),
    /// One that ring does not take, in PEM.
    ShortRsa(String),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl SigningKey {
    pub fn rsa(id: &'static str) -> Self {
        // It takes a while, and one is as good as another.
        static PEM: OnceLock<String> = OnceLock::new();
        let pem = PEM.get_or_init(|| openssl(&RSA.replace("BITS", "2048"), ""));
        let der: String = pem.lines().filter(|line| !line.starts_with("---")).collect();
        let der = base64::prelude::BASE64_STANDARD.decode(der).unwrap();
        Self { id, kind: Kind::Rsa(rsa::KeyPair::from_pkcs8(&der).unwrap()) }
    }

    pub fn short_rsa(id: &'static str) -> Self {
        Self { id, kind: Kind::ShortRsa(openssl(&RSA.replace("BITS", "1024"), "")) }
    }

    pub fn p256(id: &'static str) -> Self {
        Self { id, kind: Kind::P256(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)) }
    }

    pub fn p384(id: &'static str) -> Self {
        Self { id, kind: Kind::P384(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)) }
    }

    pub fn ed25519(id: &'static str) -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { id, kind: Kind::Ed25519(Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap()) }
    }

    /// A secret that two sides have.
    pub fn secret(id: &'static str, secret: &[u8]) -> Self {
        Self { id, kind: Kind::Secret(secret.to_owned()) }
    }

    /// As a set of keys has it (RFC 7517).
    pub fn public(&self) -> Value {
        let id = self.id;
        let curve = |name: &str, key: &EcdsaKeyPair| {
            let (x, y) = key.public_key().as_ref()[1..].split_at((key.public_key().as_ref().len() - 1) / 2);
            json!({ "kty": "EC", "crv": name, "x": encode(x), "y": encode(y), "kid": id })
        };
        match &self.kind {
            Kind::Rsa(key) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public_key());
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e), "kid": id })
            }
            Kind::ShortRsa(pem) => {
                let modulus = openssl("rsa -noout -modulus", pem);
                let n = hex::decode(modulus.trim().strip_prefix("Modulus=").unwrap()).unwrap();
                json!({ "kty": "RSA", "n": encode(&n), "e": "AQAB", "kid": id })
            }
            Kind::P256(key) => curve("P-256", key),
            Kind::P384(key) => curve("P-384", key),
            Kind::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.public_key().as_ref()), "kid": id })
            }
            Kind::Secret(secret) => json!({ "kty": "oct", "k": encode(secret), "kid": id }),
        }
    }

    /// The public key in the bytes that a careless verifier could take for a secret.
    pub fn public_bytes(&self) -> Vec<u8> {
        match &self.kind {
            Kind::Rsa(key) => key.public_key().as_ref().to_owned(),
            Kind::P256(key) | Kind::P384(key) => key.public_key().as_ref().to_owned(),
            _ => unreachable!("no test asks for it"),
        }
    }

    /// The algorithm that the key is for, or the first of several.
    pub fn algorithm(&self) -> &'static str {
        match &self.kind {
            Kind::Rsa(_) | Kind::ShortRsa(_) => "RS256",
            Kind::P256(_) => "ES256",
            Kind::P384(_) => "ES384",
            Kind::Ed25519(_) => "EdDSA",
            Kind::Secret(_) => "HS256",
        }
    }

    /// A token with this head and these claims, as they are written.
    pub fn sign(&self, head: &str, claims: &str) -> String {
        let algorithm = serde_json::from_str::<Value>(head).unwrap()["alg"].as_str().unwrap().to_owned();
        let signed = format!("{}.{}", encode(head), encode(claims));
        format!("{signed}.{}", encode(self.signature(&algorithm, &signed)))
    }

    /// One with a usual head.
    pub fn token(&self, claims: &Value) -> String {
        self.sign(&self.head().to_string(), &claims.to_string())
    }

    pub fn head(&self) -> Value {
        json!({ "alg": self.algorithm(), "typ": "JWT", "kid": self.id })
    }

    fn signature(&self, algorithm: &str, message: &str) -> Vec<u8> {
        let (random, message) = (SystemRandom::new(), message.as_bytes());
        match &self.kind {
            Kind::Rsa(key) => {
                let padding: &dyn RsaEncoding = match algorithm {
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, message, &mut signature).unwrap();
                signature
            }
            Kind::ShortRsa(pem) => {
                let folder = tempfile::tempdir().unwrap();
                let path = folder.path().join("key.pem");
                std::fs::write(&path, pem).unwrap();
                run(&format!("dgst -sha256 -sign {}", path.display()), message)
            }
            Kind::P256(key) | Kind::P384(key) => key.sign(&random, message).unwrap().as_ref().to_owned(),
            Kind::Ed25519(key) => key.sign(message).as_ref().to_owned(),
            Kind::Secret(secret) => {
                hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message).as_ref().to_owned()
            }
        }
    }
}

const RSA: &str = "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:BITS";

fn ecdsa(algorithm: &'static signature::EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap()
}

pub fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn openssl(arguments: &str, input: &str) -> String {
    String::from_utf8(run(arguments, input.as_bytes())).unwrap()
}

fn run(arguments: &str, input: &[u8]) -> Vec<u8> {
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(arguments.split(' ')).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = openssl.spawn().expect("openssl is installed by `make test`");
    running.stdin.take().unwrap().write_all(input).unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {arguments}");
    output.stdout
}
