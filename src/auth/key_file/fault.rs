//! Why a key file cannot be used, and what to do about it.

use std::path::{Path, PathBuf};

use super::DocumentFault;
use crate::{code::Code, trusted_file::FileError};

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {fault}", path.display())]
pub struct KeyFileError {
    pub path: PathBuf,
    pub fault: KeyFileFault,
}

/// The fault of a key file.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileFault {
    #[error(transparent)]
    File(#[from] FileError),
    /// Taken for a mistake: nobody wants a gateway without credentials.
    #[error("has no keys")]
    Empty,
    /// All faults of its text.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<DocumentFault>),
    #[error("cannot be edited by this command: write the keys as [[keys]] tables")]
    NotTables,
}

impl KeyFileError {
    pub(super) fn in_file<F: Into<KeyFileFault>>(path: &Path) -> impl FnOnce(F) -> Self {
        |fault| Self { path: path.to_owned(), fault: fault.into() }
    }

    /// The code for operators.
    pub fn code(&self) -> Code {
        match &self.fault {
            KeyFileFault::File(error) => error.code(),
            KeyFileFault::Empty => Code::NoActiveKey,
            KeyFileFault::Wrong(_) | KeyFileFault::NotTables => Code::InvalidKeyFile,
        }
    }

    /// The advice for operators.
    pub fn fix(&self) -> String {
        match &self.fault {
            KeyFileFault::File(error) => error.fix(&self.path),
            _ => None,
        }
        .unwrap_or_else(|| "create a key: `hokusai-gateway keys create --user NAME`".to_owned())
    }
}
