//! Who says whether a key is valid.

use std::{path::PathBuf, time::Duration};

use url::Url;

use super::{reader::Reader, value::words};

/// `[auth]`
#[derive(Debug, Clone)]
pub struct Auth {
    pub mode: AuthMode,
}

/// The verifier, with what it needs.
#[derive(Debug, Clone)]
pub enum AuthMode {
    /// The key file at this path.
    KeyFile(PathBuf),
    Service(AuthService),
}

/// `[auth.service]`
#[derive(Debug, Clone)]
pub struct AuthService {
    /// Base address; `/api/v1/keys/validate` is put behind its path.
    pub url: Url,
    /// The service that keys must be valid for.
    pub service_id: String,
    /// Time for one validation, in all.
    pub timeout: Duration,
}

#[derive(Clone, Copy)]
enum Mode {
    KeyFile,
    Service,
}

words!(Mode, "key_file" => Self::KeyFile, "service" => Self::Service);

impl Auth {
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let mode = reader.optional::<Mode>("auth.mode");
        let key_file = reader.value("auth.key_file.path");
        let url = reader.optional::<Url>("auth.service.url");
        let service_id = reader.value("auth.service.service_id");
        let timeout = reader.value("auth.service.timeout");

        let (mode, key_file, url, service_id, timeout) = (mode?, key_file?, url?, service_id?, timeout?);
        let mode = match (mode, url) {
            (Some(Mode::KeyFile) | None, None) | (Some(Mode::KeyFile), Some(_)) => {
                AuthMode::KeyFile(key_file)
            }
            (Some(Mode::Service) | None, Some(url)) => {
                AuthMode::Service(AuthService { url, service_id, timeout })
            }
            (Some(Mode::Service), None) => {
                let what = "is required by auth.mode = \"service\" and not set";
                reader.problem("auth.service.url", None, what, "the base address of the auth service");
                return None;
            }
        };
        Some(Self { mode })
    }
}
