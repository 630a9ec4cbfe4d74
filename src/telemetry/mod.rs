//! What the gateway tells of itself: log lines, and one `request` line for each request.

mod context;
pub(crate) mod emf;
mod exchange;
mod logs;
mod metrics;
pub(crate) mod otlp;
mod request_line;
mod span;

pub use context::{RequestContext, X_REQUEST_ID, stamp_request_id};
pub use exchange::Exchange;
pub(crate) use exchange::is_failure;
#[cfg(feature = "bench")]
pub(crate) use logs::init_to;
pub use logs::{Log, LogFilter, init};
pub use metrics::{Call, Delivery, Dependency, Lookup, Metrics, Tier, Validation};
pub use span::GatewayRootSpan;
