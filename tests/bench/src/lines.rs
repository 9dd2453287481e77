//! A watch as the API server sends it: a line of JSON per event, of which each reader decodes what it needs.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use futures::stream::{self, BoxStream};
use futures::{AsyncBufReadExt, Stream, StreamExt, TryStreamExt};
use k8s_openapi::NamespaceResourceScope;
use kube::api::{ListParams, WatchParams};
use kube::core::{PartialObjectMeta, Request};
use kube::{Client, Resource};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How an event begins that says why the watch can't go on.
const ERROR: &str = r#"{"type":"ERROR""#;

/// An event of a watch.
#[derive(Deserialize)]
pub(crate) struct Event<S> {
    /// `ADDED`, `MODIFIED` or `DELETED`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) object: Object<S>,
}

#[derive(Deserialize)]
pub(crate) struct Object<S> {
    pub(crate) metadata: Metadata,
    pub(crate) status: S,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) name: String,
    pub(crate) uid: String,
    resource_version: String,
    /// As the API server writes it.
    pub(crate) creation_timestamp: Value,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// A watch, taken up again where the API server ends it.
struct Watch {
    client: Client,
    requests: Request,
    version: String,
    lines: Option<BoxStream<'static, std::io::Result<String>>>,
}

/// What happens to the objects of a kind in a namespace from now on.
pub(crate) async fn watch<K, S>(
    client: &Client,
    namespace: &str,
) -> Result<impl Stream<Item = Result<Event<S>>> + use<K, S>>
where
    K: Clone + Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    S: DeserializeOwned,
{
    let requests = Request::new(K::url_path(&(), Some(namespace)));
    let list = requests.list_metadata(&ListParams::default().limit(1))?;
    let list: kube::core::ObjectList<PartialObjectMeta<K>> =
        client.request(list).await.context("list before a watch")?;
    let version = list.metadata.resource_version.context("a list without a version")?;
    let watch = Watch { client: client.clone(), requests, version, lines: None };
    Ok(stream::try_unfold(watch, async |mut watch| {
        let event = watch.next().await?;
        Ok(Some((event, watch)))
    }))
}

impl Watch {
    async fn next<S: DeserializeOwned>(&mut self) -> Result<Event<S>> {
        loop {
            let lines = match &mut self.lines {
                Some(lines) => lines,
                None => {
                    let params = WatchParams::default().disable_bookmarks();
                    let request = self.requests.watch(&params, &self.version)?;
                    let opened = self.client.request_stream(request).await.context("watch")?;
                    self.lines.insert(opened.lines().boxed())
                }
            };
            match lines.try_next().await? {
                Some(line) if line.starts_with(ERROR) => bail!("a watch was ended: {line}"),
                Some(line) => {
                    let event: Event<S> = serde_json::from_str(&line)?;
                    self.version.clone_from(&event.object.metadata.resource_version);
                    return Ok(event);
                }
                None => self.lines = None,
            }
        }
    }
}
