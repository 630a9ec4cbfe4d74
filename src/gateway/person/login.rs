//! `/login` and `/logout`: a key becomes the cookie of a session, and no longer is one.

use std::rc::Rc;

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::Cookie,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, HeaderValue, LOCATION, RETRY_AFTER, SET_COOKIE},
    },
    web::{Bytes, Data, Payload},
};
use url::{Url, form_urlencoded};

use super::refusal::forget;
use crate::{
    audit::{About, Lane, Record},
    client_ip::Client,
    connection::Connection,
    credentials::Credential,
    error::GatewayError,
    exchange::Exchange,
    gateway::{Gateway, Shared, admit::refuse, inspect},
    pages::{self, Sentence},
    policy::{self, BodyError},
    session::{Carried, Destination, NotSealed, Sessions},
    stall_budget::StallBudget,
    vocabulary::Reason,
};

/// The longest form: a key of 8 KiB with each character encoded, and a path.
const LONGEST_FORM: usize = 32 * 1024;

/// Why somebody is not logged in.
pub(super) enum NotLoggedIn {
    Refused(GatewayError),
    NotSealed(NotSealed),
}

impl<E: Into<GatewayError>> From<E> for NotLoggedIn {
    fn from(error: E) -> Self {
        Self::Refused(error.into())
    }
}

/// `GET /login?next=PATH`
pub async fn login(gateway: Data<Gateway>, request: HttpRequest) -> HttpResponse {
    let query = request.query_string().as_bytes();
    let sentence = field(query, "because").and_then(|word| Sentence::from_word(&word));
    let next = Destination::of(&field(query, "next").unwrap_or_default());
    match gateway.shared.sessions {
        Some(_) => {
            let buttons = gateway.sign_on_buttons();
            pages::login(StatusCode::OK, &next, sentence.map(Sentence::text), &buttons)
        }
        None => pages::no_login(),
    }
}

/// `POST /login`, with `key` and `next`: verifies the key as that of any request, and goes to `next`.
pub async fn log_in(
    gateway: Data<Gateway>,
    exchange: Exchange,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let Some(sessions) = &gateway.shared.sessions else { return pages::no_login() };
    let form = match form(&gateway, &request, exchange.client(), payload).await {
        Ok(form) => form,
        Err(error) => return not_yet(&gateway, &error, &request, &exchange, &Destination::of("")),
    };
    let next = Destination::of(&field(&form, "next").unwrap_or_default());
    match session_for(&gateway, sessions, &request, &exchange, &form).await {
        Ok(cookie) => {
            let (id, ip) = (exchange.context().request_id(), exchange.client().ip);
            exchange
                .set_record(Lane::Changes, Record::of(&request, id, ip, Some("/login"), About::default()));
            let mut response = see(next.as_str());
            if let Ok(cookie) = HeaderValue::try_from(cookie.to_string()) {
                response.headers_mut().insert(SET_COOKIE, cookie);
            }
            response
        }
        Err(NotLoggedIn::NotSealed(why)) => {
            let buttons = gateway.sign_on_buttons();
            pages::login(StatusCode::FORBIDDEN, &next, Some(&why.to_string()), &buttons)
        }
        Err(NotLoggedIn::Refused(error)) => not_yet(&gateway, &error, &request, &exchange, &next),
    }
}

/// The form of a page of our own: of others not a byte is waited for.
pub(super) async fn form(
    gateway: &Gateway,
    request: &HttpRequest,
    client: Client,
    payload: Payload,
) -> Result<Bytes, GatewayError> {
    inspect(request.head(), &gateway.shared.resources.routes)?;
    // A foreign page could log a person in as somebody else, and read what she then logs.
    gateway.must_be_own_page(request.head(), client)?;
    let length = policy::body::announced(request.head()).unwrap_or(LONGEST_FORM);
    if length > LONGEST_FORM {
        return Err(BodyError::TooLarge(LONGEST_FORM).into());
    }
    let server = &gateway.shared.settings.server;
    let stall_budget = StallBudget::new(server.body_idle_timeout, server.min_body_rate.get());
    let connection = Connection::of(request).map(Rc::as_ref);
    Ok(policy::body::read(payload.into_inner(), length, connection, stall_budget).await?)
}

/// The login page once more, with what is wrong.
pub(super) fn not_yet(
    gateway: &Gateway,
    error: &GatewayError,
    request: &HttpRequest,
    exchange: &Exchange,
    next: &Destination,
) -> HttpResponse {
    let refusal = refuse(gateway, error, request, exchange);
    let sentence = match error.reason() {
        Reason::CredentialRejected => Sentence::KeyUnknown.text().to_owned(),
        _ => error.message(),
    };
    let mut page = pages::login(refusal.status(), next, Some(&sentence), &gateway.sign_on_buttons());
    if let Some(seconds) = refusal.headers().get(RETRY_AFTER) {
        page.headers_mut().insert(RETRY_AFTER, seconds.clone());
    }
    page
}

/// The cookie for whoever has the key in the form.
async fn session_for(
    gateway: &Gateway,
    sessions: &Sessions,
    request: &HttpRequest,
    exchange: &Exchange,
    form: &[u8],
) -> Result<Cookie<'static>, NotLoggedIn> {
    let key = field(form, "key").unwrap_or_default();
    let credential = Credential::of_login(&key)?;
    gateway.holder(&credential, exchange).await?;
    let key = credential.key().unwrap_or_default();
    sessions.seal(key, exchange.client(), request.headers()).map_err(NotLoggedIn::NotSealed)
}

/// `POST /logout`
pub async fn log_out(gateway: Data<Gateway>, exchange: Exchange, request: HttpRequest) -> HttpResponse {
    if let Err(error) = gateway.must_be_own_page(request.head(), exchange.client()) {
        return refuse(&gateway, &error.into(), &request, &exchange);
    }
    let mut response = match issuers_logout(&gateway, &exchange, &request).await {
        Some(url) => pages::leave("Log out", &url),
        None => see(&format!("/login?because={}", Sentence::LoggedOut.word())),
    };
    // What the browser keeps of the pages is not for whoever comes after.
    response.headers_mut().insert(pages::CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    forget(exchange.client(), &mut response);
    response
}

/// Where a person is logged out at her issuer, too.
async fn issuers_logout(gateway: &Gateway, exchange: &Exchange, request: &HttpRequest) -> Option<Url> {
    let Shared { sessions, resources, .. } = &*gateway.shared;
    let Carried::Person(person) = sessions.as_ref()?.read(exchange.client(), request.headers()) else {
        return None;
    };
    resources.issuers.as_ref()?.log_out(&person, &gateway.address(request, exchange)).await
}

pub(super) fn see(path: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header((LOCATION, path))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish()
}

/// The first value of a field.
pub(super) fn field(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(field, _)| field == name).map(|(_, value)| value.into_owned())
}
