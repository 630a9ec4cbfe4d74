//! Bodies that name what is to be written past the gateway.

use crate::routing::{ArtifactPath, Base, Reach, Rule};

/// Whose `path` a body holds that is to be written past the gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upload {
    /// Of a file at the client, of which MLflow takes the last segment (mlflow/store/artifact/s3_artifact_repo.py).
    Parts,
    /// Of an artifact of a run or a logged model.
    Whole,
}

impl Upload {
    pub(super) fn named_by(rule: &Rule) -> Option<Self> {
        match rule.reach {
            Reach::PastGateway if rule.pattern.contains("/mpu/create/") => Some(Self::Parts),
            Reach::PastGateway if rule.pattern.ends_with("/presigned-upload-url") => Some(Self::Whole),
            _ => None,
        }
    }

    /// # Errors
    /// A path that is a folder or nothing, as the end of a sentence that begins with "the path".
    pub(super) fn names_file(self, path: &str) -> Result<(), &'static str> {
        let names_none = match self {
            Self::Parts => ["", ".", ".."].contains(&path.rsplit('/').next().unwrap_or_default()),
            Self::Whole => ArtifactPath::read(path, Base::Run)?.is_root(),
        };
        if names_none { Err("names no file") } else { Ok(()) }
    }
}
