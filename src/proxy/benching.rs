//! The two crossings of a head, each by itself; as [`Proxy::forward`] has them.

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    web::{Bytes, BytesMut},
};

use super::{Body, Proxy};
use crate::{exchange::Exchange, http_client::ResponseHead, policy::Grant, routing::Route};

impl Proxy {
    /// The head that MLflow is sent, as bytes.
    pub fn head_to_upstream(&self, request: &HttpRequest, grant: &Grant, exchange: &Exchange) -> Bytes {
        let member = &self.mlflow.members()[0];
        let host = self.headers.host(&member.host, Some(request.headers()));
        let mut head = member.request(request.method(), grant.route().target(), host);
        self.headers.to_upstream(request, grant, exchange, false, &mut head);
        head.into_bytes(&Body::none()).freeze()
    }

    /// The head that the client is sent, of the bytes that came from MLflow; `None` of half of them.
    pub fn head_to_client(
        &self,
        received: &[u8],
        request: &HttpRequest,
        route: &Route,
    ) -> Option<HttpResponseBuilder> {
        let head = ResponseHead::take(&mut BytesMut::from(received), false).ok()??;
        let mut response = HttpResponse::build(head.status);
        self.headers.to_client(&head, &self.mlflow.members()[0], (request, route), &mut response);
        Some(response)
    }
}
