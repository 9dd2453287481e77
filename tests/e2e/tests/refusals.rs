//! What is wrong is refused at once, by the API server itself, with a message that helps.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use e2e::{Namespace, extended_job, scenario};
use serde_json::{Value, json};

/// Each begins with `# expect: ` and a part of the message with which it must be refused.
const INVALID: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/invalid");

#[test]
fn each_invalid_manifest_is_refused_and_the_message_says_why() -> Result<()> {
    scenario(|ns| {
        let manifests = manifests(Path::new(INVALID))?;
        assert!(!manifests.is_empty());
        let complaints: Vec<String> =
            manifests.iter().filter_map(|manifest| complaint(ns, manifest)).collect();
        assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
        Ok(())
    })
}

fn manifests(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    Ok(entries
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect())
}

/// What is wrong with the API server's answer to this manifest, if anything.
fn complaint(ns: &Namespace, manifest: &Path) -> Option<String> {
    let judged = refused_as_expected(ns, manifest);
    judged.err().map(|error| format!("{}: {error:#}", manifest.display()))
}

fn refused_as_expected(ns: &Namespace, manifest: &Path) -> Result<()> {
    let text = fs::read_to_string(manifest)?;
    let expected = text.lines().map_while(|line| line.strip_prefix("# expect: ")).collect::<Vec<_>>();
    ensure!(!expected.is_empty(), "does not begin with `# expect: `");
    let message = ns.kubectl.refusal(&["create", "--dry-run=server", "--filename=-"], &text)?;
    let missing: Vec<&str> = expected.into_iter().filter(|part| !message.contains(part)).collect();
    ensure!(missing.is_empty(), "expected {missing:?}, but was refused with: {message}");
    Ok(())
}

#[test]
fn an_unknown_field_of_the_template_is_refused_by_name() -> Result<()> {
    scenario(|ns| {
        let typo = extended_job("typo").once().with("/template/spec/backofLimit", json!(1));
        let refusal = ns.kubectl.refusal(&["apply", "--filename=-"], &Value::from(typo).to_string())?;
        assert!(refusal.contains("backofLimit"), "{refusal}");
        Ok(())
    })
}

#[test]
fn a_triggered_job_cannot_become_a_one_off() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("x").on_ready())?;
        let patch = json!({"spec": {"triggers": null, "run": "once"}});
        let patch = format!("--patch={patch}");
        let refusal = ns.kubectl.refusal(&["patch", "extendedjob", "x", "--type=merge", &patch], "")?;
        assert!(refusal.contains("spec"), "{refusal}");
        Ok(())
    })
}
