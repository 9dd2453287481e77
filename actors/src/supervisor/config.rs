//! What the pods use of ConfigMaps and Secrets: while something required is missing, no run starts.

use actix::{Actor, AsyncContext, Context};
use extendedjob_api::conditions::reasons;
use extendedjob_decide::view::Trouble;

use super::Supervisor;
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
    seen: Option<ConfigSeen>,
    pub(super) watcher: Children<(), ConfigWatcher>,
}

impl Config {
    /// Whether something is missing, or nobody has looked yet.
    pub(super) fn is_awaited(&self) -> bool {
        let is_there = self.seen.as_ref().is_some_and(|seen| seen.missing.is_empty());
        !(self.refer.references.is_empty() || is_there)
    }

    /// What is missing.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let missing = &self.seen.as_ref().filter(|seen| !seen.missing.is_empty())?.missing;
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        let message = format!("what the pods use is missing: {}; create it", missing.join(", "));
        Some(Trouble { reason: reasons::CONFIG_MISSING, message })
    }
}

impl Supervisor {
    /// Looks at what the template refers to now.
    pub(super) fn watch_config(&mut self, ctx: &mut Context<Self>) {
        let refer = Refer { references: self.declared.references(), wants_digests: false };
        if refer == self.config.refer && self.config.watcher.get(&()).is_some() {
            return;
        }
        self.config.refer = refer;
        self.config.seen = None;
        if self.config.refer.references.is_empty() {
            self.config.watcher.let_go(&());
            return;
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

    /// It is now so.
    pub(super) fn config_seen(&mut self, seen: ConfigSeen, ctx: &mut Context<Self>) {
        let before = self.config.trouble();
        self.config.seen = Some(seen);
        let trouble = self.config.trouble();
        if let Some(Trouble { reason, message }) = trouble.clone().filter(|_| trouble != before) {
            self.warn(reason, None, message, ctx);
        }
        self.hold_back();
        self.advance(ctx);
    }
}
