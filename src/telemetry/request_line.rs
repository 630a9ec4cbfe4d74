//! The log's line of a request, written when it is over.

use std::{net::IpAddr, time::Duration};

use actix_web::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::lines::Lines;
use crate::{
    settings::Share,
    vocabulary::{EndReason, KeyState, RouteLabel, VerdictSource},
};

/// Bytes of a path that a line has.
pub(crate) const LONGEST_PATH: usize = 2048;

/// Writes request lines, and samples them.
#[derive(Debug, Clone)]
pub struct RequestLog {
    pub(super) json: bool,
    /// The share of successful reads that get a line.
    pub(super) reads: Share,
    pub(super) lines: Lines,
}

/// The fields of a line, in this order; unknown ones are left out. No query, no credential, no address that is only claimed.
/// One flat struct: with `serde(flatten)` a line took half as long again.
#[derive(Debug, Serialize)]
pub(crate) struct RequestLine<'a> {
    pub(crate) timestamp: Timestamp,
    pub(crate) level: &'static str,
    pub(crate) message: &'static str,
    pub(crate) request_id: &'a str,
    pub(crate) trace_id: &'a str,
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_ip: Option<IpAddr>,
    pub(crate) route: RouteLabel,
    #[serde(serialize_with = "as_number")]
    pub(crate) status: StatusCode,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<EndReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_state: Option<KeyState>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cache: Option<VerdictSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upstream_ms: Option<f64>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) latency_ms: f64,
}

impl RequestLog {
    /// Writes a line, unless sampling leaves it out. `draw` is a random number of this request.
    pub(crate) fn write(&self, line: &RequestLine<'_>, draw: u32) {
        // The log's filter can change.
        let is_wanted = tracing::event_enabled!(target: "hokusai_gateway::request", tracing::Level::INFO);
        if !is_wanted || (line.is_successful_read() && !self.reads.includes(draw)) {
            return;
        }
        let written = if self.json { line.json() } else { line.text() };
        // A request does not fail for its line.
        if let Ok(written) = written {
            self.lines.add(&written);
        }
    }
}

impl RequestLine<'_> {
    /// What sampling may leave out: never an error, and never a change.
    fn is_successful_read(&self) -> bool {
        let status = self.status;
        self.route.is_read() && (status.is_success() || status.is_redirection()) && self.reason.is_none()
    }

    fn json(&self) -> serde_json::Result<Vec<u8>> {
        let mut written = Vec::with_capacity(768);
        serde_json::to_writer(&mut written, self)?;
        written.push(b'\n');
        Ok(written)
    }

    fn text(&self) -> serde_json::Result<Vec<u8>> {
        let mut written = format!("{:.6} {} {}", self.timestamp, self.level, self.message);
        if let Value::Object(fields) = serde_json::to_value(self)? {
            let behind = fields.iter().skip_while(|(name, _)| *name != "request_id");
            written.extend(behind.map(|(name, value)| format!(" {name}={value}")));
        }
        written.push('\n');
        Ok(written.into_bytes())
    }
}

impl Share {
    fn includes(self, draw: u32) -> bool {
        f64::from(draw) < self.0 * (f64::from(u32::MAX) + 1.0)
    }
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

/// Milliseconds, to three places.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
