//! What the operator's own account may do
//! (<https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access>).

use kube::{api::PostParams, core::Request};
use serde::Deserialize;
use serde_json::json;

use super::{Cluster, Fault};

/// Why that is not known.
#[derive(Debug, thiserror::Error)]
#[error("can't find out whether log files on nodes may be read: {0}")]
pub struct AccessError(#[source] Fault);

#[derive(Deserialize)]
struct Review {
    status: ReviewStatus,
}

#[derive(Deserialize)]
struct ReviewStatus {
    allowed: bool,
}

impl Cluster {
    /// Whether it may read the log files of all nodes, which kubelets hand out.
    pub async fn may_read_node_logs(&self) -> Result<bool, AccessError> {
        let wanted = json!({ "resource": "nodes", "subresource": "log", "verb": "get" });
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": wanted },
        });
        let request = Request::new("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
            .create(&PostParams::default(), review.to_string().into_bytes());
        let review: Review = self.call(request).await.map_err(AccessError)?;
        Ok(review.status.allowed)
    }
}
