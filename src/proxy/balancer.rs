//! Chooses the server for a request, and a permit for a connection to it.

use std::{sync::Arc, time::Duration};

use actix_web::http::{
    Method,
    header::{HOST, HeaderValue},
    uri::PathAndQuery,
};
use awc::ClientRequest;
use tokio::time::timeout;

use super::{
    ProxyError,
    fair_queue::{FairQueue, Permit, QueueFull, Room, Turn},
};
use crate::{
    http_client::{Connections, HttpClient, Reuse, Tls, host_of},
    settings::Mlflow,
    upstream::{InFlight, Upstream},
};

/// One worker's connections to a group of equivalent servers.
#[derive(Debug)]
pub(super) struct Balancer {
    members: Vec<Member>,
    queue_timeout: Duration,
}

/// One worker's connections to one server.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) upstream: Arc<Upstream>,
    /// The server's host and port, as a `Host` header has them.
    pub(super) host: HeaderValue,
    /// The path of its URL, a prefix of every request's path; without a slash at the end.
    pub(super) prefix: String,
    pub(super) client: HttpClient,
    /// One permit for each connection that may be in use; held until the response's last byte.
    connections: FairQueue,
}

/// A server to send a request to, and the permit for a connection.
pub(super) struct Lease<'a> {
    pub(super) member: &'a Member,
    pub(super) held: (Permit, InFlight),
}

impl Balancer {
    /// `is_mixed`: whether the servers have more to do than to move artifacts.
    pub(super) fn new(
        upstreams: &[Arc<Upstream>],
        settings: &Mlflow,
        tls: Option<&Tls>,
        is_mixed: bool,
    ) -> Self {
        let room = Room::new(settings.max_waiting.get());
        let connections = || FairQueue::new(settings.max_connections.get(), is_mixed, room.clone());
        let member = |upstream| Member::new(upstream, settings, tls, connections());
        Self { members: upstreams.iter().map(member).collect(), queue_timeout: settings.queue_timeout }
    }

    pub(super) fn members(&self) -> &[Member] {
        &self.members
    }

    /// The server that has least to do of those that answer, and do not refuse everything; another than `tried`, if there
    /// is one.
    ///
    /// # Errors
    /// None that answers, or no connection that becomes free in time.
    pub(super) async fn lease(
        &self,
        turn: Turn<'_>,
        tried: Option<&Arc<Upstream>>,
    ) -> Result<Lease<'_>, ProxyError> {
        let is_tried = |member: &Member| tried.is_some_and(|tried| Arc::ptr_eq(tried, &member.upstream));
        let answering = self.members.iter().filter(|member| !member.upstream.is_ejected());
        let member = answering
            .min_by_key(|member| {
                (is_tried(member), !member.upstream.is_healthy(), member.upstream.in_flight())
            })
            .ok_or(ProxyError::Ejected)?;
        let permit = match member.connections.try_take(turn.lane) {
            Some(permit) => permit,
            None => {
                let waiting = member.connections.wait(turn).map_err(|QueueFull| ProxyError::Busy)?;
                let served = timeout(self.queue_timeout, waiting).await;
                served.ok().flatten().ok_or(ProxyError::Busy)?
            }
        };
        Ok(Lease { member, held: (permit, member.upstream.track_request()) })
    }

    /// Whether there is another server than this one that answers.
    pub(super) fn has_other_than(&self, tried: &Arc<Upstream>) -> bool {
        self.members
            .iter()
            .any(|member| !Arc::ptr_eq(&member.upstream, tried) && !member.upstream.is_ejected())
    }
}

impl Member {
    fn new(upstream: &Arc<Upstream>, settings: &Mlflow, tls: Option<&Tls>, permits: FairQueue) -> Self {
        let url = &upstream.url;
        let connections = Connections {
            connect_timeout: settings.connect_timeout,
            keep_alive: settings.keep_alive,
            limit: settings.max_connections.get(),
        };
        Self {
            upstream: Arc::clone(upstream),
            host: HeaderValue::try_from(host_of(url)).unwrap_or_else(|_| HeaderValue::from_static("")),
            prefix: url.path().trim_end_matches('/').to_owned(),
            client: HttpClient::new(url, tls, connections),
            connections: permits,
        }
    }

    /// A request to this server, at its own path, with this `Host`.
    pub(super) fn request(
        &self,
        method: &Method,
        target: &PathAndQuery,
        host: &HeaderValue,
        reuse: Reuse,
    ) -> Result<ClientRequest, ProxyError> {
        let target = if self.prefix.is_empty() {
            target.clone()
        } else {
            let whole = format!("{}{target}", self.prefix);
            PathAndQuery::try_from(whole).map_err(|error| ProxyError::Internal(error.to_string()))?
        };
        let mut request = self.client.request(method.clone(), target, reuse);
        request.headers_mut().insert(HOST, host.clone());
        Ok(request)
    }
}
