//! A watch as the API server sends it: a line of JSON per event, of which each reader decodes what it needs.

use anyhow::{Context, Result};
use futures::{AsyncBufReadExt, Stream, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ListParams, WatchParams};
use kube::core::{PartialObjectMeta, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// An event of a watch.
#[derive(Deserialize)]
pub(crate) struct Line<T> {
    /// `ADDED`, `MODIFIED`, `DELETED`, or one that is about no object.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) object: T,
}

/// What happens to the objects of a kind in a namespace from now on, for as long as the API server lets a watch last: half
/// an hour at least.
pub(crate) async fn watch<K, T>(
    client: &Client,
    namespace: &str,
) -> Result<impl Stream<Item = Result<Line<T>>> + use<K, T>>
where
    K: Clone + Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    T: DeserializeOwned,
{
    let requests = Request::new(K::url_path(&(), Some(namespace)));
    let list = requests.list_metadata(&ListParams::default().limit(1))?;
    let list: kube::core::ObjectList<PartialObjectMeta<K>> =
        client.request(list).await.context("list before a watch")?;
    let version = list.metadata.resource_version.context("a list without a version")?;
    let params = WatchParams::default().disable_bookmarks().timeout(290);
    let stream = client.request_stream(requests.watch(&params, &version)?).await.context("watch")?;
    Ok(stream.lines().map_err(anyhow::Error::new).and_then(async |line| Ok(serde_json::from_str(&line)?)))
}
