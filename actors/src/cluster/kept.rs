//! What the operator keeps in the cluster for the one after it: bytes under one key of an object,
//! written whole, each time provided that the object is as it was left.

use std::time::Duration;

use data_encoding::BASE64;
use extendedjob_decide::fault::Class;
use kube::{
    api::Patch,
    core::{Request, params::GetParams},
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Cluster, Failpoint, Fault, creating, meta::Meta, patching};

/// Under this key stands what could not be read, for someone to look at.
pub(super) const SET_ASIDE: &str = "set-aside";

/// Each version of what is kept stays in etcd until that is compacted: 10,000 pods at half a mebibyte each
/// second would be 150 MB.
const BYTES_PER_SECOND: u64 = 100 * 1024;

/// The least time from a write of so many bytes to the next one of its kind.
pub(crate) fn pause_after(bytes: usize) -> Duration {
    Duration::from_millis(1000 * bytes as u64 / BYTES_PER_SECOND)
}

/// An object that keeps bytes.
pub(super) struct Safe {
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
    pub(super) async fn kept(&self, safe: &Safe) -> Result<Option<Kept>, Fault> {
        match self.call::<Wire>(safe.requests.get(&safe.name, &GetParams::default())).await {
            Ok(wire) => Ok(Some(wire.kept(safe.part, safe.key))),
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
        safe: &Safe,
        object: Option<&str>,
        bytes: &[u8],
        set_aside: Option<&[u8]>,
    ) -> Result<String, Fault> {
        let mut values = json!({ safe.key: BASE64.encode(bytes) });
        if let Some(bytes) = set_aside {
            values[SET_ASIDE] = json!(BASE64.encode(bytes));
        }
        let mut body = safe.frame.clone();
        body[safe.part] = values;
        body["metadata"]["name"] = json!(safe.name);
        let request = if let Some(object) = object {
            body["metadata"]["resourceVersion"] = json!(object);
            safe.requests.patch(&safe.name, &patching(), &Patch::Merge(&body))
        } else {
            safe.requests.create(&creating(), body.to_string().into_bytes())
        };
        let fault = match self.write::<Wire>(safe.point, request).await {
            Ok(wire) => return Ok(wire.metadata.resource_version),
            Err(fault) => fault,
        };
        if matches!(fault.class(), Class::Transient | Class::Conflict | Class::AlreadyExists)
            && let Ok(Some(kept)) = self.kept(safe).await
            && kept.bytes == bytes
        {
            return Ok(kept.object);
        }
        Err(fault)
    }
}
