//! Names as long and as odd as Kubernetes allows.

use anyhow::Result;
use e2e::names::{AFFECTED_POD, OWNER, POD_NAME};
use e2e::{annotation, controller, extended_job, label, name, pod, scenario, template, text};

#[test]
fn an_extendedjob_with_dots_in_its_name_runs() -> Result<()> {
    scenario(|ns| {
        ns.create(extended_job("v1.2.backup").once().running(template::script("true")))?;
        ns.condition_of("v1.2.backup", "Complete", "True")?;
        let jobs = ns.jobs_of("v1.2.backup")?;
        assert!(name(&jobs[0]).starts_with("v1-2-backup-"), "{}", name(&jobs[0]));
        assert_eq!(label(&jobs[0], OWNER), "v1.2.backup");
        Ok(())
    })
}

#[test]
fn extendedjobs_with_long_names_that_begin_alike_keep_apart() -> Result<()> {
    scenario(|ns| {
        let beginning = "a".repeat(198);
        let names = [format!("{beginning}-1"), format!("{beginning}-2")];
        ns.create_all(
            names.iter().map(|name| extended_job(name).once().running(template::script("true")).into()),
        )?;
        let mut labels = Vec::new();
        for extended_job in &names {
            ns.condition_of(extended_job, "Complete", "True")?;
            let jobs = ns.jobs_of(extended_job)?;
            assert_eq!(text(&controller(&jobs[0]).cloned().unwrap_or_default()["name"]), extended_job);
            assert!(name(&jobs[0]).len() <= 52, "{}", name(&jobs[0]));
            labels.push(label(&jobs[0], OWNER).to_owned());
        }
        assert_ne!(labels[0], labels[1]);
        Ok(())
    })
}

#[test]
fn a_long_pod_name_is_cut_in_the_label_and_whole_in_the_annotation() -> Result<()> {
    scenario(|ns| {
        let beginning = "a".repeat(70);
        let names = [format!("{beginning}-1"), format!("{beginning}-2")];
        ns.declare(extended_job("on-ready").on_ready())?;
        let mut labels = Vec::new();
        for affected in &names {
            ns.start(pod(affected).ready())?;
            let job = ns.job_for("on-ready", affected)?;
            assert_eq!(annotation(&job, POD_NAME), affected);
            assert!(label(&job, AFFECTED_POD).starts_with("aaaa"), "{job:#}");
            labels.push(label(&job, AFFECTED_POD).to_owned());
        }
        assert_ne!(labels[0], labels[1]);
        Ok(())
    })
}
