//! Who makes the Jobs: the floor, or the operator.

use anyhow::Result;
use crowds::namespace::Namespace;
use crowds::operators::Operators;
use crowds::target::Target;
use crowds::usage::Process;

use crate::arrivals::Arrivals;
use crate::floor::Floor;

/// The one or the other.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Floor,
    Operator,
}

/// A namespace in which one of them is at work.
pub(crate) struct Runner<'a> {
    pub(crate) namespace: Namespace,
    pub(crate) arrivals: Arrivals,
    floor: Option<Floor>,
    operators: Operators<'a>,
    /// The operator's name.
    leader: Option<String>,
    /// Of the operator.
    pub(crate) process: Option<Process>,
}

impl<'a> Runner<'a> {
    /// Starts it in a namespace of its own. What the operator is to do has to be declared there.
    pub(crate) async fn start(target: &'a Target, who: Who, purpose: &str) -> Result<Self> {
        let namespace = Namespace::create(&target.client, purpose).await?;
        let arrivals = Arrivals::follow(&target.client, &namespace.name).await?;
        let (operators, floor) = (Operators::none(target), None);
        let mut runner = Self { namespace, arrivals, floor, operators, leader: None, process: None };
        match who {
            Who::Floor => runner.floor = Some(Floor::start(target, &runner.namespace).await?),
            Who::Operator => runner.start_operator().await?,
        }
        Ok(runner)
    }

    /// Starts an operator, where none runs.
    pub(crate) async fn start_operator(&mut self) -> Result<()> {
        self.operators.start()?;
        self.leader = Some(self.operators.leader().await?);
        self.process = Some(self.operators.leading_process().await?);
        Ok(())
    }

    /// Has the operator begin anew: where everything is as it is now, and not where the last one was when it was killed.
    pub(crate) async fn begin_here(&mut self) -> Result<()> {
        self.operators.until_all_is_done_with(&self.namespace).await?;
        self.stop_operator().await?;
        self.start_operator().await
    }

    /// Keeps the operator from doing anything, for less time than its Lease lasts.
    pub(crate) fn freeze(&self) -> Result<()> {
        self.leader.iter().try_for_each(|leader| self.operators.freeze(leader))
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) -> Result<()> {
        self.leader.iter().try_for_each(|leader| self.operators.thaw(leader))
    }

    /// The end of the operator alone.
    pub(crate) async fn stop_operator(&mut self) -> Result<()> {
        self.process = None;
        self.operators.kill_all().await
    }

    /// The end of it.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.floor = None;
        self.operators.kill_all().await?;
        self.namespace.abandon().await
    }
}
