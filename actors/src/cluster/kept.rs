//! What the operator keeps in the cluster for the one after it: bytes under one key of an object,
//! written whole, each time provided that the object is as it was left.

use data_encoding::BASE64;
use extendedjob_api::names;
use extendedjob_decide::fault::Class;
use kube::{
    api::{Patch, PatchParams, PostParams},
    core::{Request, params::GetParams},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, Failpoint, Fault, meta::Meta};

/// Under this key stands what could not be read, for someone to look at.
const SET_ASIDE: &str = "set-aside";

/// An object that keeps bytes.
pub(super) struct Keeper {
    pub(super) point: Failpoint,
    /// Where the objects of its kind are.
    pub(super) requests: Request,
    pub(super) name: String,
    /// The part of the object that holds base64 values.
    pub(super) part: &'static str,
    pub(super) key: &'static str,
    /// The object but for the bytes, as it is created.
    pub(super) frame: Value,
}

/// What an object keeps.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) bytes: Vec<u8>,
    /// The resourceVersion, to be given with the next write.
    pub(crate) object: String,
}

/// A Secret, or a ConfigMap with binary data.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Wire {
    pub(super) metadata: Meta,
    #[serde(default)]
    data: Value,
    #[serde(default)]
    binary_data: Value,
}

impl Wire {
    pub(super) fn kept(self, part: &str, key: &str) -> Kept {
        let values = if part == "data" { &self.data } else { &self.binary_data };
        // What is no base64, or is not there, is not what was kept: whoever reads it will tell.
        let bytes = values[key].as_str().and_then(|value| BASE64.decode(value.as_bytes()).ok());
        Kept { bytes: bytes.unwrap_or_default(), object: self.metadata.resource_version }
    }
}

impl Cluster {
    /// What the object keeps; `None` where there is none.
    pub(super) async fn kept(&self, keeper: &Keeper) -> Result<Option<Kept>, Fault> {
        match self.call::<Wire>(keeper.requests.get(&keeper.name, &GetParams::default())).await {
            Ok(wire) => Ok(Some(wire.kept(keeper.part, keeper.key))),
            Err(fault) if fault.class() == Class::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Keeps these bytes in the object, which is created if it has no resourceVersion yet. What was
    /// `set_aside` stays in it, under another key. Says the new resourceVersion.
    ///
    /// Where no answer came, or someone was quicker, what is there now tells whether that was this
    /// very write.
    pub(super) async fn keep(
        &self,
        keeper: &Keeper,
        object: Option<&str>,
        bytes: &[u8],
        set_aside: Option<&[u8]>,
    ) -> Result<String, Fault> {
        let mut values = json!({ keeper.key: BASE64.encode(bytes) });
        if let Some(bytes) = set_aside {
            values[SET_ASIDE] = json!(BASE64.encode(bytes));
        }
        let mut body = keeper.frame.clone();
        body[keeper.part] = values;
        body["metadata"]["name"] = json!(keeper.name);
        let field_manager = Some(names::FIELD_MANAGER.to_owned());
        let request = if let Some(object) = object {
            body["metadata"]["resourceVersion"] = json!(object);
            let params = PatchParams { field_manager, ..PatchParams::default() };
            keeper.requests.patch(&keeper.name, &params, &Patch::Merge(&body))
        } else {
            let params = PostParams { field_manager, ..PostParams::default() };
            keeper.requests.create(&params, body.to_string().into_bytes())
        };
        let fault = match self.write::<Wire>(keeper.point, request).await {
            Ok(wire) => return Ok(wire.metadata.resource_version),
            Err(fault) => fault,
        };
        if matches!(fault.class(), Class::Transient | Class::Conflict | Class::AlreadyExists)
            && let Ok(Some(kept)) = self.kept(keeper).await
            && kept.bytes == bytes
        {
            return Ok(kept.object);
        }
        Err(fault)
    }
}
