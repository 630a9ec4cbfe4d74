//! What the gateway decides of targets, one a line: for tests that compare it with MLflow. It forwards nothing.
//!
//! In: `{"method": "GET", "target": "/api/2.0/…", "workspace": "team-a" or null}`. Out: `{"refused": "why"}`, or
//! `{"artifacts": ["as MLflow reads them"], "granted": true}`.

use std::{
    error::Error,
    io::{self, BufRead as _, Write as _},
    sync::Arc,
};

use actix_web::{
    http::{Method, Uri},
    test::TestRequest,
};
use hokusai_gateway::{
    auth::{Principal, Workspace},
    head, policy,
    routing::Routes,
    settings::Settings,
};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::load(None, [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())])?;
    let routes = Routes::open(&settings.mlflow)?;
    let mut output = io::BufWriter::new(io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let asked: Value = serde_json::from_str(&line?)?;
        writeln!(output, "{}", decide(&settings, &routes, &asked)?)?;
    }
    Ok(output.flush()?)
}

fn decide(settings: &Settings, routes: &Routes, asked: &Value) -> Result<Value, Box<dyn Error>> {
    let text = |name: &str| asked[name].as_str().unwrap_or_default().to_owned();
    let request = TestRequest::default().insert_header(("host", "a")).to_http_request();
    let mut head = request.head().clone();
    head.method = Method::from_bytes(text("method").as_bytes())?;
    head.uri = Uri::try_from(text("target"))?;
    let route = match routes.resolve(head::inspect(&head)?) {
        Ok(route) => route,
        Err(error) => return Ok(json!({ "refused": error.to_string() })),
    };
    let artifacts: Result<Vec<_>, _> =
        route.artifacts().map(|path| path.map(|path| path.as_str().to_owned())).collect();
    let workspace =
        asked["workspace"].as_str().map(|name| Workspace::try_from(name.to_owned())).transpose()?;
    let principal = Principal { workspace, is_admin: true, ..Principal::default() };
    let granted = policy::authorize(&settings.policy, Arc::new(principal), route).is_ok();
    Ok(json!({ "artifacts": artifacts?, "granted": granted }))
}
