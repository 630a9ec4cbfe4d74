//! What stands around the walk: the middleware that takes it, the handler behind that, and refusals.

use std::{
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    sync::Arc,
};

use actix_web::{
    Error, FromRequest, HttpMessage as _, HttpRequest, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{Payload as RawPayload, ServiceRequest, ServiceResponse},
    error::InternalError,
    http::StatusCode,
    middleware::Next,
    web::{Data, Payload},
};
use futures_util::{FutureExt as _, TryFutureExt as _};

use super::{Decision, Gateway, overhear::Overheard, own_address, person, records};
use crate::{
    error::{self, GatewayError},
    exchange::Exchange,
    limits::Meter,
    policy::Grant,
    telemetry::Metrics,
    vocabulary::RouteLabel,
};

/// What the walk ends with, for [`forward`] to use once.
#[derive(Debug)]
pub struct Admitted {
    pub(super) grant: Grant,
    pub(super) meter: Meter,
    pub(super) exchange: Exchange,
}

/// The middleware around everything that is MLflow's: hands what is [`Admitted`] to [`forward`], or answers itself.
///
/// # Errors
/// Those of the handler; a refusal is a response.
pub async fn admit(
    gateway: Data<Gateway>,
    exchange: Exchange,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    exchange.set_route(RouteLabel::Unknown);
    match contained(gateway.metrics(), gateway.decide(&mut request, &exchange)).await {
        Ok(Decision { admitted, clearance, allowance }) => {
            exchange.set_endpoint(admitted.grant.route().pattern());
            let own = own_address::asked_for(request.headers(), exchange.client().ip);
            request.extensions_mut().insert(admitted);
            let changing = gateway.shared.ownership.forget_at_the_end(clearance.changes);
            let mut response = next.call(request).await?.map_into_boxed_body();
            drop(changing);
            if let (Some(lesson), StatusCode::OK) = (clearance.lesson, response.status()) {
                let shared = Arc::clone(&gateway.shared);
                response = response.map_body(|_, body| Overheard::new(body, lesson, shared).boxed());
            }
            if let Some(allowance) = allowance {
                error::tell_allowance(allowance, response.headers_mut());
            }
            own_address::tell(own, response.headers_mut());
            Ok(response)
        }
        Err(refusal) => {
            let response = refuse(&gateway, &refusal, request.request(), &exchange);
            Ok(request.into_response(response))
        }
    }
}

/// The handler behind [`admit`]: forwards, and answers with what MLflow answers.
pub async fn forward(
    Admitted { grant, meter, exchange }: Admitted,
    gateway: Data<Gateway>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let forwarding = gateway.proxy.forward(&grant, meter, &exchange, &request, payload);
    match contained(gateway.metrics(), forwarding.map_err(GatewayError::from)).await {
        Ok(response) => response,
        Err(error) => refuse(&gateway, &error, &request, &exchange),
    }
}

/// The response for an error: what the account of the request learns of it, and what a person's browser shows.
pub(super) fn refuse(
    gateway: &Gateway,
    error: &GatewayError,
    request: &HttpRequest,
    exchange: &Exchange,
) -> HttpResponse {
    exchange.set_reason(error.reason());
    exchange.set_key_state(error.key_state());
    // An outage in which nothing was to be changed is no refusal, and there can be many.
    if !exchange.has_record() && !error.reason().is_failure() {
        records::refusal(&gateway.shared.audit, request, exchange, &gateway.shared.resources.routes);
    }
    let response = error::respond(error, request);
    person::instead_of(response, gateway, error, request, exchange)
}

/// A panic is an error like others, and a count: without this the client would get no response at all.
fn contained<T>(
    metrics: &Metrics,
    work: impl Future<Output = Result<T, GatewayError>>,
) -> impl Future<Output = Result<T, GatewayError>> {
    AssertUnwindSafe(work).catch_unwind().map(|outcome| {
        outcome.unwrap_or_else(|_| {
            metrics.panicked();
            Err(GatewayError::Panicked)
        })
    })
}

/// What [`admit`] left for this request, taken away.
impl FromRequest for Admitted {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut RawPayload) -> Self::Future {
        let admitted = request.extensions_mut().remove::<Self>();
        ready(admitted.ok_or_else(|| {
            let response = error::respond(&GatewayError::Ungranted, request);
            InternalError::from_response(GatewayError::Ungranted, response).into()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[actix_rt::test]
    async fn a_panic_is_an_error_and_a_count() {
        let metrics = Metrics::new().unwrap();
        let outcome = contained::<()>(&metrics, async { panic!("on purpose") }).await;
        assert!(matches!(outcome, Err(GatewayError::Panicked)));
        assert!(metrics.encode().unwrap().contains("hokusai_gateway_panics_total 1"));
    }
}
