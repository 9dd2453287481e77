//! Who wants to know of which pods: answered with what is there, and told again what is not settled.

use std::{collections::HashMap, sync::Arc};

use actix::Handler;
use extendedjob_decide::pod::{Pod, Version};
use tokio::time::Instant;

use super::{
    GONE_REMEMBERED, PodHub,
    interests::{Interest, Interests},
};
use crate::messages::{
    Expect, PodMoved, PodsAtFirst, PodsWatched, Sight, SubscribeJobPods, SubscribePods, Unexpect,
};

/// The pods that a trigger is about.
#[derive(Default)]
struct Present {
    count: usize,
    /// None of them for who has seen them before.
    pods: Vec<Arc<Pod>>,
}

impl Present {
    fn add(&mut self, pod: &Arc<Pod>, sight: Sight) {
        self.count += 1;
        if sight != Sight::Again {
            self.pods.push(Arc::clone(pod));
        }
    }
}

impl PodHub {
    /// Where everybody is who subscribes now.
    fn position(&self) -> Version {
        let barrier = self.keeping.as_ref().map(|keeping| keeping.barrier);
        self.tracker.position().max(barrier.unwrap_or_default())
    }

    /// Answers all watchers that wait, and looks at each pod once for that.
    pub(super) fn tell_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        let mut wanted = Interests::default();
        for (owner, SubscribePods { namespace, trigger, .. }) in &waiting {
            let interest = Interest::in_pods_of(namespace.clone(), trigger.clone());
            wanted.set(owner.clone(), interest);
        }
        let mut present: HashMap<String, Present> = HashMap::new();
        for pod in self.tracker.pods() {
            for (owner, _) in wanted.in_pod(pod) {
                let sight = waiting.get(&owner).map_or(Sight::Again, |it| it.sight);
                present.entry(owner).or_default().add(pod, sight);
            }
        }
        for (owner, subscription) in waiting {
            self.tell(subscription, present.remove(&owner).unwrap_or_default());
        }
    }

    /// Answers a watcher, and tells it again what is not settled; `present`: those that its trigger is about.
    fn tell(&mut self, subscription: SubscribePods, present: Present) {
        let SubscribePods { owner, namespace, trigger, sight, number, subscriber } = subscription;
        let now = Instant::now();
        let (position, since) = (self.position(), self.tracker.position());
        let Some(keeping) = &mut self.keeping else { return };
        let lost = match sight {
            Sight::Again if !keeping.rebased.contains(&owner) => keeping.loss(&namespace),
            Sight::Again => None,
            Sight::First | Sight::Edited => {
                keeping.rebased.insert(owner.clone());
                None
            }
        };
        keeping.book.open(&namespace, since);
        if sight != Sight::Again {
            keeping.note_present(&present.pods, since);
        }
        let watched = present.count;
        let pods = match sight {
            Sight::First => {
                let is_late = |since: Instant| now.duration_since(since) <= GONE_REMEMBERED;
                let gone = self.gone.iter().filter(|(since, _)| is_late(*since)).map(|(_, pod)| pod);
                let gone = gone.filter(|pod| pod.namespace == namespace && trigger.concerns(pod));
                gone.cloned().chain(present.pods).collect()
            }
            Sight::Again | Sight::Edited => vec![],
        };
        subscriber.watched.do_send(PodsWatched { number, pods: watched });
        subscriber.at_first.do_send(PodsAtFirst { number, pods, position, lost });
        for (receipt, moved) in self.deliveries.of(&owner) {
            let observed = self.observed.get(&receipt).copied().unwrap_or(now);
            subscriber.moved.do_send(PodMoved { receipt, moved: moved.clone(), observed });
        }
        let interest = Interest::in_pods_of(namespace.clone(), trigger);
        let (subscriber, awaits_book) = (Some((number, subscriber)), Some(since));
        self.interests.set(owner, Interest { subscriber, awaits_book, watched, ..interest });
        self.book_is_written(&namespace);
    }
}

impl Handler<Expect> for PodHub {
    type Result = ();

    /// Until it subscribes, what it is to be told of is kept, and so is all that it will see at first.
    fn handle(&mut self, Expect { owner, namespace, trigger, is_new }: Expect, _: &mut Self::Context) {
        if self.interests.get(&owner).is_none() {
            if is_new {
                // Before the term has begun: where the checkpoint is.
                let position = self.keeping.as_ref().map_or(0, |_| self.tracker.position());
                self.deliveries.hold(&owner, position);
            }
            self.interests.set(owner, Interest::in_pods_of(namespace, trigger));
        }
    }
}

impl Handler<Unexpect> for PodHub {
    type Result = ();

    fn handle(&mut self, Unexpect(owner): Unexpect, ctx: &mut Self::Context) {
        self.waiting.remove(&owner);
        for (receipt, _) in self.deliveries.of(&owner) {
            self.observed.remove(&receipt);
        }
        self.deliveries.forget(&owner);
        if let Some(namespace) = self.interests.remove(&owner) {
            self.close_book(&namespace, ctx);
        }
        self.reach();
    }
}

impl Handler<SubscribePods> for PodHub {
    type Result = ();

    fn handle(&mut self, subscription: SubscribePods, ctx: &mut Self::Context) {
        if self.interests.get(&subscription.owner).is_none() {
            // Its ExtendedJob has gone since.
            return;
        }
        if self.keeping.is_some() && self.tracker.is_complete() {
            let SubscribePods { namespace, trigger, .. } = &subscription;
            let is_about = |pod: &&Arc<Pod>| pod.namespace == *namespace && trigger.concerns(pod);
            let mut present = Present::default();
            self.tracker.pods().filter(is_about).for_each(|pod| present.add(pod, subscription.sight));
            self.tell(subscription, present);
            self.write_book(ctx);
        } else {
            self.waiting.insert(subscription.owner.clone(), subscription);
        }
    }
}

impl Handler<SubscribeJobPods> for PodHub {
    type Result = ();

    fn handle(&mut self, subscription: SubscribeJobPods, _: &mut Self::Context) {
        self.of_jobs.subscribe(subscription);
    }
}
