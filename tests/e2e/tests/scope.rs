//! What the operator may do, and an operator for some namespaces only, with rights in these alone: `cargo xtask test --all`
//! installs that, and says in the environment which namespaces these are.

use anyhow::Result;
use e2e::names::OPERATOR_ACCOUNT;
use e2e::{
    Kubectl, Namespace, extended_job, operator_account, pod, scenario, scenario_alone, template, text,
    watched,
};
use serde_json::{Value, json};

/// Runs of each mode, in a namespace of which the operator knows nothing yet.
fn use_all(ns: &Namespace) -> Result<()> {
    let print = template::script_on_pod("echo $POD; echo aside >&2");
    let on_ready = extended_job("on-ready").on_ready().of("app", "web").running(print).keeping(0, 0);
    ns.declare(on_ready.stdout_to("out").with("/output/stderr/secretRef", json!("aside")))?;
    ns.start(pod("a").labelled("app", "web").ready())?;
    ns.data_until("out", "the name of the pod", |data| (data["main.stdout"] == "a\n").then_some(()))?;
    ns.condition_of("on-ready", "OutputWritten", "True")?;
    assert_eq!(ns.kubectl.get(&["secret", "aside"])?["data"]["main.stderr"], "YXNpZGUK");
    ns.status_until("on-ready", &json!({"succeeded": 1, "active": 0}))?;
    ns.jobs_until("on-ready", 0)?;

    ns.create(extended_job("errand").with("/run", json!("now")).running(template::nothing()))?;
    ns.condition_of("errand", "Complete", "True")?;
    let errand = ns.kubectl.get(&["extendedjob", "errand"])?;
    assert_eq!(errand["spec"]["run"], "manually");

    ns.set("settings", "before")?;
    ns.first_run(extended_job("following").once().following("settings"))?;
    ns.set("settings", "after")?;
    ns.restarted("following", 1)?;
    ns.event_of("following", "ConfigChanged", |event| (event["reason"] == "ConfigChanged").then_some(()))
}

#[test]
#[ignore = "it needs an operator for some namespaces"]
fn all_works_in_each_namespace_that_is_watched() -> Result<()> {
    scenario(|_| watched()?.iter().try_for_each(use_all))
}

#[test]
#[ignore = "it needs an operator for some namespaces"]
fn an_extendedjob_elsewhere_is_left_alone_and_output_to_there_is_refused() -> Result<()> {
    scenario(|elsewhere| {
        elsewhere.create(extended_job("once").once())?;
        for ns in watched()? {
            let target = format!("{}/out", elsewhere.name);
            ns.create(
                extended_job("abroad").once().running(template::script("echo out")).stdout_to(&target),
            )?;
            ns.reason_of("abroad", "Ready", "TargetNotServed")?;
            ns.condition_of("abroad", "Stalled", "True")?;
            assert_eq!(ns.jobs_of("abroad")?.len(), 0);
        }
        let once = elsewhere.kubectl.get(&["extendedjob", "once"])?;
        assert_eq!((&once["status"], elsewhere.jobs_of("once")?.len()), (&Value::Null, 0));
        assert!(elsewhere.kubectl.list(&["configmaps"])?.iter().all(|it| e2e::name(it) != "out"));
        Ok(())
    })
}

#[test]
#[ignore = "it needs an operator for some namespaces"]
fn who_loses_output_to_an_extended_job_of_another_namespace_is_told() -> Result<()> {
    scenario(|_| {
        let watched = watched()?;
        let [one, other] = &watched[..] else { return Ok(()) };
        let target = format!("{}/shared", one.name);
        for (ns, name) in [(one, "loser"), (other, "winner")] {
            let bold = extended_job(name).once().running(template::script("echo x")).stdout_to(&target);
            ns.create(bold.with("/output/stdout/overwrite", json!(true)))?;
            ns.condition_of(name, "OutputWritten", "True")?;
        }
        one.event_of("loser", "OutputReplaced", |event| {
            let message = text(&event["message"]);
            let is_it =
                event["reason"] == "OutputReplaced" && message.contains("was replaced by Job winner-");
            is_it.then_some(())
        })
    })
}

#[test]
#[ignore = "it needs an operator for some namespaces"]
fn a_namespace_where_its_role_is_taken_away_holds_up_no_other_and_goes_on_when_it_is_back() -> Result<()> {
    scenario_alone(|_| {
        let watched = watched()?;
        let [home, other] = &watched[..] else { return Ok(()) };
        other.declare(extended_job("role").on_ready().of("app", "role").running(template::nothing()))?;
        other.start(pod("before").labelled("app", "role").ready())?;
        other.job_for("role", "before")?;
        let binding = ["rolebinding", "extendedjob-operator:watched"];
        let mut taken = other.kubectl.get(&binding)?;
        let kept = ["name", "labels", "annotations"].map(|key| (key, taken["metadata"][key].take()));
        taken["metadata"] = kept.into_iter().collect();
        other.delete(&binding.join("/"))?;
        let meanwhile = || {
            // One that starts without it knows nothing of that namespace, and is ready all the same.
            home.kubectl.run(&["rollout", "restart", "deployment"])?;
            home.kubectl.run(&["rollout", "status", "deployment", "--timeout=120s"])?;
            home.create(extended_job("undisturbed").once().running(template::nothing()))?;
            home.condition_of("undisturbed", "Complete", "True")?;
            other.start(pod("meanwhile").labelled("app", "role").ready())
        };
        let undisturbed = meanwhile();
        // Whatever came of it, other tests need it.
        other.create(taken)?;
        undisturbed?;
        other.job_for("role", "meanwhile")?;
        let runs = other.runs_after_a_sentinel("role", ("app", "role"))?;
        assert_eq!(runs, ["before", "meanwhile"]);
        Ok(())
    })
}

/// What the operator may do where it watches, and what it may not: verb, resource, subresource.
const RIGHTS: [(&str, &str, &str, bool); 14] = [
    ("watch", "pods", "", true),
    ("get", "pods", "log", true),
    ("create", "jobs.batch", "", true),
    ("patch", "extendedjobs.fissile.cloudfoundry.org", "status", true),
    ("watch", "secrets", "", true),
    ("delete", "secrets", "", false),
    ("create", "pods", "", false),
    ("patch", "pods", "", false),
    ("delete", "pods", "", false),
    ("create", "pods", "exec", false),
    ("create", "serviceaccounts", "token", false),
    ("escalate", "roles.rbac.authorization.k8s.io", "", false),
    ("bind", "roles.rbac.authorization.k8s.io", "", false),
    ("impersonate", "serviceaccounts", "", false),
];

/// What it may not do in the cluster as a whole.
const NEVER: [(&str, &str, &str); 7] = [
    ("get", "nodes", "proxy"),
    ("get", "nodes", "log"),
    ("list", "namespaces", ""),
    ("impersonate", "users", ""),
    ("get", "customresourcedefinitions.apiextensions.k8s.io", ""),
    ("patch", "validatingadmissionpolicies.admissionregistration.k8s.io", ""),
    ("bind", "clusterroles.rbac.authorization.k8s.io", ""),
];

/// Asks the API server in the operator's name; "" is the cluster as a whole.
fn may(account: &str, namespace: &str, verb: &str, resource: &str, subresource: &str) -> Result<bool> {
    let (resource, group) = resource.split_once('.').unwrap_or((resource, ""));
    let asked = json!({"namespace": namespace, "verb": verb, "group": group, "resource": resource, "subresource": subresource});
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": account, "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": asked},
    });
    let kubectl = Kubectl::in_namespace("default");
    let answer = kubectl.run_with_input(&["create", "--filename=-", "--output=json"], &review.to_string())?;
    let answer: Value = serde_json::from_str(&answer)?;
    Ok(answer["status"]["allowed"] == true)
}

fn never(account: &str) -> Result<()> {
    for (verb, resource, subresource) in NEVER {
        assert!(!may(account, "", verb, resource, subresource)?, "{verb} {resource}/{subresource}");
    }
    Ok(())
}

#[test]
fn the_operator_may_do_what_it_needs_in_each_namespace_and_no_more() -> Result<()> {
    scenario(|ns| {
        for (verb, resource, subresource, is_allowed) in RIGHTS {
            let told = may(OPERATOR_ACCOUNT, &ns.name, verb, resource, subresource)?;
            assert_eq!(told, is_allowed, "{verb} {resource}/{subresource}");
        }
        never(OPERATOR_ACCOUNT)
    })
}

#[test]
#[ignore = "it needs an operator for some namespaces"]
fn its_rights_are_what_it_needs_where_it_watches_and_none_elsewhere() -> Result<()> {
    scenario(|elsewhere| {
        let account = operator_account()?;
        for (verb, resource, subresource, is_allowed) in RIGHTS {
            for ns in watched()? {
                let told = may(&account, &ns.name, verb, resource, subresource)?;
                assert_eq!(told, is_allowed, "{verb} {resource}/{subresource} in {}", ns.name);
            }
            let told = may(&account, &elsewhere.name, verb, resource, subresource)?;
            assert!(!told, "{verb} {resource}/{subresource} elsewhere");
        }
        never(&account)
    })
}
