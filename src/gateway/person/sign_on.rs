//! `/login/NUMBER` and `/login/callback`: a login at an issuer, whose word becomes the cookie of a session.

use actix_web::{
    HttpRequest, HttpResponse,
    cookie::Cookie,
    http::{
        StatusCode,
        header::{HeaderValue, REFERRER_POLICY, SET_COOKIE},
    },
    web::{Data, Payload},
};
use url::form_urlencoded;

use super::login::{NotLoggedIn, field, form, not_yet, see};
use crate::{
    audit::{About, Lane, Record},
    auth::{AuthError, CallbackAnswer, Issuers, LoginFault, Rejection, SignOnButton},
    credentials::{Credential, Source},
    error::GatewayError,
    exchange::Exchange,
    gateway::{Gateway, Shared, admit::refuse, inspect},
    pages::{self, Sentence},
    resources::Resources,
    session::{self, Attempt, Destination, NotSealed, Sessions},
    vocabulary::Reason,
};

impl Gateway {
    /// The issuers that log people in, as buttons.
    pub(super) fn sign_on_buttons(&self) -> Vec<SignOnButton> {
        self.shared.resources.issuers.as_ref().map(|issuers| issuers.buttons()).unwrap_or_default()
    }

    /// The address of the gateway in the browser.
    pub(super) fn address(&self, request: &HttpRequest, exchange: &Exchange) -> String {
        let (head, client) = (request.head(), exchange.client());
        session::own_address(head, client, self.is_host_told(head)).unwrap_or_default()
    }

    /// What an issuer has said of a person since her cookie was set goes into a new one.
    pub(in crate::gateway) fn renew_session(&self, credential: &Credential, exchange: &Exchange) {
        let Shared { sessions: Some(sessions), resources: Resources { issuers: Some(issuers), .. }, .. } =
            &*self.shared
        else {
            return;
        };
        let renewed = credential.key().err().and_then(|person| issuers.renewed(person));
        if let Some(Ok(cookie)) = renewed.map(|person| sessions.renew(person, exchange.client())) {
            exchange.set_cookie(HeaderValue::try_from(cookie.to_string()).ok());
        }
    }
}

/// `POST /login/NUMBER`, with `next` and `place`: takes a person to the issuer with this number.
pub async fn sign_on(
    gateway: Data<Gateway>,
    exchange: Exchange,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let shared = &gateway.shared;
    let (Some(sessions), Some(issuers)) = (&shared.sessions, &shared.resources.issuers) else {
        return pages::no_login();
    };
    let form = match form(&gateway, &request, exchange.client(), payload).await {
        Ok(form) => form,
        Err(error) => return not_yet(&gateway, &error, &request, &exchange, &Destination::of("")),
    };
    let next = Destination::of(&field(&form, "next").unwrap_or_default());
    let next = next.at(&field(&form, "place").unwrap_or_default());
    let number =
        request.match_info().get("number").and_then(|number| number.parse().ok()).unwrap_or_default();
    let address = gateway.address(&request, &exchange);
    let (url, attempt) = match issuers.begin(number, &address, &next).await {
        Some(Ok(begun)) => begun,
        Some(Err(error)) => {
            let error = GatewayError::Auth { error, sent_as: Source::Session };
            return not_yet(&gateway, &error, &request, &exchange, &next);
        }
        None => return see(&next.login()),
    };
    match sessions.seal_attempt(attempt, exchange.client(), request.headers()) {
        Ok(cookie) => {
            let mut page = pages::leave("Log in", &url);
            set(&cookie, &mut page);
            page
        }
        Err(why) => {
            let buttons = gateway.sign_on_buttons();
            pages::login(StatusCode::FORBIDDEN, &next, Some(&why.to_string()), &buttons)
        }
    }
}

/// `GET /login/callback`: where the issuer sends the browser back to, with a code or without; and after a logout with nothing.
pub async fn callback(gateway: Data<Gateway>, exchange: Exchange, request: HttpRequest) -> HttpResponse {
    let shared = &gateway.shared;
    let (Some(sessions), Some(issuers)) = (&shared.sessions, &shared.resources.issuers) else {
        return pages::no_login();
    };
    let attempt = sessions.attempt(exchange.client(), request.headers());
    let next = Destination::of("");
    let next = attempt.as_ref().map_or(next, |attempt| Destination::as_sealed(&attempt.next));
    let is_logout = attempt.is_none() && request.query_string().is_empty();
    let mut response = if is_logout {
        see(&format!("/login?because={}", Sentence::LoggedOut.word()))
    } else {
        match signed_on(&gateway, sessions, issuers, &request, &exchange, attempt.as_ref()).await {
            Ok(cookie) => {
                let (id, ip) = (exchange.context().request_id(), exchange.client().ip);
                let record = Record::of(&request, id, ip, Some("/login/callback"), About::default());
                exchange.set_record(Lane::Changes, record);
                let mut response = see(next.as_str());
                set(&cookie, &mut response);
                response
            }
            Err(NotLoggedIn::NotSealed(why)) => not_signed_on(&next, sentence_of_unsealed(why)),
            Err(NotLoggedIn::Refused(error)) => {
                let response = refuse(&gateway, &error, &request, &exchange);
                match error.reason() {
                    Reason::CredentialRejected => not_signed_on(&next, sentence_of(&error)),
                    _ => response,
                }
            }
        }
    };
    // Once, whatever comes of it.
    set(&session::attempt_removal(exchange.client()), &mut response);
    // The address has a code in it.
    response.headers_mut().insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

/// The cookie for whoever the issuer has logged in.
async fn signed_on(
    gateway: &Gateway,
    sessions: &Sessions,
    issuers: &Issuers,
    request: &HttpRequest,
    exchange: &Exchange,
    attempt: Option<&Attempt>,
) -> Result<Cookie<'static>, NotLoggedIn> {
    inspect(request.head(), &gateway.shared.resources.routes)?;
    let query = request.query_string().as_bytes();
    let answer = CallbackAnswer {
        code: once(query, "code"),
        // Nothing of an answer counts that says something twice.
        state: once(query, "state").filter(|_| ["code", "iss"].iter().all(|name| count(query, name) < 2)),
        issuer: once(query, "iss"),
    };
    let client = exchange.client();
    let person = issuers.complete(attempt, answer, sessions.end(), client.ip).await;
    let person = person.map_err(|error| GatewayError::Auth { error, sent_as: Source::Session })?;
    gateway.holder(&Credential::of_person(person.clone()), exchange).await?;
    sessions.seal_person(person, client, request.headers()).map_err(NotLoggedIn::NotSealed)
}

fn not_signed_on(next: &Destination, sentence: Sentence) -> HttpResponse {
    see(&format!("{}&because={}", next.login(), sentence.word()))
}

fn sentence_of(error: &GatewayError) -> Sentence {
    match error {
        GatewayError::Auth { error: AuthError::Rejected(Rejection::Login(fault)), .. } => match fault {
            LoginFault::NotBegun | LoginFault::Foreign => Sentence::NotFinished,
            LoginFault::Denied => Sentence::NotConfirmed,
        },
        _ => Sentence::NotConfirmed,
    }
}

fn sentence_of_unsealed(why: NotSealed) -> Sentence {
    match why {
        NotSealed::TooLong | NotSealed::TooMuchOfPerson => Sentence::TooMuch,
        NotSealed::Readable => Sentence::NotFinished,
    }
}

fn set(cookie: &Cookie<'_>, response: &mut HttpResponse) {
    if let Ok(cookie) = HeaderValue::try_from(cookie.to_string()) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
}

fn count(query: &[u8], name: &str) -> usize {
    form_urlencoded::parse(query).filter(|(field, _)| field == name).count()
}

/// The value of a field that is there once.
fn once(query: &[u8], name: &str) -> Option<String> {
    field(query, name).filter(|_| count(query, name) == 1)
}
