//! Why there is no connection to a server.

use std::io;

use awc::error::ConnectError;

use crate::code::Code;

/// What went wrong, at which step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ConnectFault {
    step: Step,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Name,
    Refused,
    Late,
    Tls,
    Other,
}

/// What an error of the handshake begins with.
pub(super) const IN_HANDSHAKE: &str = "TLS handshake failed";

impl ConnectFault {
    /// The cause that an operator is told of; only MLflow is connected to like this.
    pub(crate) fn code(&self) -> Code {
        match self.step {
            Step::Name => Code::MlflowNameUnknown,
            Step::Refused | Step::Late | Step::Tls | Step::Other => Code::MlflowUnreachable,
        }
    }

    /// The likely cause, and what to do, for the server that `setting` names and whose authority `ca_setting` names.
    pub(crate) fn remedy(&self, setting: &str, ca_setting: &str) -> (&'static str, String) {
        match self.step {
            Step::Name => (
                "the name is misspelt, or the DNS that this machine asks does not know it",
                format!("as {setting} a name that this machine can resolve"),
            ),
            Step::Refused => (
                "the server is not running, or listens on another port or on its own loopback address only",
                format!("start it, or write the address at which it listens as {setting}"),
            ),
            Step::Late => (
                "a firewall, a security group or a missing route drops the packets",
                format!("let this machine reach the address of {setting}"),
            ),
            Step::Tls => (
                "its certificate is not trusted here, it requires a client certificate, or it does not speak TLS",
                format!("{ca_setting}, or http:// in {setting}; `hokusai-gateway check --probe` tells more"),
            ),
            Step::Other => (
                "there is no way from this machine to that network, or the server broke the connection",
                format!("the address of {setting}; `hokusai-gateway check --probe` tells more"),
            ),
        }
    }
}

impl From<ConnectError> for ConnectFault {
    fn from(error: ConnectError) -> Self {
        // What is wrong, without the words around it.
        let (step, text) = match error {
            ConnectError::Io(error) => {
                let text = error.to_string();
                let step = match error.kind() {
                    _ if text.starts_with(IN_HANDSHAKE) => Step::Tls,
                    io::ErrorKind::ConnectionRefused => Step::Refused,
                    io::ErrorKind::TimedOut => Step::Late,
                    _ => Step::Other,
                };
                (step, text)
            }
            ConnectError::Resolver(error) => (Step::Name, format!("Failed resolving hostname: {error}")),
            error @ ConnectError::Timeout => (Step::Late, error.to_string()),
            error @ (ConnectError::NoRecords | ConnectError::Unresolved) => (Step::Name, error.to_string()),
            error => (Step::Other, error.to_string()),
        };
        Self { step, text }
    }
}
