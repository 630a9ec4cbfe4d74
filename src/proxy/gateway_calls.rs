//! Calls that the gateway makes for itself, to one given server: probes and checks.

use std::sync::Arc;

use actix_web::{
    body,
    body::MessageBody,
    http::{Method, uri::PathAndQuery},
    web::Bytes,
};
use awc::ClientResponse;

use super::{Proxy, ProxyError, balancer::Balancer};
use crate::{http_client::Reuse, upstream::Upstream};

impl Proxy {
    /// GETs `target` from a server, with the gateway's own credentials.
    ///
    /// # Errors
    /// As [`Proxy::forward`].
    pub(crate) async fn ask(
        &self,
        upstream: &Arc<Upstream>,
        target: &PathAndQuery,
    ) -> Result<ClientResponse, ProxyError> {
        self.send_own(upstream, &Method::GET, target, body::None::new()).await
    }

    /// Sends a request with a body of known length; an empty one is no body.
    ///
    /// # Errors
    /// As [`Proxy::forward`].
    pub(crate) async fn send_whole(
        &self,
        upstream: &Arc<Upstream>,
        method: &Method,
        target: &PathAndQuery,
        body: Bytes,
    ) -> Result<ClientResponse, ProxyError> {
        if body.is_empty() {
            return self.send_own(upstream, method, target, body::None::new()).await;
        }
        self.send_own(upstream, method, target, body).await
    }

    async fn send_own(
        &self,
        upstream: &Arc<Upstream>,
        method: &Method,
        target: &PathAndQuery,
        body: impl MessageBody + 'static,
    ) -> Result<ClientResponse, ProxyError> {
        let members = self.mlflow.members().iter().chain(self.artifacts.iter().flat_map(Balancer::members));
        let member = { members }.find(|member| Arc::ptr_eq(&member.upstream, upstream));
        let member = member.ok_or(ProxyError::Ejected)?;
        let host = self.headers.host(&member.host, None);
        let mut request = member.request(method, target, host, Reuse::Safe)?;
        self.headers.of_gateway(request.headers_mut());
        Ok(member.client.send(request, body).await?)
    }
}
