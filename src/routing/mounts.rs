//! The paths under which MLflow is served to the public.

/// Mounts of ours: what follows them is the path at MLflow.
const STRIPPED: [&str; 2] = ["/api/mlflow", "/mlflow"];

/// Paths of MLflow's own, served at the root because its client and its UI ask for them there. A client whose
/// tracking URI has a path still asks for root artifact URIs on the bare host (mlflow/store/artifact/mlflow_artifacts_repo.py).
const KEPT: [&str; 8] = [
    "/api/2.0/mlflow",
    "/api/3.0/mlflow",
    "/api/2.0/mlflow-artifacts",
    "/ajax-api",
    "/graphql",
    "/get-artifact",
    "/model-versions/get-artifact",
    "/v1/traces",
];

/// The mount to cut off a public path, which may be none, and the path at MLflow behind it. Mounts are matched byte for byte: case counts, and so does encoding.
///
/// Slashes at the very beginning and right behind a mount that is cut off are one slash: clients put a base URL that
/// ends in one before a path that begins with one (mlflow-tracing for TypeScript, MlflowClient). MLflow redirects there
/// (308), which a POST does not survive everywhere, so one is sent on. Slashes anywhere else are what they are.
pub(super) fn path_at_mlflow(path: &str) -> Option<(&'static str, &str)> {
    let path = with_one_slash(path);
    for mount in STRIPPED {
        if let Some(rest) = below(path, mount) {
            return Some((mount, if rest.is_empty() { "/" } else { with_one_slash(rest) }));
        }
    }
    KEPT.iter().any(|mount| below(path, mount).is_some()).then_some(("", path))
}

/// What follows `mount` in `path`: nothing, or a slash and more.
fn below<'a>(path: &'a str, mount: &str) -> Option<&'a str> {
    path.strip_prefix(mount).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A path from the last of the slashes that it begins with.
fn with_one_slash(path: &str) -> &str {
    let slashes = path.bytes().take_while(|byte| *byte == b'/').count();
    &path[slashes.saturating_sub(1)..]
}
