//! When the Job for each pod was seen first, by whomever it was made.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use crowds::names::POD_UID;
use futures::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use kube::Client;
use serde::de::IgnoredAny;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::lines::{self, Event};

/// The annotation on the floor's Jobs with the UID of the pod that they are for.
pub(crate) const FLOOR_POD_UID: &str = "bench.fissile.cloudfoundry.org/pod-uid";

/// Without a Job for so long, none is going to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The Jobs of one namespace, followed until it is dropped.
pub(crate) struct Arrivals {
    seen: watch::Receiver<HashMap<String, Instant>>,
    following: JoinHandle<()>,
}

impl Arrivals {
    /// From now on.
    pub(crate) async fn follow(client: &Client, namespace: &str) -> Result<Self> {
        let events = lines::watch::<Job, IgnoredAny>(client, namespace).await?;
        let (sender, seen) = watch::channel(HashMap::new());
        let following = tokio::spawn(async move {
            let noted = events.try_for_each(|Event { object, .. }| {
                let now = Instant::now();
                let uid =
                    [FLOOR_POD_UID, POD_UID].iter().find_map(|key| object.metadata.annotations.get(*key));
                if let Some(uid) = uid {
                    sender.send_if_modified(|seen| {
                        let is_new = !seen.contains_key(uid);
                        seen.entry(uid.clone()).or_insert(now);
                        is_new
                    });
                }
                std::future::ready(Ok(()))
            });
            if let Err(error) = noted.await {
                eprintln!("the Jobs are no longer followed: {error:#}");
            }
        });
        Ok(Self { seen, following })
    }

    /// Waits for the Job for this pod, and says when it was seen.
    pub(crate) async fn of(&self, uid: &str) -> Result<Instant> {
        let mut seen = self.seen.clone();
        let found = timeout(PATIENCE, seen.wait_for(|seen| seen.contains_key(uid))).await;
        let found = found.map_err(|_| anyhow!("no Job for the pod {uid} within {PATIENCE:?}"))?;
        found.context("the Jobs are no longer followed")?.get(uid).copied().context("it was just there")
    }

    /// Waits until Jobs for so many pods have been seen, and says when the last was.
    pub(crate) async fn until(&self, count: usize) -> Result<Instant> {
        let mut seen = self.seen.clone();
        loop {
            let now = seen.borrow_and_update().len();
            if now >= count {
                return seen.borrow().values().max().copied().context("no Job was waited for");
            }
            let change = timeout(PATIENCE, seen.changed()).await;
            change.map_err(|_| anyhow!("{now} Jobs of {count}, and no other within {PATIENCE:?}"))??;
        }
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        self.following.abort();
    }
}
