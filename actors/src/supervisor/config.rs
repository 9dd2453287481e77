//! What the pods use of ConfigMaps and Secrets: while something required is missing, no run starts.

use actix::{Actor, AsyncContext, Context};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::view::Trouble;

use super::{Supervisor, restarts::Restarts};
use crate::{
    children::Children,
    config_watcher::{ConfigWatcher, Used},
    lifeline::Lifeline,
    messages::{ChildId, ConfigSeen, Refer},
};

/// What is known of it.
#[derive(Default)]
pub(super) struct Config {
    refer: Refer,
    pub(super) seen: Option<ConfigSeen>,
    /// What is missing, in words.
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

    /// What stands in the way.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.missing.as_ref().or_else(|| self.restarts.trouble())
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
            let supervisor = me.recipient();
            ConfigWatcher { cluster, owner, namespace, hubs, supervisor, used, _lifeline }.start()
        });
    }

    /// What the pods use is so now.
    pub(super) fn config_seen(&mut self, seen: ConfigSeen, ctx: &mut Context<Self>) {
        if seen.of != self.config.refer.number {
            return;
        }
        let missing = missing(&seen);
        self.config.seen = Some(seen);
        let before = std::mem::replace(&mut self.config.missing, missing);
        if let Some(Trouble { reason, message }) =
            self.config.missing.clone().filter(|it| before.as_ref() != Some(it))
        {
            self.warn(reason, None, message, ctx);
        }
        self.config_stirs(ctx);
        self.hold_back();
        self.advance(ctx);
    }
}

fn missing(seen: &ConfigSeen) -> Option<Trouble> {
    let missing: Vec<String> = seen.missing.iter().map(ToString::to_string).collect();
    let message = format!("what the pods use is missing: {}; create it", missing.join(", "));
    (!missing.is_empty()).then_some(Trouble { reason: reasons::CONFIG_MISSING, message })
}
