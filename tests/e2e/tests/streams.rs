//! Standard output and standard error, apart: what holds by each way on which they can be told apart. What is a matter
//! of one way is in `wrapper` and `unwrapped`; what is done where none leads to the end, in `unseparated`.

use anyhow::Result;
use e2e::{ExtendedJob, Namespace, Operator, extended_job, scenario, streams, template, text};
use serde_json::{Value, json};

/// Its standard output goes to the Secret `out`, its standard error to the ConfigMap `errors`, whatever becomes of it.
pub(crate) fn apart(name: &str, template: Value) -> ExtendedJob {
    let apart = extended_job(name).once().running(template);
    let apart = apart
        .with("/output/stdout/secretRef", json!("out"))
        .with("/output/stderr/configRef", json!("errors"));
    ["stdout", "stderr"]
        .into_iter()
        .fold(apart, |it, stream| it.with(&format!("/output/{stream}/writeOnFailure"), json!(true)))
}

/// What stands in `out` and `errors`, the first as base64.
pub(crate) fn stored(ns: &Namespace, name: &str) -> Result<(Value, Value)> {
    let seen = ns.condition_of(name, "OutputWritten", "True")?;
    assert_eq!(seen["status"]["lastRun"]["streams"], streams());
    let mut errors = ns.kubectl.get(&["configmap", "errors"])?;
    Ok((ns.kubectl.get(&["secret", "out"])?["data"].take(), errors["data"].take()))
}

#[test]
fn stdout_goes_to_a_secret_and_stderr_to_a_configmap() -> Result<()> {
    scenario(|ns| {
        ns.create(apart("pi", template::script("echo to stdout; echo to stderr >&2; echo again")))?;
        // "to stdout\nagain\n"
        let stdout = json!({"main.stdout": "dG8gc3Rkb3V0CmFnYWluCg=="});
        assert_eq!(stored(ns, "pi")?, (stdout, json!({"main.stderr": "to stderr\n"})));
        Ok(())
    })
}

#[test]
fn both_go_to_one_object_under_two_keys() -> Result<()> {
    scenario(|ns| {
        let script = template::script("echo out; echo err >&2");
        let ejob = extended_job("both").once().running(script).stdout_to("out");
        ns.create(ejob.with("/output/stderr/configRef", json!("out")))?;
        ns.condition_of("both", "OutputWritten", "True")?;
        let out = ns.kubectl.get(&["configmap", "out"])?;
        assert_eq!(out["data"], json!({"main.stdout": "out\n", "main.stderr": "err\n"}));
        Ok(())
    })
}

#[test]
fn one_stream_alone_holds_nothing_of_the_other() -> Result<()> {
    scenario(|ns| {
        let ejob = extended_job("complain").once().running(template::script("echo out; echo err >&2"));
        ns.create(ejob.with("/output/stderr/configRef", json!("out")))?;
        ns.condition_of("complain", "OutputWritten", "True")?;
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], json!({"main.stderr": "err\n"}));
        Ok(())
    })
}

#[test]
fn a_program_ends_as_without_us_and_leaves_what_it_wrote() -> Result<()> {
    scenario(|ns| {
        ns.create(apart("fails", template::script("printf 'no end' >&2; exit 3")))?;
        assert_eq!(stored(ns, "fails")?, (json!({"main.stdout": ""}), json!({"main.stderr": "no end"})));
        let seen = ns.condition_of("fails", "Failed", "True")?;
        let container = &seen["status"]["lastRun"]["containers"][0];
        assert_eq!((&container["name"], &container["exitCode"]), (&json!("main"), &json!(3)));
        Ok(())
    })
}

#[test]
fn a_hundred_thousand_lines_on_each_stream_at_once_are_all_there() -> Result<()> {
    scenario(|ns| {
        let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); echo $i; echo $i >&2; done; sleep 2";
        ns.create(apart("busy", template::script(script)))?;
        let seen = ns.condition_of("busy", "OutputWritten", "True")?;
        let outputs = &seen["status"]["lastRun"]["outputs"];
        // 588,895 bytes in lines of one to six digits.
        assert_eq!((&outputs[0]["bytesSeen"], &outputs[1]["bytesSeen"]), (&json!(588_895), &json!(588_895)));
        let errors = ns.kubectl.get(&["configmap", "errors"])?;
        assert!(text(&errors["data"]["main.stderr"]).ends_with("\n99999\n100000\n"));
        Ok(())
    })
}

#[test]
fn what_can_not_be_told_apart_is_refused_with_a_remedy_or_merged_and_told() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo out; echo err >&2");
        template["spec"]["template"]["spec"]["containers"][0]["tty"] = json!(true);
        ns.create(apart("terminal", template.clone()))?;
        let message = ns.reason_of("terminal", "Ready", "StreamsNotSeparable")?;
        assert!(message.contains("container main has tty: true"), "{message}");
        assert!(ns.jobs_of("terminal")?.is_empty());
        let remedy = json!({"output": {"stdout": {"secretRef": null, "configRef": "errors"}}});
        ns.edit("terminal", &remedy)?;
        ns.condition_of("terminal", "OutputWritten", "True")?;
        let one = extended_job("one").once().running(template).stdout_to("log");
        ns.create(one.with("/output/stderr/configRef", json!("log")))?;
        let seen = ns.condition_of("one", "OutputWritten", "True")?;
        assert_eq!(seen["status"]["lastRun"]["streams"], "Merged");
        Ok(())
    })
}

#[test]
fn a_job_made_before_its_streams_were_to_go_apart_writes_nothing_and_says_so() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("sleep 5; echo out");
        template["spec"]["template"]["spec"]["containers"][0]["tty"] = json!(true);
        let ejob = extended_job("early").once().running(template).stdout_to("log");
        ns.create(ejob.with("/output/stderr/configRef", json!("log")))?;
        ns.jobs_until("early", 1)?;
        let apart = json!({"stderr": {"configRef": "errors"}});
        ns.edit("early", &json!({"output": apart, "template": template::script("echo next")}))?;
        let message = ns.reason_of("early", "OutputWritten", "StreamsNotSeparable")?;
        assert!(message.contains("was made before"), "{message}");
        ns.condition_of("early", "Complete", "True")?;
        let settled = |seen: &Value| (seen["status"]["runs"][0]["outputSettled"] == true).then_some(());
        ns.kubectl.until(&["ejob", "early"], "the word that nothing is to be written any more", settled)
    })
}

#[test]
fn who_wants_the_log_as_it_is_gets_it_without_any_addition_to_the_pod() -> Result<()> {
    scenario(|ns| {
        let script = template::script("echo out; sleep 0.2; echo err >&2");
        let ejob = extended_job("merged").once().running(script).stdout_to("log");
        ns.create(ejob.with("/output/separate", json!(false)))?;
        ns.condition_of("merged", "OutputWritten", "True")?;
        let log = ns.kubectl.get(&["configmap", "log"])?;
        assert_eq!(log["data"], json!({"main.stdout": "out\nerr\n"}));
        let pods = ns.kubectl.list(&["pods"])?;
        assert_eq!(pods[0]["spec"]["initContainers"], Value::Null);
        Ok(())
    })
}

#[test]
fn each_container_has_its_streams() -> Result<()> {
    scenario(|ns| {
        let pair = [
            template::container("left", "echo left; echo of left >&2"),
            template::container("right", "echo right; echo of right >&2"),
        ];
        ns.create(apart("pair", template::of_containers(pair)))?;
        // "left\n" and "right\n"
        let stdout = json!({"left.stdout": "bGVmdAo=", "right.stdout": "cmlnaHQK"});
        let stderr = json!({"left.stderr": "of left\n", "right.stderr": "of right\n"});
        assert_eq!(stored(ns, "pair")?, (stdout, stderr));
        Ok(())
    })
}

#[test]
fn what_is_bound_for_a_secret_stands_in_no_configmap() -> Result<()> {
    scenario(|ns| {
        let script = "i=0; while [ $i -lt 1000 ]; do i=$((i+1)); echo hidden $i; echo open $i >&2; done";
        ns.create(apart("discreet", template::script(script)))?;
        let (_, errors) = stored(ns, "discreet")?;
        let lines = |word: &str| (1..=1000).map(|number| format!("{word} {number}\n")).collect::<String>();
        assert_eq!(errors, json!({"main.stderr": lines("open")}));
        let decoded = r#"--output=go-template={{index .data "main.stdout" | base64decode}}"#;
        assert_eq!(ns.kubectl.run(&["get", "secret", "out", decoded])?, lines("hidden"));
        assert!(!ns.kubectl.get(&["configmaps"])?.to_string().contains("hidden"));
        Ok(())
    })
}

#[test]
fn what_a_program_writes_when_it_is_told_to_end_goes_apart_too() -> Result<()> {
    scenario(|ns| {
        // What nobody follows when the pod goes is lost.
        let _undisturbed = Operator::undisturbed();
        let script =
            "trap 'echo last; echo late >&2; exit 7' TERM; echo early >&2; echo waits; sleep 3600 & wait";
        let mut template = template::script(script);
        template["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = json!(30);
        ns.create(apart("ends", template))?;
        ns.let_time_run_out("ends", "waits")?;
        ns.condition_of("ends", "Failed", "True")?;
        // "waits\nlast\n"
        let stdout = json!({"main.stdout": "d2FpdHMKbGFzdAo="});
        assert_eq!(stored(ns, "ends")?, (stdout, json!({"main.stderr": "early\nlate\n"})));
        Ok(())
    })
}

#[test]
fn what_a_program_wrote_before_it_took_too_much_memory_goes_apart() -> Result<()> {
    scenario(|ns| {
        let mut template = template::script("echo out; echo err >&2; sleep 1; tail /dev/zero");
        template["spec"]["template"]["spec"]["containers"][0]["resources"] =
            json!({"limits": {"memory": "16Mi"}});
        ns.create(apart("greedy", template))?;
        // "out\n"
        let stdout = json!({"main.stdout": "b3V0Cg=="});
        assert_eq!(stored(ns, "greedy")?, (stdout, json!({"main.stderr": "err\n"})));
        let seen = ns.condition_of("greedy", "Failed", "True")?;
        let container = &seen["status"]["lastRun"]["containers"][0];
        assert_eq!((&container["reason"], &container["exitCode"]), (&json!("OOMKilled"), &json!(137)));
        Ok(())
    })
}

#[test]
fn what_was_written_before_the_kubelet_rotated_the_log_is_not_lost() -> Result<()> {
    scenario(|ns| {
        // Nobody can read what was rotated away while no operator ran.
        let _undisturbed = Operator::undisturbed();
        // The kubelet rotates what is longer than 10 MiB, and looks for that every ten seconds. It may look in the very moment
        // in which the container has printed; so that is not before the operator has heard of the container and follows it.
        let print = template::printing(12_000_000);
        let script = format!("sleep 5; ({print}) >&2; sleep 15; echo done; echo end >&2; sleep 2");
        ns.create(apart("count", template::script(&script)))?;
        let (stdout, errors) = stored(ns, "count")?;
        // "done\n"
        assert_eq!(stdout, json!({"main.stdout": "ZG9uZQo="}));
        assert!(text(&errors["main.stderr"]).ends_with("00012000\nend\n"));
        let seen = ns.kubectl.get(&["extendedjob", "count"])?;
        assert_eq!(seen["status"]["lastRun"]["outputs"][1]["bytesSeen"], 12_000_004);
        Ok(())
    })
}

#[test]
fn each_run_of_a_container_that_is_started_again_has_its_own_standard_error() -> Result<()> {
    scenario(|ns| {
        // The first run ends in the middle of a line.
        let script = "if [ -e /kept/tried ]; then echo out; echo second >&2; \
                      else touch /kept/tried; printf first >&2; exit 1; fi";
        let again =
            apart("again", template::restarted(script, 3)).with("/output/stdout/overwrite", json!(true));
        ns.create(again.with("/output/stderr/overwrite", json!(true)))?;
        // "out\n"
        let stdout = json!({"main.stdout": "b3V0Cg=="});
        assert_eq!(stored(ns, "again")?, (stdout, json!({"main.stderr": "second\n"})));
        let errors = ns.kubectl.get(&["configmap", "errors"])?;
        let record = text(&errors["metadata"]["annotations"]["output.fissile.cloudfoundry.org/main.stderr"]);
        assert!(record.contains("Succeeded"), "{record}");
        Ok(())
    })
}

#[test]
fn the_standard_error_of_a_failed_run_of_a_container_is_there_when_the_next_one_begins() -> Result<()> {
    scenario(|ns| {
        let script =
            "if [ -e /kept/tried ]; then sleep 3600; else touch /kept/tried; printf first >&2; exit 1; fi";
        ns.create(apart("again", template::restarted(script, 3)))?;
        let errors = ns.data_until("errors", "standard error of the first run", |data| Some(data.clone()))?;
        assert_eq!(errors, json!({"main.stderr": "first"}));
        Ok(())
    })
}

#[test]
fn an_operator_that_is_killed_still_knows_which_run_of_a_container_wrote_what() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let script = "if [ -e /kept/tried ]; then sleep 15; echo second >&2; exit 0; fi; touch /kept/tried; \
                      i=0; while [ $i -lt 100 ]; do i=$((i+1)); echo line $i >&2; sleep 0.1; done; exit 1";
        ns.create(apart("again", template::restarted(script, 3)))?;
        ns.until_running()?;
        operator.kill()?;
        let first: String = (1..=100).map(|number| format!("line {number}\n")).collect();
        for text in [first.as_str(), "second\n"] {
            let is_there = |data: &Value| (data["main.stderr"] == text).then_some(());
            ns.data_until("errors", "what a run wrote", is_there)?;
        }
        Ok(())
    })
}

#[test]
fn whatever_a_program_writes_stands_where_it_belongs() -> Result<()> {
    // Standard output as base64, and standard error, or binary data of it as base64.
    let programs = [
        (
            "turns",
            "for i in 1 2 3; do echo o$i; echo e$i >&2; done",
            "bzEKbzIKbzMK",
            json!("e1\ne2\ne3\n"),
            Value::Null,
        ),
        ("same", "echo same; echo same >&2", "c2FtZQo=", json!("same\n"), Value::Null),
        ("nothing", "true", "", json!(""), Value::Null),
        ("bytes", r"printf 'o\000'; printf '\377\000e' >&2", "bwA=", Value::Null, json!("/wBl")),
    ];
    scenario(|ns| {
        for (name, script, ..) in &programs {
            let ejob = apart(name, template::script(script));
            let ejob = ejob.with("/output/stdout/key", json!(name));
            ns.create(ejob.with("/output/stderr/key", json!(name)))?;
        }
        for (name, _, stdout, text, binary) in &programs {
            ns.condition_of(name, "OutputWritten", "True")?;
            let out = ns.kubectl.get(&["secret", "out"])?;
            let errors = ns.kubectl.get(&["configmap", "errors"])?;
            let found = (&out["data"][name], &errors["data"][name], &errors["binaryData"][name]);
            assert_eq!(found, (&json!(stdout), text, binary), "{name}");
        }
        Ok(())
    })
}
