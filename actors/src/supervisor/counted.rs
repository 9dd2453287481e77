//! The pods that have counted, for which runs start again when what their pods use has changed.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};
use extendedjob_decide::{job::Job, pod::Pod, transition::Trigger};
use tracing::warn;

use super::Supervisor;
use crate::messages::Recall;

/// So many pods more than there are may be remembered to have counted.
const SLACK: usize = 100;

/// What is known of them besides, see [`Config::counted`](extendedjob_decide::config::Config::counted).
#[derive(Default)]
pub(super) struct Counted {
    is_pruning: bool,
}

impl Supervisor {
    /// The pods of the Jobs that are there have counted, with what they did last.
    pub(super) fn count_pods(&mut self) {
        let Some(runs) = self.runs.as_ref().filter(|_| self.desk.config().digests.is_some()) else { return };
        let mut jobs: Vec<&Job> = runs.jobs.values().map(|job| &**job).collect();
        jobs.sort_by_key(|job| (Reverse(job.created), &job.name));
        for job in jobs {
            let transition = job.key.as_deref().and_then(|key| key.parse().ok());
            if let (Some(pod), Some(transition)) = (&job.pod_uid, transition) {
                self.desk.has_counted(&job.name, pod, &transition);
            }
        }
    }

    /// Forgets that pods have counted that are gone, or no longer of concern. Most are told of when they go; but one may
    /// have gone before its run had a Job, or have lost its labels.
    pub(super) fn prune_counted(&mut self, ctx: &mut Context<Self>) {
        let counted = &self.desk.config().counted;
        let watched = usize::try_from(self.watched).unwrap_or_default();
        if counted.len() <= watched + SLACK || self.counted.is_pruning {
            return;
        }
        self.counted.is_pruning = true;
        let asking = self.recall(counted.keys().cloned().collect());
        ctx.spawn(asking.into_actor(self).map(|answer, supervisor, _| {
            supervisor.counted.is_pruning = false;
            if let Some(pods) = answer {
                supervisor.forget_all_but(&pods);
            }
        }));
    }

    /// How these pods are now, by their UIDs. As long as the hub has not caught up with what was there when it began, the
    /// API server is asked.
    pub(super) fn recall(
        &self,
        pods: BTreeSet<String>,
    ) -> impl Future<Output = Option<Vec<Arc<Pod>>>> + use<> {
        let (cluster, namespace) = (self.around.cluster.clone(), self.declared.namespace.clone());
        let hub = self.around.pods.clone();
        async move {
            if let Ok(Some(known)) = hub.send(Recall(pods.clone())).await {
                return Some(known);
            }
            match cluster.pods_in(&namespace).await {
                Ok(all) => Some(all.into_iter().filter(|pod| pods.contains(&pod.uid)).collect()),
                Err(error) => {
                    warn!(namespace, %error, "how pods are is not known yet");
                    None
                }
            }
        }
    }

    /// These are the pods that have counted and are still of concern.
    pub(super) fn forget_all_but(&mut self, pods: &[Arc<Pod>]) {
        let Some(trigger) = self.declared.spec.triggers.as_ref().map(Trigger::new) else { return };
        let is_there = pods.iter().filter(|pod| trigger.concerns(pod));
        let is_there: BTreeSet<&str> = is_there.map(|pod| pod.uid.as_str()).collect();
        let counted: Vec<String> = self.desk.config().counted.keys().cloned().collect();
        for pod in counted.iter().filter(|pod| !is_there.contains(pod.as_str())) {
            self.desk.pod_gone(pod);
        }
    }
}
