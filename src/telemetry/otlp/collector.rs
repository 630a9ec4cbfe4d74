//! The way to the collector: OpenTelemetry's exporter may be used on any thread, our client on one.

use actix_web::http::{Method, header::CONTENT_TYPE, uri::PathAndQuery};
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use url::Url;

use super::DEADLINE;
use crate::{
    code::Code,
    http_client::{Connections, HttpClient, Reuse, Tls},
};

/// An encoded batch, and where the collector's answer goes.
pub(super) type Post = (Request<Bytes>, oneshot::Sender<Result<Response<Bytes>, HttpError>>);

/// The exporter's client: hands each batch to the actor.
#[derive(Debug)]
pub(super) struct ByActor(pub(super) mpsc::Sender<Post>);

#[async_trait::async_trait]
impl opentelemetry_http::HttpClient for ByActor {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (answer, answered) = oneshot::channel();
        self.0.send((request, answer)).await?;
        answered.await?
    }
}

/// The actor's client.
pub(super) struct Collector {
    client: HttpClient,
    target: PathAndQuery,
}

impl Collector {
    pub(super) fn new(endpoint: &Url, tls: Option<&Tls>) -> Self {
        let connections = Connections { connect_timeout: DEADLINE, keep_alive: DEADLINE, limit: 2 };
        let path = PathAndQuery::try_from(target(endpoint).path());
        Self {
            client: HttpClient::new(endpoint, tls, connections),
            target: path.unwrap_or_else(|_| PathAndQuery::from_static("/v1/traces")),
        }
    }

    /// Logs why a batch is lost.
    pub(super) async fn post(&self, body: Bytes) -> Result<Response<Bytes>, HttpError> {
        let request = self.client.request(Method::POST, self.target.clone(), Reuse::Safe);
        let request = request.insert_header((CONTENT_TYPE, "application/x-protobuf"));
        match timeout(DEADLINE, self.client.send(request, body)).await {
            Ok(Ok(response)) => {
                let status = response.status().as_u16();
                if !response.status().is_success() {
                    tracing::warn!(
                        code = Code::SpansRefused.text(),
                        status,
                        "the collector refused spans; they are lost"
                    );
                }
                Ok(Response::builder().status(status).body(Bytes::new())?)
            }
            Ok(Err(error)) => {
                tracing::warn!(code = Code::SpansRefused.text(), %error, "spans could not be sent to the collector; they are lost");
                Err(error.to_string().into())
            }
            Err(late) => {
                tracing::warn!(
                    code = Code::SpansRefused.text(),
                    "the collector did not take spans in time; they are lost"
                );
                Err(late.into())
            }
        }
    }
}

/// `/v1/traces` behind the endpoint's path.
pub(super) fn target(endpoint: &Url) -> Url {
    let mut target = endpoint.clone();
    target.set_path(&format!("{}/v1/traces", endpoint.path().trim_end_matches('/')));
    target
}
