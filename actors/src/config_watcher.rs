//! Watches what the pods of one ExtendedJob use of ConfigMaps and Secrets.
//!
//! Duty: says what is missing of it, and how it is, when that has changed. Values are read, hashed and let go.

use std::{collections::BTreeMap, time::Duration};

use actix::{Actor, ActorFutureExt, Addr, AsyncContext, Context, Handler, Recipient, WrapFuture};
use extendedjob_api::TargetKind;
use extendedjob_decide::{
    references::{Digest, Missing, Object, Part, Reference, References},
    retry::Backoff,
};
use tracing::warn;

use crate::{
    clock::steady,
    cluster::{Cluster, configs::ConfigError},
    hubs::ConfigHub,
    lifeline::{Lifeline, stops_when_told},
    messages::{ChildId, ConfigNews, ConfigSeen, ConfigUnread, Refer, SubscribeConfigs},
};

/// The hubs of both kinds.
#[derive(Clone)]
pub(crate) struct ConfigHubs {
    pub(crate) maps: Addr<ConfigHub>,
    pub(crate) secrets: Addr<ConfigHub>,
}

/// The watcher of what one ExtendedJob's pods use.
pub(crate) struct ConfigWatcher {
    pub(crate) cluster: Cluster,
    /// UID and namespace of the ExtendedJob.
    pub(crate) owner: String,
    pub(crate) namespace: String,
    pub(crate) hubs: ConfigHubs,
    pub(crate) supervisor: Recipient<ConfigSeen>,
    pub(crate) unread: Recipient<ConfigUnread>,
    pub(crate) used: Used,
    pub(crate) _lifeline: Lifeline<ChildId>,
}

/// What is used, and what is known of it.
#[derive(Default)]
pub(crate) struct Used {
    refer: Refer,
    /// Which subscription: news of an older one may be about something else.
    number: u64,
    /// The versions that the hubs have told.
    versions: BTreeMap<Object, Option<String>>,
    /// What was found in these versions.
    found: BTreeMap<Object, Found>,
    turn: Turn,
    backoff: Backoff,
    told: Option<ConfigSeen>,
}

struct Found {
    version: Option<String>,
    missing: Option<Missing>,
    digest: Option<Digest>,
}

/// What a watcher does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Turn {
    #[default]
    Idle,
    Reading,
    /// It has just read: an object that changes all the time is read now and then.
    Pausing,
}

/// The least time between two readings.
const PAUSE: Duration = Duration::from_millis(250);

/// It may read again, for the same subscription.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct PauseOver(u64);

impl Used {
    pub(crate) fn new(refer: Refer) -> Self {
        Self { refer, ..Self::default() }
    }

    fn references(&self) -> &References {
        &self.refer.references
    }

    /// What is of another version than what was looked at; `None` while not all versions are known.
    fn changed(&self) -> Option<Vec<(Reference, Option<String>)>> {
        let mut changed = vec![];
        for (object, reference) in self.references() {
            let version = self.versions.get(object)?;
            if self.found.get(object).is_none_or(|found| found.version != *version) {
                changed.push((reference.clone(), version.clone()));
            }
        }
        Some(changed)
    }

    fn seen(&self) -> ConfigSeen {
        let missing = self.found.values().filter_map(|found| found.missing.clone()).collect();
        let digest = |(object, found): (&Object, &Found)| Some((object.clone(), found.digest.clone()?));
        let digests = self.found.iter().filter_map(digest).collect();
        ConfigSeen { of: self.refer.number, missing, digests }
    }
}

impl ConfigWatcher {
    fn subscribe(&mut self, ctx: &Context<Self>) {
        self.used.number += 1;
        for (kind, hub) in
            [(TargetKind::ConfigMap, &self.hubs.maps), (TargetKind::Secret, &self.hubs.secrets)]
        {
            let of_kind = self.used.references().keys().filter(|object| object.kind == kind);
            hub.do_send(SubscribeConfigs {
                owner: self.owner.clone(),
                namespace: self.namespace.clone(),
                names: of_kind.map(|object| object.name.clone()).collect(),
                number: self.used.number,
                subscriber: ctx.address().recipient(),
            });
        }
    }

    /// Reads what has changed, and tells what follows.
    fn look(&mut self, ctx: &mut Context<Self>) {
        if self.used.turn != Turn::Idle {
            return;
        }
        let Some(changed) = self.used.changed() else { return };
        if changed.is_empty() {
            return self.tell();
        }
        self.used.turn = Turn::Reading;
        let (cluster, namespace, number) = (self.cluster.clone(), self.namespace.clone(), self.used.number);
        let wants_digests = self.used.refer.wants_digests;
        let looking = async move {
            let mut found = vec![];
            for (reference, version) in changed {
                let object = reference.object.clone();
                found.push((object, look_at(&cluster, &namespace, &reference, version, wants_digests).await));
            }
            found
        };
        ctx.spawn(
            looking.into_actor(self).map(move |found, watcher, ctx| watcher.looked(number, found, ctx)),
        );
    }

    fn looked(
        &mut self,
        number: u64,
        found: Vec<(Object, Result<Found, ConfigError>)>,
        ctx: &mut Context<Self>,
    ) {
        if number != self.used.number {
            return;
        }
        let mut failure = None;
        for (object, found) in found {
            match found {
                Ok(found) => drop(self.used.found.insert(object, found)),
                Err(error) => {
                    warn!(%error, "what pods use is not known");
                    failure = Some(error.to_string());
                }
            }
        }
        self.used.turn = Turn::Pausing;
        let mut pause = PAUSE;
        if let Some(error) = failure {
            pause = self.used.backoff.after_failure(steady());
            // What is found out next is news, also if it is what was known before.
            self.used.told = None;
            self.unread.do_send(ConfigUnread { of: self.used.refer.number, error });
        } else {
            self.used.backoff.reset();
            if self.used.changed().is_some_and(|changed| changed.is_empty()) {
                self.tell();
            }
        }
        ctx.notify_later(PauseOver(number), pause);
    }

    fn tell(&mut self) {
        let seen = self.used.seen();
        if self.used.told.as_ref() != Some(&seen) {
            self.used.told = Some(seen.clone());
            self.supervisor.do_send(seen);
        }
    }
}

/// What of an object is there. Its values are read only if they matter.
async fn look_at(
    cluster: &Cluster,
    namespace: &str,
    reference: &Reference,
    version: Option<String>,
    wants_digests: bool,
) -> Result<Found, ConfigError> {
    let has_keys = reference.parts.keys().any(|part| matches!(part, Part::Key(_)));
    let contents = match &version {
        Some(_) if wants_digests || has_keys => cluster.config(&reference.object, namespace).await?,
        Some(_) => return Ok(Found { version, missing: None, digest: None }),
        None => None,
    };
    let values = contents.as_ref();
    // Under the version that was told, also if it was a later one that was read: that will be told, too.
    let (missing, digest) = (reference.missing_in(values), Digest::of(reference, values));
    Ok(Found { version, missing, digest: digest.filter(|_| wants_digests) })
}

stops_when_told!(ConfigWatcher);

impl Actor for ConfigWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.subscribe(ctx);
    }
}

impl Handler<Refer> for ConfigWatcher {
    type Result = ();

    fn handle(&mut self, refer: Refer, ctx: &mut Self::Context) {
        self.used = Used { number: self.used.number, ..Used::new(refer) };
        self.subscribe(ctx);
    }
}

impl Handler<ConfigNews> for ConfigWatcher {
    type Result = ();

    fn handle(&mut self, news: ConfigNews, ctx: &mut Self::Context) {
        if news.number == self.used.number {
            let of_kind = |(name, version)| (Object { kind: news.kind, name }, version);
            self.used.versions.extend(news.objects.into_iter().map(of_kind));
            self.look(ctx);
        }
    }
}

impl Handler<PauseOver> for ConfigWatcher {
    type Result = ();

    fn handle(&mut self, PauseOver(number): PauseOver, ctx: &mut Self::Context) {
        if number == self.used.number {
            self.used.turn = Turn::Idle;
            self.look(ctx);
        }
    }
}
