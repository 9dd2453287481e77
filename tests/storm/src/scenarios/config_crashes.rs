//! The operator crashes at each of the writes by which a run is replaced when what its pods use has changed. The next
//! one loses no change, and makes no run twice.

use anyhow::Result;
use crowds::extended_jobs::following;
use crowds::namespace::Namespace;
use crowds::patience::answered;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use serde_json::json;

use super::crash_points::crashes;
use crate::stage::Stage;

/// What its pods use goes on record, the request is accepted, and the first Job made; then the change goes on record, the old
/// Job is told of and deleted, and the new one made.
const WRITES: [(&str, u32); 8] = [
    ("ledger", 1),
    ("status", 1),
    ("job", 1),
    ("status", 3),
    ("ledger", 2),
    ("status", 4),
    ("cleanup", 1),
    ("job", 2),
];

/// See the module.
pub(super) async fn play(stage: &mut Stage<'_>) -> Result<()> {
    for (write, moment, number) in crashes(WRITES, stage.load.is_short()) {
        crash_at(stage, write, moment, number).await?;
    }
    Ok(())
}

async fn crash_at(stage: &mut Stage<'_>, write: &str, moment: &str, number: u32) -> Result<()> {
    let name = format!("{write}-{moment}-{number}");
    let failpoint = format!("{write}:{moment}:{number}");
    stage.expected.without_pod(2, &name);
    let namespace = stage.namespace.clone();
    set(&namespace, &name, "1").await?;
    stage.operators.start_to_crash(&failpoint)?;
    let changing = async {
        namespace.create_extended_job(&name, following(&name)).await?;
        namespace.until_revision(&name, 0).await?;
        set(&namespace, &name, "2").await?;
        namespace.until_revision(&name, 1).await
    };
    let crashing = async {
        stage.operators.crashed(&failpoint).await?;
        stage.operators.start()
    };
    tokio::try_join!(changing, crashing)?;
    stage.operators.kill_all().await?;
    stage.jobs.catch_up_with(&stage.namespace, &format!("mark-{name}")).await
}

/// Gives the ConfigMap this value.
pub(super) async fn set(namespace: &Namespace, name: &str, value: &str) -> Result<()> {
    let config_maps = namespace.api::<ConfigMap>();
    let patch = Patch::Apply(json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"a": value},
    }));
    let params = PatchParams::apply("storm");
    answered("set a ConfigMap", || config_maps.patch(name, &params, &patch)).await.map(drop)
}
