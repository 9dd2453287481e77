//! Where the output of a run goes, and when.

use anyhow::Result;
use e2e::{ExtendedJob, Namespace, Operator, extended_job, pod, scenario, template, text};
use serde_json::{Value, json};

fn once(name: &str, script: &str) -> ExtendedJob {
    extended_job(name).once().running(template::script(script))
}

/// Runs it, and gives what is then in the ConfigMap `out`.
fn stored_by(ns: &Namespace, extended_job: ExtendedJob) -> Result<Value> {
    let name = extended_job.name();
    ns.create(extended_job.stdout_to("out"))?;
    ns.condition_of(&name, "OutputWritten", "True")?;
    ns.kubectl.get(&["configmap", "out"])
}

fn config_map(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "out"}, "data": data})
}

#[test]
fn stdout_lands_in_a_configmap_under_the_containers_name() -> Result<()> {
    scenario(|ns| {
        let out = stored_by(ns, once("greet", "echo grüße; echo; printf end"))?;
        assert_eq!(out["data"], json!({"main.stdout": "grüße\n\nend"}));
        assert_eq!(out["binaryData"], Value::Null);
        Ok(())
    })
}

#[test]
fn stdout_lands_in_a_secret_of_another_namespace() -> Result<()> {
    scenario(|ns| {
        let vault = ns.sibling("vault")?;
        let target = json!(format!("{}/out", vault.name));
        ns.create(once("greet", "echo hello").with("/output/stdout/secretRef", target))?;
        ns.condition_of("greet", "OutputWritten", "True")?;
        // "hello\n"
        assert_eq!(vault.kubectl.get(&["secret", "out"])?["data"], json!({"main.stdout": "aGVsbG8K"}));
        assert!(ns.kubectl.list(&["secrets"])?.is_empty());
        Ok(())
    })
}

#[test]
fn each_container_has_its_key_and_init_containers_and_sidecars_have_none() -> Result<()> {
    scenario(|ns| {
        let mut template = template::of_containers([
            template::container("left", "echo from left"),
            template::container("right", "echo from right"),
        ]);
        let init = template::container("prepare", "echo from prepare");
        // A native sidecar.
        let mut beside = template::container("beside", "echo from beside; sleep 1000");
        beside["restartPolicy"] = json!("Always");
        template["spec"]["template"]["spec"]["initContainers"] = json!([init, beside]);
        let out = stored_by(ns, extended_job("pair").once().running(template))?;
        assert_eq!(out["data"], json!({"left.stdout": "from left\n", "right.stdout": "from right\n"}));
        Ok(())
    })
}

#[test]
fn a_container_can_print_which_pod_it_runs_for() -> Result<()> {
    scenario(|ns| {
        let template = template::script_on_pod("echo $POD");
        ns.declare(extended_job("on-ready").on_ready().running(template).stdout_to("out"))?;
        ns.start(pod("redis-0").ready())?;
        ns.condition_of("on-ready", "OutputWritten", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "redis-0\n");
        Ok(())
    })
}

#[test]
fn bytes_that_are_no_text_go_to_binary_data() -> Result<()> {
    scenario(|ns| {
        let out = stored_by(ns, once("bytes", r"printf '\377\376\000\001'"))?;
        assert_eq!(out["binaryData"], json!({"main.stdout": "//4AAQ=="}));
        assert_eq!(out["data"], Value::Null);
        Ok(())
    })
}

#[test]
fn a_key_never_stands_in_data_and_binary_data_both() -> Result<()> {
    scenario(|ns| {
        ns.create(config_map(&json!({"main.stdout": "text"})))?;
        let overwrite = json!(true);
        let out = stored_by(
            ns,
            once("bytes", r"printf '\377'").with("/output/stdout/overwrite", overwrite.clone()),
        )?;
        assert_eq!((&out["data"], &out["binaryData"]), (&Value::Null, &json!({"main.stdout": "/w=="})));
        let out = stored_by(ns, once("text", "echo text").with("/output/stdout/overwrite", overwrite))?;
        assert_eq!((&out["data"], &out["binaryData"]), (&json!({"main.stdout": "text\n"}), &Value::Null));
        Ok(())
    })
}

#[test]
fn without_overwrite_a_key_that_exists_is_left_alone() -> Result<()> {
    scenario(|ns| {
        let theirs = json!({"main.stdout": "theirs", "other": "theirs too"});
        ns.create(config_map(&theirs))?;
        ns.create(once("polite", "echo ours").stdout_to("out"))?;
        ns.reason_of("polite", "OutputWritten", "KeyExists")?;
        ns.condition_of("polite", "OutputWritten", "False")?;
        // A Job's success never depends on its output.
        ns.condition_of("polite", "Complete", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], theirs);
        Ok(())
    })
}

#[test]
fn without_overwrite_the_first_runs_output_stays_and_its_writer_is_named() -> Result<()> {
    scenario(|ns| {
        stored_by(ns, once("first", "echo first"))?;
        ns.create(once("second", "echo second").stdout_to("out"))?;
        let message = ns.reason_of("second", "OutputWritten", "KeyExists")?;
        assert!(message.contains("first"), "{message}");
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "first\n");
        Ok(())
    })
}

#[test]
fn with_overwrite_the_key_is_replaced_and_others_stay() -> Result<()> {
    scenario(|ns| {
        ns.create(config_map(&json!({"main.stdout": "old", "other": "theirs"})))?;
        let out = stored_by(ns, once("bold", "echo new").with("/output/stdout/overwrite", json!(true)))?;
        assert_eq!(out["data"], json!({"main.stdout": "new\n", "other": "theirs"}));
        Ok(())
    })
}

#[test]
fn empty_output_is_output_too() -> Result<()> {
    scenario(|ns| {
        ns.create(config_map(&json!({"main.stdout": "old"})))?;
        let out = stored_by(ns, once("silent", "true").with("/output/stdout/overwrite", json!(true)))?;
        assert_eq!(out["data"], json!({"main.stdout": ""}));
        Ok(())
    })
}

#[test]
fn a_failed_jobs_output_is_written_only_with_write_on_failure() -> Result<()> {
    scenario(|ns| {
        ns.create(once("discreet", "echo why; exit 3").stdout_to("nothing"))?;
        ns.create(
            once("open", "echo why; exit 3")
                .stdout_to("out")
                .with("/output/stdout/writeOnFailure", json!(true)),
        )?;
        // The output is tried before the end of the run is recorded.
        ns.condition_of("discreet", "Failed", "True")?;
        ns.condition_of("open", "Failed", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "nothing"])?, Value::Null);
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "why\n");
        Ok(())
    })
}

#[test]
fn a_success_replaces_what_a_failed_attempt_of_its_job_wrote() -> Result<()> {
    scenario(|ns| {
        let script = "test -e /kept/1 && echo good && exit; touch /kept/1; echo bad; exit 1";
        let template = template::restarted(script, 3);
        let twice =
            extended_job("twice").once().running(template).with("/output/stdout/writeOnFailure", json!(true));
        ns.create(twice.stdout_to("out"))?;
        ns.condition_of("twice", "Complete", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "good\n");
        Ok(())
    })
}

#[test]
fn a_pod_that_succeeds_replaces_what_a_failed_pod_of_its_job_wrote() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo allowed: \"$ALLOWED\"; test \"$ALLOWED\" = yes");
        template["spec"]["backoffLimit"] = json!(3);
        let allowed = json!({"name": "later", "key": "allowed", "optional": true});
        template["spec"]["template"]["spec"]["containers"][0]["env"] =
            json!([{"name": "ALLOWED", "valueFrom": {"configMapKeyRef": allowed}}]);
        let stubborn = extended_job("stubborn").once().running(template);
        ns.create(stubborn.telling())?;
        ns.kubectl.until(&["pods"], "a failed pod", |pods| {
            pods["items"].as_array()?.iter().find(|pod| pod["status"]["phase"] == "Failed").map(drop)
        })?;
        ns.create(json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "later"},
            "data": {"allowed": "yes"},
        }))?;
        ns.condition_of("stubborn", "Complete", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "allowed: yes\n");
        Ok(())
    })
}

#[test]
fn what_a_job_printed_before_its_deadline_is_written_on_failure() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes is lost.
        let _undisturbed = Operator::undisturbed();
        let slow = extended_job("slow").once().running(template::script("echo so far; sleep 1000"));
        ns.create(slow.telling())?;
        // The Job controller deletes the pod while it runs, and its log goes within two seconds.
        ns.let_time_run_out("slow", "so far")?;
        ns.condition_of("slow", "Failed", "True")?;
        ns.condition_of("slow", "OutputWritten", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "so far\n");
        Ok(())
    })
}

#[test]
fn of_output_that_does_not_fit_the_newest_whole_lines_are_kept() -> Result<()> {
    scenario(|ns| {
        let out = stored_by(ns, once("count", &template::printing(2_000_000)))?;
        let kept = text(&out["data"]["main.stdout"]);
        assert!(kept.len() > 900_000 && kept.len() < 1 << 20, "{}", kept.len());
        let lines: Vec<u32> = kept.lines().map(str::parse).collect::<Result<_, _>>()?;
        assert!(lines.windows(2).all(|pair| pair[1] == pair[0] + 1), "lines are missing or cut");
        assert_eq!(lines.last(), Some(&2000));

        let output = ns.kubectl.get(&["extendedjob", "count"])?["status"]["lastRun"]["outputs"][0].take();
        assert_eq!((&output["bytesSeen"], &output["bytesKept"]), (&json!(2_000_000), &json!(kept.len())));
        Ok(())
    })
}

#[test]
fn what_was_printed_before_the_kubelet_rotated_the_log_is_not_lost() -> Result<()> {
    scenario(|ns| {
        // Nobody can read what was rotated away while no operator ran.
        let _undisturbed = Operator::undisturbed();
        // The kubelet rotates what is longer than 10 MiB, and looks for that every ten seconds. It may look in the very moment
        // in which the container has printed; so that is not before the operator has heard of the container and follows it.
        let script = format!("sleep 5; {}; sleep 15; echo end; sleep 2", template::printing(12_000_000));
        let out = stored_by(ns, once("count", &script))?;
        let kept = text(&out["data"]["main.stdout"]);
        assert!(kept.len() > 900_000 && kept.ends_with("00012000\nend\n"), "{}", kept.len());
        Ok(())
    })
}

/// `early`, whose output waits for the namespace `later`.
fn early(ns: &Namespace) -> Result<()> {
    let target = json!(format!("{}-later/out", ns.name));
    ns.create(once("early", "echo patience").with("/output/stdout/configRef", target))?;
    ns.reason_of("early", "OutputWritten", "TargetNamespaceMissing").map(drop)
}

/// That namespace comes, and its output is there.
fn is_written_later(ns: &Namespace) -> Result<()> {
    let later = ns.sibling("later")?;
    ns.condition_of("early", "OutputWritten", "True")?;
    assert_eq!(later.kubectl.get(&["configmap", "out"])?["data"]["main.stdout"], "patience\n");
    Ok(())
}

#[test]
fn output_waits_for_its_namespace() -> Result<()> {
    scenario(|ns| {
        early(ns)?;
        ns.condition_of("early", "Complete", "True")?;
        is_written_later(ns)
    })
}

#[test]
fn output_that_waits_outlasts_an_edit_that_is_not_accepted() -> Result<()> {
    scenario(|ns| {
        early(ns)?;
        let mut terminal = template::script("echo never");
        terminal["spec"]["template"]["spec"]["containers"][0]["tty"] = json!(true);
        ns.edit("early", &json!({"output": {"stderr": {"configRef": "elsewhere"}}, "template": terminal}))?;
        ns.reason_of("early", "Ready", "StreamsNotSeparable")?;
        ns.edit("early", &json!({"output": {"stderr": null}}))?;
        is_written_later(ns)
    })
}

#[test]
fn output_that_waits_keeps_no_other_run_from_starting() -> Result<()> {
    scenario(|ns| {
        let target = json!(format!("{}-later/out", ns.name));
        let ejob = extended_job("one-by-one").on("created").of("app", "web").at_most(1);
        let ejob = ejob.with("/output/stdout", json!({"configRef": target, "key": "{pod}"}));
        ns.declare(ejob.running(template::script("echo patience")))?;
        for name in ["a", "b"] {
            ns.create(pod(name).labelled("app", "web"))?;
        }
        ns.status_until("one-by-one", &json!({"succeeded": 2}))?;
        let later = ns.sibling("later")?;
        ns.condition_of("one-by-one", "OutputWritten", "True")?;
        let both = json!({"a": "patience\n", "b": "patience\n"});
        later.data_until("out", "the output of both runs", |data| (*data == both).then_some(()))
    })
}

#[test]
fn of_a_run_that_is_over_no_output_can_be_asked_for() -> Result<()> {
    scenario(|ns| {
        ns.create(once("past", "echo gone"))?;
        ns.condition_of("past", "Complete", "True")?;
        ns.edit("past", &json!({"output": {"stdout": {"configRef": "out"}}}))?;
        ns.reason_of("past", "OutputWritten", "NothingToWrite").map(drop)
    })
}

#[test]
fn an_immutable_target_is_reported() -> Result<()> {
    scenario(|ns| {
        let mut out = config_map(&json!({"other": "theirs"}));
        out["immutable"] = json!(true);
        ns.create(out)?;
        ns.create(once("late", "echo ours").stdout_to("out"))?;
        ns.reason_of("late", "OutputWritten", "TargetImmutable")?;
        ns.condition_of("late", "Complete", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], json!({"other": "theirs"}));
        Ok(())
    })
}

#[test]
fn no_byte_of_output_shows_anywhere_but_in_its_target() -> Result<()> {
    scenario(|ns| {
        // The log is whole only while the operator's pod stays the same.
        let operator = Operator::hold();
        // The word stands in no manifest, so that whatever shows it has it from the output.
        let canary = "canary-in-the-mine";
        let script = "echo canary-in-THE-mine | tr A-Z a-z";
        let json_of_it = r#"echo '{"canary-in-THE-mine": "canary-in-THE-mine"}' | tr A-Z a-z"#;
        let secret = |name: &str, immutable: bool| {
            // "aGVsbG8K" is any value.
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "immutable": immutable, "data": {"main.stdout": "aGVsbG8K"}})
        };
        ns.create_all([secret("taken", false), secret("immutable", true)])?;
        let to = |name: &str, target: &str, script: &str| {
            once(name, script)
                .with("/output/stdout/secretRef", json!(target))
                .with("/output/stdout/overwrite", json!(target == "immutable"))
                .with("/output/stdout/writeOnFailure", json!(true))
        };
        ns.create_all([
            to("written", "out", script).into(),
            to("failed", "out-of-failure", &format!("{script}; exit 1")).into(),
            to("kept-out", "taken", script).into(),
            to("refused", "immutable", script).into(),
            to("fields", "out-of-json", json_of_it).with("/output/stdout/format", json!("json")).into(),
            to("no-json", "out-of-none", script).with("/output/stdout/format", json!("json")).into(),
            to("versions", "out", script).with("/output/stdout/versioned", json!(true)).into(),
        ])?;
        ns.condition_of("written", "OutputWritten", "True")?;
        ns.condition_of("failed", "OutputWritten", "True")?;
        ns.condition_of("fields", "OutputWritten", "True")?;
        ns.condition_of("versions", "OutputWritten", "True")?;
        ns.reason_of("kept-out", "OutputWritten", "KeyExists")?;
        ns.reason_of("no-json", "OutputWritten", "OutputNotJson")?;
        ns.reason_of("refused", "OutputWritten", "TargetImmutable")?;
        for place in ["extendedjobs", "jobs", "pods", "events", "configmaps"] {
            assert!(!ns.kubectl.get(&[place])?.to_string().contains(canary), "in {place}");
        }
        let log = operator.log()?;
        assert!(!log.is_empty() && !log.contains(canary), "in the operator's log");
        Ok(())
    })
}
