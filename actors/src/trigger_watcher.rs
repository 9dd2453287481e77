//! Watches the pods of one ExtendedJob, and says which transitions count.
//!
//! Duty: each transition that counts is fired at least once under its key. A watcher that starts
//! anew fires again what the stamps say; the supervisor knows the runs that it already has.

use std::sync::Arc;

use actix::{Actor, Addr, AsyncContext, Context, Handler};
use extendedjob_decide::{
    declared::Declared,
    pod::Pod,
    run::Run,
    transition::{Transition, Trigger},
};
use jiff::Timestamp;

use crate::{
    hubs::PodHub,
    lifeline::{Lifeline, stops_when_told},
    messages::{ChildId, Fire, PodMoved, PodSubscriber, PodsAtFirst, SubscribePods},
    supervisor::Supervisor,
};

/// The watcher of one trigger; an edit of the trigger starts another one.
pub(crate) struct TriggerWatcher {
    pub(crate) declared: Arc<Declared>,
    pub(crate) trigger: Trigger,
    /// From when on the stamps of pods that are there at first count: the ExtendedJob's creation, or
    /// the last edit of the trigger, which takes the pods as they are.
    pub(crate) since: Timestamp,
    pub(crate) pods: Addr<PodHub>,
    pub(crate) supervisor: Addr<Supervisor>,
    pub(crate) _lifeline: Lifeline<ChildId>,
}

impl TriggerWatcher {
    fn fire(&self, pod: &Arc<Pod>, transition: Option<Transition>) {
        if let Some(transition) = transition {
            let run = Run::for_transition(&self.declared, Arc::clone(pod), transition);
            self.supervisor.do_send(Fire(run));
        }
    }
}

stops_when_told!(TriggerWatcher);

impl Actor for TriggerWatcher {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        let subscriber =
            PodSubscriber { at_first: ctx.address().recipient(), moved: ctx.address().recipient() };
        self.pods.do_send(SubscribePods {
            namespace: self.declared.namespace.clone(),
            selector: self.trigger.selector.clone(),
            subscriber,
        });
    }
}

impl Handler<PodsAtFirst> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, PodsAtFirst(pods): PodsAtFirst, _: &mut Self::Context) {
        for pod in &pods {
            self.fire(pod, self.trigger.at_first_sight(pod, self.since));
        }
    }
}

impl Handler<PodMoved> for TriggerWatcher {
    type Result = ();

    fn handle(&mut self, PodMoved { before, after }: PodMoved, _: &mut Self::Context) {
        self.fire(&after, self.trigger.between(before.as_deref(), &after));
    }
}
