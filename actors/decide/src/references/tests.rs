use extendedjob_api::TargetKind::{ConfigMap, Secret};
use proptest::{collection, prelude::*, sample};
use serde_json::json;

use super::{
    Need::{Optional, Required},
    *,
};

fn template(pod: &Value) -> Value {
    json!({ "spec": { "template": { "spec": pod } } })
}

fn key_of(key: &str) -> Part {
    Part::Key(key.into())
}

fn object(kind: TargetKind, name: &str) -> Object {
    Object { kind, name: name.into() }
}

fn reference<const N: usize>(kind: TargetKind, parts: [(Part, Need); N]) -> Reference {
    Reference { object: object(kind, "app"), parts: parts.into() }
}

fn only(pod: &Value) -> Option<Reference> {
    let mut found = references(&template(pod));
    assert!(found.len() <= 1, "{found:?}");
    found.pop_first().map(|(_, reference)| reference)
}

/// One place in a pod where an object is used.
#[derive(Clone, Debug)]
struct Site {
    kind: TargetKind,
    name: String,
    way: Way,
    /// What `optional` says, if it is there.
    optional: Option<bool>,
    container: Container,
}

#[derive(Clone, Debug)]
enum Way {
    Variable(String),
    Variables,
    Volume(Vec<String>),
    Projected(Vec<String>),
}

#[derive(Clone, Copy, Debug)]
enum Container {
    Init,
    Sidecar,
    Main,
}

impl Site {
    fn parts(&self) -> Vec<Part> {
        match &self.way {
            Way::Variable(key) => vec![key_of(key)],
            Way::Variables => vec![Part::Whole],
            Way::Volume(keys) | Way::Projected(keys) if keys.is_empty() => vec![Part::Whole],
            Way::Volume(keys) | Way::Projected(keys) => keys.iter().map(|key| key_of(key)).collect(),
        }
    }

    fn need(&self) -> Need {
        if self.optional == Some(true) { Optional } else { Required }
    }

    /// Adds a container that uses it so, and the volume that needs.
    fn put_into(&self, pod: &mut Value) {
        let field = |of_config_map, of_secret| if self.kind == ConfigMap { of_config_map } else { of_secret };
        let mut site = json!({});
        if let Some(optional) = self.optional {
            site["optional"] = json!(optional);
        }
        let is_volume = matches!(self.way, Way::Volume(_));
        site[if is_volume { field("name", "secretName") } else { "name" }] = json!(self.name);
        if let Way::Volume(keys) | Way::Projected(keys) = &self.way
            && !keys.is_empty()
        {
            site["items"] = keys.iter().map(|key| json!({ "key": key, "path": "file" })).collect();
        }
        let mut container = json!({ "name": "c", "image": "i" });
        let kind = field("configMap", "secret");
        let mut volume = None;
        match &self.way {
            Way::Variable(key) => {
                site["key"] = json!(key);
                let from = json!({ field("configMapKeyRef", "secretKeyRef"): site });
                container["env"] =
                    json!([{ "name": "A", "value": "plain" }, { "name": "B", "valueFrom": from }]);
            }
            Way::Variables => {
                container["envFrom"] = json!([{ "prefix": "P", field("configMapRef", "secretRef"): site }]);
            }
            Way::Volume(_) => volume = Some(json!({ "name": "v", kind: site })),
            Way::Projected(_) => {
                let sources = json!([{ "downwardAPI": {} }, { kind: site }]);
                volume = Some(json!({ "name": "v", "projected": { "sources": sources } }));
            }
        }
        if volume.is_some() {
            container["volumeMounts"] = json!([{ "name": "v", "mountPath": "/v", "subPath": "file" }]);
        }
        if matches!(self.container, Container::Sidecar) {
            container["restartPolicy"] = json!("Always");
        }
        let containers =
            if matches!(self.container, Container::Main) { "containers" } else { "initContainers" };
        push(pod, containers, container);
        volume.into_iter().for_each(|volume| push(pod, "volumes", volume));
    }
}

fn push(pod: &mut Value, list: &str, item: Value) {
    if pod[list].is_null() {
        pod[list] = json!([]);
    }
    pod[list].as_array_mut().unwrap().push(item);
}

fn pod_with(sites: &[Site]) -> Value {
    let mut pod = json!({});
    sites.iter().for_each(|site| site.put_into(&mut pod));
    pod
}

#[test]
fn each_site_names_its_object_what_is_used_of_it_and_how_much() {
    let keys = || vec!["a".to_owned(), "b".to_owned()];
    let both = || vec![key_of("a"), key_of("b")];
    let ways = [
        (Way::Variable("a".into()), vec![key_of("a")]),
        (Way::Variables, vec![Part::Whole]),
        (Way::Volume(vec![]), vec![Part::Whole]),
        (Way::Volume(keys()), both()),
        (Way::Projected(vec![]), vec![Part::Whole]),
        (Way::Projected(keys()), both()),
    ];
    for (way, parts) in ways {
        for kind in [ConfigMap, Secret] {
            for (optional, need) in [(None, Required), (Some(false), Required), (Some(true), Optional)] {
                for container in [Container::Init, Container::Sidecar, Container::Main] {
                    let site = Site { kind, name: "app".into(), way: way.clone(), optional, container };
                    let parts = parts.iter().map(|part| (part.clone(), need)).collect();
                    let expected = Reference { object: object(kind, "app"), parts };
                    assert_eq!(only(&pod_with(std::slice::from_ref(&site))), Some(expected), "{site:?}");
                }
            }
        }
    }
}

#[test]
fn a_volume_that_is_mounted_with_a_secret_needs_it_whole() {
    let by_reference = |source: &str, field: &str| json!({ source: { field: { "name": "app" } } });
    let iscsi = |chap: Value| {
        let mut volume = by_reference("iscsi", "secretRef");
        volume["iscsi"].as_object_mut().unwrap().extend(chap.as_object().unwrap().clone());
        volume
    };
    let table = [
        (by_reference("csi", "nodePublishSecretRef"), Required),
        (by_reference("flexVolume", "secretRef"), Required),
        (by_reference("cephfs", "secretRef"), Required),
        (by_reference("rbd", "secretRef"), Required),
        (by_reference("scaleIO", "secretRef"), Required),
        (by_reference("storageos", "secretRef"), Required),
        (json!({ "azureFile": { "secretName": "app" } }), Required),
        (by_reference("cinder", "secretRef"), Optional),
        (iscsi(json!({ "chapAuthDiscovery": true })), Required),
        (iscsi(json!({ "chapAuthSession": true })), Required),
        (iscsi(json!({ "chapAuthDiscovery": false, "chapAuthSession": false })), Optional),
        (iscsi(json!({})), Optional),
    ];
    for (volume, need) in table {
        let found = only(&json!({ "volumes": [volume] }));
        assert_eq!(found, Some(reference(Secret, [(Part::Whole, need)])), "{volume}");
    }
}

#[test]
fn what_names_no_object_is_no_reference() {
    let long = "a".repeat(254);
    for name in ["", ".", "a.", "a..b", "-a", "a-", "A", "a_b", "a/b", "../b", "a b", "ä", "a\n", &long] {
        let pod = json!({ "volumes": [{ "configMap": { "name": name } }, { "azureFile": { "secretName": name } }] });
        assert_eq!(only(&pod), None, "{name:?}");
    }
    for name in ["a", "0", "a-b.c--d.0", &long[1..]] {
        let pod = json!({ "volumes": [{ "configMap": { "name": name } }] });
        assert_eq!(only(&pod).unwrap().object.name, name);
    }
    let pods = [
        json!({ "volumes": [{ "secret": { "name": "the field of ConfigMaps" } }, { "configMap": { "secretName": "a" } }] }),
        json!({ "containers": [{ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "a", "key": "" } } }] }] }),
        json!({ "containers": [{ "env": [{ "valueFrom": { "configMapKeyRef": { "name": "a" } } }] }] }),
        json!({ "containers": [{ "envFrom": [{ "configMapRef": "a" }, "a", null] }, null, 1] }),
        json!({ "containers": { "envFrom": [{ "configMapRef": { "name": "a" } }] } }),
        json!({ "volumes": [{ "configMap": { "name": ["a"] } }, { "csi": { "nodePublishSecretRef": "a" } }] }),
        json!({ "imagePullSecrets": [{ "name": "a" }] }),
    ];
    for pod in pods {
        assert_eq!(only(&pod), None, "{pod}");
    }
}

#[test]
fn sites_of_one_object_join_and_the_greater_need_stands() {
    let site = |way, optional| Site {
        kind: Secret,
        name: "app".into(),
        way,
        optional: Some(optional),
        container: Container::Main,
    };
    let pod = pod_with(&[
        site(Way::Variables, true),
        site(Way::Variable("a".into()), true),
        site(Way::Volume(vec!["a".into(), "b".into()]), false),
        site(Way::Variable("a".into()), true),
        site(Way::Projected(vec!["b".into(), "c".into()]), true),
    ]);
    let expected = reference(
        Secret,
        [(Part::Whole, Optional), (key_of("a"), Required), (key_of("b"), Required), (key_of("c"), Optional)],
    );
    assert_eq!(expected.need(), Required);
    assert_eq!(only(&pod), Some(expected));
}

#[test]
fn a_config_map_and_a_secret_of_one_name_are_two() {
    let pod =
        json!({ "volumes": [{ "configMap": { "name": "app" } }, { "secret": { "secretName": "app" } }] });
    let found: Vec<_> = references(&template(&pod)).into_keys().collect();
    assert_eq!(found, [object(ConfigMap, "app"), object(Secret, "app")]);
}

#[test]
fn what_is_missing_is_told() {
    type Present = Option<&'static [&'static str]>;
    let whole = [(Part::Whole, Required)];
    let keys = [(key_of("a"), Required), (key_of("b"), Required), (key_of("c"), Optional)];
    let optional = [(Part::Whole, Optional), (key_of("a"), Optional)];
    let mixed = [(Part::Whole, Optional), (key_of("a"), Required)];
    let table: [(Reference, Present, &str); 12] = [
        (reference(ConfigMap, whole.clone()), None, "ConfigMap app"),
        (reference(Secret, whole.clone()), None, "Secret app"),
        (reference(Secret, whole), Some(&[]), ""),
        (reference(ConfigMap, keys.clone()), None, "ConfigMap app"),
        (reference(ConfigMap, keys.clone()), Some(&["c"]), "keys a, b of ConfigMap app"),
        (reference(ConfigMap, keys.clone()), Some(&["b"]), "key a of ConfigMap app"),
        (reference(ConfigMap, keys), Some(&["a", "b"]), ""),
        (reference(Secret, optional.clone()), None, ""),
        (reference(Secret, optional), Some(&[]), ""),
        (reference(Secret, mixed.clone()), None, "Secret app"),
        (reference(Secret, mixed.clone()), Some(&["b"]), "key a of Secret app"),
        (reference(Secret, mixed), Some(&["a"]), ""),
    ];
    for (reference, present, expected) in table {
        let missing = reference.missing(present.map(|keys| |key: &str| keys.contains(&key)));
        let told = missing.map(|missing| missing.to_string()).unwrap_or_default();
        assert_eq!(told, expected, "{reference:?} {present:?}");
    }
}

#[test]
fn an_object_is_read_as_it_is_written() {
    for object in [object(ConfigMap, "app.conf"), object(Secret, "app")] {
        assert_eq!(Object::try_from(object.to_string()), Ok(object));
    }
    assert!(Object::try_from("Pod/app".to_owned()).is_err());
}

fn site() -> impl Strategy<Value = Site> {
    let key = || sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned);
    let keys = move || collection::vec(key(), 0..3);
    let way = prop_oneof![
        key().prop_map(Way::Variable),
        Just(Way::Variables),
        keys().prop_map(Way::Volume),
        keys().prop_map(Way::Projected),
    ];
    let kind = prop_oneof![Just(ConfigMap), Just(Secret)];
    let container = sample::select(vec![Container::Init, Container::Sidecar, Container::Main]);
    (kind, sample::select(vec!["x", "y"]), way, any::<Option<bool>>(), container).prop_map(
        |(kind, name, way, optional, container)| Site { kind, name: name.into(), way, optional, container },
    )
}

/// JSON that resembles a template here and there.
fn any_json() -> impl Strategy<Value = Value> {
    let fields = [
        "spec",
        "template",
        "containers",
        "initContainers",
        "volumes",
        "env",
        "envFrom",
        "valueFrom",
        "configMapKeyRef",
        "secretKeyRef",
        "configMapRef",
        "secretRef",
        "configMap",
        "secret",
        "projected",
        "sources",
        "items",
        "key",
        "name",
        "secretName",
        "optional",
        "csi",
        "nodePublishSecretRef",
        "azureFile",
        "iscsi",
        "chapAuthSession",
        "x",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        Just(json!("a")),
    ];
    leaf.prop_recursive(7, 256, 8, move |inner| {
        let map = collection::vec((sample::select(fields.to_vec()), inner.clone()), 0..8);
        prop_oneof![
            collection::vec(inner, 0..4).prop_map(Value::from),
            map.prop_map(|fields| fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
        ]
    })
}

proptest! {
    /// A part is required if any site requires it, in whatever order they stand.
    #[test]
    fn sites_join_in_any_order(
        (sites, shuffled) in collection::vec(site(), 0..12).prop_flat_map(|sites| (Just(sites.clone()), Just(sites).prop_shuffle())),
    ) {
        let found = references(&template(&pod_with(&sites)));
        prop_assert_eq!(&found, &references(&template(&pod_with(&shuffled))));
        let objects: BTreeSet<_> = sites.iter().map(|site| object(site.kind, &site.name)).collect();
        prop_assert_eq!(found.keys().cloned().collect::<BTreeSet<_>>(), objects);
        for (object, reference) in &found {
            let its = || sites.iter().filter(|site| site.kind == object.kind && site.name == object.name);
            let parts: BTreeSet<Part> = its().flat_map(Site::parts).collect();
            prop_assert_eq!(reference.parts.keys().cloned().collect::<BTreeSet<_>>(), parts);
            for (part, need) in &reference.parts {
                let is_required = its().any(|site| site.need() == Required && site.parts().contains(part));
                prop_assert_eq!(*need == Required, is_required);
            }
            prop_assert_eq!(reference.need() == Required, its().any(|site| site.need() == Required));
        }
    }

    /// What is found in JSON of any form can be used further.
    #[test]
    fn no_template_makes_it_panic(any in any_json(), pod in any_json()) {
        for template in [&any, &template(&any), &template(&json!({ "containers": [pod], "volumes": [pod] }))] {
            for (object, reference) in references(template) {
                prop_assert!(reference.object == object && is_name(&object.name));
                prop_assert!(!reference.parts.is_empty() && !reference.parts.contains_key(&Part::Key(String::new())));
            }
        }
    }
}
