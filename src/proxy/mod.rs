//! The last step: the request to MLflow and its response back, both streamed, neither held.

mod deadlines;
mod download;
mod headers;
mod upload;

use std::{
    net::IpAddr,
    num::NonZeroU64,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse,
    error::{ParseError, PayloadError},
    http::{Method, StatusCode, Version, uri::PathAndQuery},
    web::Payload,
};
use awc::{
    ClientRequest, ClientResponse,
    body::{self, BodyStream, SizedStream},
    error::{ConnectError, SendRequestError},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::{
    connection::Connection,
    http_client::{Connections, HttpClient, Tls, TransportFault, transport_fault},
    limits::Meter,
    patience::Patience,
    policy::Grant,
    settings::{Mlflow, Settings},
    telemetry,
};
use deadlines::{Limits, Overdue, Progress, within};
use download::{Download, Held};
use upload::{Framing, Upload};

/// Why MLflow's response could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    #[error("no connection to MLflow became free in time")]
    Busy,
    #[error("MLflow could not be connected to: {0}")]
    Connect(String),
    #[error("MLflow {0}")]
    Closed(String),
    #[error("MLflow {0}")]
    Protocol(String),
    #[error("MLflow took too long {0}")]
    UpstreamTimeout(&'static str),
    #[error("the client stalled in the middle of its body")]
    ClientStalled,
    #[error("the client's body is larger than server.max_body")]
    BodyTooLarge,
    #[error("the client's body broke off: {0}")]
    ClientGone(String),
    #[error("the response has no length and the client speaks HTTP/1.0")]
    NeedsHttp11,
    #[error("{0}")]
    Internal(String),
}

/// The way to MLflow, one for each worker.
#[derive(Debug)]
pub struct Proxy {
    client: HttpClient,
    headers: headers::Rules,
    limits: Limits,
    client_patience: Patience,
    max_body: u64,
    queue_timeout: Duration,
    /// One permit for each connection that may be in use; held until the response's last byte.
    connections: Arc<Semaphore>,
}

impl Proxy {
    pub fn new(settings: &Settings, tls: Option<&Tls>) -> Self {
        let mlflow = &settings.mlflow;
        Self {
            client: upstream_client(mlflow, tls),
            headers: headers::Rules::new(mlflow, &settings.server.trusted_proxies),
            limits: Limits {
                upstream_idle: mlflow.idle_timeout,
                response: mlflow.connect_timeout + mlflow.response_timeout,
            },
            client_patience: Patience::new(
                settings.server.body_idle_timeout,
                settings.server.min_body_rate.get(),
            ),
            max_body: settings.server.max_body.map_or(u64::MAX, NonZeroU64::get),
            queue_timeout: mlflow.queue_timeout,
            connections: Arc::new(Semaphore::new(mlflow.max_connections.get())),
        }
    }

    /// Sends a granted request on, counts its bytes, and answers with MLflow's response, of which the body is still to come.
    ///
    /// # Errors
    /// When there is no response whose head can be passed on.
    pub async fn forward(
        &self,
        grant: &Grant,
        meter: Meter,
        client_ip: Option<IpAddr>,
        request: &HttpRequest,
        payload: Payload,
    ) -> Result<HttpResponse, ProxyError> {
        let framing = upload::framing(request);
        if matches!(framing, Framing::Length(length) if length > self.max_body) {
            return Err(ProxyError::BodyTooLarge);
        }
        let permit = timeout(self.queue_timeout, Arc::clone(&self.connections).acquire_owned());
        let permit = permit.await.ok().and_then(Result::ok).ok_or(ProxyError::Busy)?;

        let mut upstream = self.client.request(request.method().clone(), grant.route().target().clone());
        self.headers.to_upstream(request, grant, client_ip, upstream.headers_mut());

        let started = Instant::now();
        let response = self.exchange(upstream, request, framing, payload, meter.clone()).await?;
        tracing::Span::current().record("upstream_ms", telemetry::milliseconds(started));

        let body = download::framing(request.method(), &response);
        if body == download::Framing::Chunked && request.version() < Version::HTTP_11 {
            // HTTP/1.0 would end the body with the connection, and a truncated one would look whole.
            return Err(ProxyError::NeedsHttp11);
        }
        let under_way = Connection::of(request).map(Connection::serve);
        Ok(self.response(body, response, (permit, under_way), meter))
    }

    /// Asks MLflow for `target` on the gateway's own account, as requests go; the response's body is not read.
    ///
    /// # Errors
    /// As [`Proxy::forward`].
    pub(crate) async fn probe(&self, target: PathAndQuery) -> Result<StatusCode, ProxyError> {
        let mut request = self.client.request(Method::GET, target);
        self.headers.of_gateway(request.headers_mut());
        let response = request.send_body(body::None::new()).await.map_err(failed)?;
        Ok(response.status())
    }

    /// Sends the request and its body, and waits for the response's head.
    async fn exchange(
        &self,
        upstream: ClientRequest,
        request: &HttpRequest,
        framing: Framing,
        payload: Payload,
        meter: Meter,
    ) -> Result<ClientResponse, ProxyError> {
        let progress = Rc::new(Progress::new(Overdue::Response, self.client_patience));
        let connection = Connection::of(request).cloned();
        let upload = Upload::new(payload, Rc::clone(&progress), connection, self.max_body, meter);
        let sending = match framing {
            Framing::None => upstream.send_body(body::None::new()),
            Framing::Length(length) => upstream.send_body(SizedStream::new(length, upload)),
            Framing::Chunked => upstream.send_body(BodyStream::new(upload)),
        };
        within(self.limits, &progress, sending).await.map_err(overdue)?.map_err(failed)
    }

    fn response(
        &self,
        framing: download::Framing,
        mut upstream: ClientResponse,
        held: Held,
        meter: Meter,
    ) -> HttpResponse {
        let mut response = HttpResponse::build(upstream.status());
        headers::to_client(upstream.headers(), &mut response);
        let body = Download::new(upstream.take_payload(), self.limits.upstream_idle, held, meter);
        download::attach(framing, response, body)
    }
}

fn upstream_client(mlflow: &Mlflow, tls: Option<&Tls>) -> HttpClient {
    let connections = Connections {
        connect_timeout: mlflow.connect_timeout,
        keep_alive: mlflow.keep_alive,
        // As many as there are permits: awc's own queue has no deadline, so nothing may ever wait there.
        limit: mlflow.max_connections.get(),
    };
    HttpClient::new(&mlflow.url, tls, connections)
}

fn overdue(awaited: Overdue) -> ProxyError {
    match awaited {
        Overdue::Client => ProxyError::ClientStalled,
        Overdue::UpstreamWrite => ProxyError::UpstreamTimeout("to take the request's body"),
        Overdue::Response => ProxyError::UpstreamTimeout("to answer"),
    }
}

fn failed(error: SendRequestError) -> ProxyError {
    match transport_fault(&error) {
        Some(fault @ (TransportFault::ClosedBeforeHead | TransportFault::ClosedInResponse)) => {
            return ProxyError::Closed(fault.to_string());
        }
        Some(fault) => return ProxyError::Protocol(fault.to_string()),
        None => {}
    }
    match error {
        SendRequestError::Connect(ConnectError::Disconnected) => {
            ProxyError::Closed("closed the connection".to_owned())
        }
        SendRequestError::Connect(error) => ProxyError::Connect(error.to_string()),
        SendRequestError::Send(error) | SendRequestError::Response(ParseError::Io(error)) => {
            ProxyError::Closed(format!("broke the connection: {error}"))
        }
        SendRequestError::Response(error) => ProxyError::Protocol(format!("sent a bad response: {error}")),
        SendRequestError::Body(error) => match error.downcast_ref() {
            Some(PayloadError::Overflow) => ProxyError::BodyTooLarge,
            _ => ProxyError::ClientGone(error.to_string()),
        },
        error => ProxyError::Internal(error.to_string()),
    }
}
