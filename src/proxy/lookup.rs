//! Asks MLflow before a request is forwarded: what the gateway must know of the things that it names.

use actix_web::{
    body,
    http::{Method, StatusCode, header::HeaderValue, uri::PathAndQuery},
    web::Bytes,
};
use tokio::time::timeout;

use super::{Proxy, ProxyError, error::Late, fair_queue::Turn, headers::WORKSPACE};
use crate::{
    auth::Principal,
    http_client::{Reuse, TransportFault, beginning},
    policy::{Grant, ModelReferences, WorkspaceViolation},
    under_way::Lane,
};

/// Bytes that are read of a response, so that its connection can be used again. The content does not matter.
const MAX_READ: usize = 64 * 1024;

impl Proxy {
    /// Looks up every logged model that a request names, in the workspace of its key.
    ///
    /// # Errors
    /// A model that is not there, or no answer.
    pub(crate) async fn look_up(&self, grant: &Grant, models: &ModelReferences) -> Result<(), ProxyError> {
        for model_id in &models.ids {
            let found = timeout(self.timeouts.response, Box::pin(self.has_model(grant, model_id)));
            let found = found.await.map_err(|_| ProxyError::UpstreamTimeout(Late::Answer))??;
            if !found {
                return Err(WorkspaceViolation::model(grant.principal()).into());
            }
        }
        Ok(())
    }

    async fn has_model(&self, grant: &Grant, model_id: &str) -> Result<bool, ProxyError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if !model_id.bytes().all(plain) {
            return Ok(false);
        }
        let workspace = grant.principal().workspace.as_ref().map(|workspace| workspace.as_str());
        let path = format!("/2.0/mlflow/logged-models/{model_id}");
        match self.get(&path, workspace, grant.principal(), MAX_READ).await?.0 {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(ProxyError::LookupFailed(status)),
        }
    }

    /// The status of MLflow's answer to a question of the gateway's, and the beginning of its body. The path is below MLflow's
    /// REST prefix. It waits its turn as a request of the key's does that it is asked for.
    ///
    /// # Errors
    /// No answer.
    pub(crate) async fn get(
        &self,
        path: &str,
        workspace: Option<&str>,
        asking: &Principal,
        most: usize,
    ) -> Result<(StatusCode, Bytes), ProxyError> {
        let target = PathAndQuery::try_from(format!("{}{path}", self.api_root))
            .map_err(|error| ProxyError::Internal(error.to_string()))?;
        let turn = Turn { owner: asking.counted_as(), lane: Lane::Requests };
        let ask = async |reuse| {
            let lease = self.mlflow.lease(turn, None).await?;
            let host = self.headers.host(&lease.member.host, None);
            let mut request = lease.member.request(&Method::GET, &target, host, reuse)?;
            self.headers.of_gateway(request.headers_mut());
            if let Some(workspace) = workspace.and_then(|workspace| HeaderValue::from_str(workspace).ok()) {
                request.headers_mut().insert(WORKSPACE, workspace);
            }
            let response = lease.member.client.send(request, body::None::new()).await?;
            let status = response.status();
            Ok((status, beginning(response, most).await.0))
        };
        match ask(Reuse::Safe).await {
            // Nothing is wrong with a server that closes what is idle.
            Err(ProxyError::Transport(TransportFault::ClosedIdle)) => ask(Reuse::Never).await,
            answer => answer,
        }
    }
}
