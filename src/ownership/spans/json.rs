//! Spans in JSON.
//!
//! MLflow turns the ids from hex into protobuf's base64 first, under their usual names alone, and then reads both of protobuf's
//! spellings of a name (mlflow/server/otel_api.py, `_convert_otlp_json_ids_to_base64`): so `trace_id` would be another id.

use serde_json::Value;

use super::{Spans, Unreadable};
use crate::routing::json_name;

const SHAPE: Unreadable = "holds something else than spans, or spells it as no exporter does";

pub(super) fn read(body: &Value, spans: &mut Spans) -> Result<(), Unreadable> {
    for resource_spans in list(body, "resourceSpans")? {
        if let Some(resource) = field(resource_spans, "resource")? {
            for attribute in list(resource, "attributes")? {
                spans.add_resource_attribute(text(attribute, "key")?);
            }
        }
        for scope_spans in list(resource_spans, "scopeSpans")? {
            for span in list(scope_spans, "spans")? {
                let mut id = [0; 16];
                // Python's `bytes.fromhex` skips spaces, this does not.
                let is_id = hex::decode_to_slice(text(span, "traceId")?, &mut id).is_ok();
                spans.add_trace(is_id.then_some(id))?;
                for attribute in list(span, "attributes")? {
                    spans.add_attribute(text(attribute, "key")?);
                }
            }
        }
    }
    Ok(())
}

/// A field of an object. It is there once (`policy::json`), in either spelling.
fn field<'a>(object: &'a Value, name: &str) -> Result<Option<&'a Value>, Unreadable> {
    let object = object.as_object().ok_or(SHAPE)?;
    match object.get(name) {
        Some(Value::Null) => Ok(None),
        Some(value) => Ok(Some(value)),
        None if object.keys().any(|other| other.contains('_') && json_name(other) == name) => Err(SHAPE),
        None => Ok(None),
    }
}

fn list<'a>(object: &'a Value, name: &str) -> Result<&'a [Value], Unreadable> {
    match field(object, name)? {
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(SHAPE),
        None => Ok(&[]),
    }
}

fn text<'a>(object: &'a Value, name: &str) -> Result<&'a str, Unreadable> {
    match field(object, name)? {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(SHAPE),
        None => Ok(""),
    }
}
