//! The API calls that the gateway makes itself, below MLflow's REST prefix. They change nothing, and every version of MLflow has
//! them. They search for a random name, so that the answer is short whatever clients have stored, and nobody can prepare it.

use rand::distr::{Alphanumeric, SampleString as _};

/// A search for one experiment.
pub(crate) fn search() -> String {
    format!("/2.0/mlflow/experiments/search?max_results=1&filter=name%3D%27{}%27", random_name())
}

/// A listing below one path, for a server that has artifacts only.
pub(crate) fn list() -> String {
    format!("/2.0/mlflow-artifacts/artifacts?path={}", random_name())
}

fn random_name() -> String {
    format!("hokusai-gateway-look-{}", Alphanumeric.sample_string(&mut rand::rng(), 16).to_lowercase())
}
