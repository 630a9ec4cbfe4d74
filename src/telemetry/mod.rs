//! Logs, metrics and traces.

mod context;
pub(crate) mod emf;
mod lines;
mod logs;
mod metrics;
pub(crate) mod otlp;
mod request_line;

pub use context::{RequestContext, X_REQUEST_ID};
pub use lines::{LineWriter, Lines};
#[cfg(feature = "bench")]
pub(crate) use logs::init_to;
pub use logs::{Log, LogFilter, init};
pub use metrics::{Dependency, Metrics, WorkerMetrics};
pub use request_line::RequestLog;
pub(crate) use request_line::{LONGEST_PATH, RequestLine, milliseconds};
