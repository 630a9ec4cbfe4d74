//! Requests on the gateway's own account, to one server and not to whichever has least to do.

use std::sync::Arc;

use actix_web::{
    error::PayloadError,
    http::{Method, uri::PathAndQuery},
    web::Bytes,
};
use futures_util::stream;

use super::{
    Proxy, ProxyError,
    error::failed,
    pool::{Member, Pool},
};
use crate::{
    http_client::{Body, Request, Response},
    upstream::Upstream,
};

impl Proxy {
    /// Asks a server for `target` on the gateway's own account, as requests go.
    ///
    /// # Errors
    /// As [`Proxy::forward`].
    pub(crate) async fn ask(
        &self,
        upstream: &Arc<Upstream>,
        target: &PathAndQuery,
    ) -> Result<Response, ProxyError> {
        let (member, mut request) = self.own(upstream, &Method::GET, target)?;
        self.headers.of_gateway(&mut request);
        member.origin.send(request, Body::none()).await.map_err(failed)
    }

    /// The same with a body, which is sent whole.
    ///
    /// # Errors
    /// As [`Proxy::forward`].
    pub(crate) async fn send_whole(
        &self,
        upstream: &Arc<Upstream>,
        method: &Method,
        target: &PathAndQuery,
        body: Bytes,
    ) -> Result<Response, ProxyError> {
        let (member, mut request) = self.own(upstream, method, target)?;
        self.headers.of_gateway(&mut request);
        let pieces = stream::iter([Ok::<_, PayloadError>(body.clone())]);
        let body = if body.is_empty() { Body::None } else { Body::Length(body.len() as u64, pieces) };
        member.origin.send(request, body).await.map_err(failed)
    }

    /// A request of the gateway's own to a server, without its credentials.
    fn own(
        &self,
        upstream: &Arc<Upstream>,
        method: &Method,
        target: &PathAndQuery,
    ) -> Result<(&Member, Request), ProxyError> {
        let members = self.mlflow.members().iter().chain(self.artifacts.iter().flat_map(Pool::members));
        let member = { members }.find(|member| Arc::ptr_eq(&member.upstream, upstream));
        let member = member.ok_or(ProxyError::Ejected)?;
        let host = self.headers.host(&member.host, None);
        Ok((member, member.request(method, target, host)))
    }
}
