//! The last step: the request to MLflow and its response back, both streamed, neither buffered.

mod balancer;
#[cfg(feature = "bench")]
mod benching;
mod browsers;
mod caching;
mod deadlines;
mod direct_transfer;
mod egress;
mod error;
mod fair_queue;
mod gateway_calls;
mod headers;
mod http10;
mod lookup;
mod redaction;
mod request_body;
mod response_body;
mod retry;

use std::{cell::Cell, num::NonZeroU64, pin::pin, rc::Rc, sync::Arc, time::Instant};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::{self, BodyStream, SizedStream},
    http::{Method, header::HeaderMap},
    web::Payload,
};
use awc::ClientResponse;
use tokio::time::timeout;
use tracing::{Instrument as _, Span};

use crate::{
    connection::Connection,
    exchange::Exchange,
    http_client::{Reuse, Tls},
    limits::Meter,
    policy::Grant,
    settings::{DirectArtifacts, Settings},
    stall_budget::StallBudget,
    telemetry::spans,
    under_way::Lane,
    upstream::{ProbeTarget, UpstreamPool},
    vocabulary::UpstreamOutcome,
};
use balancer::{Balancer, Lease};
pub(crate) use caching::VARYING;
use deadlines::{Progress, Timeouts, WaitingFor, within};
pub(crate) use direct_transfer::denied as denied_direct_transfer;
use error::Late;
pub use error::ProxyError;
use fair_queue::Turn;
pub(crate) use headers::is_named_by_connection;
use redaction::Redaction;
use request_body::{RequestBody, RequestFraming};
use response_body::ResponseBody;
use retry::{is_repeatable, may_retry};

/// One worker's way to MLflow.
#[derive(Debug)]
pub struct Proxy {
    mlflow: Balancer,
    /// Only where artifacts have servers of their own.
    artifacts: Option<Balancer>,
    headers: headers::HeaderRules,
    /// The path below which MLflow's API is.
    api_root: String,
    denies_direct: bool,
    timeouts: Timeouts,
    client_stall_budget: StallBudget,
    max_body: u64,
}

/// A request on its way to MLflow.
#[derive(Debug, Clone, Copy)]
struct Forwarded<'a> {
    grant: &'a Grant,
    request: &'a HttpRequest,
    framing: RequestFraming,
    meter: &'a Meter,
    exchange: &'a Exchange,
}

impl Proxy {
    pub(crate) fn new(settings: &Settings, upstreams: &UpstreamPool, tls: Option<&Tls>) -> Self {
        let (mlflow, server) = (&settings.mlflow, &settings.server);
        let apart = upstreams.has_artifact_servers();
        Self {
            mlflow: Balancer::new(&upstreams.mlflow, mlflow, tls, true),
            artifacts: apart.then(|| Balancer::new(&upstreams.artifacts, mlflow, tls, false)),
            headers: headers::HeaderRules::new(mlflow),
            api_root: ProbeTarget::api_root(mlflow),
            denies_direct: mlflow.direct_artifacts == DirectArtifacts::Deny,
            timeouts: Timeouts {
                upstream_idle: mlflow.idle_timeout,
                response: mlflow.connect_timeout + mlflow.response_timeout,
            },
            client_stall_budget: StallBudget::new(server.body_idle_timeout, server.min_body_rate.get()),
            max_body: server.max_body.map_or(u64::MAX, NonZeroU64::get),
        }
    }

    /// Refuses a body by its length, before it is read.
    ///
    /// # Errors
    /// A body that is too large.
    pub(crate) fn accept_length(&self, headers: &HeaderMap) -> Result<(), ProxyError> {
        match request_body::framing(headers) {
            RequestFraming::Length(length) if length > self.max_body => Err(ProxyError::BodyTooLarge),
            _ => Ok(()),
        }
    }

    /// Forwards a granted request, counts its bytes, and returns MLflow's response, whose body is still to come.
    ///
    /// # Errors
    /// No response, or one that cannot be passed on.
    pub async fn forward(
        &self,
        grant: &Grant,
        meter: Meter,
        exchange: &Exchange,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<HttpResponse, ProxyError> {
        let rule = grant.route().rule();
        if self.denies_direct
            && let Some(denied) = direct_transfer::denied(rule)
        {
            return Err(denied);
        }
        let framing = request_body::framing(request.headers());
        let forwarded = Forwarded { grant, request, framing, meter: &meter, exchange };
        let pool =
            self.artifacts.as_ref().filter(|_| grant.route().is_artifact_stores()).unwrap_or(&self.mlflow);
        let body = Rc::new(Cell::new(Some(payload)));

        let began = Instant::now();
        let lane = if rule.moves_artifacts() { Lane::Artifacts } else { Lane::Requests };
        let turn = Turn { owner: grant.principal().counted_as(), lane };
        let lease = pool.lease(turn, None).await;
        exchange.waited(began.elapsed());
        let lease = lease?;
        let call = self.call(&lease, forwarded, &body, Try::First).instrument(spans::call_to_mlflow());
        let (lease, response) = match call.await {
            Ok(response) => (lease, response),
            Err(error) if may_retry(&error, pool, &lease, forwarded, &body) => {
                tracing::debug!(%error, "trying once more");
                let tried = Arc::clone(&lease.member.upstream);
                drop(lease);
                let lease = pool.lease(turn, Some(&tried)).await?;
                let is_counted = error.counts_against_server() && Arc::ptr_eq(&tried, &lease.member.upstream);
                let again = self.call(&lease, forwarded, &body, Try::Again { is_counted });
                let response = again.instrument(spans::call_to_mlflow()).await?;
                (lease, response)
            }
            Err(error) => return Err(error),
        };

        let has_body = request.method() != Method::HEAD && response.status().is_success();
        let redaction = Redaction::of(grant, self.denies_direct).filter(|_| has_body);
        if let Some(redaction) = redaction {
            let mut head = HttpResponse::build(response.status());
            self.headers.to_client(response.headers(), lease.member, (request, grant.route()), &mut head);
            let rewriting = timeout(self.timeouts.upstream_idle, redaction.apply(response, head));
            return rewriting.await.map_err(|_| ProxyError::UpstreamTimeout(Late::ContinueBody))?;
        }
        let framing = response_body::framing(request.method(), &response);
        let (head, body) = self.response(framing, response, lease, forwarded);
        if http10::lacks_length(framing, request) {
            return Box::pin(http10::attach(head, body, Connection::of(request))).await;
        }
        Ok(response_body::attach(framing, head, body))
    }

    /// Sends the request and its body, and waits for the response's head.
    async fn call(
        &self,
        lease: &Lease<'_>,
        forwarded: Forwarded<'_>,
        body: &Rc<Cell<Option<Payload>>>,
        which: Try,
    ) -> Result<ClientResponse, ProxyError> {
        let Forwarded { grant, request, framing, meter, exchange } = forwarded;
        let (member, started) = (lease.member, Instant::now());
        // On these routes MLflow calls itself at the host of the request (mlflow/server/asgi_utils.py), with what its guardrails check.
        let may_name_host = !grant.route().calls_out();
        let host = self.headers.host(&member.host, may_name_host.then(|| request.headers()));
        let reuse = match which {
            Try::Again { .. } => Reuse::Never,
            Try::First if is_repeatable(forwarded) => Reuse::Any,
            Try::First => Reuse::Safe,
        };
        let mut upstream = member.request(request.method(), grant.route().target(), host, reuse)?;
        // The response is read here: it must not be compressed.
        let plain = Redaction::of(grant, self.denies_direct).is_some();
        self.headers.to_upstream(request, grant, exchange, plain, upstream.headers_mut());

        let progress = Rc::new(Progress::new(WaitingFor::Response, self.client_stall_budget));
        let connection = Connection::of(request).cloned();
        let upload = RequestBody::new(
            Rc::clone(body),
            Rc::clone(&progress),
            connection,
            self.max_body,
            meter.clone(),
            exchange.clone(),
        );
        let sending = pin!(match framing {
            RequestFraming::None => member.client.send(upstream, body::None::new()),
            RequestFraming::Length(length) => member.client.send(upstream, SizedStream::new(length, upload)),
            RequestFraming::Chunked => member.client.send(upstream, BodyStream::new(upload)),
        });
        let mut calling = Calling { exchange, started, outcome: UpstreamOutcome::ClientAborted };
        let outcome = within(self.timeouts, &progress, sending).await.map_err(ProxyError::from);
        let outcome = outcome.and_then(|sent| Ok(sent?));
        calling.outcome = match &outcome {
            Ok(response) if response.status().is_server_error() => UpstreamOutcome::ErrorStatus,
            Ok(_) => UpstreamOutcome::Ok,
            Err(error) => error.outcome(),
        };
        if calling.outcome != UpstreamOutcome::Ok {
            spans::failed(&Span::current());
        }
        drop(calling);
        match &outcome {
            Ok(_) => member.upstream.record_success(),
            Err(error) if error.counts_against_server() && which != (Try::Again { is_counted: true }) => {
                member.upstream.record_failure();
            }
            Err(_) => {}
        }
        outcome
    }

    fn response(
        &self,
        framing: response_body::ResponseFraming,
        upstream: ClientResponse,
        lease: Lease<'_>,
        Forwarded { grant, request, meter, exchange, .. }: Forwarded<'_>,
    ) -> (HttpResponseBuilder, ResponseBody) {
        let mut response = HttpResponse::build(upstream.status());
        self.headers.to_client(upstream.headers(), lease.member, (request, grant.route()), &mut response);
        let expected = response_body::expected(framing, request.method());
        let held = (lease.held, Connection::of(request).map(Connection::serve));
        let body = ResponseBody::new(
            upstream,
            self.timeouts.upstream_idle,
            held,
            meter.clone(),
            exchange.clone(),
            expected,
        );
        (response, body)
    }
}

/// Which try of a request it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Try {
    First,
    /// On a connection of its own. `is_counted`: the first one counts as this server's failure already.
    Again {
        is_counted: bool,
    },
}

/// Reports a call to MLflow however it ends: if this is dropped early, the client was gone.
struct Calling<'a> {
    exchange: &'a Exchange,
    started: Instant,
    outcome: UpstreamOutcome,
}

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.exchange.upstream_called(self.outcome, self.started.elapsed());
    }
}
