//! How the end of a child is noticed, also when it panicked.
//!
//! actix gives no word of an actor that ends, and its own supervisor does not restart one that
//! panicked. But a panicking task is unwound, and what it owns is dropped.

use actix::{Message, Recipient};

/// A child has ended: it stopped, or it panicked. Sent once per generation; the receiver ignores
/// generations that it has replaced.
#[derive(Debug, Message, PartialEq, Eq)]
#[rtype(result = "()")]
pub(crate) struct ChildEnded<Id: Send + 'static> {
    /// Which child.
    pub(crate) id: Id,
    /// Which of its lives.
    pub(crate) generation: u64,
    /// Whether a panic ended it.
    pub(crate) panicked: bool,
}

/// Held by a child as long as it lives.
pub(crate) struct Lifeline<Id: Send + 'static> {
    id: Option<Id>,
    generation: u64,
    parent: Recipient<ChildEnded<Id>>,
}

impl<Id: Send + 'static> Lifeline<Id> {
    pub(crate) fn new(id: Id, generation: u64, parent: Recipient<ChildEnded<Id>>) -> Self {
        Self { id: Some(id), generation, parent }
    }
}

impl<Id: Send + 'static> Drop for Lifeline<Id> {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            let panicked = std::thread::panicking();
            self.parent.do_send(ChildEnded { id, generation: self.generation, panicked });
        }
    }
}

/// Hears of everything, and does nothing about it: for tests that are about something else.
#[cfg(test)]
pub(crate) struct Deaf;

#[cfg(test)]
impl actix::Actor for Deaf {
    type Context = actix::Context<Self>;
}

#[cfg(test)]
impl<M: Message<Result = ()>> actix::Handler<M> for Deaf {
    type Result = ();

    fn handle(&mut self, _: M, _: &mut Self::Context) {}
}

/// Makes an actor end when it is told to [`Stop`](crate::messages::Stop).
macro_rules! stops_when_told {
    ($actor:ty) => {
        impl actix::Handler<$crate::messages::Stop> for $actor {
            type Result = ();

            fn handle(&mut self, _: $crate::messages::Stop, ctx: &mut Self::Context) {
                actix::ActorContext::stop(ctx);
            }
        }
    };
}
pub(crate) use stops_when_told;
