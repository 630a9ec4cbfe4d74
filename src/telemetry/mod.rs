//! What the gateway tells of itself: log lines, and one `request` line for each request.

mod context;
mod drain;
pub(crate) mod emf;
mod exchange;
mod lines;
mod logs;
mod metrics;
pub(crate) mod otlp;
mod redaction;
mod request_line;

pub use context::{RequestContext, X_REQUEST_ID};
pub use drain::Drain;
pub(crate) use exchange::is_failure;
pub use exchange::{Caller, Channels, Exchange};
pub use lines::{LineWriter, Lines};
#[cfg(feature = "bench")]
pub(crate) use logs::init_to;
pub use logs::{Log, LogFilter, init};
pub use metrics::{Call, Delivery, Dependency, Lookup, Metrics, Series, Tier, Validation};
pub(crate) use redaction::without_keys;
pub use request_line::RequestLog;
