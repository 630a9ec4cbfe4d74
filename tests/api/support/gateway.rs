//! The gateway in this process, on a free port, with a key that is good.

use std::{net::SocketAddr, path::PathBuf};

use hokusai_gateway::{
    auth::{
        key::Environment,
        key_file::edit::{self, CreatedKey, NewKey},
    },
    resources::Resources,
    settings::Settings,
    startup::Application,
};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use tempfile::TempDir;

use super::{
    client::{Response, ask},
    server::Server,
};

/// A gateway that runs until its test ends.
pub struct Gateway {
    pub address: SocketAddr,
    /// Where the metrics are, unless they are off.
    pub metrics_address: Option<SocketAddr>,
    /// A key that is good.
    pub key: String,
    pub key_id: String,
    pub key_file: PathBuf,
    _folder: TempDir,
}

/// Settings beside those that every test wants.
#[derive(Default)]
pub struct GatewayBuilder {
    settings: Vec<(String, String)>,
    file: Option<String>,
    key: Option<NewKey>,
}

impl GatewayBuilder {
    pub fn set(mut self, variable: &str, value: &str) -> Self {
        self.settings.push((format!("HOKUSAI__{variable}"), value.to_owned()));
        self
    }

    /// A file of settings, which those of [`Self::set`] override.
    pub fn file(mut self, text: &str) -> Self {
        self.file = Some(text.to_owned());
        self
    }

    /// The key is this one.
    pub fn key(mut self, key: NewKey) -> Self {
        self.key = Some(key);
        self
    }

    /// The key has these scopes.
    pub fn scopes(self, scopes: &[&str]) -> Self {
        let scopes = scopes.iter().map(|&scope| scope.to_owned()).collect();
        self.key(NewKey { scopes: Some(scopes), ..new_key("ada") })
    }

    pub async fn start(self, mlflow: &Server) -> Gateway {
        self.start_with(&mlflow.url()).await
    }

    pub async fn start_with(mut self, mlflow: &str) -> Gateway {
        let folder = tempfile::tempdir().unwrap();
        let key_file = folder.path().join("keys.toml");
        let key = self.key.take().unwrap_or_else(|| new_key("ada"));
        let created = edit::create(&key_file, &key).unwrap();
        // One worker, unless the test says otherwise.
        // Nor a record among the output of tests.
        self.settings.insert(0, ("HOKUSAI__AUDIT__OUTPUT".to_owned(), "off".to_owned()));
        self.settings.insert(0, ("HOKUSAI__SERVER__WORKERS".to_owned(), "1".to_owned()));
        // Nor usage in a folder of this machine's.
        self.settings.insert(0, ("HOKUSAI__AUTH__SERVICE__USAGE_SPOOL".to_owned(), "memory".to_owned()));
        self.settings.insert(0, ("HOKUSAI__METRICS__BIND".to_owned(), "127.0.0.1:0".to_owned()));
        self = self
            .set("SERVER__BIND", "127.0.0.1:0")
            .set("MLFLOW__URL", mlflow)
            .set("AUTH__KEY_FILE__PATH", key_file.to_str().unwrap());
        let file = self.file.map(|text| {
            let path = folder.path().join("gateway.toml");
            std::fs::write(&path, text).unwrap();
            path
        });
        let settings = Settings::load(file.as_deref(), self.settings).unwrap();
        let resources = Resources::open(&settings).unwrap();
        let application = Application::build(settings, resources).unwrap();
        let (address, metrics_address) = (application.address(), application.metrics_address());
        actix_rt::spawn(application.run_until_stopped());
        Gateway {
            address,
            metrics_address,
            key: created.key.expose_secret().to_owned(),
            key_id: created.id,
            key_file,
            _folder: folder,
        }
    }
}

/// Adds a key to a key file.
pub fn create_key(path: &std::path::Path, user: &str, expires_at: Option<Timestamp>) -> CreatedKey {
    edit::create(path, &NewKey { expires_at, ..new_key(user) }).unwrap()
}

/// A key that may do what people do; the tests of access take others.
fn new_key(user: &str) -> NewKey {
    let scopes = ["mlflow:read", "mlflow:write", "mlflow:delete"].map(str::to_owned);
    NewKey { scopes: Some(scopes.to_vec()), ..NewKey::of(user, Environment::Test) }
}

/// A path of MLflow's that takes this method.
pub fn path_for(method: &str) -> &'static str {
    match method {
        "PUT" | "DELETE" => "/api/2.0/mlflow-artifacts/artifacts/1/a",
        "PATCH" => "/api/2.0/mlflow/logged-models/m-1",
        _ => "/api/2.0/mlflow/experiments/search",
    }
}

impl Gateway {
    /// A gateway in front of `mlflow`, with the default settings.
    pub async fn start(mlflow: &Server) -> Self {
        GatewayBuilder::default().start(mlflow).await
    }

    /// A GET of `target` with the good key.
    pub async fn get(&self, target: &str) -> Response {
        ask(self.address, self.request("GET", target, "")).await
    }

    /// A request with the good key: `rest` is further headers, each with its line end, and after an empty line the
    /// body. Without a body the empty line may be left out.
    pub fn request(&self, method: &str, target: &str, rest: &str) -> String {
        let end = if rest.contains("\r\n\r\n") || rest.starts_with("\r\n") { "" } else { "\r\n" };
        format!(
            "{method} {target} HTTP/1.1\r\nhost: gateway.example\r\nauthorization: Bearer {}\r\n{rest}{end}",
            self.key
        )
    }
}
