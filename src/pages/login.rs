//! The login page.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{HeaderValue, WWW_AUTHENTICATE},
    },
};
use maud::{PreEscaped, html};

use super::sheet::{self, Framing, page};
use crate::{auth::SignOnButton, session::Destination};

macro_rules! sentences {
    ($($(#[$about:meta])* $name:ident = $word:literal, $text:literal;)+) => {
        /// What the login page says above its field.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Sentence { $($(#[$about])* $name,)+ }

        impl Sentence {
            const ALL: [Self; [$($word),+].len()] = [$(Self::$name),+];

            /// For the page's address.
            pub(crate) const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }

            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

sentences! {
    SessionEnded = "ended", "Your session has ended. Log in again.";
    KeyRefused = "refused", "Your API key is no longer valid: it has expired or was revoked. Log in with another one.";
    KeyUnknown = "unknown", "This API key is not valid: it is unknown, expired or revoked.";
    LoggedOut = "out", "You are logged out.";
    NotFinished = "again", "That login was not finished here, or took too long. Begin it once more.";
    NotConfirmed = "denied", "Single sign-on did not confirm who you are.";
    TooMuch = "much", "Single sign-on says more of you than a browser’s cookie can hold. Ask the gateway’s operator for rules on fewer claims.";
}

impl Sentence {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|sentence| sentence.word() == word)
    }
}

/// What follows a `#` in the address only the browser knows, and an issuer would lose it: MLflow's pages have their place there.
const KEEP_PLACE: &str = "document.onsubmit=e=>{const p=e.target.elements.place;if(p)p.value=location.hash}";

/// `sentence`: why somebody is here, or not yet further.
pub(crate) fn login(
    status: StatusCode,
    next: &Destination,
    sentence: Option<&str>,
    issuers: &[SignOnButton],
) -> HttpResponse {
    let is_wrong = status != StatusCode::OK;
    let body = html! {
        h1 { "Log in to MLflow" }
        @if let Some(sentence) = sentence {
            p #why class=(if is_wrong { "wrong" } else { "note" }) role=(if is_wrong { "alert" } else { "status" }) { (sentence) }
        }
        @for SignOnButton { number, name } in issuers {
            form.wide method="post" action=(format!("/login/{number}")) {
                input type="hidden" name="next" value=(next.as_str());
                input type="hidden" name="place";
                button type="submit" { (name) }
            }
        }
        @if issuers.is_empty() {
            p { "With your API key: the one that programs send as " code { "MLFLOW_TRACKING_TOKEN" } "." }
        } @else {
            script { (PreEscaped(KEEP_PLACE)) }
            p.or { "Or with an API key, the one that programs send as " code { "MLFLOW_TRACKING_TOKEN" } "." }
        }
        // Without an action it is sent to the address of the page, so that what follows a `#` in it is not lost: MLflow's pages
        // have their place there.
        form.wide method="post" {
            input type="hidden" name="next" value=(next.as_str());
            // Keepers of passwords want a name beside each.
            input type="text" name="username" value="API key" autocomplete="username" hidden;
            label for="key" { "API key" }
            input #key type="password" name="key" required autofocus[issuers.is_empty()] autocomplete="current-password" autocapitalize="off"
                spellcheck="false" aria-describedby=[sentence.map(|_| "why")] aria-invalid=[is_wrong.then_some("true")];
            button type="submit" { "Log in" }
        }
    };
    let mut page = page(status, Framing::Nobody, "Log in", &body);
    if !issuers.is_empty() {
        sheet::allow_script(KEEP_PLACE, &mut page);
    }
    if status == StatusCode::UNAUTHORIZED {
        // A 401 needs a challenge (RFC 9110 §15.5.2), and for Basic a browser would ask by itself.
        page.headers_mut()
            .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hokusai-gateway\""));
    }
    page
}

/// Where nobody may log in.
pub(crate) fn no_login() -> HttpResponse {
    let body = html! {
        h1 { "No login here" }
        p { "This gateway takes API keys from programs alone: its operator has set " code { "auth.session.lifetime" } " to 0s." }
    };
    page(StatusCode::NOT_FOUND, Framing::Nobody, "No login", &body)
}

/// In place of a page within another, such as a trace in a notebook: nobody should type a key into a frame.
pub(crate) fn in_frame(next: &Destination) -> HttpResponse {
    let body = html! {
        h1 { "Not logged in" }
        p {
            a href=(next.login()) target="_blank" rel="noopener" { "Log in to MLflow" }
            " in a tab of its own, and load this page again."
        }
    };
    let mut page = page(StatusCode::UNAUTHORIZED, Framing::Anybody, "Not logged in", &body);
    page.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"hokusai-gateway\""));
    page
}
