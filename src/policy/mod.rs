//! The fifth step: whether this principal may take this route, now.
//!
//! Nothing here is cached: what a verifier said is an identity, and what it allows is decided on every request.

use std::sync::Arc;

use jiff::Timestamp;

use crate::{auth::Principal, routing::Route};

/// The permission to forward one request along one route. Only [`authorize`] makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    principal: Arc<Principal>,
    route: Route,
}

impl Grant {
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    pub fn route(&self) -> &Route {
        &self.route
    }
}

/// Why a principal may not take a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    #[error("the key has expired")]
    Expired,
}

/// # Errors
/// The rule that denies the request.
pub fn authorize(principal: Arc<Principal>, route: Route) -> Result<Grant, Denied> {
    authorize_at(Timestamp::now(), principal, route)
}

fn authorize_at(now: Timestamp, principal: Arc<Principal>, route: Route) -> Result<Grant, Denied> {
    if principal.expires_at.is_some_and(|at| at <= now) {
        return Err(Denied::Expired);
    }
    Ok(Grant { principal, route })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use jiff::SignedDuration;

    use super::*;
    use crate::{head, routing::Routes, settings::Settings};

    fn route() -> Route {
        let environment = [("MLFLOW_SERVER_URL".to_owned(), "http://mlflow".to_owned())];
        let settings = Settings::load(None, environment).unwrap();
        let request = TestRequest::with_uri("/api/2.0/mlflow/runs/get").insert_header(("host", "a"));
        let request = request.to_http_request();
        Routes::new(&settings.mlflow).resolve(head::inspect(request.head()).unwrap()).unwrap()
    }

    #[test]
    fn a_key_ends_at_the_second_of_its_expiry() {
        let at: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        let principal = Arc::new(Principal { expires_at: Some(at), ..Principal::default() });
        let before = at - SignedDuration::from_nanos(1);
        assert!(authorize_at(before, principal.clone(), route()).is_ok());
        assert_eq!(authorize_at(at, principal, route()).unwrap_err(), Denied::Expired);
    }

    #[test]
    fn a_key_without_expiry_has_none() {
        assert!(authorize_at(Timestamp::MAX, Arc::default(), route()).is_ok());
    }
}
