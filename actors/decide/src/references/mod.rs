//! The ConfigMaps and Secrets that the pods of a Job use, down to the keys.
//!
//! A reference is what the template itself names. What lies behind, such as the Secret of a volume that a claim is bound
//! to, belongs to who provides the volume. `imagePullSecrets` are left out: they decide whether an image can be
//! pulled, not what runs, and a kubelet starts pods without those that are missing.
//!
//! What is optional is so as for kubelets: where a variable or a volume is marked `optional`, its object may be missing
//! as well as a key in it.

mod digest;
#[cfg(test)]
mod kubernetes;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use extendedjob_api::TargetKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use digest::Digest;

/// References by their objects.
pub type References = BTreeMap<Object, Reference>;

/// A ConfigMap or Secret in the namespace of an ExtendedJob. As text it is `ConfigMap/name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Object {
    /// Which of the two.
    pub kind: TargetKind,
    /// Its name.
    pub name: String,
}

/// An object, and what the pods of an ExtendedJob use of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The object.
    pub object: Object,
    /// What is used, at least one part, and how much each is needed. A key may be used by itself and with the whole.
    pub parts: BTreeMap<Part, Need>,
}

/// What is used of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Part {
    /// All that it holds, whatever that is.
    Whole,
    /// One key, whose name is not empty.
    Key(String),
}

/// What happens to pods where a part is missing. The greater outweighs the lesser, when both are said of one part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// They start without.
    Optional,
    /// They can't start.
    Required,
}

/// Something required that isn't there. As text, it is part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The object.
    pub object: Object,
    /// The keys that are missing in it; none if the object itself is.
    pub keys: BTreeSet<String>,
}

/// All lists of containers that a pod spec has. Native sidecars stand among the init containers. (API servers admit
/// ephemeral containers to no template yet.)
const CONTAINERS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];

/// Sources of volumes, and their fields with the name of a Secret that is handed, whole, to what mounts the volume.
/// Mounting fails without it.
const MOUNTED_WITH: [(&str, &str); 7] = [
    // The driver is called with what is in it (NodePublishVolume).
    ("csi", "nodePublishSecretRef"),
    // A program on the node is called with what is in it.
    ("flexVolume", "secretRef"),
    // Credentials of the storage. Kubernetes has removed these plugins: pods that name them start only on clusters so
    // old that a kubelet asks for the Secret.
    ("cephfs", "secretRef"),
    ("rbd", "secretRef"),
    ("scaleIO", "secretRef"),
    ("storageos", "secretRef"),
    // That of CHAP: see `is_unread`.
    ("iscsi", "secretRef"),
];

/// All references in the template of a Job, as the user wrote it. What is of a wrong type is passed over: the API server
/// refuses the Job, and says why.
#[must_use]
pub fn references(template: &Value) -> References {
    let mut found = References::new();
    let pod = &template["spec"]["template"]["spec"];
    for container in CONTAINERS.iter().flat_map(|containers| list(pod, containers)) {
        variables(&mut found, container);
    }
    // Those, too, that no container mounts: they are in the template.
    for volume in list(pod, "volumes") {
        files(&mut found, volume);
        mounted_with(&mut found, volume);
    }
    found
}

fn variables(found: &mut References, container: &Value) {
    for variable in list(container, "env") {
        let from = &variable["valueFrom"];
        for (kind, site) in
            [(TargetKind::ConfigMap, &from["configMapKeyRef"]), (TargetKind::Secret, &from["secretKeyRef"])]
        {
            add(found, kind, &site["name"], key(site), need(site));
        }
    }
    for from in list(container, "envFrom") {
        for (kind, site) in
            [(TargetKind::ConfigMap, &from["configMapRef"]), (TargetKind::Secret, &from["secretRef"])]
        {
            add(found, kind, &site["name"], Some(Part::Whole), need(site));
        }
    }
}

fn files(found: &mut References, volume: &Value) {
    let mut add_files = |kind, site: &Value, name: &str| {
        let items = list(site, "items");
        let whole = items.is_empty().then_some(Part::Whole);
        add(found, kind, &site[name], items.iter().filter_map(key).chain(whole), need(site));
    };
    add_files(TargetKind::ConfigMap, &volume["configMap"], "name");
    add_files(TargetKind::Secret, &volume["secret"], "secretName");
    for source in list(&volume["projected"], "sources") {
        add_files(TargetKind::ConfigMap, &source["configMap"], "name");
        add_files(TargetKind::Secret, &source["secret"], "name");
    }
}

fn mounted_with(found: &mut References, volume: &Value) {
    for (source, field) in MOUNTED_WITH {
        let need = if is_unread(source, &volume[source]) { Need::Optional } else { Need::Required };
        add(found, TargetKind::Secret, &volume[source][field]["name"], Some(Part::Whole), need);
    }
    // The account and its key, under names that the driver chooses.
    let account = &volume["azureFile"]["secretName"];
    add(found, TargetKind::Secret, account, Some(Part::Whole), Need::Required);
    // Kubelets hand these volumes to a CSI driver, without the Secret: nothing fails when it is missing.
    let parameters = &volume["cinder"]["secretRef"]["name"];
    add(found, TargetKind::Secret, parameters, Some(Part::Whole), Need::Optional);
}

/// Kubelets read the Secret of CHAP only where CHAP is asked for.
fn is_unread(source: &str, site: &Value) -> bool {
    source == "iscsi" && site["chapAuthDiscovery"] != true && site["chapAuthSession"] != true
}

fn need(site: &Value) -> Need {
    if site["optional"] == true { Need::Optional } else { Need::Required }
}

fn key(site: &Value) -> Option<Part> {
    let key = site["key"].as_str().filter(|key| !key.is_empty())?;
    Some(Part::Key(key.to_owned()))
}

fn list<'a>(value: &'a Value, part: &str) -> &'a [Value] {
    value[part].as_array().map_or(&[], Vec::as_slice)
}

fn add(
    found: &mut References,
    kind: TargetKind,
    name: &Value,
    parts: impl IntoIterator<Item = Part>,
    need: Need,
) {
    // No object can bear another name. It would become part of a path at the API server.
    let Some(name) = name.as_str().filter(|name| is_name(name)) else { return };
    let object = Object { kind, name: name.to_owned() };
    for part in parts {
        let reference = found.entry(object.clone());
        let reference =
            reference.or_insert_with(|| Reference { object: object.clone(), parts: BTreeMap::new() });
        let known = reference.parts.entry(part).or_insert(need);
        *known = need.max(*known);
    }
}

/// A DNS subdomain (RFC 1123), whose labels may be as long as itself, as API servers have it.
fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.len() <= 253
        && name.split('.').all(|label| {
            let bytes = label.as_bytes();
            let ends = [bytes.first(), bytes.last()];
            ends.into_iter().all(|end| end.is_some_and(|&byte| is_plain(byte)))
                && bytes.iter().all(|&byte| is_plain(byte) || byte == b'-')
        })
}

impl Reference {
    /// How much the object is needed: as much as the part that is needed most.
    #[must_use]
    pub fn need(&self) -> Need {
        self.parts.values().copied().max().unwrap_or(Need::Optional)
    }

    /// What is required of it and isn't there, of an object with these values, if there is one.
    #[must_use]
    pub fn missing_in(&self, values: Option<&BTreeMap<String, Vec<u8>>>) -> Option<Missing> {
        self.missing(values.map(|values| |key: &str| values.contains_key(key)))
    }

    /// What is required of it and isn't there. `has`: whether the object has a key, if there is an object.
    fn missing(&self, has: Option<impl Fn(&str) -> bool>) -> Option<Missing> {
        let missing = |keys| Missing { object: self.object.clone(), keys };
        let Some(has) = has else {
            return (self.need() == Need::Required).then(|| missing(BTreeSet::new()));
        };
        let required = self.parts.iter().filter(|(_, need)| **need == Need::Required);
        let keys = required.filter_map(|(part, _)| part.key()).filter(|key| !has(key));
        let keys: BTreeSet<String> = keys.map(str::to_owned).collect();
        (!keys.is_empty()).then(|| missing(keys))
    }
}

impl Part {
    fn key(&self) -> Option<&str> {
        match self {
            Self::Whole => None,
            Self::Key(key) => Some(key),
        }
    }
}

impl From<Part> for String {
    fn from(part: Part) -> Self {
        match part {
            Part::Whole => Self::new(),
            Part::Key(key) => key,
        }
    }
}

impl From<String> for Part {
    fn from(key: String) -> Self {
        if key.is_empty() { Self::Whole } else { Self::Key(key) }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.name)
    }
}

impl From<Object> for String {
    fn from(object: Object) -> Self {
        object.to_string()
    }
}

impl TryFrom<String> for Object {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let kinds = [TargetKind::ConfigMap, TargetKind::Secret].into_iter();
        let of_kind = |kind: TargetKind| {
            let name = text.strip_prefix(&kind.to_string())?.strip_prefix('/')?;
            Some(Self { kind, name: name.to_owned() })
        };
        kinds.filter_map(of_kind).next().ok_or_else(|| format!("{text} is neither a ConfigMap nor a Secret"))
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<&str> = self.keys.iter().map(String::as_str).collect();
        match keys.as_slice() {
            [] => {}
            [key] => write!(f, "key {key} of ")?,
            keys => write!(f, "keys {} of ", keys.join(", "))?,
        }
        write!(f, "{} {}", self.object.kind, self.object.name)
    }
}
