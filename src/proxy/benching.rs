//! The two crossings of a head, each by itself; as [`Proxy::forward`] has them.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header::HeaderMap};
use awc::ClientRequest;

use super::{Proxy, ProxyError};
use crate::{exchange::Exchange, http_client::Reuse, policy::Grant, routing::Route};

impl Proxy {
    /// The request that awc is given.
    ///
    /// # Errors
    /// None.
    pub fn head_to_upstream(
        &self,
        request: &HttpRequest,
        grant: &Grant,
        exchange: &Exchange,
    ) -> Result<ClientRequest, ProxyError> {
        let member = &self.mlflow.members()[0];
        let host = self.headers.host(&member.host, Some(request.headers()));
        let mut head = member.request(request.method(), grant.route().target(), host, Reuse::Any)?;
        self.headers.to_upstream(request, grant, exchange, false, head.headers_mut());
        Ok(head)
    }

    /// The head that the client is sent for these headers of MLflow's.
    pub fn head_to_client(
        &self,
        received: &HeaderMap,
        request: &HttpRequest,
        route: &Route,
    ) -> HttpResponseBuilder {
        let mut response = HttpResponse::Ok();
        self.headers.to_client(received, &self.mlflow.members()[0], (request, route), &mut response);
        response
    }
}
