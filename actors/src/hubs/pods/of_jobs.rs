//! The pods of our own Jobs: delivered to the runners of those Jobs, and of no concern to triggers.

use std::{collections::HashMap, sync::Arc};

use actix::Recipient;
use extendedjob_decide::{
    attempts::{JobPod, by_end},
    track::Observation,
};

use crate::{
    cluster::pods::WatchedPod,
    messages::{JobPodNews, SubscribeJobPods},
};

/// The pods of our Jobs, by the UID of the Job.
#[derive(Default)]
pub(super) struct OfJobs {
    pods: HashMap<String, HashMap<String, Arc<JobPod>>>,
    subscribers: HashMap<String, Recipient<JobPodNews>>,
}

impl OfJobs {
    /// Everything is about to be listed anew, and told again.
    pub(super) fn clear(&mut self) {
        self.pods.clear();
    }

    pub(super) fn subscribe(&mut self, SubscribeJobPods { job, subscriber }: SubscribeJobPods) {
        self.subscribers.retain(|_, subscriber| subscriber.connected());
        let known = self.pods.get(&job).into_iter().flat_map(HashMap::values).cloned();
        for pod in by_end(known.collect()) {
            subscriber.do_send(JobPodNews::Seen(pod));
        }
        self.subscribers.insert(job, subscriber);
    }

    pub(super) fn observe(&mut self, observation: &Observation<WatchedPod>) {
        match observation {
            Observation::Seen(WatchedPod { own: Some(pod), .. }) => {
                self.pods.entry(pod.job.clone()).or_default().insert(pod.uid.clone(), Arc::clone(pod));
                self.tell(pod, JobPodNews::Seen);
            }
            Observation::Gone(WatchedPod { own: Some(pod), .. }) => {
                if let Some(pods) = self.pods.get_mut(&pod.job) {
                    pods.remove(&pod.uid);
                    if pods.is_empty() {
                        self.pods.remove(&pod.job);
                    }
                }
                self.tell(pod, JobPodNews::Gone);
            }
            _ => {}
        }
    }

    fn tell(&mut self, pod: &Arc<JobPod>, news: impl FnOnce(Arc<JobPod>) -> JobPodNews) {
        let Some(subscriber) = self.subscribers.get(&pod.job) else { return };
        if subscriber.connected() {
            subscriber.do_send(news(Arc::clone(pod)));
        } else {
            self.subscribers.remove(&pod.job);
        }
    }
}
