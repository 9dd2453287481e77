//! What the pods use of ConfigMaps and Secrets: while something required is missing, no run starts.

use std::time::Duration;

use actix::{Actor, AsyncContext, Context, Handler};
use extendedjob_api::{Mode, conditions::reasons};
use extendedjob_decide::view::Trouble;

use super::{Supervisor, restarts::Restarts};
use crate::{
    children::Children,
    config_watcher::{ConfigWatcher, Used},
    lifeline::Lifeline,
    messages::{ChildId, ConfigSeen, ConfigUnread, Refer},
};

/// So long is waited for word before that is said.
const SILENCE: Duration = Duration::from_secs(10);

/// Of this order nothing may have been heard.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Silence(u64);

/// What is known of it.
#[derive(Default)]
pub(super) struct Config {
    refer: Refer,
    pub(super) seen: Option<ConfigSeen>,
    /// What is missing, or why that is not known.
    missing: Option<Trouble>,
    pub(super) watcher: Children<(), ConfigWatcher>,
    pub(super) restarts: Restarts,
}

impl Config {
    /// Whether something is missing, or nobody has looked yet.
    pub(super) fn is_awaited(&self) -> bool {
        let is_there = self.seen.as_ref().is_some_and(|seen| seen.missing.is_empty());
        !(self.refer.references.is_empty() || is_there)
    }

    /// What stands in the way. What is missing does not where all is done.
    pub(super) fn trouble(&self, is_done: bool) -> Option<&Trouble> {
        self.missing.as_ref().filter(|_| !is_done).or_else(|| self.restarts.trouble())
    }
}

impl Supervisor {
    /// Looks at what the template refers to now.
    pub(super) fn watch_config(&mut self, ctx: &mut Context<Self>) {
        let (references, wants_digests) =
            (self.declared.references(), self.declared.spec.update_on_config_change);
        let Refer { number, .. } = self.config.refer;
        let refer = Refer { number, references, wants_digests };
        if refer == self.config.refer && number > 0 {
            return;
        }
        self.config.refer = Refer { number: number + 1, ..refer };
        self.config.seen = None;
        self.config.missing = None;
        if self.config.refer.references.is_empty() {
            self.config.seen = Some(ConfigSeen { of: number + 1, ..ConfigSeen::default() });
            return self.config.watcher.let_go(&());
        }
        ctx.notify_later(Silence(number + 1), SILENCE);
        match self.config.watcher.get(&()) {
            Some(watcher) => watcher.do_send(self.config.refer.clone()),
            None => self.start_config_watcher(ctx),
        }
    }

    pub(super) fn start_config_watcher(&mut self, ctx: &mut Context<Self>) {
        let me = ctx.address();
        let (cluster, hubs) = (self.around.cluster.clone(), self.around.configs.clone());
        let (owner, namespace) = (self.declared.uid.clone(), self.declared.namespace.clone());
        let used = Used::new(self.config.refer.clone());
        self.config.watcher.start((), |generation| {
            let _lifeline = Lifeline::new(ChildId::ConfigWatcher, generation, me.clone().recipient());
            let (supervisor, unread) = (me.clone().recipient(), me.recipient());
            ConfigWatcher { cluster, owner, namespace, hubs, supervisor, unread, used, _lifeline }.start()
        });
    }

    /// What the pods use is so now.
    pub(super) fn config_seen(&mut self, seen: ConfigSeen, ctx: &mut Context<Self>) {
        if seen.of != self.config.refer.number {
            return;
        }
        let missing = missing(&seen);
        self.config.seen = Some(seen);
        self.tell_of_config(missing, ctx);
        self.config_stirs(ctx);
        self.hold_back();
        self.advance(ctx);
    }

    /// What the pods use could not be read. What was known of it stands.
    pub(super) fn config_unread(&mut self, unread: ConfigUnread, ctx: &mut Context<Self>) {
        if unread.of == self.config.refer.number {
            self.tell_of_config(Some(unknown(&unread.error)), ctx);
            self.report(ctx);
        }
    }

    fn tell_of_config(&mut self, trouble: Option<Trouble>, ctx: &mut Context<Self>) {
        let before = std::mem::replace(&mut self.config.missing, trouble.clone());
        if let Some(Trouble { reason, message }) = trouble.filter(|trouble| before.as_ref() != Some(trouble))
            && !self.is_done()
        {
            self.warn(reason, None, message, ctx);
        }
    }

    /// Whether it is a one-off that is over: what is missing keeps nothing waiting.
    pub(super) fn is_done(&self) -> bool {
        let requests = self.requests_told();
        let is_over = requests.number > 0 && !requests.is_open();
        self.declared.mode() == Some(Mode::Once) && is_over && self.desk.is_empty()
    }
}

impl Handler<Silence> for Supervisor {
    type Result = ();

    fn handle(&mut self, Silence(number): Silence, ctx: &mut Self::Context) {
        if number == self.config.refer.number && self.config.seen.is_none() && self.config.missing.is_none() {
            self.tell_of_config(Some(unknown("nothing was heard yet; the operator's log says why")), ctx);
            self.report(ctx);
        }
    }
}

fn unknown(why: &str) -> Trouble {
    let message = format!("what the pods use of ConfigMaps and Secrets is not known: {why}");
    Trouble { reason: reasons::CONFIG_UNKNOWN, message }
}

fn missing(seen: &ConfigSeen) -> Option<Trouble> {
    let missing: Vec<String> = seen.missing.iter().map(ToString::to_string).collect();
    let message = format!("what the pods use is missing: {}; create it", missing.join(", "));
    (!missing.is_empty()).then_some(Trouble { reason: reasons::CONFIG_MISSING, message })
}
