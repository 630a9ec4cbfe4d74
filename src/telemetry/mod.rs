//! Logs, metrics and traces.

mod context;
pub(crate) mod emf;
mod json_events;
mod lines;
mod logs;
mod metrics;
mod otlp;
mod request_line;
pub(crate) mod spans;
mod trace_parent;

pub use context::{RequestContext, TRACESTATE, X_REQUEST_ID};
pub use lines::{LineWriter, Lines};
#[cfg(feature = "bench")]
pub(crate) use logs::init_to;
pub use logs::{Log, LogFilter, init};
pub use metrics::{Dependency, Metrics, WorkerMetrics};
pub use otlp::TraceExporter;
pub(crate) use otlp::TraceFlush;
pub use request_line::RequestLog;
pub(crate) use request_line::{LONGEST_PATH, RequestLine, milliseconds};
pub use spans::RequestSpan;
