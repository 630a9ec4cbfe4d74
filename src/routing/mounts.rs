//! The public paths of MLflow.

/// The gateway's mounts: the rest is the path at MLflow.
const STRIPPED: [&str; 2] = ["/api/mlflow", "/mlflow"];

/// MLflow's own paths, served at the root because its client and its UI use them there. A client whose tracking URI has a path
/// still requests root artifact URIs at the bare host (mlflow/store/artifact/mlflow_artifacts_repo.py), and a trace in a notebook loads
/// its assets from the root.
const KEPT: [&str; 9] = [
    "/api/2.0/mlflow",
    "/api/3.0/mlflow",
    "/api/2.0/mlflow-artifacts",
    "/ajax-api",
    "/graphql",
    "/get-artifact",
    "/model-versions/get-artifact",
    "/v1/traces",
    "/static-files",
];

/// The mount of a public path, which may be empty, and the path at MLflow after it. Mounts are matched byte for byte: case and
/// encoding count.
///
/// Several slashes at the beginning and right after a mount count as one: clients put a base URL that ends in a slash before a
/// path that begins with one (mlflow-tracing for TypeScript, MlflowClient). MLflow would redirect (308), which not every client
/// follows for a POST. Other slashes are not changed.
pub(super) fn path_at_mlflow(path: &str) -> Option<(&'static str, &str)> {
    let path = with_one_slash(path);
    for mount in STRIPPED {
        if let Some(rest) = below(path, mount) {
            return Some((mount, if rest.is_empty() { "/" } else { with_one_slash(rest) }));
        }
    }
    KEPT.iter().any(|mount| below(path, mount).is_some()).then_some(("", path))
}

/// The rest of `path` after `mount`: nothing, or a slash and more.
fn below<'a>(path: &'a str, mount: &str) -> Option<&'a str> {
    path.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path with one slash at its beginning.
fn with_one_slash(path: &str) -> &str {
    let slashes = path.bytes().take_while(|byte| *byte == b'/').count();
    &path[slashes.saturating_sub(1)..]
}
