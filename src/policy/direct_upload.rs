//! Bodies that name a file to be written to the artifact store directly, past the gateway.

use crate::routing::{ArtifactPath, Base, BodyCheck, Reach, Rule};

/// The meaning of the field `path` of such a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DirectUpload {
    /// A path at the client, of which MLflow uses the last segment (mlflow/store/artifact/s3_artifact_repo.py).
    LocalPath,
    /// The path of an artifact of a run or a logged model.
    ArtifactPath,
}

impl DirectUpload {
    pub(super) fn of(rule: &Rule) -> Option<Self> {
        match (rule.reach, rule.check) {
            (Reach::PastGateway, Some(BodyCheck::LocalPath)) => Some(Self::LocalPath),
            (Reach::PastGateway, Some(BodyCheck::ArtifactPath)) => Some(Self::ArtifactPath),
            _ => None,
        }
    }

    /// # Errors
    /// A path that names no file; the end of a sentence that begins with "the path".
    pub(super) fn check_path(self, path: &str) -> Result<(), &'static str> {
        let names_none = match self {
            Self::LocalPath => ["", ".", ".."].contains(&path.rsplit('/').next().unwrap_or_default()),
            Self::ArtifactPath => ArtifactPath::read(path, Base::Run)?.is_root(),
        };
        if names_none { Err("names no file") } else { Ok(()) }
    }
}
