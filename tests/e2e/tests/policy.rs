//! An ExtendedJob is a way to create Jobs and to write ConfigMaps and Secrets, and therefore only for those who
//! may do that themselves.

use anyhow::Result;
use e2e::{ExtendedJob, Kubectl, Namespace, extended_job, names, scenario, uid};
use serde_json::{Value, json};

const CREATE: [&str; 2] = ["create", "--filename=-"];

/// A user who may do with ExtendedJobs whatever ExtendedJobs may be used for.
fn alice(ns: &Namespace) -> Result<Kubectl> {
    ns.allow("alice", &["create", "get", "patch"], "extendedjobs.fissile.cloudfoundry.org")?;
    Ok(ns.kubectl.acting_as("alice"))
}

fn manifest(extended_job: ExtendedJob) -> String {
    Value::from(extended_job).to_string()
}

/// Its stdout goes to the Secret `keys`.
fn printing_keys() -> ExtendedJob {
    extended_job("print-keys").once().with("/output/stdout/secretRef", json!("keys"))
}

fn says(message: &str, words: &[&str]) {
    let missing: Vec<&&str> = words.iter().filter(|word| !message.contains(**word)).collect();
    assert!(missing.is_empty(), "{missing:?} not in: {message}");
}

#[test]
fn who_may_do_it_by_hand_may_have_it_done() -> Result<()> {
    scenario(|ns| {
        let alice = alice(ns)?;
        ns.allow("alice", &["create"], "jobs.batch")?;
        ns.allow("alice", &["create"], "secrets")?;
        ns.allow("alice", &["update"], "secrets/keys")?;
        alice.run_with_input(&CREATE, &manifest(printing_keys())).map(drop)
    })
}

#[test]
fn who_may_not_create_jobs_is_refused() -> Result<()> {
    scenario(|ns| {
        let alice = alice(ns)?;
        let refusal = alice.refusal(&CREATE, &manifest(extended_job("plain").once()))?;
        says(&refusal, &["create", "Jobs"]);
        Ok(())
    })
}

#[test]
fn who_may_not_create_secrets_in_the_target_namespace_is_refused() -> Result<()> {
    scenario(|ns| {
        let vault = ns.sibling("vault")?;
        let alice = alice(ns)?;
        ns.allow("alice", &["create"], "jobs.batch")?;
        ns.allow("alice", &["create", "update"], "secrets")?;
        let target = json!(format!("{}/keys", vault.name));
        let to_vault = extended_job("print-keys").once().with("/output/stdout/secretRef", target);
        says(&alice.refusal(&CREATE, &manifest(to_vault))?, &["Secret", &vault.name]);
        Ok(())
    })
}

#[test]
fn who_may_not_update_the_named_secret_is_refused() -> Result<()> {
    scenario(|ns| {
        let alice = alice(ns)?;
        ns.allow("alice", &["create"], "jobs.batch")?;
        ns.allow("alice", &["create"], "secrets")?;
        ns.allow("alice", &["update"], "secrets/other-keys")?;
        says(&alice.refusal(&CREATE, &manifest(printing_keys()))?, &["Secret", "keys"]);
        Ok(())
    })
}

#[test]
fn a_configmap_asks_for_other_rights_than_a_secret() -> Result<()> {
    scenario(|ns| {
        let alice = alice(ns)?;
        ns.allow("alice", &["create"], "jobs.batch")?;
        ns.allow("alice", &["create", "update"], "secrets")?;
        let to_config_map = manifest(extended_job("print").once().stdout_to("out"));
        says(&alice.refusal(&CREATE, &to_config_map)?, &["ConfigMap"]);
        ns.allow("alice", &["create", "update"], "configmaps")?;
        alice.run_with_input(&CREATE, &to_config_map).map(drop)
    })
}

#[test]
fn stderr_asks_for_the_same_rights_as_stdout() -> Result<()> {
    scenario(|ns| {
        let alice = alice(ns)?;
        ns.allow("alice", &["create"], "jobs.batch")?;
        ns.allow("alice", &["create"], "secrets")?;
        let to_secret = extended_job("print-keys").once().with("/output/stderr/secretRef", json!("keys"));
        let to_secret = manifest(to_secret);
        says(&alice.refusal(&CREATE, &to_secret)?, &["Secret", "keys", "stderr"]);
        ns.allow("alice", &["update"], "secrets/keys")?;
        alice.run_with_input(&CREATE, &to_secret).map(drop)
    })
}

#[test]
fn an_edit_needs_the_rights_too_and_metadata_needs_none() -> Result<()> {
    scenario(|ns| {
        ns.create(printing_keys())?;
        let alice = alice(ns)?;
        alice.run(&["label", "extendedjob", "print-keys", "team=blue"])?;
        alice.run(&["annotate", "extendedjob", "print-keys", "example.com/note=seen"])?;
        let edit = r#"--patch={"spec":{"template":{"spec":{"backoffLimit":5}}}}"#;
        says(&alice.refusal(&["patch", "extendedjob", "print-keys", "--type=merge", edit], "")?, &["Jobs"]);
        Ok(())
    })
}

#[test]
fn to_set_run_back_needs_no_right_and_nothing_else_may_change_with_it() -> Result<()> {
    scenario(|ns| {
        ns.create(printing_keys().with("/run", json!("now")))?;
        let alice = alice(ns)?;
        let asked = json!({"annotations": {"fissile.cloudfoundry.org/run-requested-at": "now"}});
        for change in [
            json!({"spec": {"run": "manually", "suspend": true}}),
            json!({"spec": {"run": "manually", "output": null}}),
            json!({"spec": {"run": "manually"}, "metadata": asked}),
        ] {
            let patch = format!("--patch={change}");
            says(
                &alice.refusal(&["patch", "extendedjob", "print-keys", "--type=merge", &patch], "")?,
                &["Jobs"],
            );
        }
        let set = |run: &str| format!("--patch={}", json!({"spec": {"run": run}}));
        alice.run(&["patch", "extendedjob", "print-keys", "--type=merge", &set("manually")])?;
        let again = ["patch", "extendedjob", "print-keys", "--type=merge", &set("now")];
        says(&alice.refusal(&again, "")?, &["Jobs"]);
        Ok(())
    })
}

#[test]
fn who_may_not_run_it_may_not_ask_for_a_run() -> Result<()> {
    scenario(|ns| {
        ns.create(printing_keys())?;
        let alice = alice(ns)?;
        let ask = "fissile.cloudfoundry.org/run-requested-at=now";
        says(&alice.refusal(&["annotate", "extendedjob", "print-keys", ask], "")?, &["Jobs"]);
        Ok(())
    })
}

#[test]
fn who_may_create_jobs_may_not_pass_them_off_as_an_extended_jobs() -> Result<()> {
    scenario(|ns| {
        ns.declare(printing_keys())?;
        let owner = ns.kubectl.get(&["extendedjob", "print-keys"])?;
        let job = |owners: Value| {
            json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "generateName": "forged-",
                    "labels": { names::OWNER: "print-keys" },
                    "ownerReferences": owners,
                },
                "spec": {"template": {"spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "busybox", "command": ["echo", "forged"]}],
                }}},
            })
            .to_string()
        };
        let claim = json!([{
            "apiVersion": "fissile.cloudfoundry.org/v1alpha1",
            "kind": "ExtendedJob",
            "name": "print-keys",
            "uid": uid(&owner),
            "controller": true,
        }]);
        ns.allow("mallory", &["create"], "jobs.batch")?;
        let mallory = ns.kubectl.acting_as("mallory");
        says(&mallory.refusal(&CREATE, &job(claim))?, &["extendedjobs/finalizers", "mallory"]);
        mallory.run_with_input(&CREATE, &job(json!([]))).map(drop)
    })
}

#[test]
fn who_may_create_pods_may_not_pass_them_off_as_those_of_an_extended_jobs_job() -> Result<()> {
    scenario(|ns| {
        ns.create(printing_keys())?;
        let job = ns.jobs_until("print-keys", 1)?.remove(0);
        let pod = |owners: Value| {
            json!({
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "generateName": "forged-",
                    "labels": { names::OWNER: "print-keys" },
                    "ownerReferences": owners,
                },
                "spec": {"restartPolicy": "Never", "containers": [
                    {"name": "main", "image": "busybox", "command": ["echo", "forged"]},
                ]},
            })
            .to_string()
        };
        let claim = json!([{
            "apiVersion": "batch/v1",
            "kind": "Job",
            "name": job["metadata"]["name"],
            "uid": uid(&job),
            "controller": true,
        }]);
        ns.allow("mallory", &["create"], "pods")?;
        let mallory = ns.kubectl.acting_as("mallory");
        says(&mallory.refusal(&CREATE, &pod(claim))?, &["jobs/finalizers", "mallory"]);
        mallory.run_with_input(&CREATE, &pod(json!([]))).map(drop)
    })
}
