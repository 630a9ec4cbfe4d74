//! Warnings about the files that the settings name: they work, but may not do what is expected. Shown by `check` and at the start.

use std::path::Path;

use jiff::Timestamp;

use crate::{
    auth::{KeyFile, KeySource},
    code::Code,
    policy,
    resources::Resources,
    routing::{Replaced, Routes},
    settings::{AuthMode, Problem, Settings},
    tls::{Expiry, SOON_DAYS, Validity},
};

/// All warnings.
pub(crate) fn of(settings: &Settings, resources: &Resources) -> Vec<Problem> {
    let mut risks = Vec::new();
    if let KeySource::File(keys) = &resources.keys {
        risks.extend(no_key_in_force(keys));
        risks.extend(keys.unknown_scopes(&settings.policy).into_iter().map(|scope| Problem {
            code: Code::UnknownScope,
            key: "auth.key_file.path".to_owned(),
            found: Some(scope.to_string()),
            what: "gives a key an unknown scope".to_owned(),
            fix: scope.fix(),
        }));
    }
    risks.extend(loosened_routes(&resources.routes));
    let now = Timestamp::now();
    risks.extend(certificates(settings).into_iter().filter_map(|(key, path)| not_valid(key, path, now)));
    risks.extend(resources.expiries.iter().filter_map(ends_soon));
    risks
}

/// Routes of a file that require less than the gateway's own table.
fn loosened_routes(routes: &Routes) -> impl Iterator<Item = Problem> {
    routes.table().replaced().iter().filter_map(|Replaced { line, known, rule }| {
        let lost = policy::loosened(known, rule).join(", ");
        (!lost.is_empty()).then(|| Problem {
            code: Code::LooserRoute,
            key: "mlflow.routes_file".to_owned(),
            found: Some(format!("line {line}: {} {}", rule.method, rule.pattern)),
            what: format!("asks less than the gateway's own row for {}: it gives up {lost}", known.pattern),
            fix: "nothing, if that is meant; else the row as `hokusai-gateway routes` prints it without the file".to_owned(),
        })
    })
}

/// A certificate that expires soon, or a file whose authorities have all expired. [`not_valid`] warns about the gateway's own.
fn ends_soon(expiry: &Expiry) -> Option<Problem> {
    let (code, what) = match expiry.days_left() {
        ..0 if expiry.is_ca => (Code::CertificateExpired, format!("ended at {}", expiry.at)),
        days @ 0..SOON_DAYS => (Code::CertificateEndsSoon, format!("ends at {}, in {days} days", expiry.at)),
        _ => return None,
    };
    let fix = match expiry.key {
        "server.tls.cert" => "a renewed one in its place, which is loaded within a second",
        _ => "a renewed one in its place, and a restart",
    };
    Some(Problem {
        code,
        key: expiry.key.to_owned(),
        found: Some(expiry.file.clone()),
        what,
        fix: fix.to_owned(),
    })
}

/// The gateway's own certificates, by their settings.
fn certificates(settings: &Settings) -> Vec<(&'static str, &Path)> {
    let server = settings.server.tls.as_ref().map(|files| ("server.tls.cert", &*files.cert));
    let mlflow = settings.mlflow.tls.identity.as_ref().map(|files| ("mlflow.tls.cert", &*files.cert));
    let auth = match &settings.auth.mode {
        AuthMode::Service(service) => service.tls.identity.as_ref(),
        AuthMode::KeyFile(_) => None,
    };
    let auth = auth.map(|files| ("auth.service.tls.cert", &*files.cert));
    [server, mlflow, auth].into_iter().flatten().collect()
}

/// A warning, not an error: a gateway whose certificate has expired must still start, for clients that do not verify it.
fn not_valid(key: &'static str, path: &Path, now: Timestamp) -> Option<Problem> {
    let (code, what) = Validity::of(path).ok().flatten()?.fault(now)?;
    let found = Some(path.display().to_string());
    let fix = if key == "server.tls.cert" {
        "a renewed one in its place, which is loaded within a second; if the dates are right, this machine's clock is wrong"
    } else {
        "a renewed one in its place, and a restart; if the dates are right, this machine's clock is wrong"
    };
    Some(Problem { code, key: key.to_owned(), found, what, fix: fix.to_owned() })
}

fn no_key_in_force(keys: &KeyFile) -> Option<Problem> {
    (keys.in_force() == 0).then(|| Problem {
        code: Code::NobodyLetIn,
        key: "auth.key_file.path".to_owned(),
        found: Some("only keys that are expired or revoked".to_owned()),
        what: "lets nobody in".to_owned(),
        fix: "a key that is good: `hokusai-gateway keys create --user NAME`".to_owned(),
    })
}
