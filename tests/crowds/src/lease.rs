//! The Lease that says which operator leads.

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;

use crate::names::{CHECKPOINT, OPERATOR};
use crate::patience::{answered, asked, until};

/// The HTTP status of a write whose object has changed since it was read.
const CONFLICT: u16 = 409;
/// How old the time in a Lease may be, in seconds.
const SLACK: i64 = 60;

/// The name of the process that leads: what stands before the `_` of its identity.
pub(crate) async fn leader(client: &Client) -> Result<Option<String>> {
    Ok(read(client).await?.as_ref().and_then(leader_in))
}

/// Takes the Lease from the processes that are known to be dead, as if the last of them had given it back, so
/// that the next one need not wait for its end.
pub(crate) async fn release(client: &Client, is_dead: impl Fn(&str) -> bool) -> Result<()> {
    let leases = leases(client);
    loop {
        let Some(lease) = read(client).await? else { return Ok(()) };
        if !leader_in(&lease).is_some_and(|name| is_dead(&name)) {
            return Ok(());
        }
        let metadata = json!({"resourceVersion": lease.metadata.resource_version});
        let patch = Patch::Merge(json!({"metadata": metadata, "spec": {"holderIdentity": ""}}));
        let params = PatchParams::default();
        match asked("release the Lease", || leases.patch(OPERATOR, &params, &patch)).await? {
            // A renewal was still on its way when its sender died.
            Err(status) if status.code == CONFLICT => {}
            other => return other.map(drop).context("cannot release the Lease"),
        }
    }
}

/// Waits until the one that leads writes times that are so many seconds ahead of this machine's.
pub(crate) async fn until_written_by_clock(client: &Client, seconds: i64) -> Result<()> {
    until(&format!("a Lease by a clock that is {seconds} s ahead"), async || {
        let lease = read(client).await?;
        let renewed = lease.as_ref().and_then(|lease| lease.spec.as_ref()?.renew_time.as_ref());
        let ahead = renewed.map(|time| time.0.as_second() - Timestamp::now().as_second());
        Ok(ahead.filter(|ahead| (ahead - seconds).abs() <= SLACK).map(drop))
    })
    .await
}

/// Waits until the one that leads is done with all that has happened to pods up to this version.
pub(crate) async fn until_checkpoint(client: &Client, version: u64) -> Result<()> {
    until(&format!("the checkpoint {version}"), async || {
        let lease = read(client).await?;
        let annotations = lease.as_ref().and_then(|lease| lease.metadata.annotations.as_ref());
        let reached = annotations.and_then(|all| all.get(CHECKPOINT)?.split('@').next()?.parse::<u64>().ok());
        Ok(reached.filter(|reached| *reached >= version).map(drop))
    })
    .await
}

async fn read(client: &Client) -> Result<Option<Lease>> {
    let leases = leases(client);
    answered("read the Lease", || leases.get_opt(OPERATOR)).await
}

fn leader_in(lease: &Lease) -> Option<String> {
    let identity = lease.spec.as_ref()?.holder_identity.as_deref()?;
    identity.split_once('_').map(|(name, _)| name.to_owned())
}

fn leases(client: &Client) -> Api<Lease> {
    Api::namespaced(client.clone(), OPERATOR)
}
