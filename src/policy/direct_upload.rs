//! Bodies that name a file to be written to the artifact store directly, past the gateway, in their field `path`.

use crate::routing::{ArtifactPath, Base, BodyCheck, Reach, Rule};

/// Whether a route has such bodies.
pub(super) fn is_checked(rule: &Rule) -> bool {
    rule.reach == Reach::PastGateway
        && matches!(rule.check, Some(BodyCheck::LocalPath | BodyCheck::ArtifactPath))
}

/// # Errors
/// A path of such a route that names no file; the end of a sentence that begins with "the path".
pub(super) fn check_path(rule: &Rule, path: &str) -> Result<(), &'static str> {
    let names_none = match rule.check {
        _ if rule.reach != Reach::PastGateway => false,
        // At the client; MLflow uses the last segment (mlflow/store/artifact/s3_artifact_repo.py).
        Some(BodyCheck::LocalPath) => ["", ".", ".."].contains(&path.rsplit('/').next().unwrap_or_default()),
        Some(BodyCheck::ArtifactPath) => ArtifactPath::read(path, Base::Run)?.is_root(),
        _ => false,
    };
    if names_none { Err("names no file") } else { Ok(()) }
}
