//! All places in which a template can name a ConfigMap or Secret. (But for the Secret that a CSI driver is
//! called with: pods with such a volume need the driver.)

use anyhow::Result;
use e2e::names::CHANGED_CONFIG;
use e2e::{annotation, config_map, extended_job, scenario, secret, template};
use serde_json::{Value, json};

/// What the place is called here, the kind of object that is changed, and a template that names it there.
type Site = (&'static str, &'static str, fn(&str) -> Value);

const SITES: [Site; 15] = [
    ("variable", "ConfigMap", |name| in_main("env", variable("configMapKeyRef", name))),
    ("variable", "Secret", |name| in_main("env", variable("secretKeyRef", name))),
    ("variables", "ConfigMap", |name| in_main("envFrom", variables("configMapRef", name))),
    ("variables", "Secret", |name| in_main("envFrom", variables("secretRef", name))),
    ("files", "ConfigMap", |name| in_volume(json!({"configMap": {"name": name}}))),
    ("files", "Secret", |name| in_volume(json!({"secret": {"secretName": name}}))),
    ("file", "ConfigMap", |name| in_volume(json!({"configMap": {"name": name, "items": items()}}))),
    ("file", "Secret", |name| in_volume(json!({"secret": {"secretName": name, "items": items()}}))),
    // These hold both, of which one is changed.
    ("projected", "ConfigMap", |name| in_volume(projected(name))),
    ("projected", "Secret", |name| in_volume(projected(name))),
    ("init", "ConfigMap", |name| before_main(json!({"env": variable("configMapKeyRef", name)}))),
    ("init", "Secret", |name| before_main(json!({"envFrom": variables("secretRef", name)}))),
    ("sidecar", "ConfigMap", |name| beside_main(json!({"envFrom": variables("configMapRef", name)}))),
    ("sidecar", "Secret", |name| beside_main(json!({"env": variable("secretKeyRef", name)}))),
    ("second", "ConfigMap", |name| after_main(json!({"env": variable("configMapKeyRef", name)}))),
];

fn variable(site: &str, name: &str) -> Value {
    json!([{"name": "USED", "valueFrom": {site: {"name": name, "key": "a"}}}])
}

fn variables(site: &str, name: &str) -> Value {
    json!([{site: {"name": name}}])
}

fn items() -> Value {
    json!([{"key": "a", "path": "a"}])
}

fn projected(name: &str) -> Value {
    let secret = json!({"secret": {"name": name, "items": [{"key": "a", "path": "secret"}]}});
    json!({"projected": {"sources": [{"configMap": {"name": name}}, secret]}})
}

fn in_main(field: &str, value: Value) -> Value {
    template::in_container(template::parked(), field, value)
}

fn in_volume(mut volume: Value) -> Value {
    volume["name"] = json!("used");
    template::in_pod(template::parked(), "volumes", json!([volume]))
}

/// A container like others, with these fields.
fn container(name: &str, fields: Value) -> Value {
    let mut container = template::container(name, "true");
    for (field, value) in fields.as_object().into_iter().flatten() {
        container[field] = value.clone();
    }
    container
}

fn before_main(fields: Value) -> Value {
    template::in_pod(template::parked(), "initContainers", json!([container("prepare", fields)]))
}

/// In a native sidecar.
fn beside_main(fields: Value) -> Value {
    let mut sidecar = container("beside", fields);
    sidecar["restartPolicy"] = json!("Always");
    template::in_pod(template::parked(), "initContainers", json!([sidecar]))
}

fn after_main(fields: Value) -> Value {
    let containers = json!([template::container("main", "true"), container("second", fields)]);
    template::in_pod(template::parked(), "containers", containers)
}

#[test]
fn a_change_of_what_is_named_anywhere_in_a_template_restarts_its_run_once() -> Result<()> {
    scenario(|ns| {
        // A name for each site, of its ExtendedJob and of an object of each kind.
        let sites = SITES.map(|(site, kind, template)| {
            let name = format!("{site}-{}", kind.to_lowercase());
            let template = template(&name);
            (kind, name, template)
        });
        let data = json!({"a": "1"});
        ns.apply(sites.iter().flat_map(|(_, name, _)| [config_map(name, &data), secret(name, &data)]))?;
        let one_offs = sites.iter().map(|(_, name, template)| {
            extended_job(name).once().restarting().running(template.clone()).into()
        });
        ns.create_all(one_offs)?;
        for (_, name, _) in &sites {
            ns.restarted(name, 0)?;
        }

        let data = json!({"a": "2"});
        ns.apply(sites.iter().map(|(kind, name, _)| match *kind {
            "Secret" => secret(name, &data),
            _ => config_map(name, &data),
        }))?;
        ns.pass_a_sentinel()?;
        for (kind, name, _) in &sites {
            let job = ns.restarted(name, 1)?;
            assert_eq!(annotation(&job, CHANGED_CONFIG), format!("{kind}/{name}"));
        }
        Ok(())
    })
}
