//! Output in other forms than as one text: JSON, and an object for each run.

use anyhow::Result;
use e2e::{ExtendedJob, Namespace, Operator, extended_job, scenario, template, text};
use serde_json::{Value, json};

fn printing_json(name: &str, json: &str) -> ExtendedJob {
    let template = template::script(&format!("cat <<'END'\n{json}\nEND"));
    extended_job(name).once().running(template).stdout_to("out").with("/output/stdout/format", json!("json"))
}

fn versioned(name: &str) -> ExtendedJob {
    extended_job(name)
        .with("/output/stdout/secretRef", json!("out"))
        .with("/output/stdout/versioned", json!(true))
}

fn secrets(ns: &Namespace) -> Result<Vec<String>> {
    Ok(ns.kubectl.list(&["secrets"])?.iter().map(|secret| e2e::name(secret).to_owned()).collect())
}

#[test]
fn each_field_of_a_json_object_is_a_key_and_the_status_names_none() -> Result<()> {
    scenario(|ns| {
        let printed = r#"{"user": "admin", "max": 12.50, "on": true, "text": "a\nb"}"#;
        ns.create(printing_json("fields", printed))?;
        let seen = ns.condition_of("fields", "OutputWritten", "True")?;
        let expected = json!({"user": "admin", "max": "12.50", "on": "true", "text": "a\nb"});
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?["data"], expected);
        let outputs = &seen["status"]["lastRun"]["outputs"];
        assert_eq!((&outputs[0]["key"], outputs.as_array().map(Vec::len)), (&json!("*"), Some(1)));
        let shown = ns.kubectl.ejob(&["output", "fields"])?;
        assert!(String::from_utf8(shown.stdout)?.contains("==> user <==\nadmin"));
        Ok(())
    })
}

#[test]
fn what_is_no_flat_json_object_is_told_by_its_place_and_nothing_of_it_is_shown() -> Result<()> {
    scenario(|ns| {
        for (name, printed, place) in [
            ("nested", "{\"a\": 1,\n \"hush\": {\"b\": 2}}", "line 2 column 10"),
            ("broken", "{\"a\": hush}", "line 1 column 7"),
            ("silent", "", "empty"),
            ("a-list", "[\"hush\"]", "line 1 column"),
        ] {
            ns.create(printing_json(name, printed))?;
            let message = ns.reason_of(name, "OutputWritten", "OutputNotJson")?;
            assert!(message.contains(place), "{message}");
            ns.condition_of(name, "Complete", "True")?;
        }
        for place in ["extendedjobs", "events"] {
            let shown: String = ns
                .kubectl
                .list(&[place])?
                .iter()
                .map(|it| it["status"].to_string() + &it["message"].to_string())
                .collect();
            assert!(!shown.contains("hush"), "in {place}");
        }
        assert_eq!(ns.kubectl.get(&["configmap", "out"])?, Value::Null);
        Ok(())
    })
}

#[test]
fn containers_whose_fields_collide_are_told() -> Result<()> {
    scenario(|ns| {
        let print = |name: &str| template::container(name, r#"echo '{"same": 1}'"#);
        let template = template::of_containers([print("left"), print("right")]);
        let ejob = extended_job("twins").once().running(template).stdout_to("out");
        ns.create(ejob.with("/output/stdout/format", json!("json")))?;
        let message = ns.reason_of("twins", "OutputWritten", "OutputNotJson")?;
        assert!(message.contains("container left") && message.contains("container right"), "{message}");
        Ok(())
    })
}

#[test]
fn each_run_makes_a_new_immutable_object_and_never_two() -> Result<()> {
    scenario(|ns| {
        let operator = Operator::hold();
        let errand = versioned("counted").with("/run", json!("now"));
        ns.create(errand.running(template::script("date +%s")))?;
        ns.status_until("counted", &json!({"completedRunNumber": 1}))?;
        operator.restart()?;
        ns.edit("counted", &json!({"run": "now"}))?;
        ns.status_until("counted", &json!({"completedRunNumber": 2}))?;
        ns.condition_of("counted", "OutputWritten", "True")?;
        operator.restart()?;
        ns.edit("counted", &json!({"run": "now"}))?;
        ns.status_until("counted", &json!({"completedRunNumber": 3}))?;
        ns.condition_of("counted", "OutputWritten", "True")?;
        assert_eq!(secrets(ns)?, ["out-v1", "out-v2", "out-v3"]);
        let second = ns.kubectl.get(&["secret", "out-v2"])?;
        let labels = &second["metadata"]["labels"];
        assert_eq!(
            (&second["immutable"], &labels["fissile.cloudfoundry.org/output-version"]),
            (&json!(true), &json!("2"))
        );
        let first = ns.kubectl.ejob(&["output", "counted", "--version", "1"])?;
        let last = ns.kubectl.ejob(&["output", "counted"])?;
        let number = |shown: Vec<u8>| -> Result<u64> { Ok(String::from_utf8(shown)?.trim().parse()?) };
        assert!(number(first.stdout)? < number(last.stdout)?);
        Ok(())
    })
}

#[test]
fn of_versioned_output_the_last_attempt_is_kept_and_only_that() -> Result<()> {
    scenario(|ns| {
        let script = "if [ -e /kept/tried ]; then echo good; else touch /kept/tried; echo bad; exit 1; fi";
        let template = template::restarted(script, 3);
        let ejob = versioned("again").once().running(template);
        ns.create(ejob.with("/output/stdout/writeOnFailure", json!(true)))?;
        ns.condition_of("again", "OutputWritten", "True")?;
        assert_eq!(secrets(ns)?, ["out-v1"]);
        // "good\n"
        assert_eq!(ns.kubectl.get(&["secret", "out-v1"])?["data"], json!({"main.stdout": "Z29vZAo="}));
        Ok(())
    })
}

#[test]
fn a_version_of_an_indexed_job_holds_the_output_of_all_its_pods() -> Result<()> {
    scenario(|ns| {
        let template = template::indexed("printf $JOB_COMPLETION_INDEX", 2);
        ns.create(versioned("pair").once().running(template))?;
        ns.condition_of("pair", "OutputWritten", "True")?;
        let expected = json!({"main.0.stdout": "MA==", "main.1.stdout": "MQ=="});
        assert_eq!(ns.kubectl.get(&["secret", "out-v1"])?["data"], expected);
        Ok(())
    })
}

#[test]
fn a_number_that_someone_else_took_is_passed_over() -> Result<()> {
    scenario(|ns| {
        ns.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "out-v1"}}))?;
        ns.create(versioned("careful").once().running(template::script("echo x")))?;
        let message = ns.extended_job_until("careful", "a word on out-v1", |seen| {
            let condition = e2e::condition(seen, "OutputWritten")?;
            (condition["status"] != "Unknown").then(|| text(&condition["message"]).to_owned())
        })?;
        assert_eq!(message, "");
        assert_eq!(secrets(ns)?, ["out-v1", "out-v2"]);
        Ok(())
    })
}

#[test]
fn what_fills_other_keys_or_objects_waits_for_its_namespace_and_is_no_longer_told_to_have_failed()
-> Result<()> {
    scenario(|ns| {
        let target = json!(format!("{}-later/out", ns.name));
        ns.create(printing_json("fields", r#"{"a": 1}"#).with("/output/stdout/configRef", target.clone()))?;
        let version = versioned("version").once().running(template::script("echo x"));
        ns.create(version.with("/output/stdout/secretRef", target))?;
        for name in ["fields", "version"] {
            ns.reason_of(name, "OutputWritten", "TargetNamespaceMissing")?;
        }
        ns.sibling("later")?;
        for (name, key) in [("fields", "*"), ("version", "main.stdout")] {
            let seen = ns.condition_of(name, "OutputWritten", "True")?;
            let outputs = &seen["status"]["lastRun"]["outputs"];
            assert_eq!((&outputs[0]["key"], &outputs[0]["result"]), (&json!(key), &json!("Written")));
            assert_eq!(outputs.as_array().map(Vec::len), Some(1), "{outputs}");
        }
        Ok(())
    })
}
