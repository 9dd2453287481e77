//! Quotas that leave no room.

use anyhow::Result;
use serde_json::{Value, json};

use crate::Namespace;

const NAME: &str = "none-of-them";

impl Namespace {
    /// Lets no object of this kind be created here any more.
    pub fn forbid(&self, kind: &str) -> Result<()> {
        self.create(json!({
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": NAME},
            "spec": {"hard": {format!("count/{kind}"): "0"}},
        }))?;
        let in_force = |quota: &Value| quota["status"]["hard"].is_object().then_some(());
        self.kubectl.until(&["resourcequota", NAME], "a quota in force", in_force)
    }

    /// Takes that back.
    pub fn forbid_no_longer(&self) -> Result<()> {
        self.delete(&format!("resourcequota/{NAME}"))
    }
}
