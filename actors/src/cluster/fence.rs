//! The fence between leaders: a ServiceAccount that says which term is the present one, for the admission policy that
//! refuses what an operator of another term creates.
//!
//! Not the Lease, which says so as well: an API server ends its cache of the kind that a policy takes its parameter from
//! when the last such policy is deleted, and for a built-in kind never begins it anew (`policy_source.go` in
//! k8s.io/apiserver, seen on 1.36). An installation after an uninstallation then has no parameter, or that of before. Its
//! cache of ServiceAccounts an API server keeps at all times, because it checks tokens by it; and of the kinds of which that
//! is so (Secrets are another), who installs the policy may see all of this one without seeing anything secret. Nobody uses
//! the account, and it has no rights.

use extendedjob_api::names;
use extendedjob_decide::fault::Class;
use kube::{api::Patch, core::params::GetParams};
use serde::Deserialize;
use serde_json::json;

use super::{Candidacy, Cluster, Failpoint, Fault, creating, meta::Meta, patching, requests};

/// How often someone else may be quicker before it is left to the next look at the Lease.
const TRIES: usize = 3;

/// Why the fence does not say that the term has begun. The first field of each is `namespace/name`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FenceError {
    /// Reading it.
    #[error("can't read the fence between leaders, ServiceAccount {0}: {1}")]
    Read(String, #[source] Fault),
    /// Making or writing it.
    #[error("can't write the fence between leaders, ServiceAccount {0}: {1}")]
    Write(String, #[source] Fault),
    /// The Lease began to count anew, or a later term has begun.
    #[error("the fence between leaders, ServiceAccount {0}, is at term {1} already")]
    Ahead(String, i64),
}

#[derive(Deserialize)]
struct Wire {
    metadata: Meta,
}

impl Wire {
    /// `None` for what no operator has written, which the policy would not know again.
    fn term(&self) -> Option<i64> {
        let text = self.metadata.annotations.get(names::TERM)?;
        let number: i64 = text.parse().ok()?;
        // `leaseTransitions` has 32 bits.
        (number < i64::from(i32::MAX) && number.to_string() == *text).then_some(number)
    }
}

impl Cluster {
    /// Says that the term `number` has begun. Never takes back a later one.
    pub(crate) async fn raise_fence(&self, of: &Candidacy, number: i64) -> Result<(), FenceError> {
        for _ in 1..TRIES {
            match self.try_to_raise_fence(of, number).await {
                Err(FenceError::Write(_, fault)) if fault.is_outdated() => {}
                raised => return raised,
            }
        }
        self.try_to_raise_fence(of, number).await
    }

    async fn try_to_raise_fence(&self, of: &Candidacy, number: i64) -> Result<(), FenceError> {
        let name = format!("{}-term", of.name);
        let full_name = || format!("{}/{name}", of.namespace);
        let accounts = requests("api/v1", &of.namespace, "serviceaccounts");
        let standing = match self.call::<Wire>(accounts.get(&name, &GetParams::default())).await {
            Ok(account) => Some(account),
            Err(fault) if fault.class() == Class::NotFound => None,
            Err(fault) => return Err(FenceError::Read(full_name(), fault)),
        };
        match standing.as_ref().and_then(Wire::term) {
            Some(term) if term == number => return Ok(()),
            Some(term) if term > number => return Err(FenceError::Ahead(full_name(), term)),
            _ => {}
        }
        let annotations = json!({ names::TERM: number.to_string() });
        let request = if let Some(account) = standing {
            let version = account.metadata.resource_version;
            let body = json!({ "metadata": { "resourceVersion": version, "annotations": annotations } });
            accounts.patch(&name, &patching(), &Patch::Merge(&body))
        } else {
            let body = json!({
                "apiVersion": "v1",
                "kind": "ServiceAccount",
                "metadata": { "name": name, "annotations": annotations },
                "automountServiceAccountToken": false,
            });
            accounts.create(&creating(), body.to_string().into_bytes())
        };
        let raised = self.call_at::<Wire>(Failpoint::Fence, request).await;
        raised.map(drop).map_err(|fault| FenceError::Write(full_name(), fault))
    }
}
