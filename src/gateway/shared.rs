//! What is made once for all workers.

use std::sync::Arc;

use actix_web::dev::RequestHead;
use arc_swap::ArcSwap;

use crate::{
    audit::AuditTrail,
    exchange::Drain,
    health::Health,
    limits::Limiter,
    ownership::Ownership,
    policy::BodyMemory,
    resources::Resources,
    session::Sessions,
    settings::{Live, Settings},
    upstream::UpstreamPool,
    usage::UsageReports,
};

/// What all workers share; built once.
#[derive(Debug)]
pub struct Shared {
    pub(crate) settings: Settings,
    pub(crate) health: Arc<Health>,
    pub(crate) resources: Resources,
    pub(crate) upstreams: Arc<UpstreamPool>,
    /// Only where there is an auth service that wants it.
    pub(crate) usage: Option<UsageReports>,
    pub(crate) audit: AuditTrail,
    pub(crate) drain: Arc<Drain>,
    /// `None` where nobody may log in.
    pub(crate) sessions: Option<Sessions>,
    /// What has changed of the settings since.
    pub(super) live: ArcSwap<Live>,
    pub(super) limiter: Limiter,
    pub(crate) ownership: Ownership,
    /// The memory for bodies that are read before a decision.
    pub(super) body_memory: BodyMemory,
    pub(super) config_hash: String,
}

impl Shared {
    pub(crate) fn new(
        settings: Settings,
        resources: Resources,
        limiter: Limiter,
        usage: Option<UsageReports>,
        audit: AuditTrail,
    ) -> Self {
        Self {
            health: Arc::default(),
            drain: Arc::default(),
            upstreams: Arc::new(UpstreamPool::new(&settings.mlflow)),
            limiter,
            ownership: Ownership::new(resources.metrics.clone(), resources.redis.clone()),
            body_memory: BodyMemory::new(settings.mlflow.queue_timeout),
            resources,
            usage,
            audit,
            sessions: Sessions::new(&settings.auth),
            config_hash: settings.fingerprint(),
            live: ArcSwap::from_pointee(settings.live()),
            settings,
        }
    }

    /// Whether a request may read the metrics: it comes from an allowed network, and not through a proxy, which would
    /// lend it its own address.
    pub(crate) fn may_read_metrics(&self, head: &RequestHead) -> bool {
        let peer = head.peer_addr.map(|peer| peer.ip().to_canonical());
        let allowed = &self.live.load().metrics_allow;
        let direct = !PROXY_HEADERS.iter().any(|name| head.headers().contains_key(*name));
        direct && peer.is_some_and(|peer| allowed.iter().any(|network| network.contains(&peer)))
    }

    /// Takes over what can change while the gateway runs.
    pub(crate) fn follow(&self, settings: &Settings) {
        let live = settings.live();
        self.limiter.reload(&live);
        self.live.store(Arc::new(live));
    }
}

/// Set by what stands between a client and us.
const PROXY_HEADERS: [&str; 4] = ["forwarded", "via", "x-forwarded-for", "x-real-ip"];
