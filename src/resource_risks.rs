//! Warnings about the files that the settings name: they work, but may not do what is expected. Shown by `check` and at the start.

use jiff::Timestamp;

use crate::{
    auth::{KeyFile, KeySource},
    code::Code,
    policy,
    resources::Resources,
    routing::{Replaced, Routes},
    settings::{Problem, Promotion, Settings},
    tls::{Expiry, SOON_DAYS, Validity},
    usage,
};

/// All warnings.
pub(crate) fn of(settings: &Settings, resources: &Resources) -> Vec<Problem> {
    let mut risks = Vec::new();
    if let KeySource::File(keys) = &resources.keys {
        risks.extend(no_key_in_force(keys));
        risks.extend(keys.unknown_scopes(&settings.policy).into_iter().map(|scope| {
            let what = "gives a key an unknown scope";
            Problem::new(Code::UnknownScope, "auth.key_file.path", what, scope.fix()).with_found(scope)
        }));
    }
    risks.extend(settings.auth.service().and_then(usage::spool_risk));
    risks.extend(loosened_routes(&resources.routes, settings.policy.promotion));
    risks.extend(resources.expiries.iter().filter(|expiry| !expiry.is_ca).filter_map(not_valid));
    risks.extend(resources.expiries.iter().filter_map(ends_soon));
    risks
}

/// Routes of a file that require less than the gateway's own table.
fn loosened_routes(routes: &Routes, promotion: Promotion) -> impl Iterator<Item = Problem> {
    routes.table().replaced().iter().filter_map(move |Replaced { line, known, rule }| {
        let lost = policy::loosened(known, rule, promotion).join(", ");
        (!lost.is_empty()).then(|| {
            let what = format!("asks less than the gateway's own row for {}: it gives up {lost}", known.pattern);
            let fix =
                "nothing, if that is meant; else the row as `hokusai-gateway routes` prints it without the file";
            Problem::new(Code::LooserRoute, "mlflow.routes_file", what, fix)
                .with_found(format!("line {line}: {} {}", rule.method, rule.pattern))
        })
    })
}

/// A certificate that expires soon, or a file whose authorities have all expired. [`not_valid`] warns about the gateway's own.
fn ends_soon(expiry: &Expiry) -> Option<Problem> {
    let (code, what) = match expiry.days_left() {
        ..0 if expiry.is_ca => (Code::CertificateExpired, format!("ended at {}", expiry.at)),
        days @ 0..SOON_DAYS => {
            (Code::CertificateExpiresSoon, format!("ends at {}, in {days} days", expiry.at))
        }
        _ => return None,
    };
    Some(Problem::new(code, expiry.key, what, renewed(expiry)).with_found(expiry.file.display()))
}

/// A warning, not an error: a gateway whose certificate has expired must still start, for clients that do not verify it.
fn not_valid(expiry: &Expiry) -> Option<Problem> {
    let (code, what) = Validity::of(&expiry.file).ok().flatten()?.fault(Timestamp::now())?;
    let fix = format!("{}; if the dates are right, this machine's clock is wrong", renewed(expiry));
    Some(Problem::new(code, expiry.key, what, fix).with_found(expiry.file.display()))
}

fn renewed(expiry: &Expiry) -> &'static str {
    match expiry.key {
        "server.tls.cert" => "a renewed one in its place, which is loaded within a second",
        _ => "a renewed one in its place, and a restart",
    }
}

fn no_key_in_force(keys: &KeyFile) -> Option<Problem> {
    (keys.in_force() == 0 && !keys.is_empty()).then(|| {
        let fix = "a key that is good: `hokusai-gateway keys create --user NAME`";
        Problem::new(Code::NoActiveKey, "auth.key_file.path", "lets nobody in", fix)
            .with_found("only keys that are expired or revoked")
    })
}
