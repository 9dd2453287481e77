//! The Lease by which operators agree on who leads.

use extendedjob_api::names;
use extendedjob_decide::{
    checkpoint::Checkpoint,
    fault::Class,
    lease::{Lease, Timing},
};
use jiff::{Timestamp, fmt::strtime};
use kube::{api::Patch, core::params::GetParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::error;

use super::{Cluster, Fault, creating, failpoint::Failpoint, meta::Meta, patching, requests};

const GROUP: &str = "apis/coordination.k8s.io/v1";
const RESOURCE: &str = "leases";

/// Why the Lease could not be dealt with. The first field of each is `namespace/name`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeaseError {
    /// Reading it.
    #[error("can't read Lease {0}: {1}")]
    Read(String, #[source] Fault),
    /// Making it.
    #[error("can't create Lease {0}: {1}")]
    Create(String, #[source] Fault),
    /// Taking, renewing or releasing it.
    #[error("can't write Lease {0}: {1}")]
    Write(String, #[source] Fault),
}

impl LeaseError {
    /// Whether the Lease is not as it was when it was read.
    pub(crate) fn is_conflict(&self) -> bool {
        let (Self::Read(_, fault) | Self::Create(_, fault) | Self::Write(_, fault)) = self;
        fault.is_outdated()
    }
}

/// Which Lease, and as whom.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// The Lease's namespace.
    pub namespace: String,
    /// The Lease's name.
    pub name: String,
    /// The name by which this process is told from all others.
    pub identity: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    metadata: Meta,
    #[serde(default)]
    spec: Spec,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    holder_identity: Option<String>,
    lease_transitions: i64,
    renew_time: Option<String>,
}

impl From<Wire> for Lease {
    fn from(Wire { metadata, spec }: Wire) -> Self {
        let checkpoint = metadata.annotations.get(names::CHECKPOINT).map(|text| text.parse());
        if let Some(Err(error)) = &checkpoint {
            error!(%error, "the Lease bears a checkpoint that can't be read");
        }
        Self {
            holder: spec.holder_identity,
            transitions: spec.lease_transitions,
            checkpoint: checkpoint.and_then(Result::ok),
            version: metadata.resource_version,
        }
    }
}

impl Cluster {
    /// The Lease as it is now; `None` where there is none.
    pub(crate) async fn lease(&self, of: &Candidacy) -> Result<Option<Lease>, LeaseError> {
        Ok(self.read_lease(of).await?.map(Lease::from))
    }

    async fn read_lease(&self, of: &Candidacy) -> Result<Option<Wire>, LeaseError> {
        let request = requests(GROUP, &of.namespace, RESOURCE).get(&of.name, &GetParams::default());
        match self.call::<Wire>(request).await {
            Ok(lease) => Ok(Some(lease)),
            Err(fault) if fault.class() == Class::NotFound => Ok(None),
            Err(fault) => Err(LeaseError::Read(of.full_name(), fault)),
        }
    }

    /// Makes the Lease, held by this process in the term `number`.
    pub(crate) async fn create_lease(
        &self,
        of: &Candidacy,
        number: i64,
        timing: Timing,
    ) -> Result<Lease, LeaseError> {
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": of.name },
            "spec": of.taken(number, timing),
        });
        let request =
            requests(GROUP, &of.namespace, RESOURCE).create(&creating(), body.to_string().into_bytes());
        let created = self.call_at::<Wire>(Failpoint::Lease, request).await;
        created.map(Lease::from).map_err(|fault| LeaseError::Create(of.full_name(), fault))
    }

    /// Takes the Lease for the term `number`, provided that it is still as `lease` says.
    pub(crate) async fn take_lease(
        &self,
        of: &Candidacy,
        lease: &Lease,
        number: i64,
        timing: Timing,
    ) -> Result<Lease, LeaseError> {
        self.patch_lease(of, lease, of.taken(number, timing), None).await
    }

    /// Renews the Lease, provided that it is still as `lease` says, and moves the checkpoint.
    ///
    /// One that was done, and answered as if it had not been, is made again by the client, and is a conflict then. That it
    /// was done shows in its time, which nobody else writes.
    pub(crate) async fn renew_lease(
        &self,
        of: &Candidacy,
        lease: &Lease,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Lease, LeaseError> {
        let time = now();
        let renewed = self.patch_lease(of, lease, json!({ "renewTime": time }), checkpoint).await;
        if !renewed.as_ref().is_err_and(LeaseError::is_conflict) {
            return renewed;
        }
        let there = self.read_lease(of).await?;
        let is_done = |there: &Wire| {
            there.spec.holder_identity.as_ref() == Some(&of.identity)
                && there.spec.lease_transitions == lease.transitions
                && there.spec.renew_time.as_ref() == Some(&time)
        };
        there.filter(is_done).map_or(renewed, |there| Ok(there.into()))
    }

    /// Gives the Lease back, if it is ours, in the term `number` or in whichever, so that the next leader need not wait for
    /// its end.
    pub(crate) async fn release_lease(
        &self,
        of: &Candidacy,
        number: Option<i64>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(), LeaseError> {
        let mut released = self.try_to_release(of, number, checkpoint).await;
        // A renewal was on its way.
        if released.as_ref().is_err_and(LeaseError::is_conflict) {
            released = self.try_to_release(of, number, checkpoint).await;
        }
        released
    }

    async fn try_to_release(
        &self,
        of: &Candidacy,
        number: Option<i64>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(), LeaseError> {
        let Some(lease) = self.lease(of).await? else { return Ok(()) };
        let is_ours = lease.holder.as_deref() == Some(of.identity.as_str());
        if is_ours && number.is_none_or(|number| lease.transitions == number) {
            let released = json!({ "holderIdentity": "", "renewTime": now() });
            self.patch_lease(of, &lease, released, checkpoint).await?;
        }
        Ok(())
    }

    async fn patch_lease(
        &self,
        of: &Candidacy,
        lease: &Lease,
        spec: Value,
        checkpoint: Option<Checkpoint>,
    ) -> Result<Lease, LeaseError> {
        let mut body = json!({ "metadata": { "resourceVersion": lease.version }, "spec": spec });
        if let Some(checkpoint) = checkpoint {
            body["metadata"]["annotations"] = json!({ names::CHECKPOINT: checkpoint.to_string() });
        }
        let request =
            requests(GROUP, &of.namespace, RESOURCE).patch(&of.name, &patching(), &Patch::Merge(&body));
        let patched = self.call_at::<Wire>(Failpoint::Lease, request).await;
        patched.map(Lease::from).map_err(|fault| LeaseError::Write(of.full_name(), fault))
    }
}

impl Candidacy {
    fn full_name(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// The spec of a Lease that this process takes.
    fn taken(&self, number: i64, timing: Timing) -> Value {
        let now = now();
        json!({
            "holderIdentity": self.identity,
            "leaseDurationSeconds": timing.duration.as_secs(),
            "acquireTime": now,
            "renewTime": now,
            "leaseTransitions": number,
        })
    }
}

/// For people and other tools: no operator compares it with its clock. A MicroTime has exactly six
/// digits behind the point.
fn now() -> String {
    strtime::format("%Y-%m-%dT%H:%M:%S%.6fZ", Timestamp::now()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_time_is_a_micro_time() {
        let now = super::now();
        assert_eq!((now.len(), &now[19..20], &now[26..]), (27, ".", "Z"), "{now}");
    }
}
