//! The hub of ConfigMaps, or of Secrets: tells who uses one when it appears, changes or goes.
//!
//! It begins to watch when the first ExtendedJob names one; what it keeps of each is where it is and its version.

use std::collections::{BTreeSet, HashMap};

use actix::{Actor, AsyncContext, Context, Handler, StreamHandler};
use extendedjob_api::TargetKind;
use extendedjob_decide::track::Observation;
use tracing::warn;

use crate::{
    cluster::{
        Cluster,
        configs::{ConfigObject, source},
    },
    lifeline::{Lifeline, stops_when_told},
    messages::{ConfigNews, SubscribeConfigs},
};

/// `namespace` and `name`.
type Place = (String, String);

/// Keeps the versions of all objects of one kind.
pub(crate) struct ConfigHub {
    kind: TargetKind,
    cluster: Cluster,
    is_watching: bool,
    is_complete: bool,
    /// Their versions, and the list in which each was last seen, or after which.
    objects: HashMap<Place, (String, u64)>,
    list: u64,
    subscriptions: HashMap<String, SubscribeConfigs>,
    users: HashMap<Place, BTreeSet<String>>,
    _lifeline: Lifeline<&'static str>,
}

impl ConfigHub {
    pub(crate) fn new(kind: TargetKind, cluster: Cluster, lifeline: Lifeline<&'static str>) -> Self {
        Self {
            kind,
            cluster,
            is_watching: false,
            is_complete: false,
            objects: HashMap::new(),
            list: 0,
            subscriptions: HashMap::new(),
            users: HashMap::new(),
            _lifeline: lifeline,
        }
    }

    fn version(&self, place: &Place) -> Option<String> {
        self.objects.get(place).map(|(version, _)| version.clone())
    }

    /// Tells a subscriber of these objects of its own.
    fn tell<'a>(&self, subscription: &SubscribeConfigs, names: impl Iterator<Item = &'a String>) {
        let of =
            |name: &String| (name.clone(), self.version(&(subscription.namespace.clone(), name.clone())));
        let objects = names.map(of).collect();
        let (kind, number) = (self.kind, subscription.number);
        subscription.subscriber.do_send(ConfigNews { kind, number, objects });
    }

    fn tell_users(&self, place: &Place) {
        for owner in self.users.get(place).into_iter().flatten() {
            if let Some(subscription) = self.subscriptions.get(owner) {
                self.tell(subscription, std::iter::once(&place.1));
            }
        }
    }

    fn unsubscribe(&mut self, owner: &str) {
        if let Some(SubscribeConfigs { namespace, names, .. }) = self.subscriptions.remove(owner) {
            for name in names {
                let place = (namespace.clone(), name);
                if let Some(users) = self.users.get_mut(&place) {
                    users.remove(owner);
                    if users.is_empty() {
                        self.users.remove(&place);
                    }
                }
            }
        }
    }

    fn set(&mut self, ConfigObject { namespace, name, version }: ConfigObject) {
        let place = (namespace, name);
        let list = self.list;
        let before = self.objects.insert(place.clone(), (version.clone(), list));
        if self.is_complete && before.is_none_or(|(before, _)| before != version) {
            self.tell_users(&place);
        }
    }

    fn remove(&mut self, place: &Place) {
        if self.objects.remove(place).is_some() && self.is_complete {
            self.tell_users(place);
        }
    }

    /// What was not in the list is gone.
    fn list_ended(&mut self) {
        let list = self.list;
        let gone: Vec<Place> = self
            .objects
            .iter()
            .filter(|(_, (_, seen))| *seen != list)
            .map(|(place, _)| place.clone())
            .collect();
        gone.iter().for_each(|place| self.remove(place));
        if !std::mem::replace(&mut self.is_complete, true) {
            self.subscriptions
                .values()
                .for_each(|subscription| self.tell(subscription, subscription.names.iter()));
        }
    }
}

stops_when_told!(ConfigHub);

impl Actor for ConfigHub {
    type Context = Context<Self>;
}

impl Handler<SubscribeConfigs> for ConfigHub {
    type Result = ();

    fn handle(&mut self, subscription: SubscribeConfigs, ctx: &mut Self::Context) {
        let gone = self.subscriptions.iter().filter(|(_, it)| !it.subscriber.connected());
        let gone: Vec<String> = gone.map(|(owner, _)| owner.clone()).collect();
        gone.iter().for_each(|owner| self.unsubscribe(owner));
        self.unsubscribe(&subscription.owner);
        if self.is_complete {
            self.tell(&subscription, subscription.names.iter());
        }
        for name in &subscription.names {
            let place = (subscription.namespace.clone(), name.clone());
            self.users.entry(place).or_default().insert(subscription.owner.clone());
        }
        let is_needed = !subscription.names.is_empty();
        self.subscriptions.insert(subscription.owner.clone(), subscription);
        if is_needed && !std::mem::replace(&mut self.is_watching, true) {
            ctx.add_stream(self.cluster.watch(source(self.kind), None));
        }
    }
}

impl StreamHandler<Observation<ConfigObject>> for ConfigHub {
    fn handle(&mut self, observation: Observation<ConfigObject>, _: &mut Self::Context) {
        match observation {
            Observation::Lost | Observation::Bookmark(_) => {}
            Observation::RelistBegun => self.list += 1,
            Observation::RelistEnded(_) => self.list_ended(),
            Observation::Seen(object) => self.set(object),
            Observation::Gone(ConfigObject { namespace, name, .. }) => self.remove(&(namespace, name)),
            Observation::Undecodable(undecodable) => {
                warn!(object = undecodable.name, error = undecodable.error, "can't understand an object");
            }
        }
    }
}
