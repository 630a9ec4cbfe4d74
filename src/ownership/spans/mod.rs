//! What a body of OpenTelemetry's spans changes at MLflow: the traces that its spans are added to, and their tags.
//!
//! Only ids and the names of attributes are read, and nothing is copied: decoded into structs, a body of 4 MiB can take 600 MiB.

mod json;
mod protobuf;

use std::collections::BTreeSet;

use super::reserved::Reserved;
use crate::{
    policy::SpansBody,
    routing::{Kind, Named},
};

/// What an attribute of a span begins with that MLflow makes a tag of its trace (mlflow/tracing/constant.py, `TRACE_TAG_PREFIX`).
const TAG_PREFIX: &str = "mlflow.traceTag.";
/// More traces than exporters send at once, which is 512: each is looked up.
const MAX_TRACES: usize = 1024;

/// Why spans cannot be judged; the end of a sentence that begins with "the body".
pub(crate) type Unreadable = &'static str;

/// The spans of a body.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    traces: BTreeSet<[u8; 16]>,
    /// The gateway's own names among the tags.
    pub(crate) reserved: Reserved,
}

impl Spans {
    /// # Errors
    /// A body that MLflow could read otherwise.
    pub(crate) fn read(body: &SpansBody) -> Result<Self, Unreadable> {
        let mut spans = Self::default();
        match body {
            SpansBody::Protobuf(bytes) => protobuf::read(bytes, &mut spans)?,
            SpansBody::Json(value) => json::read(value, &mut spans)?,
        }
        Ok(spans)
    }

    /// The traces as MLflow names them (mlflow/tracing/utils/__init__.py, `generate_mlflow_trace_id_from_otel_trace_id`).
    pub(crate) fn traces(&self) -> impl Iterator<Item = Named> {
        self.traces.iter().map(|id| Named {
            kind: Kind::Trace,
            field: "trace_id".to_owned(),
            id: format!("tr-{}", hex::encode(id)),
            is_listed: false,
        })
    }

    /// MLflow reads an id as a number: shorter and longer ones can be the same.
    fn add_trace(&mut self, id: Option<[u8; 16]>) -> Result<(), Unreadable> {
        self.traces.insert(id.ok_or("has a span whose trace id is not 16 bytes")?);
        if self.traces.len() > MAX_TRACES {
            return Err("has spans of more than 1024 traces: send fewer at once");
        }
        Ok(())
    }

    /// An attribute of a span. MLflow makes tags of those of root spans.
    fn add_attribute(&mut self, name: &str) {
        if let Some(tag) = name.strip_prefix(TAG_PREFIX) {
            self.reserved = self.reserved.and_of_trace(tag);
        }
    }

    /// An attribute of a resource, which is a tag of the traces (mlflow/store/tracking/sqlalchemy_store.py, `log_spans`).
    fn add_resource_attribute(&mut self, name: &str) {
        self.reserved = self.reserved.and_of_trace(name);
    }
}

#[cfg(test)]
mod tests;
