//! What Argo CD is taught of ExtendedJobs: a health check and an action, as scripts in deploy/argocd. Here they are run
//! with Argo CD's own interpreter.

mod cases;
mod config_map;
mod lua;

use std::path::PathBuf;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use self::lua::{Lua, Script};
use crate::process;

/// The ConfigMap with the scripts, within the project.
pub(crate) const CONFIG_MAP: &str = "deploy/argocd/argocd-cm.yaml";

/// Say what Argo CD would show of ExtendedJobs, by the scripts in deploy/argocd
///
/// One line for each: its name, its health, and the message. For example:
/// kubectl get ejob -o json | cargo xtask argocd-health -
/// Without a file, check the cases of tests/argocd/cases.yaml
#[derive(Args)]
pub(crate) struct Health {
    /// An object, or a list of them, as JSON; `-` for standard input
    file: Option<PathBuf>,
}

impl Health {
    pub(crate) fn run(&self) -> Result<()> {
        let Some(file) = &self.file else { return check() };
        let lua = Lua::build()?;
        let text =
            if file.as_os_str() == "-" { io::read_to_string(io::stdin()) } else { fs::read_to_string(file) };
        let text = text.with_context(|| format!("read {}", file.display()))?;
        let given = serde_json::from_str(&text).context("read the objects as JSON")?;
        for object in objects(given) {
            let health = lua.run(Script::Health, &object)?;
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let (name, status) = (word(&object["metadata"]["name"]), word(&health["status"]));
            println!("{name}\t{status}\t{}", word(&health["message"]));
        }
        Ok(())
    }
}

/// The objects of a list, or the one that it is.
fn objects(mut given: Value) -> Vec<Value> {
    match given.get_mut("items").map(Value::take) {
        Some(Value::Array(items)) => items,
        _ => vec![given],
    }
}

/// Runs the scripts on each case of tests/argocd/cases.yaml.
pub(crate) fn check() -> Result<()> {
    let lua = Lua::build()?;
    let mut wrong = Vec::new();
    for case in cases::all()? {
        wrong.extend(case.wrong(&lua).with_context(|| case.name().to_owned())?);
    }
    if !wrong.is_empty() {
        bail!("what Argo CD would show is not what it should:\n{}", wrong.join("\n"));
    }
    Ok(())
}

/// What [`CONFIG_MAP`] should hold.
pub(crate) fn config_map() -> Result<String> {
    let read = |script: Script| {
        let path = script.path();
        fs::read_to_string(process::project().join(path)).with_context(|| format!("read {path}"))
    };
    Ok(config_map::of(&read(Script::Health)?, &read(Script::Discovery)?, &read(Script::Run)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_is_taken_apart_and_an_object_is_one() {
        let object = json!({ "kind": "ExtendedJob" });
        assert_eq!(objects(object.clone()), std::slice::from_ref(&object));
        assert_eq!(objects(json!({ "kind": "List", "items": [object, object] })), [object.clone(), object]);
    }
}
