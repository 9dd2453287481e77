//! What has to be true of everything that the chart renders, whatever the values.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde_json::Value;

/// The objects of a file of manifests.
pub(super) fn objects(manifests: &str) -> Result<Vec<Value>> {
    let objects: Vec<Value> =
        serde_saphyr::from_multiple(manifests).context("understand what helm rendered")?;
    Ok(objects.into_iter().filter(|object| !object.is_null()).collect())
}

/// What is wrong with them.
pub(super) fn faults(objects: &[Value]) -> Vec<String> {
    let Some(operator) = Operator::of(objects) else { return vec!["there is no Deployment".to_owned()] };
    let mut faults: Vec<String> = objects.iter().flat_map(dangerous_rights).collect();
    faults.extend(objects.iter().flat_map(|object| operator.misnamed_in(object)));
    if !operator.namespaces.is_empty() {
        faults.extend(objects.iter().filter_map(beyond_namespaces));
        faults.extend(operator.other_places(objects));
    }
    faults
}

/// Names that two releases of one cluster would fight for.
pub(super) fn collisions(one: &[Value], other: &[Value]) -> Vec<String> {
    let names = |objects: &[Value]| -> BTreeSet<String> { objects.iter().map(identity).collect() };
    names(one).intersection(&names(other)).map(|name| format!("both have {name}")).collect()
}

/// What the operator is started with.
pub(super) fn operator_args(objects: &[Value]) -> Vec<String> {
    deployment(objects).into_iter().flat_map(|it| list(args(it))).map(str::to_owned).collect()
}

/// The operator, as its Deployment says what it is.
struct Operator {
    user: String,
    namespace: String,
    namespaces: BTreeSet<String>,
}

impl Operator {
    fn of(objects: &[Value]) -> Option<Self> {
        let deployment = deployment(objects)?;
        let namespace = text(&deployment["metadata"]["namespace"]);
        let pod = &deployment["spec"]["template"]["spec"];
        let args = list(args(deployment));
        let flag = |name: &str| args.iter().find_map(|arg| arg.strip_prefix(name)).unwrap_or_default();
        Some(Self {
            user: format!("system:serviceaccount:{namespace}:{}", text(&pod["serviceAccountName"])),
            namespace: namespace.to_owned(),
            namespaces: flag("--namespaces=")
                .split(',')
                .filter(|it| !it.is_empty())
                .map(str::to_owned)
                .collect(),
        })
    }

    /// A policy that is about another operator, or the terms of another.
    fn misnamed_in(&self, object: &Value) -> Vec<String> {
        let conditions = object["spec"]["matchConditions"].as_array().into_iter().flatten();
        let of_users =
            conditions.map(|condition| text(&condition["expression"])).filter(|it| it.contains("username"));
        let quoted = format!("'{}'", self.user);
        let mut wrong: Vec<String> = of_users.filter(|it| !it.contains(&quoted)).map(str::to_owned).collect();
        let param = &object["spec"]["paramRef"];
        let fence = match bound_to(object) {
            "" => "extendedjob-operator-term".to_owned(),
            namespace => format!("extendedjob-operator.{namespace}-term"),
        };
        if !param.is_null() && (text(&param["namespace"]), text(&param["name"])) != (&self.namespace, &fence)
        {
            wrong.push(param.to_string());
        }
        wrong
            .into_iter()
            .map(|what| format!("{} is not about {}: {what}", identity(object), self.user))
            .collect()
    }

    /// Rights or policies for other namespaces than the operator is told to look at.
    fn other_places(&self, objects: &[Value]) -> Vec<String> {
        let watched = objects.iter().filter(|it| kind(it) == "RoleBinding" && name(it).ends_with(":watched"));
        let watched: BTreeSet<_> =
            watched.map(|binding| text(&binding["metadata"]["namespace"]).to_owned()).collect();
        let mut faults = Vec::new();
        if watched != self.namespaces {
            faults.push(format!("rights are given in {watched:?}, and {:?} are watched", self.namespaces));
        }
        // One that has no parameter is about no operator in particular.
        let of_terms = |object: &&Value| {
            kind(object) == "ValidatingAdmissionPolicyBinding" && object["spec"]["paramRef"].is_object()
        };
        let bound: BTreeSet<_> =
            objects.iter().filter(of_terms).map(|binding| bound_to(binding).to_owned()).collect();
        if !bound.is_empty() && bound != self.namespaces {
            faults.push(format!("terms count in {bound:?}, and {:?} are watched", self.namespaces));
        }
        faults
    }
}

/// The namespace in which the binding of a policy holds; "": in all.
fn bound_to(binding: &Value) -> &str {
    let selector = &binding["spec"]["matchResources"]["namespaceSelector"];
    text(&selector["matchLabels"]["kubernetes.io/metadata.name"])
}

/// Rights with which the operator, or who has its token, could take others.
const NEVER_VERBS: [&str; 4] = ["escalate", "bind", "impersonate", "*"];
const NEVER_RESOURCES: [&str; 5] = ["pods/exec", "pods/attach", "pods/portforward", "nodes/proxy", "*"];

fn dangerous_rights(object: &Value) -> Vec<String> {
    if !["Role", "ClusterRole"].contains(&kind(object)) {
        return vec![];
    }
    let rules = object["rules"].as_array().into_iter().flatten();
    let dangerous = rules.filter(|rule| {
        let (verbs, resources) = (list(&rule["verbs"]), list(&rule["resources"]));
        let changes_pods =
            resources.contains(&"pods") && verbs.iter().any(|verb| !["get", "list", "watch"].contains(verb));
        changes_pods
            || verbs.iter().any(|verb| NEVER_VERBS.contains(verb))
            || resources.iter().any(|resource| NEVER_RESOURCES.contains(resource))
            || list(&rule["apiGroups"]).contains(&"*")
    });
    dangerous.map(|rule| format!("{} gives a right that is never given: {rule}", identity(object))).collect()
}

/// What an installation for some namespaces may have of the whole cluster: no right at all.
const OF_THE_CLUSTER: [&str; 3] =
    ["CustomResourceDefinition", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"];

fn beyond_namespaces(object: &Value) -> Option<String> {
    let local = object["metadata"]["namespace"].is_string();
    (!local && !OF_THE_CLUSTER.contains(&kind(object)))
        .then(|| format!("{} is of the whole cluster", identity(object)))
}

fn deployment(objects: &[Value]) -> Option<&Value> {
    objects.iter().find(|object| kind(object) == "Deployment")
}

fn args(deployment: &Value) -> &Value {
    &deployment["spec"]["template"]["spec"]["containers"][0]["args"]
}

fn identity(object: &Value) -> String {
    match &object["metadata"]["namespace"] {
        Value::String(namespace) => format!("{} {} in namespace {namespace}", kind(object), name(object)),
        _ => format!("{} {}", kind(object), name(object)),
    }
}

fn kind(object: &Value) -> &str {
    text(&object["kind"])
}

fn name(object: &Value) -> &str {
    text(&object["metadata"]["name"])
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> Vec<&str> {
    value.as_array().into_iter().flatten().map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An installation for the namespace `a`, with something more in it.
    fn with(more: &str) -> Vec<Value> {
        let deployment = "
kind: Deployment
metadata: {name: op, namespace: home}
spec: {template: {spec: {serviceAccountName: op, containers: [{args: ['--namespaces=a']}]}}}
---
kind: RoleBinding
metadata: {name: 'op:watched', namespace: a}
---
";
        objects(&(deployment.to_owned() + more)).expect("manifests")
    }

    #[track_caller]
    fn assert_fault(more: &str, fault: &str) {
        let faults = faults(&with(more));
        assert!(faults.iter().any(|told| told.contains(fault)), "{faults:?}");
    }

    #[test]
    fn an_installation_as_it_should_be_has_no_fault() {
        assert_eq!(faults(&with("")), Vec::<String>::new());
    }

    #[test]
    fn rights_over_other_accounts_and_pods_are_never_given() {
        let role =
            |rule: &str| format!("kind: Role\nmetadata: {{name: r, namespace: a}}\nrules: [{{{rule}}}]");
        for rule in [
            "resources: [roles], verbs: [escalate]",
            "resources: [nodes/proxy], verbs: [get]",
            "resources: [pods], verbs: [get, patch]",
            "resources: ['*'], verbs: [get]",
        ] {
            assert_fault(&role(rule), "never given");
        }
        let harmless = role("resources: [pods], verbs: [list, watch]");
        assert_eq!(faults(&with(&harmless)), Vec::<String>::new());
    }

    #[test]
    fn an_operator_of_some_namespaces_has_nothing_of_the_whole_cluster() {
        assert_fault("kind: ClusterRole\nmetadata: {name: r}", "ClusterRole r is of the whole cluster");
    }

    #[test]
    fn a_policy_is_about_the_account_and_the_terms_of_its_release() {
        let policy = "kind: ValidatingAdmissionPolicy\nmetadata: {name: p}\nspec: {matchConditions: [{expression: \
                      \"request.userInfo.username == 'system:serviceaccount:other:op'\"}]}";
        assert_fault(policy, "is not about system:serviceaccount:home:op");
        let binding = "kind: ValidatingAdmissionPolicyBinding\nmetadata: {name: p}\nspec: {paramRef: {namespace: home, \
                       name: other}}";
        assert_fault(binding, "is not about system:serviceaccount:home:op");
    }

    #[test]
    fn rights_and_policies_hold_where_the_operator_looks() {
        assert_fault(
            "kind: RoleBinding\nmetadata: {name: 'op:watched', namespace: b}",
            "rights are given in",
        );
        let everywhere = "kind: ValidatingAdmissionPolicyBinding\nmetadata: {name: p}\nspec: ";
        let of_terms =
            format!("{everywhere}{{paramRef: {{namespace: home, name: extendedjob-operator-term}}}}");
        assert_fault(&of_terms, "terms count in {\"\"}");
        assert_eq!(faults(&with(&format!("{everywhere}{{policyName: p}}"))), Vec::<String>::new());
    }

    #[test]
    fn two_releases_have_no_object_in_common() {
        let one = objects("kind: ClusterRole\nmetadata: {name: r}").expect("manifests");
        let other = objects("kind: Role\nmetadata: {name: r, namespace: a}").expect("manifests");
        assert_eq!(collisions(&one, &one), ["both have ClusterRole r"]);
        assert_eq!(collisions(&one, &other), Vec::<String>::new());
    }
}
