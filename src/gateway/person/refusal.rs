//! The answer to a person in place of JSON: a page, and where the browser carries no valid key the way to the login page.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, HeaderMap, HeaderValue, LOCATION, SET_COOKIE, VARY, WWW_AUTHENTICATE},
};

use crate::{
    client_ip::Client,
    credentials::{CredentialError, Source},
    error::GatewayError,
    exchange::Exchange,
    gateway::Gateway,
    pages::{self, Sentence},
    proxy,
    session::{
        self, Carried, Destination,
        browser::{self, Shown},
    },
    vocabulary::Reason,
};

/// `response`, or what a person's browser gets instead.
pub(in crate::gateway) fn instead_of(
    mut response: HttpResponse,
    gateway: &Gateway,
    error: &GatewayError,
    request: &HttpRequest,
    exchange: &Exchange,
) -> HttpResponse {
    let shown = browser::opens(request.head());
    if ![Reason::CredentialMissing, Reason::CredentialRejected].contains(&error.reason()) {
        let Some(shown) = shown else { return response };
        return pages::error(response, error, exchange.context().request_id(), shown);
    }
    let Some(sessions) = &gateway.shared.sessions else { return response };
    let (headers, client) = (request.headers(), exchange.client());
    match source_of(error) {
        None | Some(Source::Session) => {}
        // A header's key was refused, and a session beside it did not count: it stays, and the login page would be no way out. What a
        // browser remembers for Basic it sends until it is asked for another.
        Some(Source::Basic) => return response,
        Some(_) => {
            tell_of_no_basic(headers, &mut response);
            return response;
        }
    }
    let carried = sessions.read(client, headers);
    match shown {
        Some(Shown::AsPage) => to_login(request, client, &carried),
        Some(Shown::InFrame) => pages::in_frame(&destination(request)),
        None => {
            tell_of_no_basic(headers, &mut response);
            if matches!(carried, Carried::Broken) {
                forget(client, &mut response);
            }
            response
        }
    }
}

/// How the credential was sent that was refused; `None`: there was none in a header.
fn source_of(error: &GatewayError) -> Option<Source> {
    match error {
        GatewayError::Auth { sent_as, .. }
        | GatewayError::Denied { sent_as, .. }
        | GatewayError::Credential(CredentialError::Malformed(sent_as, _)) => Some(*sent_as),
        GatewayError::Credential(CredentialError::UnknownScheme) => Some(Source::Bearer),
        _ => None,
    }
}

/// For Basic a browser would ask the person itself, for each request of a page.
fn tell_of_no_basic(headers: &HeaderMap, response: &mut HttpResponse) {
    if browser::is_browsers(headers) {
        let bearer = HeaderValue::from_static("Bearer realm=\"hokusai-gateway\"");
        response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
    }
}

/// Only a page that is opened takes away a session that has ended: the one behind it is told why.
fn to_login(request: &HttpRequest, client: Client, carried: &Carried) -> HttpResponse {
    let sentence = match carried {
        Carried::Nothing => None,
        Carried::Broken | Carried::Ended | Carried::Person(_) => Some(Sentence::SessionEnded),
        Carried::Key(_) => Some(Sentence::KeyRefused),
    };
    let mut login = destination(request).login();
    if let Some(sentence) = sentence {
        login = format!("{login}&because={}", sentence.word());
    }
    let mut response = HttpResponse::Found();
    response.insert_header((LOCATION, login)).insert_header((CACHE_CONTROL, "no-store"));
    let mut response = response.insert_header((VARY, proxy::VARYING)).finish();
    if sentence.is_some() {
        forget(client, &mut response);
    }
    response
}

fn destination(request: &HttpRequest) -> Destination {
    Destination::of(request.uri().path_and_query().map_or("", |target| target.as_str()))
}

pub(super) fn forget(client: Client, response: &mut HttpResponse) {
    if let Ok(removal) = HeaderValue::try_from(session::removal(client).to_string()) {
        response.headers_mut().append(SET_COOKIE, removal);
    }
}
