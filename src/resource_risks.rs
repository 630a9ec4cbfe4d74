//! What the settings name, and works, and may not do what is believed of it: told by `check` and at the start.

use std::path::Path;

use jiff::Timestamp;

use crate::{
    auth::{KeyFile, KeySource},
    code::Code,
    policy,
    resources::Resources,
    routing::{Replaced, Routes},
    settings::{AuthMode, Problem, Settings},
    tls::{Ending, SOON_DAYS, Validity},
};

/// Every such thing.
pub(crate) fn of(settings: &Settings, resources: &Resources) -> Vec<Problem> {
    let mut risks = Vec::new();
    if let KeySource::File(keys) = &resources.keys {
        risks.extend(no_key_in_force(keys));
        risks.extend(keys.unknown_scopes(&settings.policy).into_iter().map(|scope| Problem {
            code: Code::UnknownScope,
            key: "auth.key_file.path".to_owned(),
            found: Some(scope.to_string()),
            what: "gives a key a scope that there is not".to_owned(),
            fix: scope.fix(),
        }));
    }
    risks.extend(loosened_routes(&resources.routes));
    let now = Timestamp::now();
    risks.extend(certificates(settings).into_iter().filter_map(|(key, path)| outdated(key, path, now)));
    risks.extend(resources.endings.iter().filter_map(ending));
    risks
}

/// Where a file of routes asks less than the gateway's own table does: a warning each, and no problem.
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

/// That a certificate ends soon; or that all authorities of a file have ended, for of one that is shown [`outdated`] tells.
fn ending(ending: &Ending) -> Option<Problem> {
    let (code, what) = match ending.days_left() {
        ..0 if ending.is_ca => (Code::CertificateExpired, format!("ended at {}", ending.at)),
        days @ 0..SOON_DAYS => (Code::CertificateEndsSoon, format!("ends at {}, in {days} days", ending.at)),
        _ => return None,
    };
    let fix = match ending.key {
        "server.tls.cert" => "a renewed one in its place, which is taken over within a second",
        _ => "a renewed one in its place, and a restart",
    };
    Some(Problem {
        code,
        key: ending.key.to_owned(),
        found: Some(ending.file.clone()),
        what,
        fix: fix.to_owned(),
    })
}

/// The certificates that are shown to others, by the settings that name them.
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

/// A warning and no error: a gateway whose certificate ran out in the night must start again, if only to be reached where
/// nobody looks at certificates.
fn outdated(key: &'static str, path: &Path, now: Timestamp) -> Option<Problem> {
    let (code, what) = Validity::of(path).ok().flatten()?.fault(now)?;
    let found = Some(path.display().to_string());
    let fix = if key == "server.tls.cert" {
        "a renewed one in its place, which is taken over within a second; if the dates are right, this machine's clock is not"
    } else {
        "a renewed one in its place, and a restart; if the dates are right, this machine's clock is not"
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
