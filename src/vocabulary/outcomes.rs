//! How things ended.

words! {
    /// How a call to MLflow ended.
    pub enum UpstreamOutcome {
        Ok = "ok",
        /// MLflow answered with a status of 500 or more.
        ErrorStatus = "error_status",
        /// DNS, TCP or TLS failed.
        Connect = "connect",
        Timeout = "timeout",
        /// The connection broke.
        Reset = "reset",
        /// The response breaks HTTP's rules.
        Protocol = "protocol",
        ClientAborted = "client_aborted",
    }
}

impl UpstreamOutcome {
    /// Whether MLflow failed. A client that goes away is not MLflow's failure.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::Ok | Self::ClientAborted)
    }
}

words! {
    /// What came of the question whose a thing is.
    pub enum LookupResult {
        /// It was remembered.
        Hit = "hit",
        Found = "found",
        /// MLflow has no such thing.
        Missing = "missing",
        Unavailable = "unavailable",
    }
}

words! {
    /// How a request ended, for the audit stream.
    pub enum RequestOutcome {
        Ok = "ok",
        /// Refused by the gateway.
        Denied = "denied",
        /// MLflow failed, or something on the way there.
        Failed = "failed",
        /// The client went away.
        Aborted = "aborted",
        /// Not known yet: another record, with this one's number, says how it ended.
        Begun = "begun",
    }
}

words! {
    /// How the call to the auth service for a key ended.
    pub enum ValidationOutcome {
        Accepted = "accepted",
        Rejected = "rejected",
        Unavailable = "unavailable",
    }
}

words! {
    /// What happened to a record, report or span that is written or sent in the background.
    pub enum DeliveryOutcome {
        Ok = "ok",
        Failed = "failed",
        /// No room to wait in.
        Dropped = "dropped",
    }
}
