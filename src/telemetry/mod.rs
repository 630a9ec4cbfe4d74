//! What the gateway tells of itself: log lines, and one `request` line for each request.

mod context;
mod logs;
mod metrics;
mod request_line;
mod span;

pub use context::{RequestContext, X_REQUEST_ID, stamp_request_id};
pub use logs::{LogFilter, init};
pub use metrics::{Delivery, Lookup, Metrics, Tier, Validation};
pub(crate) use request_line::milliseconds;
pub use span::GatewayRootSpan;
