//! The address of the gateway that a command talks to as its users do.

use std::path::PathBuf;

use clap::Args;
use url::Url;

use crate::{
    doctor::KEY_VARIABLE,
    settings::ClientTls,
    tls::{self, ClientConfig},
};

#[derive(Debug, Args)]
pub(super) struct Address {
    /// The gateway as its users reach it: https://mlflow.example.com, with or without /api/mlflow
    #[arg(long, value_parser = http_url)]
    pub(super) url: Url,
    /// The only certificate authorities to trust, a PEM file [default: those of this machine]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

impl Address {
    /// The path below which the gateway serves MLflow.
    ///
    /// # Errors
    /// Another path, or an address that may hold credentials.
    pub(super) fn mount(&self) -> Result<&str, String> {
        refuse_credentials(&self.url)?;
        match self.url.path().trim_end_matches('/') {
            "" => Ok("/api/mlflow"),
            mount @ ("/api/mlflow" | "/mlflow") => Ok(mount),
            _ => Err("--url has another path than /api/mlflow or /mlflow, where the gateway serves MLflow"
                .to_owned()),
        }
    }

    /// `None` where the address needs no TLS, and this machine has no authorities.
    ///
    /// # Errors
    /// Authorities that cannot be used.
    pub(super) fn tls(&self) -> Result<Option<ClientConfig>, String> {
        match tls::client_config(&ClientTls { ca: self.ca.clone(), identity: None }) {
            Ok(config) => Ok(Some(config)),
            Err(error) if self.ca.is_some() || self.url.scheme() == "https" => Err(error.to_string()),
            Err(_) => Ok(None),
        }
    }
}

pub(super) fn http_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .map_err(|error| format!("{error}: write an address such as https://mlflow.example.com"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("is not http:// or https:// and a host".to_owned());
    }
    Ok(url)
}

/// Not by clap, which would print the address that it refuses.
///
/// # Errors
/// An address that may hold credentials.
pub(super) fn refuse_credentials(url: &Url) -> Result<(), String> {
    let may_have_some = !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some();
    if may_have_some {
        return Err(format!(
            "an address has credentials, a query or a fragment; the key is read from {KEY_VARIABLE}"
        ));
    }
    Ok(())
}
