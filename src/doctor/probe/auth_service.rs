//! The auth service: whether it answers as agreed, whose clock it has, and whether it accepts the key of the command.

use actix_web::http::header::CONTENT_TYPE;
use awc::http::Method;
use jiff::Timestamp;
use serde_json::json;
use tokio::time::timeout;

use super::given_key;
use crate::{
    auth::{self, AuthError, OtherServiceId, ServiceFault, ServiceVerifier},
    code::Code,
    doctor::{
        Endpoint, Fault, Finding, Journal, KEY_VARIABLE, Party, Response, Site, clock, nginx_page, passed,
        start_of,
    },
    http_client::Tls,
    settings::{AuthService, Policy},
};

/// The settings of its address and of its certificate authority.
const SETTINGS: [&str; 2] = ["auth.service.url", "auth.service.tls.ca"];
/// Not a key for any auth service.
const INVALID_KEY: &str = "hokusai-gateway-check-this-is-no-key";
const ADDRESS: &str =
    "set auth.service.url to the service's base address, to which /api/v1/keys/validate is added";
/// The default of `auth.service.service_id`. Most keys are made for it.
const DEFAULT_ID: &str = "platform";

pub(super) async fn probe(
    service: &AuthService,
    tls: Option<&Tls>,
    key: Option<String>,
    policy: &Policy,
    journal: &mut Journal,
) {
    let endpoint = Endpoint::of(Party::AuthService, &service.url, tls, SETTINGS);
    if endpoint.reach(journal, "auth").await.is_none() {
        journal.skip("auth.http", "the auth service cannot be reached");
        return;
    }
    let start = Timestamp::now();
    let site = Site::new(&service.url, tls);
    let refusal = refuses_an_invalid_key(service, &endpoint, &site);
    let Some(date) = journal.check("auth.http", refusal).await else { return };
    let clock = clock::compare("the auth service", date, start, clock::SERVER_TOLERANCE);
    journal.check("auth.clock", async { clock }).await;
    match key {
        Some(key) => drop(journal.check("auth.key", accepts(service, tls, &key, policy)).await),
        None => journal.skip("auth.key", &format!("no key: set {KEY_VARIABLE}")),
    }
}

/// Whether it refuses an invalid key as agreed: another server at this address may refuse it too. Returns its `Date`.
async fn refuses_an_invalid_key(
    service: &AuthService,
    endpoint: &Endpoint,
    site: &Site,
) -> Finding<Option<Timestamp>> {
    let answer = send(service, site, "validate").await.map_err(|fault| outage(service, &fault))?;
    let has_certificate = service.tls.identity.is_some();
    if let Some(fault) = nginx_page::fault(&answer, &service.url, endpoint, has_certificate) {
        return Err(fault);
    }
    let status = answer.status.as_u16();
    let verdict = auth::Answer {
        status: answer.status,
        content: auth::content_type(&answer.headers),
        body: answer.body.clone().into(),
    }
    .verdict(&service.service_id, INVALID_KEY, service.bare_refusals);
    let is_another_server = match verdict {
        Ok(_)
        | Err(AuthError::Unavailable(ServiceFault::OtherService { .. } | ServiceFault::Unreadable { .. })) => {
            return Err(Fault::new(
                Code::AuthAcceptsAnything,
                format!("{} accepts an invalid key", service.url),
                "it does not check the key, or another service answers there",
                "the right auth.service.url; do not let anybody in by this service until then",
            ));
        }
        Err(AuthError::Unavailable(fault)) => return Err(outage(service, &fault)),
        Err(_) if status == 200 => answer.json().get("is_valid").is_none(),
        // A server without this path answers any other path in the same way.
        Err(_) if status == 404 => send(service, site, "no-such-path")
            .await
            .is_ok_and(|other| (other.status, &other.body) == (answer.status, &answer.body)),
        Err(_) => false,
    };
    if is_another_server {
        return Err(Fault::new(
            Code::NotAuthService,
            format!("{} answers {status}, and not as agreed: {}", service.url, start_of(&answer.body)),
            "something else than an auth service answers at this address and path, and every key would be refused",
            ADDRESS,
        ));
    }
    Ok((clock::date_of(&answer.headers), format!("refuses an invalid key ({status})")))
}

/// Asks about [`INVALID_KEY`].
async fn send(service: &AuthService, site: &Site, call: &str) -> Result<Response, ServiceFault> {
    let target = format!("{}/api/v1/keys/{call}", service.url.path().trim_end_matches('/'));
    let authorization = format!("Bearer {INVALID_KEY}");
    let headers = [("authorization", &*authorization), (CONTENT_TYPE.as_str(), "application/json")];
    let question = json!({ "service_id": service.service_id }).to_string();
    let answer = timeout(service.timeout, site.send(Method::POST, &target, &headers, question)).await;
    answer.map_err(|_| ServiceFault::Timeout)?.map_err(ServiceFault::Send)
}

async fn accepts(service: &AuthService, tls: Option<&Tls>, key: &str, policy: &Policy) -> Finding {
    let verify = async |service: &AuthService| {
        let verifier = ServiceVerifier::new(service, tls);
        verifier.verify(key, None, verifier.deadline()).await
    };
    let id = &service.service_id;
    match verify(service).await {
        Ok(principal) => {
            let owner = "the auth service accepts the key, but also says that it";
            let description = given_key::describe(&principal, policy, owner)?;
            passed(format!("the key is good for `{id}`: {description}"))
        }
        Err(AuthError::Rejected(_)) => {
            let default = AuthService { service_id: DEFAULT_ID.to_owned(), ..service.clone() };
            if id != DEFAULT_ID && verify(&default).await.is_ok() {
                return Err(Fault::new(
                    Code::ServiceIdMismatch,
                    format!("the key is refused for the service `{id}`, and good for `{DEFAULT_ID}`"),
                    "auth.service.service_id is not the id under which the auth service knows MLflow's keys",
                    format!("auth.service.service_id = \"{DEFAULT_ID}\" (AUTH_SERVICE_ID={DEFAULT_ID})"),
                ));
            }
            Err(Fault::new(
                Code::KeyRejected,
                format!("the key is refused for the service `{id}`"),
                "it is unknown, expired or revoked; or it was made for a service of another id",
                "a valid key; or set auth.service.service_id to the id that the key was made for",
            ))
        }
        Err(AuthError::Unavailable(fault)) => Err(outage(service, &fault)),
        Err(error) => Err(Fault::new(
            Code::AuthBusy,
            error.to_string(),
            "this command asked too often",
            "wait a minute",
        )),
    }
}

fn outage(service: &AuthService, fault: &ServiceFault) -> Fault {
    let (cause, fix) = match fault {
        ServiceFault::OtherService { answered, .. } => (
            "auth.service.service_id is not the id under which the auth service knows this key",
            match answered {
                OtherServiceId::Valid(id) => {
                    format!("auth.service.service_id = \"{id}\" (AUTH_SERVICE_ID={id})")
                }
                OtherServiceId::Invalid => {
                    "set auth.service.service_id to the id that the key was made for".to_owned()
                }
            },
        ),
        ServiceFault::Status(status) if status.is_redirection() => (
            "something before it redirects; the gateway never sends a key on to another address",
            "set auth.service.url to the address that it redirects to".to_owned(),
        ),
        ServiceFault::Status(status) if status.is_server_error() => (
            "it is broken, or the load balancer before it has no server",
            "look at the auth service's log".to_owned(),
        ),
        ServiceFault::NotAgreed { content: "application/json" | "no content type", .. } => (
            "an auth service refuses a key with `is_valid: false`, an `error` or a `detail` in a JSON object; this answer has \
             none of them, and until it has, every key gets a 503",
            format!(
                "{ADDRESS}; auth.service.bare_refusals = true if this is the auth service and its refusals have nothing more"
            ),
        ),
        ServiceFault::NotAgreed { .. } | ServiceFault::NotJson { .. } => (
            "this is the page of a load balancer or a firewall, not an answer of the auth service: it refuses no key, and none \
             can be checked",
            format!("a rule that leads /api/v1/keys/validate to the auth service; or {ADDRESS}"),
        ),
        ServiceFault::Unreadable { .. } | ServiceFault::Status(_) => (
            "something else than the auth service answers at this address, or another version of it",
            ADDRESS.to_owned(),
        ),
        ServiceFault::Timeout => {
            ("it is slow, or hangs", "look at the auth service's log; auth.service.timeout".to_owned())
        }
        _ => (
            "it takes connections and does not speak HTTP: perhaps it expects TLS",
            "https:// in auth.service.url if it speaks TLS".to_owned(),
        ),
    };
    Fault::new(fault.code(), format!("{} gives no verdict: {fault}", service.url), cause, fix)
}
