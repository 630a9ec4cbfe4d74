//! The answer to a person whose browser carries no valid key: the way to the login page, in place of a JSON 401.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, HeaderValue, LOCATION, SET_COOKIE, VARY, WWW_AUTHENTICATE},
};

use crate::{
    client_ip::Client,
    error::GatewayError,
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
    client: Client,
) -> HttpResponse {
    let Some(sessions) = &gateway.shared.sessions else { return response };
    if ![Reason::CredentialMissing, Reason::CredentialRejected].contains(&error.reason()) {
        return response;
    }
    let carried = sessions.read(client, request.headers());
    match browser::opens(request.head()) {
        Some(Shown::AsPage) => to_login(request, client, &carried),
        Some(Shown::InFrame) => pages::in_frame(&destination(request)),
        None => {
            if browser::is_browsers(request.headers()) {
                // For Basic it would ask the person itself, for each request of the page.
                let bearer = HeaderValue::from_static("Bearer realm=\"hokusai-gateway\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, bearer);
            }
            if matches!(carried, Carried::Broken) {
                forget(client, &mut response);
            }
            response
        }
    }
}

/// Only a page that is opened takes away a session that has ended: the one behind it is told why.
fn to_login(request: &HttpRequest, client: Client, carried: &Carried) -> HttpResponse {
    let sentence = match carried {
        Carried::Nothing => None,
        Carried::Broken | Carried::Ended => Some(Sentence::SessionEnded),
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
