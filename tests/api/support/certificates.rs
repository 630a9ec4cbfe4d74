//! Certificates of a test's own, made by openssl.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

const CONFIG: &str = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = extensions\n\
    [name]\nCN = service.example\n\
    [extensions]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = IP:127.0.0.1\n";

/// Two PEM files.
pub struct Certificate {
    pub path: PathBuf,
    pub key: PathBuf,
}

impl Certificate {
    /// A self-signed one for 127.0.0.1, in a new folder.
    pub fn self_signed(folder: &Path) -> Self {
        std::fs::create_dir(folder).unwrap();
        let (config, path, key) =
            (folder.join("openssl.cnf"), folder.join("certificate.pem"), folder.join("key.pem"));
        std::fs::write(&config, CONFIG).unwrap();
        let made = Command::new("openssl")
            .args("req -x509 -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -days 2".split(' '))
            .arg("-config")
            .arg(&config)
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&path)
            .output()
            .expect("openssl is installed by `make test`");
        assert!(made.status.success(), "{made:?}");
        Self { path, key }
    }

    pub fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    pub fn key(&self) -> &str {
        self.key.to_str().unwrap()
    }
}
