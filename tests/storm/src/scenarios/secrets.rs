//! Secrets that no pod uses, in masses: what they cost an operator that watches for those that are used.

use anyhow::{Result, ensure};
use crowds::extended_jobs::following_secret;
use crowds::namespace::Namespace;
use crowds::patience::answered;
use crowds::usage::mebibytes;
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::core::ObjectMeta;

use crate::stage::Stage;

/// So many Secrets, of so many bytes.
const SECRETS: usize = 10_000;
const SIZE: usize = 100_000;
/// What they may cost at most, in KiB: 800 bytes each.
const COST: u64 = 8 * 1024;
/// So many are created at a time.
const AT_A_TIME: usize = 16;

/// See the module.
pub(super) async fn many(stage: &mut Stage<'_>) -> Result<()> {
    stage.operators.start()?;
    let operator = stage.operators.leading_process().await?;
    stage.expected.without_pod(2, "follower");
    let namespace = stage.namespace.clone();
    create(&namespace, "used", 10).await?;
    namespace.create_extended_job("follower", following_secret("used")).await?;
    namespace.until_revision("follower", 0).await?;
    let before = operator.memory()?;
    operator.forget_peak()?;
    let creating = stream::iter(0..SECRETS)
        .map(async |number| create(&namespace, &format!("unused-{number}"), SIZE).await);
    creating.buffer_unordered(AT_A_TIME).try_collect::<()>().await?;
    // Events come in order: when this one has had its effect, all others have been seen.
    change(&namespace, "used").await?;
    namespace.until_revision("follower", 1).await?;
    let (cost, peak) = (operator.memory()?.saturating_sub(before), operator.peak()?.saturating_sub(before));
    println!("    {SECRETS} Secrets of {SIZE} bytes: {} more, {} at most", mebibytes(cost), mebibytes(peak));

    stage.operators.kill_all().await?;
    stage.operators.start()?;
    let operator = stage.operators.leading_process().await?;
    change(&namespace, "used").await?;
    stage.expected.without_pod(1, "follower");
    namespace.until_revision("follower", 2).await?;
    println!("    an operator that finds them at its start holds {} at most", mebibytes(operator.peak()?));
    ensure!(peak <= COST, "they cost {}, more than {}", mebibytes(peak), mebibytes(COST));
    Ok(())
}

async fn create(namespace: &Namespace, name: &str, size: usize) -> Result<()> {
    let metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    let data = [("key".to_owned(), ByteString(vec![b'x'; size]))].into();
    let secret = Secret { metadata, data: Some(data), ..Secret::default() };
    let (secrets, params) = (namespace.api::<Secret>(), PostParams::default());
    answered("create a Secret", || secrets.create(&params, &secret)).await.map(drop)
}

async fn change(namespace: &Namespace, name: &str) -> Result<()> {
    let secrets = namespace.api::<Secret>();
    let mut secret = answered("read a Secret", || secrets.get(name)).await?;
    let values = secret.data.iter_mut().flat_map(|data| data.values_mut());
    values.for_each(|value| value.0.push(b'x'));
    let params = PostParams::default();
    answered("change a Secret", || secrets.replace(name, &params, &secret)).await.map(drop)
}
