//! Calls that the gateway makes for itself, to one given server: probes and checks.

use std::sync::Arc;

use actix_web::{
    body::{self, BoxBody, MessageBody as _},
    http::{Method, uri::PathAndQuery},
    web::Bytes,
};
use awc::ClientResponse;

use super::{Proxy, ProxyError, balancer::Balancer};
use crate::{http_client::Reuse, upstream::Upstream};

impl Proxy {
    /// Sends a server a request with the gateway's own credentials. An empty body is no body.
    ///
    /// # Errors
    /// As [`Proxy::forward`].
    pub(crate) async fn ask(
        &self,
        upstream: &Arc<Upstream>,
        method: &Method,
        target: &PathAndQuery,
        body: Bytes,
    ) -> Result<ClientResponse, ProxyError> {
        let members = self.mlflow.members().iter().chain(self.artifacts.iter().flat_map(Balancer::members));
        let member = { members }.find(|member| Arc::ptr_eq(&member.upstream, upstream));
        let member = member.ok_or(ProxyError::Ejected)?;
        let host = self.headers.host(&member.host, None);
        let mut request = member.request(method, target, host, Reuse::Safe)?;
        self.headers.of_gateway(request.headers_mut());
        let body = if body.is_empty() { body::None::new().boxed() } else { BoxBody::new(body) };
        Ok(member.client.send(request, body).await?)
    }
}
