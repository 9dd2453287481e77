//! `updateOnConfigChange`: which changes of ConfigMaps and Secrets restart a run, and which don't.

use std::collections::BTreeSet;

use anyhow::Result;
use e2e::names::{CHANGED_CONFIG, CONFIG_REVISION};
use e2e::{
    ExtendedJob, annotation, condition, config_map, extended_job, name, scenario, secret, template, text, uid,
};
use serde_json::{Value, json};

/// A one-off that uses all of the ConfigMap `app`. Its Job is parked, and so under way.
fn app() -> ExtendedJob {
    extended_job("app").once().following("app")
}

fn variable(from: Value) -> Value {
    json!([{"name": "USED", "valueFrom": from}])
}

fn with_volume(mut volume: Value) -> Value {
    volume["name"] = json!("used");
    template::in_pod(template::parked(), "volumes", json!([volume]))
}

#[test]
fn what_changes_is_told_in_the_status_by_an_event_and_to_the_pods() -> Result<()> {
    scenario(|ns| {
        ns.set("settings", "1")?;
        let replaced = ns.first_run(extended_job("app").once().following("settings"))?;
        assert_eq!(annotation(&replaced, CHANGED_CONFIG), "");
        ns.set("settings", "2")?;
        let job = ns.restarted("app", 1)?;
        for bearer in [&job, &job["spec"]["template"]] {
            assert_eq!(annotation(bearer, CONFIG_REVISION), "1");
            assert_eq!(annotation(bearer, CHANGED_CONFIG), "ConfigMap/settings");
        }
        let seen = ns.kubectl.get(&["extendedjob", "app"])?;
        let runs = &seen["status"]["runs"];
        let cause = &runs[0]["cause"];
        assert_eq!(seen["status"]["lastRun"], runs[0]);
        assert_eq!((text(&runs[0]["job"]), &runs[0]["result"]), (name(&job), &json!("Running")));
        assert_eq!((text(&cause["type"]), text(&cause["object"])), ("ConfigChanged", "ConfigMap/settings"));
        assert_eq!((text(&runs[1]["job"]), &runs[1]["result"]), (name(&replaced), &json!("Replaced")));
        // A run that is replaced has not failed.
        assert_eq!(seen["status"]["failed"], 0);
        assert_eq!(condition(&seen, "Failed").map(|failed| &failed["status"]), Some(&json!("False")));
        ns.event_of("app", "the object that has changed", |event| {
            (event["reason"] == "ConfigChanged" && text(&event["message"]).contains("settings")).then_some(())
        })
    })
}

#[test]
fn each_change_is_one_also_when_what_was_before_comes_back() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "this")?;
        let mut jobs = BTreeSet::from([name(&ns.first_run(app())?).to_owned()]);
        for (times, value) in [(1, "that"), (2, "this"), (3, "that")] {
            ns.set("app", value)?;
            jobs.insert(name(&ns.restarted("app", times)?).to_owned());
        }
        assert_eq!(jobs.len(), 4);
        Ok(())
    })
}

#[test]
fn objects_that_change_at_once_restart_a_run_once_and_are_all_named() -> Result<()> {
    scenario(|ns| {
        let five = |value: &str| {
            let data = json!({"a": value});
            let (map, secret) = (|name| config_map(name, &data), |name| secret(name, &data));
            [map("c"), secret("e"), map("a"), secret("d"), map("b")]
        };
        let maps = ["a", "b", "c"].map(|name| json!({"configMapRef": {"name": name}}));
        let secrets = ["d", "e"].map(|name| json!({"secretRef": {"name": name}}));
        let all_of_them = json!(maps.into_iter().chain(secrets).collect::<Vec<Value>>());
        let template = template::in_container(template::parked(), "envFrom", all_of_them);
        ns.apply(five("1"))?;
        ns.first_run(extended_job("app").once().restarting().running(template))?;
        ns.apply(five("2"))?;
        let job = ns.restarted("app", 1)?;
        let named = "ConfigMap/a, ConfigMap/b, ConfigMap/c, Secret/d, Secret/e";
        assert_eq!(annotation(&job, CHANGED_CONFIG), named);
        let seen = ns.kubectl.get(&["extendedjob", "app"])?;
        assert_eq!(seen["status"]["lastRun"]["cause"]["object"], named);
        ns.pass_a_sentinel()?;
        ns.restarted("app", 1).map(drop)
    })
}

#[test]
fn what_pods_do_not_see_of_a_change_restarts_none() -> Result<()> {
    scenario(|ns| {
        ns.apply([config_map("app", &json!({"a": "1", "b": "1"}))])?;
        let file = json!({"configMap": {"name": "app", "items": [{"key": "a", "path": "a"}]}});
        ns.first_run(extended_job("app").once().restarting().running(with_volume(file)))?;

        ns.kubectl.run(&["label", "configmap", "app", "tier=back"])?;
        ns.kubectl.run(&["annotate", "configmap", "app", "note=new"])?;
        // The same byte in the other field: "MQ==" is "1".
        ns.patch("configmap/app", &json!({"data": {"a": null}, "binaryData": {"a": "MQ=="}}))?;
        // Keys that aren't used.
        ns.patch("configmap/app", &json!({"data": {"b": "2", "c": "new"}}))?;
        ns.pass_a_sentinel()?;
        ns.restarted("app", 0)?;

        // "2"
        ns.patch("configmap/app", &json!({"binaryData": {"a": "Mg=="}}))?;
        ns.restarted("app", 1).map(drop)
    })
}

#[test]
fn who_does_not_ask_for_it_is_not_restarted_and_who_asks_later_is_from_then_on() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        let first = ns.first_run(app().with("/updateOnConfigChange", json!(false)))?;
        ns.set("app", "2")?;
        ns.pass_a_sentinel()?;
        assert_eq!(uid(&ns.restarted("app", 0)?), uid(&first));

        ns.edit("app", &json!({"updateOnConfigChange": true}))?;
        ns.pass_a_sentinel()?;
        assert_eq!(uid(&ns.restarted("app", 0)?), uid(&first));
        ns.set("app", "3")?;
        ns.restarted("app", 1).map(drop)
    })
}

#[test]
fn what_is_missing_for_a_while_is_a_change_only_if_it_comes_back_otherwise() -> Result<()> {
    scenario(|ns| {
        for name in ["same", "other"] {
            ns.set(name, "1")?;
            ns.first_run(extended_job(name).once().following(name))?;
        }
        for name in ["same", "other"] {
            ns.delete(&format!("configmap/{name}"))?;
            ns.reason_of(name, "Ready", "ConfigMissing")?;
        }
        ns.pass_a_sentinel()?;
        for name in ["same", "other"] {
            ns.restarted(name, 0)?;
        }

        ns.set("same", "1")?;
        ns.set("other", "2")?;
        ns.restarted("other", 1)?;
        ns.until_accepted("same")?;
        ns.pass_a_sentinel()?;
        ns.restarted("same", 0)?;
        ns.restarted("other", 1)?;

        ns.set("same", "2")?;
        ns.restarted("same", 1).map(drop)
    })
}

#[test]
fn what_is_optional_changes_when_it_appears_and_when_it_disappears() -> Result<()> {
    scenario(|ns| {
        let key = json!({"configMapKeyRef": {"name": "app", "key": "a", "optional": true}});
        let key = template::in_container(template::parked(), "env", variable(key));
        ns.first_run(extended_job("key").once().restarting().running(key))?;
        let files = with_volume(json!({"secret": {"secretName": "app", "optional": true}}));
        ns.first_run(extended_job("files").once().restarting().running(files))?;

        ns.apply([secret("app", &json!({"a": "1"}))])?;
        ns.restarted("files", 1)?;
        ns.delete("secret/app")?;
        ns.restarted("files", 2)?;

        ns.set("app", "1")?;
        ns.restarted("key", 1)?;
        // To pods it is all one whether the key goes or its object.
        ns.patch("configmap/app", &json!({"data": {"a": null}}))?;
        ns.restarted("key", 2)?;
        ns.patch("configmap/app", &json!({"data": {"a": "1"}}))?;
        ns.restarted("key", 3)?;
        ns.delete("configmap/app")?;
        ns.restarted("key", 4)?;
        ns.restarted("files", 2).map(drop)
    })
}

#[test]
fn what_an_edit_adds_or_drops_has_not_changed_and_what_it_added_can_change_later() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        ns.set("added", "1")?;
        ns.first_run(app())?;
        let both = ["app", "added"].map(|name| json!({"configMapRef": {"name": name}}));
        let both = template::in_container(template::parked(), "envFrom", json!(both));
        ns.edit("app", &json!({"template": both}))?;
        ns.pass_a_sentinel()?;
        ns.restarted("app", 0)?;
        ns.set("added", "2")?;
        let job = ns.restarted("app", 1)?;
        assert_eq!(annotation(&job, CHANGED_CONFIG), "ConfigMap/added");

        ns.edit("app", &json!({"template": template::using(template::parked(), "app")}))?;
        ns.set("added", "3")?;
        ns.pass_a_sentinel()?;
        ns.restarted("app", 1)?;
        ns.set("app", "2")?;
        let job = ns.restarted("app", 2)?;
        assert_eq!(annotation(&job, CHANGED_CONFIG), "ConfigMap/app");
        Ok(())
    })
}

#[test]
fn an_errand_that_no_longer_asks_for_it_runs_as_any_other() -> Result<()> {
    scenario(|ns| {
        ns.set("app", "1")?;
        let errand = extended_job("app").with("/run", json!("now")).running(template::nothing());
        ns.create(errand.following("app"))?;
        ns.status_until("app", &json!({"completedRunNumber": 1}))?;
        ns.edit("app", &json!({"updateOnConfigChange": false}))?;
        ns.edit("app", &json!({"run": "now"}))?;
        ns.status_until("app", &json!({"completedRunNumber": 2, "succeeded": 2}))?;
        // What changes while nobody asks for it is taken as it is when somebody does.
        ns.set("app", "2")?;
        ns.edit("app", &json!({"updateOnConfigChange": true}))?;
        ns.pass_a_sentinel()?;
        ns.status_until("app", &json!({"configRevision": 0, "succeeded": 2}))
    })
}
