//! The first step, and what a method that nobody uses is told.

use actix_web::dev::RequestHead;

use crate::{
    error::GatewayError,
    head::{self, HeadError, SoundHead},
    routing::{RouteError, Routes},
};

/// Inspects a head. A method that MLflow never uses is answered with those that the path has.
pub(crate) fn inspect<'a>(head: &'a RequestHead, routes: &Routes) -> Result<SoundHead<'a>, GatewayError> {
    head::inspect(head).map_err(|error| match error {
        HeadError::Method => {
            routes.methods(&head.uri).map_or(error.into(), |has| RouteError::Method(has).into())
        }
        _ => error.into(),
    })
}
