//! What MLflow's answers may do in the browser of somebody who is logged in.

use actix_web::{
    HttpResponseBuilder,
    http::header::{CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, SET_COOKIE, X_CONTENT_TYPE_OPTIONS},
};

use crate::{routing::Route, session, vocabulary::RouteClass};

/// Whether a header of MLflow's says what the gateway alone says: who is logged in, and which other sites may read answers.
pub(super) fn is_not_mlflows(name: &HeaderName, value: &HeaderValue) -> bool {
    let sets_session = || {
        let pair = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        let (cookie, _) = session::named(pair);
        // One without a name a browser may send back as if its value were a name and a value.
        !pair.contains(&b'=') || cookie.is_empty() || session::is_ours(cookie)
    };
    name.as_str().starts_with("access-control-") || (*name == SET_COOKIE && sets_session())
}

/// An artifact is anybody's file: opened as a page, it must not act as whoever is logged in.
pub(super) fn confine(route: &Route, response: &mut HttpResponseBuilder) {
    if route.class() == RouteClass::ArtifactRead {
        response.append_header((CONTENT_SECURITY_POLICY, "sandbox"));
        response.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    }
}
