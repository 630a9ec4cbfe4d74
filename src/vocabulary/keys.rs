//! How an API key was judged, and by what.

words! {
    /// Why a key was refused: for the log and the audit stream, never for the client.
    pub enum KeyState {
        /// It cannot be one of the gateway's keys.
        Mistyped = "mistyped",
        Unknown = "unknown",
        Revoked = "revoked",
        Expired = "expired",
        /// By the auth service.
        Refused = "refused",
    }
}

words! {
    /// Where the verdict on a key came from: `cache` in a request's line.
    pub enum VerdictSource {
        /// The cache of this process.
        Memory = "memory",
        /// The cache of all instances.
        Redis = "redis",
        /// The auth service, for this request.
        Service = "service",
        /// A cache, past its time, because the auth service could not be asked.
        Stale = "stale",
        /// The key file, which needs no cache.
        KeyFile = "none",
        /// An issuer's signature, which was verified for this request.
        Issuer = "none",
    }
}

impl VerdictSource {
    /// Whether nothing outside the process was asked.
    pub const fn is_local(self) -> bool {
        matches!(self, Self::Memory | Self::KeyFile)
    }
}

words! {
    /// The caches of the auth service's verdicts.
    pub enum CacheTier {
        Memory = "memory",
        Redis = "redis",
    }
}

words! {
    /// What a cache had for a key.
    pub enum CacheResult {
        Hit = "hit",
        Miss = "miss",
        /// A refusal.
        Negative = "negative",
        /// A verdict past its time, which was used because the auth service could not be asked.
        Stale = "stale",
    }
}
