//! Several servers of MLflow's behind one gateway, servers that fail, and what is tried again.

mod failing;
mod locations;
mod retries;
mod several;

use crate::support::{Server, server::Answer};

const TARGET: &str = "/api/2.0/mlflow/experiments/search";

async fn named(name: &'static str) -> Server {
    Server::start(
        move |request| {
            if request.target().contains("hang") { Answer::Silence } else { Answer::ok(name) }
        },
    )
    .await
}
