//! Many ExtendedJobs that use the same ConfigMap.

use anyhow::Result;
use e2e::{Namespace, Operator, extended_job, name, restart_of, scenario, tells_of_restarts, template};

/// As many as share a ConfigMap in a large installation.
const MANY: usize = 200;

/// Enough for some to be restarted while others are not yet.
const SOME: usize = 60;

/// The Jobs of the one-offs, as kubectl selects them.
const THEIRS: [&str; 2] = ["jobs", "--selector=edition=sharing"];

/// Creates so many one-offs that use the ConfigMap `shared`, and waits for their runs.
fn share(ns: &Namespace, count: usize) -> Result<()> {
    ns.set("shared", "1")?;
    let one_off = |number| {
        let template = template::parked_edition("sharing");
        extended_job(&format!("sharing-{number}")).once().running(template).following("shared").into()
    };
    ns.create_all((0..count).map(one_off))?;
    until_all_restarted(ns, count, 0)
}

/// Waits until all of them have been restarted so many times, each with one run. It fails if there are more.
fn until_all_restarted(ns: &Namespace, count: usize, times: usize) -> Result<()> {
    ns.kubectl.until(&THEIRS, &format!("{count} Jobs of restart {times}"), |seen| {
        let jobs = seen["items"].as_array()?;
        (jobs.len() == count && jobs.iter().all(|job| restart_of(job) == times)).then_some(())
    })?;
    ns.kubectl.until(&["extendedjobs"], &format!("{count} with {times} restarts"), |seen| {
        let all = seen["items"].as_array()?.iter().filter(|seen| name(seen).starts_with("sharing-"));
        (all.filter(|seen| tells_of_restarts(seen, times)).count() == count).then_some(())
    })
}

#[test]
fn all_that_share_a_configmap_restart_once_when_it_changes() -> Result<()> {
    scenario(|ns| {
        share(ns, MANY)?;
        ns.set("shared", "2")?;
        until_all_restarted(ns, MANY, 1)?;
        ns.pass_a_sentinel()?;
        until_all_restarted(ns, MANY, 1)
    })
}

#[test]
fn an_operator_killed_amid_restarts_restarts_each_once() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        share(ns, SOME)?;
        ns.set("shared", "2")?;
        ns.kubectl.until(&THEIRS, "a first one that is restarted", |seen| {
            seen["items"].as_array()?.iter().any(|job| restart_of(job) == 1).then_some(())
        })?;
        operator.kill()?;
        until_all_restarted(ns, SOME, 1)?;
        ns.pass_a_sentinel()?;
        until_all_restarted(ns, SOME, 1)
    })
}
