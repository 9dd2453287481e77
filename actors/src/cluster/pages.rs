//! Pages of the book of pods: ConfigMaps in the operator's own namespace, where no user's quota and
//! no end of a namespace reaches them.

use extendedjob_api::names;
use extendedjob_decide::{
    book::{PageId, Stored},
    fault::Class,
};
use kube::api::{DeleteParams, ListParams, Patch, Preconditions};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{
    Cluster, Failpoint, Fault,
    kept::{Kept, SET_ASIDE, Safe, Wire},
    patching, requests,
};

const PART: &str = "binaryData";
const KEY: &str = "pods";
/// On a page: which of its namespace's pages it is.
const INDEX: &str = "fissile.cloudfoundry.org/pod-book-page";

/// Why the book could not be dealt with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    /// Reading all pages.
    #[error("can't read the book of pods in namespace {0}: {1}")]
    Read(String, #[source] Fault),
    /// Writing a page.
    #[error("can't write the page of pods, ConfigMap {0}: {1}")]
    Write(String, #[source] Fault),
    /// Deleting a page.
    #[error("can't delete the page of pods, ConfigMap {0}: {1}")]
    Delete(String, #[source] Fault),
}

impl PageError {
    /// The failed call.
    pub(crate) fn fault(&self) -> &Fault {
        let (Self::Read(_, fault) | Self::Write(_, fault) | Self::Delete(_, fault)) = self;
        fault
    }
}

#[derive(Deserialize)]
struct List {
    items: Vec<Wire>,
}

impl Cluster {
    /// All pages, kept in the namespace `home`.
    pub(crate) async fn pages(&self, home: &str) -> Result<Vec<Stored>, PageError> {
        // Those of another namespace are those of another operator.
        let of_namespace =
            self.scope.namespace().map(|namespace| format!("{}={namespace}", names::BOOK_LABEL));
        let label = of_namespace.as_deref().unwrap_or(names::BOOK_LABEL);
        let list: List = self
            .call(requests("api/v1", home, "configmaps").list(&ListParams::default().labels(label)))
            .await
            .map_err(|fault| PageError::Read(home.to_owned(), fault))?;
        let pages = list.items.into_iter().filter_map(|wire| {
            let namespace = wire.metadata.labels.get(names::BOOK_LABEL)?.clone();
            let index = wire.metadata.labels.get(INDEX)?.parse().ok()?;
            let kept = wire.kept(PART, KEY);
            Some(Stored { id: (namespace, index), object: Some(kept.object), bytes: kept.bytes })
        });
        Ok(pages.collect())
    }

    /// Stores a page, provided that it is still as it was. Says the new resourceVersion.
    pub(crate) async fn store_page(&self, home: &str, page: &Stored) -> Result<String, PageError> {
        let safe = safe(home, &page.id);
        let error = |fault| PageError::Write(safe.name.clone(), fault);
        let stored = self.keep(&safe, page.object.as_deref(), &page.bytes, None).await;
        match stored {
            // One that was set aside stands there.
            Err(fault) if page.object.is_none() && fault.class() == Class::AlreadyExists => {
                let there = self.kept(&safe).await.map_err(error)?;
                let object = there.map(|kept| kept.object);
                self.keep(&safe, object.as_deref(), &page.bytes, None).await.map_err(error)
            }
            stored => stored.map_err(error),
        }
    }

    /// Takes a page that can't be used out of the book; its bytes stay for someone to look at.
    pub(crate) async fn set_page_aside(&self, home: &str, page: &Stored) -> Result<(), PageError> {
        let Safe { requests, name, .. } = safe(home, &page.id);
        let aside = data_encoding::BASE64.encode(&page.bytes);
        let patch = json!({
            "metadata": { "resourceVersion": page.object, "labels": { names::BOOK_LABEL: null } },
            PART: { KEY: null, SET_ASIDE: aside },
        });
        let request = requests.patch(&name, &patching(), &Patch::Merge(&patch));
        match self.write::<IgnoredAny>(Failpoint::Page, request).await {
            // What someone deleted need not be set aside any more.
            Err(fault) if fault.class() != Class::NotFound => Err(PageError::Write(name, fault)),
            _ => Ok(()),
        }
    }

    /// A page as it is stored; `None` if it is not there.
    pub(crate) async fn page(&self, home: &str, id: &PageId) -> Result<Option<Kept>, PageError> {
        let safe = safe(home, id);
        self.kept(&safe).await.map_err(|fault| PageError::Read(home.to_owned(), fault))
    }

    /// Deletes a page, provided that its object is as it was left; one that is gone already is deleted.
    pub(crate) async fn delete_page(&self, home: &str, id: &PageId, object: &str) -> Result<(), PageError> {
        let Safe { requests, name, .. } = safe(home, id);
        let as_left = Preconditions { uid: None, resource_version: Some(object.to_owned()) };
        let params = DeleteParams { preconditions: Some(as_left), ..DeleteParams::default() };
        let request = requests.delete(&name, &params);
        match self.write::<IgnoredAny>(Failpoint::Page, request).await {
            Err(fault) if fault.class() != Class::NotFound => Err(PageError::Delete(name, fault)),
            _ => Ok(()),
        }
    }
}

fn safe(home: &str, (namespace, index): &PageId) -> Safe {
    let labels = json!({
        names::BOOK_LABEL: namespace,
        INDEX: index.to_string(),
        "app.kubernetes.io/managed-by": names::FIELD_MANAGER,
    });
    Safe {
        point: Failpoint::Page,
        requests: requests("api/v1", home, "configmaps"),
        name: format!("pods.{namespace}.{index}"),
        part: PART,
        key: KEY,
        frame: json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "labels": labels } }),
    }
}
