//! A namespace of the test's own, and what is created in it.

use std::process;
use std::time::SystemTime;

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Kubectl, name};

/// On a test's namespaces: the name of the first of them.
const FAMILY: &str = "extendedjob-e2e";

/// A namespace and what tests do in it.
#[derive(Debug)]
pub struct Namespace {
    /// Its name.
    pub name: String,
    /// kubectl there, as the administrator.
    pub kubectl: Kubectl,
    family: String,
}

impl Namespace {
    pub(crate) fn of_test(test: &str) -> Result<Self> {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let unique = format!("{:x}{:05x}", process::id(), since_epoch.subsec_micros());
        let readable: String = test.replace('_', "-").chars().take(40).collect();
        let name = format!("{}-{unique}", readable.trim_end_matches('-'));
        Self::create_namespace(&name, &name)
    }

    /// One that is there already, and stays.
    pub(crate) fn existing(name: &str) -> Self {
        Self { kubectl: Kubectl::in_namespace(name), name: name.to_owned(), family: name.to_owned() }
    }

    /// One more namespace, which goes when this one goes.
    pub fn sibling(&self, suffix: &str) -> Result<Self> {
        Self::create_namespace(&format!("{}-{suffix}", self.name), &self.family)
    }

    fn create_namespace(name: &str, family: &str) -> Result<Self> {
        let (name, family) = (name.to_owned(), family.to_owned());
        let namespace = Self { kubectl: Kubectl::in_namespace(&name), name, family };
        let metadata = json!({"name": namespace.name, "labels": {FAMILY: namespace.family}});
        namespace.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}))?;
        Ok(namespace)
    }

    /// This namespace and its siblings.
    pub(crate) fn family(&self) -> Result<Vec<String>> {
        let namespaces = self.kubectl.list(&["namespaces", &self.family_selector()])?;
        Ok(namespaces.iter().map(|namespace| name(namespace).to_owned()).collect())
    }

    /// Gives the namespace and its siblings up without waiting for their end.
    pub(crate) fn abandon(&self) -> Result<()> {
        self.kubectl.run(&["delete", "namespaces", &self.family_selector(), "--wait=false"]).map(drop)
    }

    fn family_selector(&self) -> String {
        format!("--selector={FAMILY}={}", self.family)
    }

    /// Creates an object.
    pub fn create(&self, object: impl Into<Value>) -> Result<()> {
        self.kubectl.run_with_input(&["create", "--filename=-"], &object.into().to_string()).map(drop)
    }

    /// Creates several objects, in this order, with one command.
    pub fn create_all(&self, objects: impl IntoIterator<Item = Value>) -> Result<()> {
        let objects: Vec<Value> = objects.into_iter().collect();
        self.create(json!({"apiVersion": "v1", "kind": "List", "items": objects}))
    }

    /// Merges a patch into an object.
    pub fn patch(&self, object: &str, patch: &Value) -> Result<()> {
        self.kubectl.run(&["patch", object, "--type=merge", &format!("--patch={patch}")]).map(drop)
    }

    /// Waits until there is no object of this kind.
    pub fn until_no(&self, kind: &str) -> Result<()> {
        let none_left = |seen: &Value| seen["items"].as_array().filter(|left| left.is_empty()).map(drop);
        self.kubectl.until(&[kind], &format!("none of the {kind}"), none_left)
    }

    /// Waits until there is a ConfigMap of this name in whose data the wanted is found.
    pub fn data_until<T>(
        &self,
        config_map: &str,
        wanted: &str,
        find: impl Fn(&Value) -> Option<T>,
    ) -> Result<T> {
        self.kubectl.until(&["configmaps"], &format!("{wanted} in {config_map}"), |all| {
            let mut all = all["items"].as_array()?.iter();
            find(&all.find(|it| it["metadata"]["name"] == config_map)?["data"])
        })
    }

    /// Deletes an object, and waits until it is gone.
    pub fn delete(&self, object: &str) -> Result<()> {
        self.kubectl.run(&["delete", object]).map(drop)
    }
}
