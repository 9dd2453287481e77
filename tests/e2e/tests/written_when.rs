//! The table in the README of what is written when, each cell of it.

use anyhow::Result;
use e2e::{Namespace, Operator, extended_job, poll, scenario, template};
use serde_json::{Value, json};

/// What is at the key before.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    Foreign,
    /// The output of a failed attempt of the same Job.
    OwnFailure,
}

/// What becomes of an attempt's output.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    Written,
    KeyExists,
    Ignored,
}

use Before::{Foreign, Nothing, OwnFailure};
use Outcome::{Ignored, KeyExists, Written};

/// As in the README: what is there, `overwrite`, `writeOnFailure`, what becomes of a success, and of a failure.
const TABLE: [(Before, bool, bool, Outcome, Outcome); 10] = [
    (Nothing, false, false, Written, Ignored),
    (Nothing, false, true, Written, Written),
    (Nothing, true, false, Written, Ignored),
    (Nothing, true, true, Written, Written),
    (Foreign, false, false, KeyExists, Ignored),
    (Foreign, false, true, KeyExists, KeyExists),
    (Foreign, true, false, Written, Ignored),
    (Foreign, true, true, Written, Written),
    (OwnFailure, false, true, Written, KeyExists),
    (OwnFailure, true, true, Written, Written),
];

#[test]
fn what_is_written_when_is_as_the_readme_says() -> Result<()> {
    scenario(|ns| {
        // Nobody can read what the last attempt of a failed Job printed when no operator ran: Kubernetes deletes its pod.
        let _undisturbed = Operator::undisturbed();
        let cells =
            TABLE.iter().enumerate().flat_map(|(row, &(before, overwrite, on_failure, good, bad))| {
                [(true, good), (false, bad)].map(|(succeeds, outcome)| {
                    (format!("cell-{row}-{succeeds}"), before, overwrite, on_failure, succeeds, outcome)
                })
            });
        let cells: Vec<_> = cells.collect();
        for (name, before, overwrite, on_failure, succeeds, _) in &cells {
            if *before == Foreign {
                ns.create(json!({
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name},
                    "data": {"main.stdout": "before"},
                }))?;
            }
            let ejob = extended_job(name).once().running(job(*before, *succeeds)).stdout_to(name);
            let ejob = ejob.with("/output/stdout/overwrite", json!(overwrite));
            ns.create(ejob.with("/output/stdout/writeOnFailure", json!(on_failure)))?;
        }
        for (name, ..) in cells.iter().filter(|(_, before, ..)| *before == OwnFailure) {
            let_go_on(ns, name)?;
        }
        let wrong: Vec<String> = cells
            .iter()
            .filter_map(|(name, before, .., succeeds, outcome)| {
                let told = check(ns, name, *before, *succeeds, *outcome).err()?;
                Some(format!("{name}: {told:#}"))
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        Ok(())
    })
}

/// One attempt, or a failed one and another one behind it, which goes on when it is let.
fn job(before: Before, succeeds: bool) -> Value {
    let end = if succeeds { "echo after" } else { "echo after; exit 1" };
    if before != OwnFailure {
        return template::script(end);
    }
    let second = format!("until [ -e /kept/go ]; do sleep 0.1; done; {end}");
    let script =
        format!("if [ -e /kept/tried ]; then {second}; else touch /kept/tried; echo before; exit 1; fi");
    template::restarted(&script, 2)
}

/// Lets the attempt behind a failed one go on, once that one's output is written.
fn let_go_on(ns: &Namespace, name: &str) -> Result<()> {
    ns.data_until(name, "output of the failed attempt", |data| {
        (data["main.stdout"] == "before\n").then_some(())
    })?;
    let [job] = &ns.jobs_of(name)?[..] else { anyhow::bail!("not one Job of {name}") };
    let pod = format!("job/{}", e2e::name(job));
    poll(&format!("the second attempt of {name}"), || {
        Ok(ns.run_in(&pod, "touch /kept/go").map_err(|e| e.to_string()))
    })
}

fn check(ns: &Namespace, name: &str, before: Before, succeeds: bool, outcome: Outcome) -> Result<()> {
    ns.condition_of(name, if succeeds { "Complete" } else { "Failed" }, "True")?;
    let reason = match outcome {
        Written => "Written",
        KeyExists => "KeyExists",
        Ignored => "NothingToWrite",
    };
    ns.reason_of(name, "OutputWritten", reason)?;
    let stored = ns.kubectl.get(&["configmap", name])?["data"]["main.stdout"].take();
    let left = match before {
        Nothing => Value::Null,
        Foreign => json!("before"),
        OwnFailure => json!("before\n"),
    };
    let expected = if outcome == Written { json!("after\n") } else { left };
    anyhow::ensure!(stored == expected, "{stored} instead of {expected}");
    Ok(())
}
