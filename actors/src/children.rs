//! The one list of an actor's children: their addresses, their lives, and how soon one that
//! fell may start anew.

use std::{collections::HashMap, hash::Hash, time::Duration};

use actix::{Actor, Addr, Context, Handler, Recipient};
use extendedjob_decide::retry::Backoff;
use jiff::Timestamp;

use crate::messages::Stop;

/// Children of one kind.
pub(crate) struct Children<Id, A: Actor> {
    by_id: HashMap<Id, Child<A>>,
    generation: u64,
}

struct Child<A: Actor> {
    life: Option<Life<A>>,
    generation: u64,
    backoff: Backoff,
    falls: u32,
}

/// The life of a child ends with this: a parent that falls takes its children along, or they would
/// go on beside those of the next parent.
struct Life<A: Actor> {
    addr: Addr<A>,
    stop: Recipient<Stop>,
}

impl<A: Actor> Drop for Life<A> {
    fn drop(&mut self) {
        self.stop.do_send(Stop);
    }
}

/// A child that ended without having been let go.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Fall {
    /// How often this child has fallen.
    pub(crate) falls: u32,
    /// When to start it anew.
    pub(crate) delay: Duration,
}

impl<Id, A: Actor> Default for Children<Id, A> {
    fn default() -> Self {
        Self { by_id: HashMap::new(), generation: 0 }
    }
}

impl<Id, A> Children<Id, A>
where
    Id: Eq + Hash,
    A: Actor<Context = Context<A>> + Handler<Stop>,
{
    /// Starts a child, or one that fell anew; `start` is given the number of this life. A life
    /// that is still going on ends.
    pub(crate) fn start(&mut self, id: Id, start: impl FnOnce(u64) -> Addr<A>) -> Addr<A> {
        self.generation += 1;
        let addr = start(self.generation);
        let child = self.by_id.entry(id).or_insert_with(|| Child {
            life: None,
            generation: 0,
            backoff: Backoff::default(),
            falls: 0,
        });
        child.generation = self.generation;
        child.life = Some(Life { addr: addr.clone(), stop: addr.clone().recipient() });
        addr
    }

    /// The child's address; `None` for one that does not exist, or lies fallen.
    pub(crate) fn get(&self, id: &Id) -> Option<&Addr<A>> {
        Some(&self.by_id.get(id)?.life.as_ref()?.addr)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Addr<A>> {
        self.by_id.values().filter_map(|child| Some(&child.life.as_ref()?.addr))
    }

    /// Lets a child go: its end will be no fall.
    pub(crate) fn let_go(&mut self, id: &Id) {
        self.by_id.remove(id);
    }

    /// Lets all children go.
    pub(crate) fn let_all_go(&mut self) {
        self.by_id.clear();
    }

    /// A life has ended. `None` if it had been let go or replaced, so that there is nothing to
    /// mend.
    pub(crate) fn ended(&mut self, id: &Id, generation: u64, now: Timestamp) -> Option<Fall> {
        let child = self.by_id.get_mut(id).filter(|child| child.generation == generation)?;
        child.life = None;
        child.falls += 1;
        Some(Fall { falls: child.falls, delay: child.backoff.after_failure(now) })
    }

    /// Whether a child lies fallen, and is to be started anew.
    pub(crate) fn is_fallen(&self, id: &Id) -> bool {
        self.by_id.get(id).is_some_and(|child| child.life.is_none())
    }
}
