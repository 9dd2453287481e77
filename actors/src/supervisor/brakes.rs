//! The brakes of one ExtendedJob: how many runs may start, all in all and for one pod.

use std::{collections::HashMap, time::Duration};

use extendedjob_api::conditions::reasons;
use extendedjob_decide::{
    brake::{Bucket, Limit},
    desk,
    run::Run,
    view::Trouble,
};
use jiff::Timestamp;

use crate::{clock::later, metrics::Brake};

/// How many runs may start before a brake opens, and how long what fails is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one pod.
    pub pod: Limit,
    /// Of one ExtendedJob.
    pub all: Limit,
    /// At the request of someone, of one ExtendedJob.
    pub requests: Limit,
    /// For changes of what the pods use, of one ExtendedJob.
    pub restarts: Limit,
    /// For how long the output of an attempt is tried to be written.
    pub output_patience: Duration,
}

/// The buckets; those of pods that are full are forgotten.
pub(super) struct Brakes {
    limits: Limits,
    all: Bucket,
    pods: HashMap<String, Bucket>,
    /// Before that none of them is looked at to be forgotten.
    look_at: Timestamp,
}

impl Brakes {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, all: Bucket::default(), pods: HashMap::new(), look_at: Timestamp::MIN }
    }

    /// Whether a run has to wait, because too many have started lately.
    pub(super) fn of(&self, run: &Run, now: Timestamp) -> desk::Brake {
        let pod = run.reason.pod().and_then(|pod| self.pods.get(&pod.uid));
        let pod_has = pod.is_none_or(|bucket| bucket.has_token(self.limits.pod, now));
        if pod_has && self.all.has_token(self.limits.all, now) {
            desk::Brake::Closed
        } else {
            desk::Brake::Open
        }
    }

    /// Lets a run start, if it need not wait.
    pub(super) fn pass(&mut self, run: &Run, now: Timestamp) -> bool {
        if self.of(run, now) == desk::Brake::Open {
            return false;
        }
        self.all.take(self.limits.all, now);
        if let Some(pod) = run.reason.pod() {
            self.pods.entry(pod.uid.clone()).or_default().take(self.limits.pod, now);
        }
        true
    }

    /// A run that was let through is not started after all.
    pub(super) fn give_back(&mut self, run: &Run) {
        self.all.give_back();
        if let Some(bucket) = run.reason.pod().and_then(|pod| self.pods.get_mut(&pod.uid)) {
            bucket.give_back();
        }
    }

    /// For which brake a run waits, what the user is to know of it, and when to look again.
    pub(super) fn tell(&self, run: &Run, now: Timestamp) -> Option<(Brake, Trouble, Timestamp)> {
        if self.of(run, now) == desk::Brake::Closed {
            return None;
        }
        let pod = run.reason.pod().and_then(|pod| Some((pod, self.pods.get(&pod.uid)?)));
        let (brake, who, limit, bucket) = match pod {
            Some((pod, bucket)) if !bucket.has_token(self.limits.pod, now) => {
                (Brake::Pod, format!("pod {}", pod.name), self.limits.pod, bucket)
            }
            _ => (Brake::All, "the pods all together".to_owned(), self.limits.all, &self.all),
        };
        let message = format!(
            "{who} started {} runs in a short time; one more may start each {:?}, and until then what repeats \
             itself is merged into one run",
            limit.burst, limit.every
        );
        Some((brake, Trouble { reason: reasons::TOO_MANY_RUNS, message }, bucket.next(limit)))
    }

    /// Forgets the pods that have not started anything for long. Looks at them no more often than one of them can have become
    /// forgettable: in a burst this is asked with each run.
    pub(super) fn forget_full(&mut self, now: Timestamp) {
        if now < self.look_at {
            return;
        }
        let limit = self.limits.pod;
        self.look_at = later(now, limit.every);
        self.pods.retain(|_, bucket| !bucket.is_full(limit, now));
    }
}
