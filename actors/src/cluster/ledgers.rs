//! Ledgers: one Secret for each ExtendedJob with triggers, named by its UID, gone with it.

use extendedjob_api::names;
use extendedjob_decide::{build::owner_references, declared::Declared};
use serde_json::json;

use super::{
    Cluster, Failpoint, Fault,
    kept::{Kept, Safe},
    requests,
};

/// Why the ledger of an ExtendedJob could not be dealt with. The first field of each is the Secret,
/// `namespace/name`.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    /// Reading it.
    #[error("can't read the ledger, Secret {0}: {1}")]
    Read(String, #[source] Fault),
    /// Writing it.
    #[error("can't write the ledger, Secret {0}: {1}")]
    Write(String, #[source] Fault),
}

impl LedgerError {
    /// The failed call.
    pub(crate) fn fault(&self) -> &Fault {
        let (Self::Read(_, fault) | Self::Write(_, fault)) = self;
        fault
    }
}

/// The name of the Secret that holds an ExtendedJob's ledger.
#[must_use]
pub(crate) fn name(declared: &Declared) -> String {
    format!("extendedjob-{}", declared.uid)
}

impl Cluster {
    /// The ledger as it is stored; `None` where there is none.
    pub(crate) async fn ledger(&self, of: &Declared) -> Result<Option<Kept>, LedgerError> {
        // Nobody closes it.
        let _turn = self.ledgers.acquire().await.ok();
        let safe = safe(of);
        self.kept(&safe).await.map_err(|fault| LedgerError::Read(full_name(of), fault))
    }

    /// Stores a ledger, provided that it is still as it was under the resourceVersion `object`, or
    /// not there. Says the new resourceVersion.
    pub(crate) async fn store_ledger(
        &self,
        of: &Declared,
        object: Option<&str>,
        bytes: &[u8],
        set_aside: Option<&[u8]>,
    ) -> Result<String, LedgerError> {
        let stored = self.keep(&safe(of), object, bytes, set_aside).await;
        stored.map_err(|fault| LedgerError::Write(full_name(of), fault))
    }
}

fn full_name(of: &Declared) -> String {
    format!("{}/{}", of.namespace, name(of))
}

fn safe(of: &Declared) -> Safe {
    let labels = json!({
        names::EXTENDEDJOB_LABEL: names::label_value(&of.name),
        "app.kubernetes.io/managed-by": names::FIELD_MANAGER,
    });
    Safe {
        point: Failpoint::Ledger,
        requests: requests("api/v1", &of.namespace, "secrets"),
        name: name(of),
        part: "data",
        key: "ledger",
        frame: json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "fissile.cloudfoundry.org/ledger",
            "metadata": { "labels": labels, "ownerReferences": owner_references(of) },
        }),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use actix::System;
    use futures::{FutureExt, future::join_all};
    use tokio::time::{pause, timeout};

    use super::*;
    use crate::{
        cluster::{LEDGERS_IN_FLIGHT, extendedjobs},
        stand_in::{Asked, Reply, StandIn},
    };

    #[test]
    fn a_term_that_begins_asks_for_no_more_ledgers_at_a_time_than_an_api_server_bears() {
        System::new().block_on(async {
            pause();
            let mut api = StandIn::answering(|_| Reply::Never);
            let cluster = api.cluster();
            let metadata = json!({ "uid": "uid", "creationTimestamp": "2026-01-01T00:00:00Z" });
            let object = json!({ "metadata": metadata, "spec": { "template": {} } });
            let declared = (extendedjobs::SOURCE.decode)(&object.to_string()).unwrap();
            let reading = join_all((0..1000).map(|_| cluster.ledger(&declared))).map(drop);
            timeout(Duration::from_secs(1), reading).await.unwrap_err();
            assert_eq!(api.count(|asked: &Asked| asked.path.contains("/secrets/")), LEDGERS_IN_FLIGHT);
        });
    }
}
