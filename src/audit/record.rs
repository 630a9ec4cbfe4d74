//! The record of one request.

use std::net::IpAddr;

use actix_web::HttpRequest;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};

use super::subject::About;
use crate::{
    redaction::without_keys,
    vocabulary::{EndReason, KeyState, MethodLabel, RequestOutcome, RouteLabel},
};

/// Characters of a path that are kept; and of a stranger's path.
const LONGEST_PATH: usize = 2048;
const LONGEST_OF_STRANGERS: usize = 256;
/// Bytes of a record beside its path and its subject.
const FRAME: usize = 1024;

/// One request and its outcome.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Record {
    /// When it ended.
    pub(crate) time: Timestamp,
    pub(crate) request_id: String,
    pub(crate) key_id: Option<String>,
    pub(crate) user_id: Option<String>,
    pub(crate) workspace: Option<String>,
    pub(crate) client_ip: Option<String>,
    /// The class of its route.
    pub(crate) route: RouteLabel,
    /// The route's pattern: the path at MLflow with the names of its parameters.
    pub(crate) operation: Option<String>,
    pub(crate) method: MethodLabel,
    /// As the client sent it, without the query.
    pub(crate) path: String,
    /// The runs, experiments, models that path, query and body name. Empty for a stranger's request.
    pub(crate) subject: Map<String, Value>,
    /// The owners of what it changes: a text, null for what nobody owns, a list if there are several. Absent where nobody asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Value>,
    pub(crate) outcome: RequestOutcome,
    pub(crate) status: Option<u16>,
    pub(crate) reason: Option<EndReason>,
    /// Only where the key was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_state: Option<KeyState>,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// The number of the record that was written before the request was forwarded, if one was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) begun: Option<u64>,
}

impl Record {
    /// What is known before the request is over. The exchange fills in the rest.
    pub(crate) fn of(
        request: &HttpRequest,
        request_id: &str,
        client_ip: Option<IpAddr>,
        pattern: Option<&str>,
        About { subject, owner }: About,
    ) -> Self {
        Self {
            time: Timestamp::now(),
            request_id: request_id.to_owned(),
            key_id: None,
            user_id: None,
            workspace: None,
            client_ip: client_ip.map(|ip| ip.to_string()),
            route: RouteLabel::Unknown,
            operation: pattern.map(str::to_owned),
            method: MethodLabel::from(request.method()),
            path: without_keys(request.path()).chars().take(LONGEST_PATH).collect(),
            subject,
            owner,
            outcome: RequestOutcome::Begun,
            status: None,
            reason: None,
            key_state: None,
            bytes_in: 0,
            bytes_out: 0,
            begun: None,
        }
    }

    /// For an unknown sender: a short path, and no subject.
    pub(crate) fn shorten(&mut self) {
        self.path = self.path.chars().take(LONGEST_OF_STRANGERS).collect();
        self.subject = Map::new();
    }

    /// Its approximate size in memory, in bytes.
    pub(super) fn weight(&self) -> usize {
        let of = |value: &Value| match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(|item| 64 + item.as_str().map_or(0, str::len)).sum(),
            _ => 0,
        };
        let subject: usize = self.subject.iter().map(|(name, value)| 128 + name.len() + of(value)).sum();
        FRAME + self.path.len() + subject + self.owner.as_ref().map_or(0, of)
    }
}
