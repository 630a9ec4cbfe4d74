//! The auth service: whether it answers as agreed, and about the service that is meant.

use std::time::Duration;

use actix_web::http::{header::HeaderMap, uri::PathAndQuery};
use jiff::Timestamp;

use super::held_key;
use crate::{
    auth::{Answer, AuthError, OtherServiceId, ServiceFault, ServiceVerifier},
    code::Code,
    doctor::{self, Fault, Finding, Journal, KEY_VARIABLE, Party, Place, clock, nginx_page, start_of},
    http_client::Tls,
    settings::{AuthService, Policy},
};

/// Where its address, and the authority of its certificate, are written.
const WRITTEN_AS: [&str; 2] = ["auth.service.url", "auth.service.tls.ca"];
/// What no auth service can take for a key.
const NO_KEY: &str = "hokusai-gateway-check-this-is-no-key";
/// Where an auth service is found.
const BASE: &str = "as auth.service.url the base address, to which /api/v1/keys/validate is added";
/// The default of `auth.service.service_id`, for which most keys are made.
const USUAL_ID: &str = "platform";

pub(super) async fn probe(
    service: &AuthService,
    tls: Option<&Tls>,
    key: Option<String>,
    policy: &Policy,
    journal: &mut Journal,
) {
    if Place::of(Party::AuthService, &service.url, tls, WRITTEN_AS).reach(journal, "auth").await.is_none() {
        journal.skip("auth.http", "it cannot be reached");
        return;
    }
    let began = Timestamp::now();
    let Some(date) = journal.check("auth.http", refuses_no_key(service, tls)).await else { return };
    let exchange = clock::Exchange { began, ended: Timestamp::now() };
    let whose = "the auth service";
    journal.check("auth.clock", async { clock::compare(whose, date, exchange, clock::TOGETHER) }).await;
    match key {
        Some(key) => drop(journal.check("auth.key", knows(service, tls, &key, policy)).await),
        None => journal.skip("auth.key", &format!("no key: set {KEY_VARIABLE}")),
    }
}

/// Whether it says no to what is no key, as was agreed; a stranger at this address may say no as well.
/// Tells its `Date`.
async fn refuses_no_key(service: &AuthService, tls: Option<&Tls>) -> Finding<Option<Timestamp>> {
    let verifier = ServiceVerifier::new(service, tls);
    let answer = verifier.validate_raw(NO_KEY, None).await.map_err(|fault| outage(service, &fault))?;
    let page = doctor::Answer {
        status: answer.status,
        headers: HeaderMap::new(),
        body: answer.body.to_vec(),
        is_cut: false,
        took: Duration::ZERO,
    };
    let asked = nginx_page::Asked {
        url: &service.url,
        written_as: WRITTEN_AS[0],
        ca_written_as: WRITTEN_AS[1],
        has_certificate: service.tls.identity.is_some(),
    };
    if let Some(fault) = nginx_page::fault(&page, asked) {
        return Err(fault);
    }
    let status = answer.status.as_u16();
    let is_a_strangers = match answer.verdict(&service.service_id, NO_KEY, service.bare_refusals) {
        Ok(_)
        | Err(AuthError::Unavailable(ServiceFault::OtherService { .. } | ServiceFault::Unreadable { .. })) => {
            return Err(Fault::new(
                Code::AuthAcceptsAnything,
                format!("{} accepts what is no key", service.url),
                "it does not look at the key, or another service answers there",
                "the right auth.service.url; until then nobody may be let in by this one",
            ));
        }
        Err(AuthError::Unavailable(fault)) => return Err(outage(service, &fault)),
        Err(_) if status == 200 => !answer.has_verdict(),
        Err(_) => status == 404 && answers_alike(&verifier, service, &answer).await,
    };
    if is_a_strangers {
        return Err(Fault::new(
            Code::NotAuthService,
            format!("{} says {status}, and not what was agreed: {}", service.url, start_of(&answer.body)),
            "no auth service answers at this address and path: something else does, and every key would be refused",
            BASE,
        ));
    }
    let date = answer.date.as_ref().and_then(|date| clock::date(date.to_str().ok()?));
    Ok((date, format!("refuses what is no key ({status})")))
}

/// Whether a path that no auth service has is answered in the same way.
async fn answers_alike(verifier: &ServiceVerifier, service: &AuthService, answer: &Answer) -> bool {
    let path = format!("{}/api/v1/keys/no-such-path", service.url.path().trim_end_matches('/'));
    let Ok(target) = PathAndQuery::try_from(path) else { return false };
    let other = verifier.validate_raw(NO_KEY, Some(target)).await;
    other.is_ok_and(|other| (other.status, other.body) == (answer.status, answer.body.clone()))
}

async fn knows(service: &AuthService, tls: Option<&Tls>, key: &str, policy: &Policy) -> Finding {
    let verifier = ServiceVerifier::new(service, tls);
    match verifier.verify(key, None, verifier.deadline()).await {
        Ok(principal) => {
            let told = held_key::told(
                &principal,
                policy,
                "the auth service says that the key is good, and that it",
            )?;
            Ok(((), format!("the key is good for `{}`: {told}", service.service_id)))
        }
        Err(AuthError::Rejected(_)) => {
            let usual = AuthService { service_id: USUAL_ID.to_owned(), ..service.clone() };
            let verifier = ServiceVerifier::new(&usual, tls);
            if service.service_id != USUAL_ID && verifier.verify(key, None, verifier.deadline()).await.is_ok()
            {
                return Err(Fault::new(
                    Code::ServiceIdDiffers,
                    format!(
                        "the key is refused for the service `{}`, and good for `{USUAL_ID}`",
                        service.service_id
                    ),
                    "auth.service.service_id is not the id under which the auth service knows MLflow's keys",
                    format!("auth.service.service_id = \"{USUAL_ID}\" (AUTH_SERVICE_ID={USUAL_ID})"),
                ));
            }
            Err(Fault::new(
                Code::KeyRejected,
                format!("the key is refused for the service `{}`", service.service_id),
                "it is unknown, expired or revoked; or it was made for a service of another id",
                "a key that is good; or as auth.service.service_id the id that the key was made for",
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
    let url = &service.url;
    let (cause, fix) = match fault {
        ServiceFault::OtherService { answered, .. } => (
            "auth.service.service_id is not the id under which the auth service knows this key".to_owned(),
            match answered {
                OtherServiceId::Valid(id) => format!("auth.service.service_id = \"{id}\" (AUTH_SERVICE_ID={id})"),
                OtherServiceId::Invalid => "as auth.service.service_id the id that the key was made for".to_owned(),
            },
        ),
        ServiceFault::Status(status) if status.is_redirection() => (
            "it stands behind something that redirects; a key is never sent on to another address".to_owned(),
            "as auth.service.url the address that it redirects to".to_owned(),
        ),
        ServiceFault::Status(status) if status.is_server_error() => (
            "it is broken, or the load balancer before it has no server".to_owned(),
            "look at its own log".to_owned(),
        ),
        ServiceFault::NotAgreed { content: "application/json" | "no content type", .. } => (
            "an auth service refuses a key by `is_valid: false`, an `error` or a `detail` in a JSON object; this one says \
             nothing, or it is something else, and every key is a 503 until it speaks"
                .to_owned(),
            format!("{BASE}; auth.service.bare_refusals = true if this is the auth service, and all that it says"),
        ),
        ServiceFault::NotAgreed { .. } | ServiceFault::NotJson { .. } => (
            "that is the page of a load balancer or a firewall in the auth service's place, and not its word: no key is \
             refused by it, and none can be checked"
                .to_owned(),
            format!("a rule that leads /api/v1/keys/validate to the auth service; or {BASE}"),
        ),
        ServiceFault::Unreadable { .. } | ServiceFault::Status(_) => (
            "something else than the auth service answers at this address, or another version of it"
                .to_owned(),
            BASE.to_owned(),
        ),
        ServiceFault::Timeout => {
            ("it is slow, or hangs".to_owned(), "look at its own log; auth.service.timeout".to_owned())
        }
        _ => (
            "it takes connections and speaks no HTTP: it wants TLS, perhaps".to_owned(),
            "https:// in auth.service.url if it speaks TLS".to_owned(),
        ),
    };
    Fault::new(fault.code(), format!("{url} gives no verdict: {fault}"), cause, fix)
}
