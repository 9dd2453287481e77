//! The hub of pods: keeps what decides of every pod, and delivers each transition to the watchers
//! whose selectors it may concern.

use std::{
    collections::{BTreeSet, HashMap, VecDeque, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use actix::{Actor, Context, Handler, StreamHandler};
use extendedjob_decide::{
    pod::{Pod, Position},
    selector::IndexTerms,
};
use tokio::time::Instant;

use super::{Change, Watched};
use crate::{
    cluster::{Cluster, pods, watch::Observation},
    lifeline::{Lifeline, stops_when_told},
    messages::{PodMoved, PodsAtFirst, Refresh, SubscribePods},
    operator::{List, Readiness},
};

/// A pod that came and went while an ExtendedJob was being learnt of is remembered this long.
const GONE_REMEMBERED: Duration = Duration::from_secs(60);

/// Keeps all pods, slim.
pub(crate) struct PodHub {
    readiness: Readiness,
    pods: Watched<Pod>,
    position: Position,
    gone: VecDeque<(Instant, Arc<Pod>)>,
    subscriptions: HashMap<u64, SubscribePods>,
    next_subscription: u64,
    index: HashMap<String, NamespaceIndex>,
    _lifeline: Lifeline<&'static str>,
}

/// The subscriptions of one namespace, by the labels that can concern them.
#[derive(Default)]
struct NamespaceIndex {
    every: BTreeSet<u64>,
    by_label: HashMap<(String, String), BTreeSet<u64>>,
}

impl NamespaceIndex {
    fn add(&mut self, terms: IndexTerms, id: u64) {
        match terms {
            IndexTerms::Every => {
                self.every.insert(id);
            }
            IndexTerms::AnyOf(pairs) => {
                for pair in pairs {
                    self.by_label.entry(pair).or_default().insert(id);
                }
            }
        }
    }

    fn remove(&mut self, id: u64) {
        self.every.remove(&id);
        self.by_label.retain(|_, ids| {
            ids.remove(&id);
            !ids.is_empty()
        });
    }

    fn is_empty(&self) -> bool {
        self.every.is_empty() && self.by_label.is_empty()
    }

    /// The subscriptions that a pod may concern.
    fn concerned_by(&self, pod: &Pod) -> BTreeSet<u64> {
        let mut ids = self.every.clone();
        if !self.by_label.is_empty() {
            for (key, value) in &pod.labels {
                ids.extend(self.by_label.get(&(key.clone(), value.clone())).into_iter().flatten());
            }
        }
        ids
    }
}

impl PodHub {
    pub(crate) fn new(cluster: Cluster, readiness: Readiness, lifeline: Lifeline<&'static str>) -> Self {
        Self {
            readiness,
            pods: Watched::new(cluster, pods::SOURCE),
            position: 0,
            gone: VecDeque::new(),
            subscriptions: HashMap::new(),
            next_subscription: 0,
            index: HashMap::new(),
            _lifeline: lifeline,
        }
    }

    fn deliver(&self, before: Option<Arc<Pod>>, after: Arc<Pod>) {
        let Some(index) = self.index.get(&after.namespace) else { return };
        // By the present labels alone: a pod that has left the selector is of no more concern, and
        // one that enters comes with both states.
        for id in index.concerned_by(&after) {
            if let Some(subscription) = self.subscriptions.get(&id) {
                let moved = PodMoved { before: before.clone(), after: Arc::clone(&after) };
                subscription.subscriber.moved.do_send(moved);
            }
        }
    }

    /// Forgets the subscriptions of watchers that have ended.
    fn forget_ended(&mut self) {
        let ended =
            self.subscriptions.iter().filter(|(_, subscription)| !subscription.subscriber.moved.connected());
        let ended: Vec<u64> = ended.map(|(id, _)| *id).collect();
        ended.into_iter().for_each(|id| self.forget(id));
    }

    fn forget(&mut self, id: u64) {
        let Some(subscription) = self.subscriptions.remove(&id) else { return };
        if let Entry::Occupied(mut index) = self.index.entry(subscription.namespace) {
            index.get_mut().remove(id);
            if index.get().is_empty() {
                index.remove();
            }
        }
    }

    fn tell_all(&self, subscription: &SubscribePods) {
        let now = Instant::now();
        let lately = self.gone.iter().filter(|(since, _)| now.duration_since(*since) <= GONE_REMEMBERED);
        let gone = lately.map(|(_, pod)| pod);
        let matching = gone.chain(self.pods.store.objects()).filter(|pod| {
            pod.namespace == subscription.namespace && subscription.selector.matches(&pod.labels)
        });
        let pods = matching.cloned().collect();
        subscription.subscriber.at_first.do_send(PodsAtFirst { pods, position: self.position });
    }

    fn remember(&mut self, pod: Arc<Pod>) {
        let now = Instant::now();
        while self.gone.front().is_some_and(|(since, _)| now.duration_since(*since) > GONE_REMEMBERED) {
            self.gone.pop_front();
        }
        self.gone.push_back((now, pod));
    }
}

/// Whether a change can be of concern to anyone: most updates of a pod are not.
fn moved(before: Option<&Pod>, after: &Pod) -> bool {
    before.is_none_or(|before| before.ready != after.ready || before.labels != after.labels)
}

stops_when_told!(PodHub);

impl Actor for PodHub {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.pods.list(ctx);
    }
}

impl Handler<Refresh> for PodHub {
    type Result = ();

    fn handle(&mut self, _: Refresh, ctx: &mut Self::Context) {
        self.pods.list(ctx);
    }
}

impl StreamHandler<Observation<Pod>> for PodHub {
    fn handle(&mut self, observation: Observation<Pod>, _: &mut Self::Context) {
        self.position += 1;
        let position = self.position;
        let succeed = |pod: Pod, before: Option<&Pod>| match before {
            Some(before) => pod.following(before, position),
            None => pod.first_seen(position),
        };
        for change in self.pods.store.take(observation, succeed) {
            match change {
                Change::Set { before, after } => {
                    if self.pods.store.is_complete() && moved(before.as_deref(), &after) {
                        self.deliver(before, after);
                    }
                }
                Change::Removed(pod) => self.remember(pod),
                Change::Complete => {
                    self.readiness.complete(List::Pods);
                    self.subscriptions.values().for_each(|subscription| self.tell_all(subscription));
                }
            }
        }
    }
}

impl Handler<SubscribePods> for PodHub {
    type Result = ();

    fn handle(&mut self, subscription: SubscribePods, _: &mut Self::Context) {
        self.forget_ended();
        if self.pods.store.is_complete() {
            self.tell_all(&subscription);
        }
        let id = self.next_subscription;
        self.next_subscription += 1;
        let index = self.index.entry(subscription.namespace.clone()).or_default();
        index.add(subscription.selector.index_terms(), id);
        self.subscriptions.insert(id, subscription);
    }
}
