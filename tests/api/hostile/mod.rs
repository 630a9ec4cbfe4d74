//! Requests that no client of MLflow's sends, over raw sockets: each is refused, its connection closed and MLflow not
//! asked; or it is one request, and MLflow sees exactly that one.

mod endless;
mod framing;
mod heads;
mod paths;
mod pipelining;

use std::time::Duration;

use futures_util::future::join_all;

use crate::support::{
    Gateway, GatewayBuilder, Server, ask,
    client::{Connection, metric},
    eventually,
    server::Answer,
};

const TARGET: &str = "/api/mlflow/api/2.0/mlflow/experiments/search";

const ARTIFACT: &str = "/api/2.0/mlflow-artifacts/artifacts/1/a";

/// A gateway, and the MLflow that must not be asked.
struct Stage {
    mlflow: Server,
    gateway: Gateway,
}

impl Stage {
    async fn set() -> Self {
        let mlflow = Server::start(|_| Answer::ok("{}")).await;
        let gateway = GatewayBuilder::default()
            // actix-http counts it from a clock that ticks twice a second.
            .set("SERVER__HEAD_TIMEOUT", "1s")
            .set("SERVER__BODY_IDLE_TIMEOUT", "300ms")
            .start(&mlflow)
            .await;
        Self { mlflow, gateway }
    }

    /// `request` with a host and the good key in place of `{host}` and `{key}`.
    fn filled(&self, request: &str) -> Vec<u8> {
        let key = format!("authorization: Bearer {}\r\n", self.gateway.key);
        request.replace("{host}", "host: gateway.example\r\n").replace("{key}", &key).into_bytes()
    }

    async fn connection(&self, request: &[u8]) -> Connection {
        let mut connection = Connection::open(self.gateway.address).await;
        connection.try_send(request).await;
        connection
    }

    /// The request has one of these statuses, its connection is closed, and MLflow hears nothing.
    async fn refuses(&self, name: &str, statuses: &[u16], request: &[u8]) {
        let mut connection = self.connection(request).await;
        let response = connection.response(request.starts_with(b"HEAD ")).await;
        assert!(statuses.contains(&response.status), "{name}: {response:?}");
        assert!(connection.is_closed().await, "{name}: the connection is kept");
        self.was_not_asked(name);
    }

    fn was_not_asked(&self, name: &str) {
        let seen = self.mlflow.requests();
        assert!(seen.is_empty(), "{name}: MLflow saw {seen:?}");
    }

    /// The request ends without a status, or with a 400, and MLflow has seen nothing whole.
    async fn breaks_off(&self, name: &str, request: &[u8]) {
        let mut connection = self.connection(request).await;
        let response = connection.response(false).await;
        assert!([0, 400, 408].contains(&response.status), "{name}: {response:?}");
        assert!(connection.is_closed().await, "{name}: the connection is kept");
        let seen = self.mlflow.requests();
        assert!(seen.iter().all(|request| !request.complete), "{name}: MLflow saw {seen:?}");
    }

    /// The request is served, and MLflow sees it alone, with this body.
    async fn passes(&self, name: &str, request: &[u8], body: &str) {
        let before = self.mlflow.requests().len();
        let response = self.connection(request).await.response(false).await;
        assert_eq!(response.status, 200, "{name}: {response:?}");
        let seen = self.mlflow.requests();
        assert_eq!(seen.len(), before + 1, "{name}: MLflow saw {seen:?}");
        let last = seen.last().unwrap();
        assert_eq!((last.text(), last.complete), (body.to_owned(), true), "{name}");
    }
}

/// A POST with a good key and these headers and body.
fn post(rest: &str) -> String {
    format!("POST {TARGET} HTTP/1.1\r\n{{host}}{{key}}{rest}")
}

fn chunked(body: &str) -> String {
    post(&format!("transfer-encoding: chunked\r\n\r\n{body}"))
}
