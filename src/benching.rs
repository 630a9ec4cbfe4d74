//! What `benches/` measures of rooms that are closed to others. Only with the feature `bench`, which nothing that is
//! shipped has.

use std::{error::Error, io, rc::Rc, sync::Arc, time::Duration};

use actix_http::Request;
use actix_web::{
    body::MessageBody,
    dev::{Payload, RequestHead, Service, ServiceRequest, ServiceResponse},
    test,
    web::Data,
};

use crate::{
    audit::AuditTrail,
    auth::{Authenticator, Issuers, KeySource, issuers::TrustedIssuer},
    client_ip::Client,
    exchange::{Exchange, Sinks},
    gateway::{Gateway, Shared},
    limits::Limiter,
    policy::{self, BodyError, Grant},
    proxy::Proxy,
    resources::Resources,
    server::{self, Listener},
    settings::Settings,
    stall_budget::StallBudget,
    telemetry::{self, Log, Metrics, RequestLog, WorkerMetrics},
    upstream::UpstreamPool,
    usage::{UsageReports, Use, WorkerUsage},
};

/// One worker's authenticator, as the settings want it.
///
/// # Errors
/// A key file that cannot be used.
pub fn authenticator(settings: &Settings) -> Result<Authenticator, Box<dyn Error>> {
    let metrics = Metrics::new()?;
    let keys = KeySource::open(&settings.auth, None, &metrics)?;
    let trusted = settings.auth.issuers.iter().map(|issuer| TrustedIssuer::new(issuer.clone(), None));
    let trusted = trusted.collect::<Result<Vec<_>, _>>().map_err(|faults| format!("{faults:?}"))?;
    let issuers = (!trusted.is_empty()).then(|| Arc::new(Issuers::new(trusted, None, metrics)));
    Ok(Authenticator::new(&keys, issuers.as_ref(), None))
}

/// Buckets in this process.
///
/// # Errors
/// As [`Metrics::new`].
pub fn limiter(settings: &Settings) -> Result<Limiter, Box<dyn Error>> {
    Ok(Limiter::new(&settings.limits, None, Metrics::new()?).0)
}

/// One worker's way to MLflow.
pub fn proxy(settings: &Settings) -> Proxy {
    Proxy::new(settings, &UpstreamPool::new(&settings.mlflow), None)
}

/// The body that may be sent on.
///
/// # Errors
/// One that may not.
pub async fn checked_body(
    settings: &Settings,
    grant: &Grant,
    head: &RequestHead,
    payload: Payload,
) -> Result<Payload, BodyError> {
    let server = &settings.server;
    let stall_budget = StallBudget::new(server.body_idle_timeout, server.min_body_rate.get());
    let memory = policy::BodyMemory::new(settings.mlflow.queue_timeout);
    let checked = policy::body::check(&settings.policy, grant, head, payload, None, stall_budget, &memory);
    Ok(checked.await?.payload)
}

/// The application of one worker, without a socket, an actor, or a Redis.
///
/// # Errors
/// Whatever keeps a gateway from starting.
pub fn application(
    settings: Settings,
    log: RequestLog,
) -> Result<
    impl Future<
        Output = impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = actix_web::Error>,
    >,
    Box<dyn Error>,
> {
    let mut resources = Resources::open(&settings).map_err(|problems| format!("{problems:?}"))?;
    resources.log = Some(log);
    let audit = AuditTrail::open(&settings.audit, resources.metrics.audit_records())?;
    let limiter = limiter(&settings)?;
    let endpoints = server::endpoint_metrics(&resources.metrics, Listener::Main)?;
    let shared = Shared::new(settings, resources, limiter, None, audit);
    Ok(test::init_service(server::app(Data::new(Gateway::new(Arc::new(shared))), &endpoints)))
}

/// The account of a request from `client`, which no log is told.
///
/// # Errors
/// None.
pub fn exchange(request: &ServiceRequest, client: Client) -> Result<Exchange, prometheus::Error> {
    let sinks = Sinks {
        metrics: WorkerMetrics::new(Metrics::new()?),
        log: None,
        audit: AuditTrail::off(),
        usage: None,
        drain: Arc::default(),
    };
    Ok(Exchange::begin(request, client, &Rc::new(sinks)))
}

/// One worker's count of uses, which nobody takes.
#[derive(Debug)]
pub struct Usage(WorkerUsage);

impl Usage {
    /// Counts a request of 12 ms.
    pub fn count(&self, key_id: &str, endpoint: &Arc<str>, status: u16) {
        let took = Duration::from_millis(12);
        let used = Use { key_id, endpoint, status, took, bytes_in: 0, bytes_out: 512 };
        self.0.add(&used, endpoint);
    }
}

/// # Errors
/// Settings without an auth service.
pub fn usage(settings: &Settings) -> Result<Usage, Box<dyn Error>> {
    let service = settings.auth.service().ok_or("no auth service")?;
    let (reports, _) = UsageReports::open(service, None, &Metrics::new()?)?;
    Ok(Usage(reports.worker()))
}

/// A gateway's log, which nobody reads.
///
/// # Errors
/// A machine that has no thread left.
pub fn log_to_nowhere(settings: &Settings) -> Result<Log, Box<dyn Error>> {
    Ok(telemetry::init_to(io::sink(), &settings.telemetry, &Metrics::new()?)?)
}
