//! Pods of all kinds change while no operator runs. The next one finds each edge in the resumed watch; or, where
//! that can't be resumed, what the state before and after tells.

use anyhow::Result;
use crowds::extended_jobs::triggered;
use crowds::pods::{IN_SELECTOR, OUT_OF_SELECTOR, Pod};

use crate::audit::Audit;
use crate::stage::Stage;

const CREATED: &str = "created";
const READY: &str = "ready";
const NOTREADY: &str = "notready";
const DELETED: &str = "deleted";

/// The pods that are there before, by what happens to them while no operator runs. All but those of the first
/// group and half of the second are ready at first.
struct Crowd {
    turn_ready: Vec<Pod>,
    go_unready: Vec<Pod>,
    go_ready: Vec<Pod>,
    turn_unready: Vec<Pod>,
    /// Unready and ready again, later.
    flap: Vec<Pod>,
    /// Twice unready and ready again, all within one second.
    flap_within_a_second: Vec<Pod>,
    leave_selector: Vec<Pod>,
    /// Half of them are ready.
    enter_selector: Vec<Pod>,
}

/// The watch goes on where the dead operator's ended.
pub(super) async fn with_a_resumed_watch(stage: &mut Stage<'_>) -> Result<()> {
    let crowd = gather(stage).await?;
    stage.operators.kill_all().await?;
    change(stage, &crowd).await?;
    // No transition either. (Behind a gap nobody can tell whether such young pods are new.)
    stage.namespace.relabel(&crowd.enter_selector, IN_SELECTOR).await?;
    flips_are_seen(stage, &crowd);
    come_and_go(stage).await?;
    stage.operators.start()?;
    stage.settle().await
}

/// The API server has forgotten what happened.
pub(super) async fn with_a_gap(stage: &mut Stage<'_>) -> Result<()> {
    let mut audit = Audit::begin(stage.target, &stage.namespace)?;
    let crowd = gather(stage).await?;
    // Until it is on record which pods there were: who is gone can only be known from that.
    audit.until_idle().await?;
    stage.operators.kill_all().await?;
    let before = stage.namespace.version_of_pods().await?;
    change(stage, &crowd).await?;
    flips_are_unknown(stage, &crowd);
    stage.target.forget_history().await?;
    stage.namespace.ensure_forgotten(&before).await?;
    stage.operators.start()?;
    stage.settle().await
}

/// Creates the pods while an operator watches, and waits until it has done what they are worth.
async fn gather(stage: &mut Stage<'_>) -> Result<Crowd> {
    stage.operators.start()?;
    for when in [CREATED, READY, NOTREADY, DELETED] {
        stage.declare(when, triggered(when)).await?;
    }
    let Stage { namespace, expected, load, .. } = &mut *stage;
    let (tenth, twentieth) = (load.pods() / 10, load.pods() / 20);
    let mut all = namespace.create_pods("before", load.pods(), IN_SELECTOR).await?;
    expected.one(CREATED, &all);
    let mut take = |count: usize| all.split_off(all.len() - count);
    let crowd = Crowd {
        turn_ready: take(tenth),
        go_unready: take(tenth / 2),
        go_ready: take(tenth - tenth / 2),
        turn_unready: take(twentieth),
        flap: take(twentieth - twentieth / 2),
        flap_within_a_second: take(twentieth / 2),
        leave_selector: take(twentieth),
        enter_selector: namespace.create_pods("outside", twentieth, OUT_OF_SELECTOR).await?,
    };
    // Those that are left see nothing but this.
    let ready = [
        &all,
        &crowd.go_ready,
        &crowd.turn_unready,
        &crowd.flap,
        &crowd.flap_within_a_second,
        &crowd.leave_selector,
    ];
    for pods in ready {
        namespace.turn_ready(pods, 1).await?;
        expected.one(READY, pods);
    }
    namespace.turn_ready(half(&crowd.enter_selector), 1).await?;
    stage.until_all_jobs().await?;
    Ok(crowd)
}

/// Does to the pods what they are there for, and creates new ones.
async fn change(stage: &mut Stage<'_>, crowd: &Crowd) -> Result<()> {
    let Stage { namespace, expected, load, .. } = &mut *stage;

    namespace.turn_ready(&crowd.turn_ready, 2).await?;
    expected.one(READY, &crowd.turn_ready);

    namespace.turn_unready(&crowd.turn_unready, 2).await?;
    expected.one(NOTREADY, &crowd.turn_unready);

    for pods in [&crowd.go_unready, &crowd.go_ready] {
        namespace.delete_pods(pods).await?;
        expected.one(DELETED, pods);
    }

    namespace.turn_unready(&crowd.flap, 2).await?;
    namespace.turn_ready(&crowd.flap, 3).await?;
    for _ in 0..2 {
        namespace.turn_unready(&crowd.flap_within_a_second, 2).await?;
        namespace.turn_ready(&crowd.flap_within_a_second, 2).await?;
    }

    let new = namespace.create_pods("new", load.pods() / 20, IN_SELECTOR).await?;
    namespace.turn_ready(half(&new), 2).await?;
    expected.one(CREATED, &new);
    expected.one(READY, half(&new));

    // No transition.
    namespace.relabel(&crowd.leave_selector, OUT_OF_SELECTOR).await
}

/// Each of them is a transition.
fn flips_are_seen(stage: &mut Stage<'_>, crowd: &Crowd) {
    for when in [READY, NOTREADY] {
        stage.expected.one(when, &crowd.flap);
        stage.expected.times(2, when, &crowd.flap_within_a_second);
    }
}

/// Ready since another time is one `ready`, and no `notready`: the dip was not published.
fn flips_are_unknown(stage: &mut Stage<'_>, crowd: &Crowd) {
    stage.expected.one(READY, &crowd.flap);
    stage.expected.one(READY, &crowd.flap_within_a_second);
}

/// Pods of which no list will ever tell.
async fn come_and_go(stage: &mut Stage<'_>) -> Result<()> {
    let Stage { namespace, expected, load, .. } = &mut *stage;
    let pods = namespace.create_pods("passing", load.pods() / 20, IN_SELECTOR).await?;
    namespace.turn_ready(&pods, 2).await?;
    namespace.delete_pods(&pods).await?;
    for when in [CREATED, READY, DELETED] {
        expected.one(when, &pods);
    }
    Ok(())
}

fn half(pods: &[Pod]) -> &[Pod] {
    pods.split_at(pods.len() / 2).0
}
