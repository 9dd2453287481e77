//! Every Job that was ever there, also those that are gone: a watch from before the first of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use futures::{StreamExt, pin_mut};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::{PartialObjectMeta, Status};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::names::{CONFIG_REVISION, KIND, POD_NAME, POD_UID, TRANSITION};
use crate::namespace::Namespace;
use crate::patience::{PATIENCE, answered};

/// Before a broken watch is opened again.
const PAUSE: Duration = Duration::from_millis(100);
/// The HTTP status where a watch can't be resumed.
const GONE: u16 = 410;

/// The Jobs of one namespace, followed until it is dropped.
pub struct JobsSeen {
    seen: watch::Receiver<Seen>,
    following: JoinHandle<()>,
}

/// What has been seen of them so far.
#[derive(Debug, Default)]
pub struct Seen {
    /// By UID, those of ExtendedJobs.
    pub runs: BTreeMap<String, Run>,
    /// The names of all others.
    marks: BTreeSet<String>,
    /// How often the watch could not be resumed.
    gaps: usize,
}

/// A Job of an ExtendedJob.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// Its name.
    pub job: String,
    /// Whose it is.
    pub extended_job: String,
    /// Empty where no pod is concerned, and so are the next two.
    pub pod_uid: String,
    /// The name of that pod.
    pub pod: String,
    /// What happened to it, and under which config revision.
    pub transition: String,
    /// Whether it was deleted.
    pub is_gone: bool,
    /// When it was seen first.
    pub seen: Option<Instant>,
}

impl JobsSeen {
    /// Follows the Jobs from now on.
    pub async fn follow(namespace: &Namespace) -> Result<Self> {
        let api: Api<Job> = namespace.api();
        let (sender, seen) = watch::channel(Seen::default());
        let version = catch_up(&api, &sender).await?;
        let following = tokio::spawn(follow(api, sender, version));
        Ok(Self { seen, following })
    }

    /// A look of one's own at them.
    pub fn receiver(&self) -> watch::Receiver<Seen> {
        self.seen.clone()
    }

    /// What has been seen by now.
    pub fn look<T>(&self, at: impl FnOnce(&Seen) -> T) -> T {
        at(&self.seen.borrow())
    }

    /// Waits until it is so; the patience begins anew with each Job.
    pub async fn until(&self, wanted: &str, is_so: impl Fn(&Seen) -> bool) -> Result<()> {
        let mut seen = self.receiver();
        let mut count = 0;
        loop {
            let change = seen.wait_for(|seen| is_so(seen) || seen.runs.len() > count);
            let waited = timeout(PATIENCE, change).await;
            let now =
                waited.map_err(|_| anyhow!("waited {PATIENCE:?} for {wanted}, with {count} Jobs seen"))?;
            let now = now.context("the Jobs are no longer followed")?;
            if is_so(&now) {
                return Ok(());
            }
            count = now.runs.len();
        }
    }

    /// Waits until everything has been seen that is there by now: a mark is set, and the watch tells of it
    /// after all that came before. Fails if Jobs may have come and gone unseen.
    pub async fn catch_up_with(&self, namespace: &Namespace, mark: &str) -> Result<()> {
        let containers = json!([{"name": "main", "image": "busybox"}]);
        let template = json!({"spec": {"restartPolicy": "Never", "containers": containers}});
        let job = json!({"metadata": {"name": mark}, "spec": {"suspend": true, "template": template}});
        let job: Job = serde_json::from_value(job).context("a mark's manifest")?;
        let (jobs, params) = (namespace.api::<Job>(), PostParams::default());
        answered("set a mark among the Jobs", || jobs.create(&params, &job)).await?;
        self.until("the mark among the Jobs", |seen| seen.marks.contains(mark)).await?;
        self.look(|seen| {
            let some_went = seen.runs.values().any(|run| run.is_gone);
            ensure!(
                seen.gaps == 0 || !some_went,
                "Jobs went, and their watch had gaps: the count is not exact"
            );
            Ok(())
        })
    }
}

impl Drop for JobsSeen {
    fn drop(&mut self) {
        self.following.abort();
    }
}

impl Seen {
    /// Takes down that the Job is there, or gone.
    fn note(&mut self, job: &ObjectMeta, is_gone: bool) {
        let name = job.name.clone().unwrap_or_default();
        let mut owners = job.owner_references.iter().flatten();
        let Some(owner) = owners.find(|owner| owner.kind == KIND) else {
            self.marks.insert(name);
            return;
        };
        let annotation = |key: &str| job.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        // Under each config revision there may be one for the same.
        let transition = annotation(TRANSITION).unwrap_or_default();
        let transition =
            annotation(CONFIG_REVISION).iter().fold(transition, |it, revision| format!("{it}@{revision}"));
        let run = || Run {
            job: name,
            extended_job: owner.name.clone(),
            pod_uid: annotation(POD_UID).unwrap_or_default(),
            pod: annotation(POD_NAME).unwrap_or_default(),
            transition,
            is_gone: false,
            seen: Some(Instant::now()),
        };
        self.runs.entry(job.uid.clone().unwrap_or_default()).or_insert_with(run).is_gone = is_gone;
    }
}

/// Lists the Jobs, and gives the version from which to watch.
async fn catch_up(api: &Api<Job>, sender: &watch::Sender<Seen>) -> Result<String> {
    let all = ListParams::default();
    let list = answered("list the Jobs", || api.list_metadata(&all)).await?;
    sender.send_modify(|seen| list.items.iter().for_each(|job| seen.note(&job.metadata, false)));
    list.metadata.resource_version.context("a list without a version")
}

/// Watches for ever, through closed watches and an API server that is down.
async fn follow(api: Api<Job>, sender: watch::Sender<Seen>, mut version: String) {
    loop {
        let status = watch_once(&api, &sender, &mut version).await;
        if status.is_some_and(|status| status.code == GONE)
            && let Ok(listed) = catch_up(&api, &sender).await
        {
            version = listed;
            sender.send_modify(|seen| seen.gaps += 1);
        }
        sleep(PAUSE).await;
    }
}

/// Watches until the watch ends, and tells how the API server explained that, if it did.
async fn watch_once(
    api: &Api<Job>,
    sender: &watch::Sender<Seen>,
    version: &mut String,
) -> Option<Box<Status>> {
    let events = match api.watch_metadata(&WatchParams::default(), version).await {
        Ok(events) => events,
        Err(kube::Error::Api(status)) => return Some(status),
        Err(_) => return None,
    };
    pin_mut!(events);
    while let Some(Ok(event)) = events.next().await {
        match event {
            WatchEvent::Added(PartialObjectMeta { metadata, .. })
            | WatchEvent::Modified(PartialObjectMeta { metadata, .. }) => {
                sender.send_modify(|seen| seen.note(&metadata, false));
                *version = metadata.resource_version.unwrap_or_default();
            }
            WatchEvent::Deleted(PartialObjectMeta { metadata, .. }) => {
                sender.send_modify(|seen| seen.note(&metadata, true));
                *version = metadata.resource_version.unwrap_or_default();
            }
            WatchEvent::Bookmark(bookmark) => *version = bookmark.metadata.resource_version,
            WatchEvent::Error(status) => return Some(status),
        }
    }
    None
}
