//! Output of any size, and of any bytes.

use anyhow::{Context, Result};
use e2e::{ExtendedJob, Namespace, extended_job, scenario, template, text};
use serde_json::{Value, json};

/// What fits into one object: 1 MiB, less a reserve.
const MOST: usize = (1 << 20) - (32 << 10);

fn once(name: &str, script: &str) -> ExtendedJob {
    extended_job(name).once().running(template::script(script)).stdout_to(name)
}

/// What is stored, when it is.
fn stored(ns: &Namespace, name: &str) -> Result<Value> {
    ns.condition_of(name, "OutputWritten", "True")?;
    ns.kubectl.get(&["configmap", name])
}

#[test]
fn output_is_whole_up_to_what_fits_and_the_newest_part_of_more() -> Result<()> {
    scenario(|ns| {
        let sizes = [0, 1, MOST - 1, MOST, MOST + 1, 3_000_000];
        let name = |size: usize| format!("size-{size}");
        ns.create_all(sizes.map(|size| once(&name(size), &template::printing(size)).into()))?;
        for size in sizes {
            let kept = stored(ns, &name(size))?;
            let kept = text(&kept["data"]["main.stdout"]);
            let output =
                ns.kubectl.get(&["extendedjob", &name(size)])?["status"]["lastRun"]["outputs"][0].take();
            assert_eq!((&output["bytesSeen"], &output["bytesKept"]), (&json!(size), &json!(kept.len())));
            if size <= MOST {
                assert_eq!(kept.len(), size);
            } else {
                // The cut is made at a line.
                assert!((MOST - 1000..=MOST).contains(&kept.len()), "{}", kept.len());
            }
        }
        Ok(())
    })
}

#[test]
fn any_bytes_are_kept_as_they_are() -> Result<()> {
    scenario(|ns| {
        // A program is as random as bytes get, and the same for both.
        // (But for carriage returns, which older versions of containerd drop at the end of a line.)
        let program = "tr -d '\\r' < /bin/busybox | head -c 300000";
        ns.create(once("program", &format!("{program}; sleep 1")))?;
        ns.create(once("sum", &format!("{program} | md5sum | cut -d ' ' -f 1")))?;
        let sum = text(&stored(ns, "sum")?["data"]["main.stdout"]).to_owned();
        let program = stored(ns, "program")?["binaryData"]["main.stdout"].take();
        let bytes = text(&program);
        assert!(bytes.len() == 400_000, "{}", bytes.len());
        let again = json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "program-again"},
            "binaryData": {"bytes": bytes},
        });
        ns.create(again)?;
        let mut template = template::script("md5sum < /again/bytes | cut -d ' ' -f 1");
        let pod = &mut template["spec"]["template"]["spec"];
        pod["volumes"] = json!([{"name": "again", "configMap": {"name": "program-again"}}]);
        pod["containers"][0]["volumeMounts"] = json!([{"name": "again", "mountPath": "/again"}]);
        ns.create(extended_job("again").once().running(template).stdout_to("again"))?;
        assert_eq!(stored(ns, "again")?["data"]["main.stdout"], sum);
        Ok(())
    })
}

#[test]
fn a_mebibyte_of_control_characters_is_no_request_of_six() -> Result<()> {
    scenario(|ns| {
        ns.create(once("escape", "head -c 1048576 /dev/zero | tr '\\0' '\\033'; sleep 1"))?;
        let bytes = stored(ns, "escape")?["binaryData"]["main.stdout"].take();
        let base64 = bytes.as_str().context("no bytes")?;
        assert_eq!(base64.len(), MOST.div_ceil(3) * 4);
        assert!(base64.starts_with("GxsbGxsb"));
        Ok(())
    })
}
