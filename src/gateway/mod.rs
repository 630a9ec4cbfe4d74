//! The request function: the whole walk of a request, in one place.
//!
//! [`admit`] is the only middleware that decides, [`forward`] the only handler behind it. A step that is left out
//! does not compile, for the next one has nothing to work on.

mod admit;
mod no_request;
mod observe;
mod overhear;
mod own_address;
mod ownership;
mod person;
mod preview;
mod records;
mod shared;
mod sound;

use std::{rc::Rc, sync::Arc, time::Instant};

use actix_web::{
    HttpMessage as _, HttpRequest,
    dev::{RequestHead, ServiceRequest},
    http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING},
};

pub use admit::{Admitted, admit, forward};
pub use observe::{connection, exchange};
pub(crate) use ownership::Findings;
use ownership::{Asker, OwnershipCheck};
pub use person::{account, callback, home, log_in, log_out, login, sign_on, with_slash};
pub(crate) use preview::{Preview, needs_body, preview};
pub use shared::Shared;
pub(crate) use sound::inspect;

use crate::{
    auth::{AuthError, Authenticator, KeySource, Principal},
    client_ip::{Client, Proxies},
    code::Code,
    connection::Connection,
    credentials::{Credential, CredentialError},
    error::GatewayError,
    exchange::{Caller, Exchange, Sinks},
    health::Health,
    http1,
    limits::{Admission, Allowance},
    ownership::Clearance,
    policy::{self, Grant, body::CheckedBody},
    proxy::Proxy,
    routing::{Reach, RouteError},
    session::{self, CrossOrigin},
    settings::Live,
    stall_budget::StallBudget,
    telemetry::{Metrics, WorkerMetrics},
    upstream::{HealthIssue, UpstreamPool},
    usage::UsageReports,
};

/// What a worker has: the shared state, and clients of its own. The only application data.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    sinks: Rc<Sinks>,
    authenticator: Authenticator,
    proxy: Rc<Proxy>,
}

/// What the walk of a request ends with.
struct Decision {
    admitted: Admitted,
    clearance: Clearance,
    allowance: Option<Allowance>,
}

impl Gateway {
    pub fn new(shared: Arc<Shared>) -> Self {
        let resources = &shared.resources;
        let authenticator =
            Authenticator::new(&resources.keys, resources.issuers.as_ref(), resources.auth_tls.as_ref());
        let proxy = Rc::new(Proxy::new(&shared.settings, &shared.upstreams, resources.mlflow_tls.as_ref()));
        let sinks = Rc::new(Sinks {
            metrics: WorkerMetrics::new(resources.metrics.clone()),
            log: resources.log.clone(),
            audit: shared.audit.clone(),
            usage: shared.usage.as_ref().map(UsageReports::worker),
            drain: Arc::clone(&shared.drain),
        });
        Self { shared, sinks, authenticator, proxy }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn health(&self) -> &Health {
        &self.shared.health
    }

    pub(crate) fn upstreams(&self) -> &UpstreamPool {
        &self.shared.upstreams
    }

    /// That the key file as it stands is not in force, where it is not.
    pub(crate) fn keys_not_reloaded(&self) -> Option<HealthIssue> {
        match &self.shared.resources.keys {
            KeySource::File(keys) => {
                keys.reload_failure().map(|what| HealthIssue { code: Code::KeyFileNotReloaded, what })
            }
            KeySource::Service(_) => None,
        }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        self.sinks.metrics.shared()
    }

    /// Differs between two processes whose settings, secrets apart, differ.
    pub(crate) fn config_hash(&self) -> &str {
        &self.shared.config_hash
    }

    /// Who sent a request, and whether over TLS: to us, or as trusted proxies say, to them.
    fn client(&self, request: &HttpRequest) -> Client {
        let over_tls = Connection::of(request).is_some_and(|connection| connection.is_secure());
        self.client_of(request.head(), over_tls)
    }

    pub(crate) fn client_of(&self, head: &RequestHead, over_tls: bool) -> Client {
        let live = self.shared.live.load();
        match head.peer_addr {
            Some(peer) => proxies(&live).client(peer.ip(), over_tls, head.headers()),
            None => Client { ip: None, secure: over_tls },
        }
    }

    /// The walk of a request, down to the permission to forward it.
    async fn decide(
        &self,
        request: &mut ServiceRequest,
        exchange: &Exchange,
    ) -> Result<Decision, GatewayError> {
        if Connection::of(request.request()).is_some_and(|connection| connection.had_fragment()) {
            return Err(RouteError::BadPath("has a fragment").into());
        }
        let grant = self.identify(request.head(), exchange.client(), Some(exchange)).await?;
        let Admission { allowance, place, meter } = self.shared.limiter.admit(&grant).await?;
        exchange.hold(place);
        self.proxy.accept_length(request.headers())?;
        let began = Instant::now();
        let (live, server) = (self.shared.live.load_full(), &self.shared.settings.server);
        let stall_budget = StallBudget::new(server.body_idle_timeout, server.min_body_rate.get());
        let (payload, connection) = (request.take_payload(), Connection::of(request.request()));
        let connection = connection.map(Rc::as_ref);
        let mut checked = policy::body::check(
            &live.policy,
            &grant,
            request.head(),
            payload,
            connection,
            stall_budget,
            &self.shared.body_memory,
        )
        .await?;
        exchange.waited(began.elapsed());
        let asked = Instant::now();
        let mut findings = Findings::default();
        let check = OwnershipCheck {
            ownership: &self.shared.ownership,
            mlflow: &Asker(Rc::clone(&self.proxy), Arc::clone(grant.principal())),
            policy: &live.policy,
            grant: &grant,
            head: request.head(),
        };
        let cleared = check.run(&mut checked, &mut findings).await;
        exchange.waited(asked.elapsed());
        if cleared.is_err() && self.shared.audit.is_kept() {
            let body = checked.value.as_ref();
            exchange.set_about(records::about(request.headers(), grant.route(), &findings, body));
        }
        let clearance = cleared?;
        let CheckedBody { payload, length, class, value, is_decompressed, models, .. } = checked;
        if is_decompressed {
            request.headers_mut().remove(CONTENT_ENCODING);
        }
        if let Some(length) = length
            && http1::content_length(request.headers()) != Some(length as u64)
        {
            // MLflow takes a chunked body for an empty one: what was checked is what it is to read.
            request.headers_mut().remove(TRANSFER_ENCODING);
            request.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        request.set_payload(payload);
        let rule = grant.route().rule();
        let class = class.unwrap_or(rule.class);
        exchange.set_route(class);
        if !class.is_read() || rule.reach == Reach::PastGateway {
            let (audit, request, route) = (&self.shared.audit, request.request(), grant.route());
            records::change(audit, request, exchange, route, findings, value).await?;
        }
        // Behind the record, which wants what was parsed: that is not kept while MLflow is waited for.
        self.proxy.look_up(&grant, &models).await?;
        let admitted = Admitted { grant, meter, exchange: exchange.clone() };
        Ok(Decision { admitted, clearance, allowance })
    }

    /// All of it that can be done twice; what is learned goes into the exchange, if there is one yet.
    pub(crate) async fn identify(
        &self,
        head: &RequestHead,
        client: Client,
        exchange: Option<&Exchange>,
    ) -> Result<Grant, GatewayError> {
        let routes = &self.shared.resources.routes;
        let sound = inspect(head, routes)?;
        let route = routes.resolve(sound)?;
        if let Some(exchange) = exchange {
            exchange.set_route(route.class());
        }
        let credential = self.credential(head, client)?;
        // MLflow passes the query on, too.
        if route.calls_out() && credential.is_in(route.target()) {
            return Err(CredentialError::Ambiguous.into());
        }
        let sent_as = credential.source();
        if sent_as.is_ambient() && !(head.method.is_safe() && route.class().is_read()) {
            self.must_be_own_page(head, client)?;
        }
        let principal = self.authenticate(&credential, client, exchange).await?;
        policy::authorize(&self.shared.live.load().policy, principal, route)
            .map_err(|error| GatewayError::Denied { error, sent_as })
    }

    /// Whether it is no page of another origin that asks.
    fn must_be_own_page(&self, head: &RequestHead, client: Client) -> Result<(), CrossOrigin> {
        session::check(head, client, self.is_host_told(head), &self.shared.settings.server.allowed_origins)
    }

    /// Whether `X-Forwarded-Host` has the host that the client used.
    fn is_host_told(&self, head: &RequestHead) -> bool {
        let live = self.shared.live.load();
        head.peer_addr.is_some_and(|peer| proxies(&live).say_host(peer.ip()))
    }

    /// Who has a key, as the account of the request learns it.
    async fn authenticate(
        &self,
        credential: &Credential,
        client: Client,
        exchange: Option<&Exchange>,
    ) -> Result<Arc<Principal>, GatewayError> {
        let began = Instant::now();
        let caller = self.authenticator.authenticate(credential, client.ip).await;
        let was_remembered = caller.as_ref().is_ok_and(|caller| caller.source.is_local());
        if let Some(exchange) = exchange.filter(|_| !was_remembered) {
            exchange.waited(began.elapsed());
        }
        match (exchange, &caller) {
            // Whoever uses a key of ours that has ended is told of by its name.
            (Some(exchange), Err(AuthError::Rejected(rejection))) => {
                exchange.set_caller(rejection.principal().map(named).unwrap_or_default());
            }
            (Some(exchange), Err(AuthError::NoRule { key_id, .. })) => {
                exchange.set_caller(Caller { key_id: Some(key_id.clone()), ..Caller::default() });
            }
            _ => {}
        }
        let caller = caller.map_err(|error| GatewayError::Auth { error, sent_as: credential.source() })?;
        if let Some(exchange) = exchange {
            exchange.set_caller(named(&caller.principal));
            exchange.set_verdict_source(caller.source);
            self.renew_session(credential, exchange);
        }
        Ok(caller.principal)
    }
}

fn proxies(live: &Live) -> Proxies<'_> {
    Proxies { trusted: &live.trusted_proxies, header: live.forwarded_header }
}

/// What is told of a caller.
fn named(principal: &Principal) -> Caller {
    Caller {
        key_id: principal.key_id.clone(),
        user_id: principal.user_id.clone(),
        workspace: principal.workspace.as_ref().map(|workspace| workspace.as_str().to_owned()),
    }
}
