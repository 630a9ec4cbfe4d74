//! Asks MLflow, before a request is forwarded, whether the logged models that it names are in the key's workspace.

use actix_web::{
    body,
    http::{Method, StatusCode, uri::PathAndQuery},
};
use tokio::time::timeout;

use super::{Proxy, ProxyError, error::Late, headers};
use crate::{
    http_client::{Reuse, beginning},
    policy::{Grant, ModelReferences, WorkspaceViolation},
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
        // At the same mount as the route of the request.
        let asked = grant.route().target().path();
        let (before, _) = asked.split_once("/2.0/mlflow/").unwrap_or((asked, ""));
        let target = PathAndQuery::try_from(format!("{before}/2.0/mlflow/logged-models/{model_id}"))
            .map_err(|error| ProxyError::Internal(error.to_string()))?;

        let lease = self.mlflow.lease(None).await?;
        let host = self.headers.host(&lease.member.host, None);
        let mut request = lease.member.request(&Method::GET, &target, host, Reuse::Safe)?;
        self.headers.of_gateway(request.headers_mut());
        headers::set_workspace(grant, request.headers_mut());
        let response = lease.member.client.send(request, body::None::new()).await?;
        let status = response.status();
        beginning(response, MAX_READ).await;
        match status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(ProxyError::LookupFailed(status)),
        }
    }
}
