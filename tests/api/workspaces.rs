//! A key that is bound to a workspace of MLflow's does not get out of it.

mod bodies;
mod routes;

use hokusai_gateway::auth::{key::Environment, key_file::edit::NewKey};

use crate::support::{
    Gateway, GatewayBuilder, Response, Server,
    server::{Answer, Recorded},
};

/// A key of an administrator who is bound to team-a: no scope is in the way of anything.
async fn bound_gateway(mlflow: &Server, workspace: &str) -> Gateway {
    let key = NewKey {
        scopes: Some(vec!["mlflow:admin".to_owned()]),
        workspace: Some(workspace.to_owned().try_into().unwrap()),
        ..NewKey::of("ada", Environment::Test)
    };
    GatewayBuilder::default().key(key).start(mlflow).await
}

async fn echo() -> Server {
    Server::start(|_| Answer::ok("{}")).await
}

fn workspaces_of(request: &Recorded) -> Vec<&str> {
    request.all("x-mlflow-workspace").collect()
}

fn is_refused(response: &Response) -> bool {
    response.status == 403
        && response.reason() == "scope_missing"
        && response.text().contains("bound to the workspace `team-a`")
}
