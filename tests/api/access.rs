//! Who may do what: every route of MLflow, and what its bodies say.

mod bodies;
mod routes;
mod tags;

use crate::support::Gateway;

/// Sends a body of JSON, in the framing that is asked for.
fn with_body(gateway: &Gateway, method: &str, target: &str, body: &str, chunked: bool) -> String {
    let framed = if chunked && !body.is_empty() {
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
    } else {
        format!("content-length: {}\r\n\r\n{body}", body.len())
    };
    gateway.request(method, target, &format!("content-type: application/json\r\n{framed}"))
}

const DELETE_RUN: &str = "/api/2.0/mlflow/runs/delete";
