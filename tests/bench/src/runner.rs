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
    _floor: Option<Floor>,
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
        let mut operators = Operators::none(target);
        let (mut floor, mut leader, mut process) = (None, None, None);
        match who {
            Who::Floor => floor = Some(Floor::start(target, &namespace).await?),
            Who::Operator => {
                operators.start()?;
                leader = Some(operators.leader().await?);
                process = Some(operators.leading_process().await?);
            }
        }
        Ok(Self { namespace, arrivals, _floor: floor, operators, leader, process })
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
        self.operators.kill_all().await?;
        self.namespace.abandon().await
    }
}
