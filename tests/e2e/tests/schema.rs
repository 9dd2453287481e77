//! The schema as `kubectl explain` shows it, and what is told of one that is older than the operator.

use std::collections::BTreeSet;

use anyhow::Result;
use e2e::Kubectl;

/// The paths of all fields below a field.
fn fields_below(field: &str) -> Result<BTreeSet<String>> {
    let explained = Kubectl::in_namespace("default").run(&["explain", "--recursive", field])?;
    let mut paths = BTreeSet::new();
    let mut path: Vec<&str> = Vec::new();
    // A line is a field's name, a tab and its type; two blanks for each level, the first included.
    for (name, _) in explained.lines().filter_map(|line| line.split_once('\t')) {
        let level = (name.len() - name.trim_start().len()) / 2;
        path.truncate(level.saturating_sub(1));
        path.push(name.trim());
        paths.insert(path.join("."));
    }
    Ok(paths)
}

#[test]
fn every_field_of_this_servers_jobs_can_be_written_in_a_template() -> Result<()> {
    let native = fields_below("job.spec")?;
    let ours = fields_below("extendedjob.spec.template.spec")?;
    assert!(native.contains("template.spec.containers.securityContext.runAsUser"));
    // Only the API server itself writes managedFields.
    let missing = native.difference(&ours).filter(|path| !path.contains(".managedFields"));
    assert_eq!(missing.collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

#[test]
fn explain_has_a_word_on_every_field_of_ours() -> Result<()> {
    let kubectl = Kubectl::in_namespace("default");
    for path in fields_below("extendedjob.spec")?.iter().filter(|path| !path.starts_with("template.")) {
        let explained = kubectl.run(&["explain", &format!("extendedjob.spec.{path}")])?;
        assert!(!explained.contains("<empty>"), "{explained}");
    }
    Ok(())
}
