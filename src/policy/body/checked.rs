//! What a body says, and what goes on of it.

use std::mem;

use actix_web::{dev::Payload, web::Bytes};
use serde_json::{Map, Value};

use super::{arrival::whole, spans::SpansBody};
use crate::{
    policy::{body_memory::Reservation, workspace::ModelReferences},
    routing::Named,
    vocabulary::RouteClass,
};

/// A body that may be forwarded.
pub(crate) struct CheckedBody {
    pub(crate) payload: Payload,
    /// The length in bytes, if it was read.
    pub(crate) length: Option<usize>,
    /// The class of the request, if the body makes it another than the route's: a GraphQL mutation, a tag.
    pub(crate) class: Option<RouteClass>,
    /// The JSON, if it was parsed.
    pub(crate) value: Option<Value>,
    /// The names in a body that need not be parsed.
    pub(crate) glanced: Option<Vec<Named>>,
    /// The spans, if they were read.
    pub(crate) spans: Option<SpansBody>,
    /// Whether it came compressed, and goes on as it was read.
    pub(crate) is_decompressed: bool,
    pub(crate) models: ModelReferences,
    /// The memory that it takes, if it was read.
    pub(super) reservation: Option<Reservation>,
}

impl CheckedBody {
    pub(crate) fn unread(payload: Payload) -> Self {
        Self {
            payload,
            length: None,
            class: None,
            value: None,
            glanced: None,
            spans: None,
            is_decompressed: false,
            models: ModelReferences::default(),
            reservation: None,
        }
    }
    /// One that was read.
    pub(super) fn read(body: Bytes) -> Self {
        Self { length: Some(body.len()), ..Self::unread(whole(body)) }
    }

    /// Replaces the body by what became of its JSON.
    pub(crate) fn rewrite(&mut self) {
        let (Some(value), Some(reservation)) = (&self.value, &self.reservation) else { return };
        let body = value.to_string().into_bytes();
        self.length = Some(body.len());
        self.payload = whole(reservation.hold(body));
    }

    /// Drops most of a JSON of very many values: they take 300 bytes of memory each, and MLflow is waited for. Requests of its
    /// clients stay as they are, but for long lists.
    pub(crate) fn shrink(&mut self) {
        if let Some(value) = &mut self.value {
            prune(value, &mut (64 + self.length.unwrap_or_default() / 100));
        }
    }
}

/// Keeps as many values as are left; texts and numbers first, then what is in lists and objects.
fn prune(value: &mut Value, left: &mut usize) {
    let mut may_stay = |value: &mut Value| {
        let is_counted = *left > 0;
        *left = left.saturating_sub(1);
        if is_counted {
            prune(value, left);
        }
        is_counted
    };
    match value {
        Value::Array(items) => {
            items.retain_mut(may_stay);
            items.shrink_to_fit();
        }
        Value::Object(fields) => {
            let is_nested = |value: &Value| value.is_array() || value.is_object();
            let (nested, plain): (Map<_, _>, Map<_, _>) =
                mem::take(fields).into_iter().partition(|(_, value)| is_nested(value));
            let kept = plain.into_iter().chain(nested);
            *fields =
                kept.filter_map(|(name, mut value)| may_stay(&mut value).then_some((name, value))).collect();
        }
        _ => {}
    }
}
