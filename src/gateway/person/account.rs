//! `/account`: who the sender is, and what the key may do.

use actix_web::{HttpRequest, HttpResponse, http::header::CACHE_CONTROL, web::Data};

use crate::{
    exchange::Exchange,
    gateway::{Gateway, admit::refuse},
    pages::{self, Account},
    policy,
    session::{self, browser},
};

/// `GET /account`: a page for a person, JSON for a program.
pub async fn account(gateway: Data<Gateway>, exchange: Exchange, request: HttpRequest) -> HttpResponse {
    let (head, client) = (request.head(), exchange.client());
    let holder = match gateway.credential(head, client) {
        Ok(credential) => gateway.holder(&credential, &exchange).await.map(|holder| (holder, credential)),
        Err(error) => Err(error.into()),
    };
    let (principal, credential) = match holder {
        Ok(holder) => holder,
        Err(error) => return refuse(&gateway, &error, &request, &exchange),
    };
    let live = gateway.shared.live.load();
    let account = Account {
        principal: &principal,
        issuer: credential.key().err().map(|person| person.issuer.as_str()),
        may: policy::classes_of(&live.policy, &principal),
        limits: gateway.shared.limiter.left(&principal),
    };
    match browser::opens(head) {
        Some(_) => {
            let address = session::own_address(head, client, gateway.is_host_told(head));
            pages::account(&account, &address.unwrap_or_default())
        }
        None => HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(account),
    }
}
