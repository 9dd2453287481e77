//! ConfigMaps and Secrets that pods use: no run starts while what they need is missing.

use anyhow::Result;
use e2e::{Namespace, condition, config_map, extended_job, pod, scenario, secret, template};
use serde_json::{Value, json};

/// A template whose container has this in its environment.
fn with_env(env: &Value) -> Value {
    template::in_container(template::script("true"), "env", json!([{"name": "USED", "valueFrom": env}]))
}

/// The message of the condition that says what is missing.
fn missing(ns: &Namespace, name: &str) -> Result<String> {
    ns.reason_of(name, "Ready", "ConfigMissing")
}

#[test]
fn a_run_waits_for_an_object_and_then_for_its_key_and_starts_when_it_is_there() -> Result<()> {
    scenario(|ns| {
        let key = json!({"configMapKeyRef": {"name": "app", "key": "a"}});
        ns.create(extended_job("waits").once().running(with_env(&key)))?;
        let message = missing(ns, "waits")?;
        assert!(message.contains("ConfigMap app") && !message.contains("key"), "{message}");
        ns.create(config_map("app", &json!({"other": "1"})))?;
        let is_about_key = |seen: &Value| {
            let message = condition(seen, "Ready")?["message"].as_str()?;
            message.contains("key a of ConfigMap app").then_some(())
        };
        ns.extended_job_until("waits", "a word about the key", is_about_key)?;
        assert!(ns.jobs_of("waits")?.is_empty());
        ns.patch("configmap/app", &json!({"data": {"a": "1"}}))?;
        ns.condition_of("waits", "Complete", "True")?;
        Ok(())
    })
}

#[test]
fn each_transition_that_waited_for_a_secret_is_run_for_when_it_is_there() -> Result<()> {
    scenario(|ns| {
        let volumes = json!([{"name": "used", "secret": {"secretName": "password"}}]);
        let template = template::in_pod(template::parked(), "volumes", volumes);
        ns.create(extended_job("waits").on_ready().running(template))?;
        missing(ns, "waits")?;
        for name in ["one", "two"] {
            ns.start(pod(name).ready())?;
        }
        ns.status_until("waits", &json!({"pending": 2}))?;
        ns.create(secret("password", &json!({})))?;
        ns.job_for("waits", "one")?;
        ns.job_for("waits", "two").map(drop)
    })
}

#[test]
fn what_is_optional_is_not_waited_for() -> Result<()> {
    scenario(|ns| {
        let key = json!({"secretKeyRef": {"name": "none", "key": "a", "optional": true}});
        ns.create(extended_job("starts").once().running(with_env(&key)))?;
        ns.condition_of("starts", "Complete", "True").map(drop)
    })
}
