//! Standard output and standard error, told apart outside of the pod: what that makes possible. Run only where such a way
//! is set.

use anyhow::Result;
use e2e::{scenario, template};
use serde_json::{Value, json};

use crate::streams::{apart, stored};

#[test]
fn a_container_that_states_no_command_has_its_streams_apart_and_nothing_is_added_to_its_pod() -> Result<()> {
    scenario(|ns| {
        let mut image_alone = template::script("");
        let container = &mut image_alone["spec"]["template"]["spec"]["containers"][0];
        container["command"] = json!(null);
        // Of an image without an entrypoint these are the command.
        container["args"] = json!(["sh", "-c", "echo out; echo err >&2"]);
        ns.create(apart("image-alone", image_alone))?;
        // "out\n"
        let stdout = json!({"main.stdout": "b3V0Cg=="});
        assert_eq!(stored(ns, "image-alone")?, (stdout, json!({"main.stderr": "err\n"})));
        let pods = ns.kubectl.list(&["pods"])?;
        let spec = &pods[0]["spec"];
        assert_eq!((&spec["initContainers"], &spec["containers"][1]), (&Value::Null, &Value::Null));
        Ok(())
    })
}
