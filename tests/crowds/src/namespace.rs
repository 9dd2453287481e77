//! A namespace of a scenario's own.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Result;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace as NamespaceObject, ServiceAccount};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::core::ObjectMeta;
use kube::{Api, Client, Resource};

use crate::patience::{answered, done_or, until, until_within};

/// What the names of all these namespaces begin with.
pub const PREFIX: &str = "crowd-";
/// Twenty thousand pods, each deleted by a request.
const CLEARING: Duration = Duration::from_secs(900);
/// The HTTP status where the object is there already.
const ALREADY_EXISTS: u16 = 409;

/// Gives up all these namespaces, those too that something that went wrong has left, and waits until they are gone.
pub async fn clear(client: &Client) -> Result<()> {
    for ObjectMeta { name, deletion_timestamp, .. } in all(client).await? {
        if deletion_timestamp.is_none() {
            Namespace { name: name.unwrap_or_default(), client: client.clone() }.abandon().await?;
        }
    }
    until_within(CLEARING, "the end of namespaces that were given up", async || {
        Ok(all(client).await?.is_empty().then_some(()))
    })
    .await
}

/// All these namespaces.
async fn all(client: &Client) -> Result<Vec<ObjectMeta>> {
    let (namespaces, params) = (Api::<NamespaceObject>::all(client.clone()), ListParams::default());
    let found = answered("list the namespaces", || namespaces.list_metadata(&params)).await?;
    let found = found.items.into_iter().map(|namespace| namespace.metadata);
    Ok(found.filter(|found| found.name.as_ref().is_some_and(|name| name.starts_with(PREFIX))).collect())
}

/// A namespace, and what is in it.
#[derive(Clone)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    client: Client,
}

impl Namespace {
    /// A new one, in which pods can be created.
    pub async fn create(client: &Client, purpose: &str) -> Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}{purpose}-{}-{number}", std::process::id());
        let named = |name: &str| ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        let params = PostParams::default();
        let namespaces: Api<NamespaceObject> = Api::all(client.clone());
        let object = NamespaceObject { metadata: named(&name), ..NamespaceObject::default() };
        let what = format!("create the namespace {name}");
        done_or(&what, ALREADY_EXISTS, || namespaces.create(&params, &object)).await?;
        let namespace = Self { name, client: client.clone() };
        // No pod is let in without it, and the controller that makes it takes up to a minute after a restart of
        // the API server.
        let accounts: Api<ServiceAccount> = namespace.api();
        let account = ServiceAccount { metadata: named("default"), ..ServiceAccount::default() };
        let what = "create the namespace's default account";
        done_or(what, ALREADY_EXISTS, || accounts.create(&params, &account)).await?;
        Ok(namespace)
    }

    /// The objects of a kind in it.
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Gives it up without waiting for its end. Its ExtendedJobs go first, so that the end of its pods is
    /// nothing to the operators of the next scenario.
    pub async fn abandon(&self) -> Result<()> {
        let (delete, all) = (DeleteParams::default(), ListParams::default());
        let extended_jobs = self.extended_jobs();
        let deleted = answered("delete the ExtendedJobs", || extended_jobs.delete_collection(&delete, &all));
        deleted.await?;
        self.delete().await
    }

    /// Deletes it with all that is in it, in whatever order that goes.
    pub async fn delete(&self) -> Result<()> {
        let (namespaces, delete) =
            (Api::<NamespaceObject>::all(self.client.clone()), DeleteParams::default());
        answered("delete the namespace", || namespaces.delete(&self.name, &delete)).await.map(drop)
    }

    /// Waits until what is created is stamped with a later second than what has been.
    pub async fn until_the_next_second(&self) -> Result<()> {
        let now = self.stamp().await?;
        until("the next second", async || Ok((self.stamp().await? > now).then_some(()))).await
    }

    /// When an object was created that is created now.
    async fn stamp(&self) -> Result<Option<Time>> {
        let metadata = ObjectMeta { name: Some("stamp".to_owned()), ..ObjectMeta::default() };
        let (config_maps, object) = (self.api(), ConfigMap { metadata, ..ConfigMap::default() });
        let only_tried = PostParams { dry_run: true, ..PostParams::default() };
        let tried = answered("ask for the time", || config_maps.create(&only_tried, &object)).await?;
        Ok(tried.metadata.creation_timestamp)
    }

    /// Whether it, or something of it, is still there.
    pub async fn is_there(&self) -> Result<bool> {
        let namespaces: Api<NamespaceObject> = Api::all(self.client.clone());
        Ok(answered("read the namespace", || namespaces.get_opt(&self.name)).await?.is_some())
    }

    /// The client that leads to it.
    pub fn client(&self) -> &Client {
        &self.client
    }
}
