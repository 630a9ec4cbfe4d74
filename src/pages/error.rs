//! What a person sees of an error, for which programs get JSON.

use actix_web::HttpResponse;
use maud::html;

use super::sheet::{Framing, page};
use crate::{error::GatewayError, session::browser::Shown};

/// `response`, the one for programs, with a page as its body.
pub(crate) fn error(
    response: HttpResponse,
    error: &GatewayError,
    request_id: &str,
    shown: Shown,
) -> HttpResponse {
    let title = response.status().canonical_reason().unwrap_or("Error");
    let body = html! {
        h1 { (title) }
        p.wrong role="alert" { (error.message()) }
        @if shown == Shown::AsPage {
            nav { a href="/mlflow/" { "Open MLflow" } a href="/account" { "Your account" } }
        }
        dl {
            dt { "Reason" } dd { code { (error.reason().word()) } }
            dt { "Request" } dd { code { (request_id) } }
        }
    };
    let framing = match shown {
        Shown::AsPage => Framing::Nobody,
        Shown::InFrame => Framing::Anybody,
    };
    let (page, body) = page(response.status(), framing, title, &body).into_parts();
    let mut response = response.set_body(body);
    for (name, value) in page.headers() {
        response.headers_mut().insert(name.clone(), value.clone());
    }
    response
}
