//! ExtendedJobs and what Argo CD is to show of them: the table in tests/argocd/cases.yaml.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::lua::{Lua, Script};

const CASES: &str = include_str!("../../../tests/argocd/cases.yaml");

/// The generation of each object.
const GENERATION: i64 = 3;

/// What the action sets.
const REQUEST: &str = "fissile.cloudfoundry.org/run-requested-at";

/// One ExtendedJob, and what is to be shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Case {
    case: String,
    spec: Value,
    #[serde(default)]
    deleting: bool,
    #[serde(default)]
    mode: Option<String>,
    #[serde(default)]
    observed_generation: Option<i64>,
    /// Without any, there is no status.
    #[serde(default)]
    conditions: Vec<String>,
    health: String,
    message: String,
    run: bool,
}

/// The whole table.
pub(super) fn all() -> Result<Vec<Case>> {
    serde_saphyr::from_str(CASES).context("read tests/argocd/cases.yaml")
}

impl Case {
    /// What it shows, as a sentence.
    pub(super) fn name(&self) -> &str {
        &self.case
    }

    /// What the scripts make of it that they should not, a line for each.
    pub(super) fn wrong(&self, lua: &Lua) -> Result<Vec<String>> {
        let object = self.object()?;
        let health = lua.run(Script::Health, &object)?;
        let actions = lua.run(Script::Discovery, &object)?;
        let expected = [
            (health, json!({ "status": self.health, "message": self.message })),
            (actions, json!({ "run": { "disabled": !self.run } })),
        ];
        let differs = expected.iter().filter(|(found, expected)| found != expected);
        let mut wrong: Vec<String> =
            differs.map(|(found, expected)| format!("{}: {found}, not {expected}", self.case)).collect();
        let changed = lua.run(Script::Run, &object)?;
        if !asks_for_a_run(&object, &changed) {
            wrong.push(format!("{}: the action makes this of it: {changed}", self.case));
        }
        Ok(wrong)
    }

    fn object(&self) -> Result<Value> {
        let mut object = json!({
            "apiVersion": "fissile.cloudfoundry.org/v1alpha1",
            "kind": "ExtendedJob",
            "metadata": { "name": "case", "namespace": "default", "generation": GENERATION },
            "spec": self.spec,
        });
        if self.deleting {
            object["metadata"]["deletionTimestamp"] = json!("2026-01-02T03:04:05Z");
        }
        if !self.conditions.is_empty() {
            let conditions: Result<Vec<Value>> = self.conditions.iter().map(|text| condition(text)).collect();
            object["status"] = json!({
                "observedGeneration": self.observed_generation.unwrap_or(GENERATION),
                "mode": self.mode,
                "active": 0,
                "pending": 0,
                "conditions": conditions?,
            });
        }
        Ok(object)
    }
}

/// The condition that `TYPE=STATUS/REASON: MESSAGE` stands for.
fn condition(text: &str) -> Result<Value> {
    let (head, message) = text.split_once(": ").unwrap_or((text, ""));
    let Some((kind, (status, reason))) =
        head.split_once('=').and_then(|(kind, rest)| Some((kind, rest.split_once('/')?)))
    else {
        bail!("`{text}` is not TYPE=STATUS/REASON: MESSAGE");
    };
    Ok(json!({
        "type": kind, "status": status, "reason": reason, "message": message,
        "observedGeneration": GENERATION, "lastTransitionTime": "2026-01-02T03:04:05Z",
    }))
}

/// Whether one object is the other with a time in the annotation that asks for a run, and nothing else changed.
fn asks_for_a_run(before: &Value, after: &Value) -> bool {
    let annotation = &after["metadata"]["annotations"][REQUEST];
    let is_time = |text: &str| text.len() == "2026-01-02T03:04:05Z".len() && text.ends_with('Z');
    let mut expected = before.clone();
    expected["metadata"]["annotations"][REQUEST] = annotation.clone();
    annotation.as_str().is_some_and(is_time) && expected == *after
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::reasons;

    #[test]
    fn a_condition_is_written_in_one_line() {
        let found = condition("Ready=False/JobFailed: a: b").expect("it is well-formed");
        assert_eq!((&found["type"], &found["status"]), (&json!("Ready"), &json!("False")));
        assert_eq!((&found["reason"], &found["message"]), (&json!("JobFailed"), &json!("a: b")));
        assert_eq!(condition("Stalled=False/NotStalled").expect("it is well-formed")["message"], "");
        assert!(condition("Ready: False").is_err());
    }

    #[test]
    fn the_cases_have_the_conditions_that_the_operator_writes_with_reasons_that_there_are() {
        let (known, always) =
            (reasons::declared(), ["Ready", "Reconciling", "Stalled", "Complete", "Failed"]);
        for case in all().expect("the table is readable") {
            let object = case.object().expect("its conditions are well-formed");
            let Some(conditions) = object["status"]["conditions"].as_array() else { continue };
            let types: Vec<&Value> = conditions.iter().map(|condition| &condition["type"]).collect();
            assert_eq!(
                types.get(..always.len()),
                Some(&always.map(|it| json!(it)).each_ref()[..]),
                "{}",
                case.case
            );
            for condition in conditions {
                let reason = condition["reason"].as_str().unwrap_or_default();
                assert!(known.contains(reason), "{}: {reason}", case.case);
            }
        }
    }

    #[test]
    fn a_request_changes_the_annotation_and_nothing_else() {
        let before = json!({ "metadata": { "name": "a", "annotations": { "b": "c" } } });
        let mut after = before.clone();
        assert!(!asks_for_a_run(&before, &after));
        after["metadata"]["annotations"][REQUEST] = json!("2026-05-06T07:08:09Z");
        assert!(asks_for_a_run(&before, &after));
        after["spec"] = json!({});
        assert!(!asks_for_a_run(&before, &after));
    }
}
