//! Starts a gateway from its settings, and drains it. It binds first, so that port 0 works and a port in use is reported at once.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::Duration,
};

use actix_rt::signal::unix::{SignalKind, signal};
use actix_server::Server;
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::{
    actor,
    audit::{AuditError, AuditTrail},
    auth::{
        self, KeySource, issuers, key_file, peppers,
        revocation::{self, Revocations},
    },
    code::Code,
    gateway::Shared,
    health,
    limits::{Limiter, Settler},
    proxy::Proxy,
    redis::{self, Needs},
    reload::{self, Reload},
    resources::Resources,
    server::{self, BindFault},
    settings::Settings,
    telemetry::{
        Lines, TraceExporter, TraceFlush,
        emf::{self, LastLines},
    },
    tls,
    usage::{SpoolFault, UsageActors, UsageReports},
};

/// A listening gateway.
#[derive(Debug)]
pub struct Application {
    address: SocketAddr,
    metrics_address: Option<SocketAddr>,
    last_emf: Option<LastLines>,
    traces: Option<TraceFlush>,
    server: RunningServer,
    shared: Arc<Shared>,
}

struct RunningServer(Server);

impl std::fmt::Debug for RunningServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartupError {
    #[error("cannot listen on {address} (server.bind, HOKUSAI__SERVER__BIND): it {}", bind_fault_text(*address, source))]
    Bind { address: SocketAddr, source: io::Error },
    #[error(
        "cannot listen on {address} (metrics.bind, HOKUSAI__METRICS__BIND): it {}; or port 0 for any that is free, or off",
        bind_fault_text(*address, source)
    )]
    BindMetrics { address: SocketAddr, source: io::Error },
    #[error("no audit stream (audit.output): {0}")]
    Audit(#[from] AuditError),
    #[error("no usage spool (auth.service.usage_spool): it {0}")]
    UsageSpool(#[from] SpoolFault),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl StartupError {
    /// The code of the message for operators.
    pub fn code(&self) -> Code {
        match self {
            Self::Bind { address, source } | Self::BindMetrics { address, source } => {
                server::bind_fault(*address, source).code
            }
            Self::Audit(_) => Code::AuditFailing,
            Self::UsageSpool(fault) => fault.code(),
            Self::Io(_) => Code::GatewayEnded,
        }
    }
}

fn bind_fault_text(address: SocketAddr, error: &io::Error) -> String {
    let BindFault { what, fix, .. } = server::bind_fault(address, error);
    format!("{what} ({error}). Write {fix}")
}

impl Application {
    /// Binds, and starts the actors and the workers. Call it inside an actix system.
    ///
    /// # Errors
    /// An address that cannot be bound, or an audit stream that cannot be opened.
    pub fn build(settings: Settings, resources: Resources) -> Result<Self, StartupError> {
        let bind = settings.server.bind;
        let listener = server::bind(bind).map_err(|source| StartupError::Bind { address: bind, source })?;
        let address = listener.local_addr()?;
        let of_metrics = settings.metrics.bind.map(|bind| {
            server::bind(bind).map_err(|source| StartupError::BindMetrics { address: bind, source })
        });
        let of_metrics = of_metrics.transpose()?;
        let (usage, usage_actors) = open_usage(&resources)?.unzip();
        let audit = AuditTrail::open(&settings.audit, resources.metrics.audit_records())?;
        let (limiter, settler) =
            Limiter::new(&settings.limits, resources.redis.clone(), resources.metrics.clone());
        let shared = Arc::new(Shared::new(settings, resources, limiter, usage, audit));
        start_actors(&shared, usage_actors, settler);
        let stop = stop_signal(Arc::clone(&shared))?;
        let server = server::start(listener, Arc::clone(&shared), stop)?;
        let metrics_address = of_metrics.as_ref().map(TcpListener::local_addr).transpose()?;
        if let Some(listener) = of_metrics {
            actix_rt::spawn(server::start_metrics(listener, Arc::clone(&shared))?);
        }
        Ok(Self {
            address,
            metrics_address,
            last_emf: None,
            traces: None,
            server: RunningServer(server),
            shared,
        })
    }

    /// Reloads the settings at SIGHUP.
    ///
    /// # Errors
    /// The handler for the signal cannot be set.
    pub fn reloading(self, reload: Reload) -> io::Result<Self> {
        let hangup = signal(SignalKind::hangup())?;
        let following = reload::run(reload, Arc::clone(&self.shared), hangup);
        actor::spawn("settings_reloader", &self.shared.health.deaths, Box::pin(following));
        Ok(self)
    }

    /// Sends spans to the collector, where there is one.
    pub fn exporting(mut self, traces: Option<TraceExporter>) -> Self {
        if let Some(exporter) = traces {
            self.traces = Some(exporter.flush());
            let exporting = exporter.run(self.shared.resources.otlp_tls.clone());
            actor::spawn("trace_exporter", &self.shared.health.deaths, Box::pin(exporting));
        }
        self
    }

    /// Writes metrics for CloudWatch into the log, if the settings say so.
    pub fn telling_cloudwatch(mut self, lines: Lines) -> Self {
        let settings = &self.shared.settings.telemetry;
        if settings.emf {
            let (last, asked) = mpsc::channel(1);
            let telling = emf::run(settings.clone(), self.shared.resources.metrics.clone(), lines, asked);
            self.last_emf = Some(last);
            actor::spawn("emf_writer", &self.shared.health.deaths, Box::pin(telling));
        }
        self
    }

    /// The bound address; its port is never 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The bound address of the metrics listener, if there is one.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Serves until SIGINT, or until the settle time after SIGTERM. Then drains: until the transfers in flight have ended or
    /// `server.drain_grace` is over.
    ///
    /// # Errors
    /// The server fails.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        self.server.0.await?;
        log_cut_transfers(&self.shared).await;
        if let Some(usage) = &self.shared.usage {
            usage.stop(FLUSH_TIMEOUT).await;
        }
        if let Some(traces) = self.traces
            && timeout(FLUSH_TIMEOUT, traces.flush()).await.is_err()
        {
            tracing::warn!(code = Code::SpansRefused.text(), "not all spans were sent to the collector");
        }
        if let Some(last_emf) = self.last_emf {
            let (done, told) = oneshot::channel();
            if last_emf.send(done).await.is_ok() {
                let _ = timeout(FLUSH_TIMEOUT, told).await;
            }
        }
        if timeout(FLUSH_TIMEOUT, self.shared.resources.keys.flush()).await.is_err() {
            tracing::warn!(code = Code::LastUsedNotSaved.text(), "not all last uses of keys were written");
        }
        if timeout(FLUSH_TIMEOUT, self.shared.audit.stop()).await.is_err() {
            tracing::warn!(code = Code::AuditCutShort.text(), "not all audit records were written");
        }
        Ok(())
    }
}

/// Logs how many transfers the end of the drain has cut, when all workers have ended.
async fn log_cut_transfers(shared: &Shared) {
    let Shared { resources, drain, settings, .. } = shared;
    let all_ended = async {
        while resources.metrics.in_flight() > 0 {
            sleep(Duration::from_millis(10)).await;
        }
    };
    let _ = timeout(FLUSH_TIMEOUT, all_ended).await;
    let (cut, drain_grace) = (drain.cut(), settings.server.drain_grace);
    if cut > 0 {
        let fix = "a longer server.drain_grace, and a stop timeout as long in what stops the process";
        tracing::warn!(
            code = Code::TransfersAborted.text(),
            cut,
            ?drain_grace,
            fix,
            "drain grace exceeded: the remaining transfers were cut"
        );
    }
}

fn open_usage(resources: &Resources) -> Result<Option<(UsageReports, UsageActors)>, SpoolFault> {
    let service = resources.keys.usage_service();
    let open = |service| UsageReports::open(service, resources.auth_tls.as_ref(), &resources.metrics);
    service.map(open).transpose()
}

fn start_actors(shared: &Shared, usage: Option<UsageActors>, settler: Option<Settler>) {
    let Shared { settings, resources, upstreams, health, .. } = shared;
    let Resources { keys, redis, metrics, .. } = resources;
    let deaths = &health.deaths;
    let proxy = Proxy::new(settings, upstreams, resources.mlflow_tls.as_ref());
    let probe = health::mlflow::probe(Arc::clone(upstreams), proxy, settings.mlflow.clone(), metrics.clone());
    actor::spawn("upstream_prober", deaths, Box::pin(probe));
    if let Some(UsageActors { singles, batches }) = usage {
        actor::spawn("usage_reporter", deaths, Box::pin(singles.run()));
        if let Some((collector, sender)) = batches {
            actor::spawn("usage_collector", deaths, Box::pin(collector.run()));
            actor::spawn("usage_sender", deaths, Box::pin(sender.run()));
        }
    }
    if let Some(settler) = settler {
        actor::spawn("limit_settler", deaths, Box::pin(settler.run()));
    }
    if let Some(identity) = &resources.identity {
        let watch = tls::watch(Arc::clone(identity), metrics.clone());
        actor::spawn("certificate_watcher", deaths, Box::pin(watch));
    }
    if let KeySource::File(keys) = keys {
        let watch = key_file::watch::run(Arc::clone(keys), settings.policy.clone(), metrics.clone());
        actor::spawn("key_file_watcher", deaths, Box::pin(watch));
    }
    for issuer in resources.issuers.iter().flat_map(|issuers| issuers.iter()) {
        actor::spawn("issuer_keys", deaths, Box::pin(issuers::keep(Arc::clone(issuer))));
    }
    if let Some(service) = settings.auth.service() {
        actix_rt::spawn(auth::check_reachability(service.clone(), metrics.clone()));
    }
    if let Some(redis) = redis {
        let shares_verdicts = matches!(keys, KeySource::Service(_));
        let needs = Needs { channel: revocation::CHANNEL, shares_verdicts };
        actor::spawn("redis_watcher", deaths, Box::pin(redis::watch(redis.clone(), needs)));
        let listen = redis::listen(
            redis.clone(),
            Revocations { keys: keys.clone(), issuers: resources.issuers.clone() },
        );
        actor::spawn("revocation_listener", deaths, Box::pin(listen));
        let listen = redis::listen(redis.clone(), shared.ownership.changes_elsewhere());
        actor::spawn("ownership_listener", deaths, Box::pin(listen));
        if let KeySource::Service(verifier) = keys {
            let watch = peppers::watch(Arc::clone(verifier));
            actor::spawn("pepper_watcher", deaths, Box::pin(watch));
        }
    }
}

/// How long each of usage reports, metrics, key uses and audit records may take to be flushed at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

fn stop_signal(shared: Arc<Shared>) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        let (health, server) = (&shared.health, &shared.settings.server);
        let settle_time = server.settle_time;
        tokio::select! {
            _ = terminate.recv() => {
                tracing::info!(code = Code::Draining.text(), ?settle_time, "stopping: not ready any more; requests are still served during the settle time");
                health.drain();
                tokio::select! {
                    () = sleep(settle_time) => {}
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            _ = interrupt.recv() => health.drain(),
        }
        let (drain_grace, in_flight) = (server.drain_grace, shared.resources.metrics.in_flight());
        shared.drain.begin(drain_grace);
        tracing::info!(?drain_grace, in_flight, "no new connections, transfers in flight may finish");
    })
}
