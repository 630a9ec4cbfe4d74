//! The record of who did what to what.

mod files;
mod records;

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Gateway, GatewayBuilder, Server, ask, eventually, server::Answer, stream};

struct Stage {
    folder: TempDir,
    mlflow: Server,
    gateway: Gateway,
}

impl Stage {
    async fn set(builder: GatewayBuilder) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mlflow = Server::start(|request| match request.target() {
            target if target.ends_with("?fail") => Answer::json(500, "{}"),
            target if target.ends_with("?endless") => Answer::Endless,
            _ => Answer::ok("four"),
        })
        .await;
        let file = folder.path().join("audit.jsonl");
        let gateway = builder.set("AUDIT__OUTPUT", file.to_str().unwrap()).start(&mlflow).await;
        Self { folder, mlflow, gateway }
    }

    fn text(&self) -> String {
        fs::read_to_string(self.folder.path().join("audit.jsonl")).unwrap()
    }

    fn records(&self) -> Vec<Value> {
        stream::requests(&self.text())
    }

    async fn until(&self, count: usize) -> Vec<Value> {
        eventually("the records are written", async || self.records().len() >= count).await;
        self.records()
    }

    async fn send(&self, method: &str, target: &str, body: &str) {
        let rest = format!("x-request-id: r-1\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        ask(self.gateway.address, self.gateway.request(method, target, &rest)).await;
    }
}
