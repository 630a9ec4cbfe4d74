//! The secrets of a command, in the forms in which a server could send them back.

use actix_web::http::header::TryIntoHeaderValue as _;
use actix_web_httpauth::headers::authorization::Basic;
use secrecy::ExposeSecret as _;

use crate::settings::{RedisUrl, Settings, UpstreamAuth};

/// The Authorization of a user name and a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    let value = Basic::new(user.to_owned(), Some(password.to_owned())).try_into_value();
    value.ok().and_then(|value| value.to_str().ok().map(str::to_owned)).unwrap_or_default()
}

/// A password (or a key) as it is, and as it stands in an Authorization of the scheme Basic.
pub(crate) fn forms(user: &str, password: &str) -> Vec<String> {
    let encoded = basic(user, password).trim_start_matches("Basic ").trim_end_matches('=').to_owned();
    vec![password.to_owned(), encoded]
}

/// The credentials that are sent to MLflow.
pub(crate) fn of_mlflow(auth: &UpstreamAuth) -> Vec<String> {
    match auth {
        UpstreamAuth::None => Vec::new(),
        UpstreamAuth::Bearer(token) => vec![token.expose_secret().to_owned()],
        UpstreamAuth::Basic { username, password } => forms(username, password.expose_secret()),
    }
}

/// Every secret in the settings.
pub(super) fn of_settings(settings: &Settings) -> Vec<String> {
    let mut secrets = of_mlflow(&settings.mlflow.auth);
    secrets.extend(settings.auth.pepper.iter().map(|pepper| pepper.expose_secret().to_owned()));
    let redis = settings.redis.as_ref().map(|redis| redis.url.expose_secret());
    if let Some(userinfo) = redis.and_then(RedisUrl::parse).and_then(|url| url.userinfo) {
        let password = userinfo.split_once(':').map_or(userinfo, |(_, password)| password);
        let decoded = percent_encoding::percent_decode_str(password).decode_utf8_lossy().into_owned();
        secrets.extend([password.to_owned(), decoded]);
    }
    secrets
}
