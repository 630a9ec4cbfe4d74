//! `Expect: 100-continue`: a client is told to go on only when its request would be admitted (RFC 9110 §10.1.1).
//!
//! actix-http sends the `100 Continue` before it calls the application, so the decision is asked for beforehand. One
//! that says no is taken again by the application, for the response and its line in the log: it costs a look into the
//! caches twice, and only those who send `Expect`.

use std::rc::Rc;

use actix_http::{Request, Response};
use actix_service::{Service as _, ServiceFactory, fn_factory, fn_service};
use actix_web::{
    body::{BoxBody, MessageBody},
    dev::ServiceResponse,
    web::Data,
};

use crate::{connection::Connection, gateway::Gateway};

/// The service that actix-http asks before it says `100 Continue`.
pub(super) fn decided_first<S, B>(
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
                Connection::put_target_back(&mut request);
                let (app, gateway) = (Rc::clone(&app), gateway.clone());
                async move {
                    // Not idle: it would be the first to go for a new connection.
                    let being_served = request.conn_data::<Rc<Connection>>().map(Connection::serve);
                    let client_ip = gateway.client_of(request.head(), false).ip;
                    let identified = gateway.identify(request.head(), client_ip, None).await;
                    drop(being_served);
                    match identified {
                        Ok(_) => Ok(request),
                        Err(_) => Err(app.call(request).await?.map_into_boxed_body().into()),
                    }
                }
            }))
        }
    })
}
