//! Tokens that were verified, by their fingerprints, until they end or are revoked.

use std::{cell::Cell, fmt, sync::Arc};

use jiff::Timestamp;
use quick_cache::{Weighter, sync::Cache};
use rand::RngExt as _;
use siphasher::sip128::SipHasher24;

use crate::auth::{Principal, cache::Revocations};

/// How many tokens are remembered; the least recently used are forgotten first.
const TOKENS: usize = 100_000;
/// Bytes of texts that weigh as much as a token.
const UNIT: usize = 256;

/// What a token is remembered by: SipHash-2-4 of 128 bits, under a key of this process that nobody else ever sees. A token has a
/// thousand characters, and is looked up for every request: HMAC-SHA256 takes several times as long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest(u128);

/// The verified tokens of all issuers.
#[derive(Debug)]
pub(super) struct Remembered {
    hasher: TokenHasher,
    tokens: Cache<TokenDigest, Arc<Verified>, ByWeight>,
    revocations: Revocations,
}

/// Its Debug output would show the key.
struct TokenHasher(SipHasher24);

impl fmt::Debug for TokenHasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHasher")
    }
}

/// A token that was good when it was verified.
#[derive(Debug, Clone)]
pub(super) struct Verified {
    pub(super) principal: Arc<Principal>,
    /// The place of its issuer in the settings.
    pub(super) issuer: usize,
    /// How often its issuer had withdrawn keys.
    pub(super) withdrawals: u64,
    pub(super) names: Names,
    /// In seconds since 1970, as a revocation counts it.
    pub(super) issued_at: Option<i64>,
    /// Whether everybody who may know of a revocation has been asked.
    pub(super) is_settled: bool,
}

/// What a token is revoked by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    /// `iss|sub`: all that were issued before.
    pub(crate) subject: String,
    /// `jti`: this one.
    pub(crate) token: Option<String>,
}

impl Names {
    /// Each name, and whether its revocation is for all time.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, bool)> {
        [(self.subject.as_str(), false)].into_iter().chain(self.token.as_deref().map(|name| (name, true)))
    }
}

/// Whether a revocation at a time is one of a token that was issued at another.
pub(super) fn is_revoked(at: Timestamp, for_all_time: bool, issued_at: Option<i64>) -> bool {
    for_all_time || issued_at.is_none_or(|issued| issued <= at.as_second())
}

impl Remembered {
    pub(super) fn new() -> Self {
        let key: [u8; 16] = rand::rng().random();
        Self {
            hasher: TokenHasher(SipHasher24::new_with_key(&key)),
            tokens: Cache::with_weighter(TOKENS, TOKENS as u64, ByWeight),
            revocations: Revocations::new(),
        }
    }

    pub(super) fn digest(&self, token: &str) -> TokenDigest {
        TokenDigest(self.hasher.0.hash(token.as_bytes()).as_u128())
    }

    pub(super) fn get(&self, token: &TokenDigest) -> Option<Arc<Verified>> {
        self.tokens.get(token)
    }

    /// To be read before a token is verified.
    pub(super) fn epoch(&self) -> u64 {
        self.revocations.epoch()
    }

    /// When a token was revoked, as far as this process has heard.
    pub(super) fn revoked_at(&self, names: &Names, issued_at: Option<i64>) -> Option<Timestamp> {
        let times = names.each().filter_map(|(name, for_all_time)| {
            let at = self.revocations.revoked_at(name)?;
            is_revoked(at, for_all_time, issued_at).then_some(at)
        });
        times.max()
    }

    /// Remembers a token that was verified in an epoch.
    pub(super) fn insert(&self, token: TokenDigest, verified: Verified, epoch: u64) {
        let names = verified.names.clone();
        self.tokens.insert(token, Arc::new(verified));
        // Checked after the insert: an earlier revocation is seen here, a later one finds the token.
        if names.each().any(|(name, _)| self.revocations.is_revoked_since(name, epoch)) {
            self.tokens.remove(&token);
        }
    }

    pub(super) fn remove(&self, token: &TokenDigest) {
        self.tokens.remove(token);
    }

    /// Forgets all tokens: what was missed of their revocations is looked for when they come again.
    pub(super) fn clear(&self) {
        self.revocations.clear(|| self.tokens.clear());
    }

    pub(super) fn revoke(&self, name: &str) -> bool {
        let was_there = Cell::new(false);
        self.revocations.revoke(name, || {
            self.tokens.retain(|_, verified| {
                let matches = verified.names.each().any(|(own, _)| own == name);
                was_there.set(was_there.get() || matches);
                !matches
            });
        });
        was_there.get()
    }
}

#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<TokenDigest, Arc<Verified>> for ByWeight {
    fn weight(&self, _: &TokenDigest, verified: &Arc<Verified>) -> u64 {
        let Verified { principal, names, .. } = &**verified;
        let texts = [&principal.user_id, &principal.key_id, &names.token].into_iter().flatten();
        let texts = texts.chain(principal.scopes.iter().flatten()).map(String::len).sum::<usize>();
        1 + ((texts + names.subject.len() + principal.fence.size()) / UNIT) as u64
    }
}
