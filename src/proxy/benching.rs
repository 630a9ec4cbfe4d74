//! The two crossings of headers, each by itself; as [`Proxy::forward`] has them.

use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, http::header::HeaderMap};

use super::Proxy;
use crate::{client_ip::Client, policy::Grant, routing::Route};

impl Proxy {
    /// What MLflow is sent of a request's headers.
    pub fn headers_to_upstream(&self, request: &HttpRequest, grant: &Grant, client: Client) -> HeaderMap {
        let mut headers = HeaderMap::new();
        self.headers.to_upstream(request, grant, client, &self.mlflow.members()[0].host, &mut headers);
        headers
    }

    /// What the client is sent of a response's headers.
    pub fn headers_to_client(
        &self,
        headers: &HeaderMap,
        request: &HttpRequest,
        route: &Route,
    ) -> HttpResponseBuilder {
        let mut response = HttpResponse::Ok();
        self.headers.to_client(headers, &self.mlflow.members()[0], (request, route), &mut response);
        response
    }
}
