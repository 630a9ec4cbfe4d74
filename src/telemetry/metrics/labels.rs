//! The words of labels.

/// Where verdicts are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    Memory,
    Redis,
}

/// What a tier knew of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lookup {
    Hit,
    Miss,
    /// That it is refused.
    Negative,
    /// What is too old, and was believed because the auth service could not be asked.
    Stale,
}

/// How a validation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validation {
    Accepted,
    Rejected,
    Unavailable,
}

/// What became of a record that is sent or written in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    Ok,
    Failed,
    Dropped,
}

/// What the gateway needs, or uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependency {
    Upstream,
    AuthService,
    Redis,
}

/// How a call to MLflow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    Ok,
    /// MLflow said that it failed: a status of 500 or more.
    ErrorStatus,
    Connect,
    Timeout,
    /// It broke off.
    Reset,
    Protocol,
    ClientAborted,
}

impl Tier {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

impl Lookup {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Negative => "negative",
            Self::Stale => "stale",
        }
    }
}

impl Validation {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Delivery {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
        }
    }
}

impl Call {
    pub(super) const ALL: [Self; 7] = [
        Self::Ok,
        Self::ErrorStatus,
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::Protocol,
        Self::ClientAborted,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ErrorStatus => "error_status",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::ClientAborted => "client_aborted",
        }
    }
}
