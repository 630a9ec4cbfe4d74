//! `Expect: 100-continue`: a client gets `100 Continue` only if its key is good (RFC 9110 §10.1.1).
//!
//! actix-http sends it before it calls the application, so the key is verified here first. For a refused key the application verifies
//! it again, for the response and the log line. That costs a second look into the caches, for requests with `Expect` only.

use std::rc::Rc;

use actix_http::{Request, Response};
use actix_service::{Service as _, ServiceFactory, fn_factory, fn_service};
use actix_web::{
    body::{BoxBody, MessageBody},
    dev::ServiceResponse,
    web::Data,
};

use crate::{connection::Connection, gateway::Gateway};

/// The service that actix-http calls before it sends `100 Continue`.
pub(super) fn verify_first<S, B>(
    gateway: Data<Gateway>,
    app: S,
) -> impl ServiceFactory<Request, Config = (), Response = Request, Error = Response<BoxBody>, InitError = ()>
where
    S: ServiceFactory<
            Request,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Response<BoxBody>,
            InitError = (),
        > + 'static,
    B: MessageBody + 'static,
{
    fn_factory(move || {
        let (starting, gateway) = (app.new_service(()), gateway.clone());
        async move {
            let app = Rc::new(starting.await?);
            Ok(fn_service(move |mut request: Request| {
                Connection::restore_target(&mut request);
                let (app, gateway) = (Rc::clone(&app), gateway.clone());
                async move {
                    // A connection that is not in flight could be evicted.
                    let connection = request.conn_data::<Rc<Connection>>();
                    let over_tls = connection.is_some_and(|connection| connection.is_secure());
                    let in_flight = connection.map(Connection::serve);
                    let client = gateway.client_of(request.head(), over_tls);
                    let identified = gateway.identify(request.head(), client, None).await;
                    drop(in_flight);
                    match identified {
                        Ok(_) => Ok(request),
                        Err(_) => Err(app.call(request).await?.map_into_boxed_body().into()),
                    }
                }
            }))
        }
    })
}
