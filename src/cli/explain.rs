//! `explain`: whether a request would be allowed, and why. Asks MLflow only for owners, changes nothing, and counts nothing.

use std::{
    fs::File,
    io::{self, Read},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
};

use actix_web::{
    dev::RequestHead,
    http::{
        Method,
        header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue},
        uri::Uri,
    },
    web::Bytes,
};
use clap::Args;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{
    Failure, Loaded,
    format::{Output, print, print_json},
    key_from_environment,
};
use crate::{
    audit::About,
    auth::{AuthError, Authenticated, Authenticator, Globs, Principal, issuers},
    connection,
    credentials::{self, CredentialError},
    error::GatewayError,
    gateway::{self, Preview},
    limits::KeyLimits,
    ownership::OwnershipError,
    policy::{self, Grant, scopes},
    proxy,
    resources::Resources,
    routing::{Reach, Route},
    settings::{DirectArtifacts, Scope, Settings},
};

/// Bytes of a body that are read: more than the gateway reads of any.
const MAX_BODY: u64 = 8 * 1024 * 1024;

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The method of the request
    #[arg(long, default_value = "GET")]
    method: Method,
    /// The path, and the query if there is one, as a client sends them to the gateway
    #[arg(long, value_parser = target)]
    path: Uri,
    /// A file with the JSON of the body, or - for standard input: it names what most requests change
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    config: super::Config,
    #[command(flatten)]
    output: Output,
}

impl Explain {
    /// Exit status 0 for an allowed request, 1 for any other.
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let loaded = super::load(self.config.config.as_deref());
        let Loaded { settings, resources, .. } = loaded.map_err(|refused| refused.problems)?;
        let mut report = Map::new();
        let key = key_from_environment::read().map_err(Failure::new)?;
        let body = self.read_body()?;
        let decision = decide(self.head(key, body.as_ref()), body, &settings, &resources, &mut report);
        let outcome = actix_rt::System::new().block_on(decision);
        let verdict = match &outcome {
            Ok(()) => json!({ "allowed": true }),
            Err(error) => {
                report.extend(refused_key(error));
                json!({
                    "allowed": false,
                    "status": error.status().as_u16(),
                    "reason": error.reason(),
                    "message": error.message(),
                })
            }
        };
        report.insert("verdict".to_owned(), verdict);
        if self.output.is_json() {
            print_json(&Value::Object(report));
        } else {
            let lines = report.iter().map(|(name, value)| format!("{name:<14} {}\n", words(value)));
            print(&lines.collect::<String>());
        }
        Ok(if outcome.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    /// The head of the request, as a client with the key would send it.
    fn head(&self, key: Option<String>, body: Option<&Bytes>) -> RequestHead {
        let mut head = RequestHead::default();
        head.method = self.method.clone();
        head.uri = self.path.clone();
        head.headers.insert(HOST, HeaderValue::from_static("gateway"));
        let key = key.and_then(|key| HeaderValue::try_from(format!("Bearer {key}")).ok());
        if let Some(key) = key {
            head.headers.insert(AUTHORIZATION, key);
        }
        if let Some(body) = body {
            head.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            head.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        head
    }

    fn read_body(&self) -> Result<Option<Bytes>, Failure> {
        let Some(path) = &self.body else { return Ok(None) };
        let open = || -> io::Result<Box<dyn Read>> {
            Ok(if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) })
        };
        let mut body = Vec::new();
        let read = open().and_then(|file| file.take(MAX_BODY).read_to_end(&mut body));
        read.map_err(|error| Failure::new(format!("--body {}: {error}", path.display())))?;
        Ok(Some(body.into()))
    }
}

/// The steps of [`crate::gateway`]. Each adds its result to the report.
async fn decide(
    head: RequestHead,
    body: Option<Bytes>,
    settings: &Settings,
    resources: &Resources,
    report: &mut Map<String, Value>,
) -> Result<(), GatewayError> {
    let mut set = |name: &str, value: Value| report.insert(name.to_owned(), value);
    set("request", format!("{} {}", head.method, head.uri).into());
    let route = resources.routes.resolve(gateway::inspect(&head, &resources.routes)?)?;
    let rule = route.rule();
    set("mount", if route.mount().is_empty() { "/" } else { route.mount() }.into());
    set("upstream", route.target().as_str().into());
    set("class", rule.class.word().into());
    set("rule", format!("{} {}", rule.method, rule.pattern).into());
    set("body", policy::body::treatment(rule).into());
    if let Some(subjects) = &rule.subjects {
        set("changes", subjects.words().into());
    }
    let denies_direct = settings.mlflow.direct_artifacts == DirectArtifacts::Deny;
    if rule.reach == Reach::PastGateway && denies_direct {
        set("answered", "by the gateway, in MLflow's place (mlflow.direct_artifacts)".into());
    }
    set("policy", settings.policy.mode.word().into());
    let wanted = scopes::that_allow(rule.class, settings.policy.promotion);
    set("scopes_wanted", wanted.into_iter().map(Scope::word).collect());

    let credential = credentials::extract(&head.headers)?;
    // MLflow passes the query on to the provider.
    if route.calls_out() && credential.is_in(route.target()) {
        return Err(CredentialError::Ambiguous.into());
    }
    let sent_as = credential.source();
    for issuer in resources.issuers.iter().flat_map(|issuers| issuers.iter()) {
        actix_rt::spawn(issuers::keep(Arc::clone(issuer)));
    }
    let authenticator =
        Authenticator::new(&resources.keys, resources.issuers.as_ref(), resources.auth_tls.as_ref());
    let caller = authenticator.authenticate(&credential, None).await;
    if let Err(AuthError::NoRule { key_id, missing }) = &caller {
        set("key", json!({ "key_id": key_id, "state": "a good token" }));
        set("missing", missing.to_string().into());
    }
    let Authenticated { principal, source } =
        caller.map_err(|error| GatewayError::Auth { error, sent_as })?;
    set("cache", source.word().into());
    set("key", accepted_key(&principal));
    set("scopes_held", scopes_held(&principal, &settings.policy.default_scopes).into());
    set("workspace", principal.workspace.as_ref().map_or("any", |workspace| workspace.as_str()).into());
    set("fence", fence(&principal));
    set("limits", limits(settings, &principal, &route));
    let in_mlflows_place = proxy::denied_direct_transfer(route.rule()).filter(|_| denies_direct);
    let grant = policy::authorize(&settings.policy, principal, route)
        .map_err(|error| GatewayError::Denied { error, sent_as })?;
    set("ownership", settings.policy.ownership.word().into());
    let not_asked = not_asked(&grant, body.is_none());
    let Preview { class, about: About { subject, owner }, outcome } =
        gateway::preview(settings, resources, &grant, &head, body).await;
    if let Some(class) = class {
        set("class", class.word().into());
    }
    if !subject.is_empty() {
        set("subject", subject.into());
    }
    if let Some(owner) = owner.or_else(|| not_asked.map(Value::from)) {
        set("owner", owner);
    }
    match outcome {
        Err(GatewayError::Ownership(OwnershipError::Unanswered(error))) => {
            set("owner", format!("unknown: {error}").into());
        }
        outcome => outcome?,
    }
    in_mlflows_place.map_or(Ok(()), |answer| Err(answer.into()))
}

/// Why MLflow is not asked for the owner of what a request changes.
fn not_asked(grant: &Grant, is_without_body: bool) -> Option<&'static str> {
    let rule = grant.route().rule();
    if !rule.changes() {
        None
    } else if !grant.is_judged() {
        Some("not asked: policy.ownership is off, and the key has no fence")
    } else if is_without_body && gateway::needs_body(rule) {
        Some("not asked: the body names what is changed; give it with --body")
    } else if grant.is_administrator() && grant.principal().fence.is_open() {
        Some("not asked: an administrator may change everything")
    } else {
        None
    }
}

/// The patterns of the names that the key may change; `null`: any.
fn fence(Principal { fence, .. }: &Principal) -> Value {
    if fence.is_open() {
        return "none".into();
    }
    let patterns = |globs: &Option<Globs>| globs.as_ref().map(|globs| globs.patterns().to_vec());
    json!({ "models": patterns(&fence.models), "experiments": patterns(&fence.experiments) })
}

fn accepted_key(principal: &Principal) -> Value {
    let expired = principal.expires_at.filter(|at| *at <= Timestamp::now());
    json!({
        "key_id": principal.key_id,
        "user_id": principal.user_id,
        "state": expired.map_or_else(|| "in force".to_owned(), |at| format!("expired at {at}")),
        "expires_at": principal.expires_at,
    })
}

fn scopes_held<'a>(principal: &'a Principal, default_scopes: &[Scope]) -> Vec<&'a str> {
    match &principal.scopes {
        _ if principal.is_admin => vec![Scope::Admin.word()],
        Some(scopes) => scopes.iter().map(String::as_str).collect(),
        None => default_scopes.iter().map(|scope| scope.word()).collect(),
    }
}

/// Why the key was refused, which clients are not told.
fn refused_key(error: &GatewayError) -> Option<(String, Value)> {
    let GatewayError::Auth { error: AuthError::Rejected(rejection), .. } = error else { return None };
    let principal = rejection.principal();
    let key = json!({
        "key_id": principal.and_then(|principal| principal.key_id.as_deref()),
        "user_id": principal.and_then(|principal| principal.user_id.as_deref()),
        "state": rejection.to_string(),
    });
    Some(("key".to_owned(), key))
}

/// Those that count for such a request.
fn limits(settings: &Settings, principal: &Principal, route: &Route) -> Value {
    let (limits, rule) = (KeyLimits::of(principal, &settings.limits), route.rule());
    json!({
        "mode": settings.limits.mode.word(),
        "requests_per_hour": limits.per_hour,
        "counted_as": if route.is_read() { "read" } else { "write" },
        "creates_per_hour": limits.creates_per_hour.filter(|_| rule.is_create),
        "concurrent": limits.concurrent,
        "at_once_with": if rule.moves_artifacts() { "artifacts" } else { "requests" },
        "artifact_bytes_per_hour": limits.artifact_bytes_per_hour.filter(|_| rule.moves_artifacts()),
    })
}

/// A path and a query. A fragment is never sent.
fn target(text: &str) -> Result<Uri, String> {
    if text.contains('#') {
        return Err("has a fragment, which the gateway refuses".to_owned());
    }
    match connection::read_target(text.as_bytes()) {
        Ok(Some(target)) => Ok(target.into()),
        Ok(None) => text.parse().map_err(|error| format!("{error}")),
        Err(fault) => Err(fault.to_string()),
    }
}

/// A value for a person.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "none".to_owned(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(fields) => {
            let set = fields.iter().filter(|(_, value)| !value.is_null());
            set.map(|(name, value)| format!("{name}={}", words(value))).collect::<Vec<_>>().join(" ")
        }
        other => other.to_string(),
    }
}
