//! The operator's service account, for an operator outside of the cluster: the API server's policies ask who
//! it is.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::api::PostParams;
use kube::config::Kubeconfig;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::names::OPERATOR;
use crate::patience::answered;

/// The name of the only context in the kubeconfig.
pub(crate) const CONTEXT: &str = "operator";

/// A day: longer than anything that is done here.
const TOKEN_SECONDS: i64 = 24 * 60 * 60;

/// The account that each namespace has.
const DEFAULT: &str = "default";

/// Writes a kubeconfig that leads to the same API server as the administrator's.
pub(crate) async fn write_kubeconfig(client: &Client, admin: &Kubeconfig, path: &Path) -> Result<()> {
    let cluster = admin.clusters.first().and_then(|named| named.cluster.as_ref());
    let cluster = cluster.context("the administrator's kubeconfig names no cluster")?;
    let config = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT,
        "clusters": [{"name": CONTEXT, "cluster": {
            "server": cluster.server,
            "certificate-authority": cluster.certificate_authority,
        }}],
        "users": [{"name": CONTEXT, "user": {"token": token(client, OPERATOR, OPERATOR).await?}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
    });
    save(&config, path)
}

/// Writes a kubeconfig that nobody else may read.
pub(crate) fn save(config: &Value, path: &Path) -> Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(config.to_string().as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The token of an account that has the rights of a ClusterRole in its namespace: the default one, which is there.
pub(crate) async fn with_role(client: &Client, namespace: &str, role: &str) -> Result<String> {
    let bindings: Api<RoleBinding> = Api::namespaced(client.clone(), namespace);
    let binding = json!({
        "metadata": {"name": role},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": DEFAULT, "namespace": namespace}],
    });
    let (params, binding) = (PostParams::default(), serde_json::from_value(binding)?);
    answered("give an account its rights", || bindings.create(&params, &binding)).await?;
    token(client, namespace, DEFAULT).await
}

async fn token(client: &Client, namespace: &str, account: &str) -> Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() };
    let (params, request) =
        (PostParams::default(), TokenRequest { spec: Some(spec), ..TokenRequest::default() });
    let granted = answered("request a token of an account", || {
        accounts.create_token_request(account, &params, &request)
    });
    let token = granted.await?.status.and_then(|status| status.token);
    token.context("the token request was answered without a token")
}
