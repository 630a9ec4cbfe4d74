//! API calls of the gateway's own, below MLflow's REST prefix. They change nothing, every MLflow knows them, and they ask for
//! what nobody has: what clients have stored can make no answer to them long. The names are other ones each time, so that
//! nobody who reads this can make something of such a name.

use rand::distr::{Alphanumeric, SampleString as _};

/// For one experiment.
pub(crate) fn search() -> String {
    format!("/2.0/mlflow/experiments/search?max_results=1&filter=name%3D%27{}%27", nobodys())
}

/// The same of a server of artifacts alone: for what is below a path.
pub(crate) fn list() -> String {
    format!("/2.0/mlflow-artifacts/artifacts?path={}", nobodys())
}

fn nobodys() -> String {
    format!("hokusai-gateway-look-{}", Alphanumeric.sample_string(&mut rand::rng(), 16).to_lowercase())
}
