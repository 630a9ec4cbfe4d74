//! What the gateway itself has for a person with a browser: logging in and out, the account, the way to MLflow's pages, and
//! what is shown in place of errors about credentials.

use std::sync::Arc;

use actix_web::dev::RequestHead;
use jiff::Timestamp;

use super::Gateway;
use crate::{
    auth::Principal,
    client_ip::Client,
    credentials::{self, Credential, CredentialError},
    error::GatewayError,
    exchange::Exchange,
    policy,
    session::Carried,
};

mod account;
mod home;
mod login;
mod refusal;
mod sign_on;

pub use account::account;
pub use home::{home, with_slash};
pub use login::{log_in, log_out, login};
pub(super) use refusal::instead_of;
pub use sign_on::{callback, sign_on};

impl Gateway {
    /// The key in a header, else that or the person of the browser's session.
    pub(super) fn credential(
        &self,
        head: &RequestHead,
        client: Client,
    ) -> Result<Credential, CredentialError> {
        credentials::extract(head.headers()).or_else(|error| match (error, &self.shared.sessions) {
            (CredentialError::Missing, Some(sessions)) => match sessions.read(client, head.headers()) {
                Carried::Key(credential) => Ok(credential),
                Carried::Person(person) => Ok(Credential::of_person(person)),
                _ => Err(error),
            },
            _ => Err(error),
        })
    }

    /// Who has a key that is in force, whatever it may do.
    async fn holder(
        &self,
        credential: &Credential,
        exchange: &Exchange,
    ) -> Result<Arc<Principal>, GatewayError> {
        let principal = self.authenticate(credential, exchange.client(), Some(exchange)).await?;
        let sent_as = credential.source();
        policy::must_be_in_force(Timestamp::now(), &principal)
            .map_err(|error| GatewayError::Denied { error, sent_as })?;
        Ok(principal)
    }
}
