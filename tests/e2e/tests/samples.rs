//! The samples run as they are.

use anyhow::Result;
use e2e::{scenario, text};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/samples");

#[test]
fn the_samples_do_what_they_say() -> Result<()> {
    scenario(|ns| {
        ns.kubectl.run(&["apply", "--filename", SAMPLES])?;
        ns.condition_of("hello", "OutputWritten", "True")?;
        let greeting = ns.kubectl.get(&["configmap", "greeting"])?;
        assert_eq!(greeting["data"]["hello.stdout"], "Hello from an ExtendedJob\n");

        ns.condition_of("pi", "OutputWritten", "True")?;
        let decoded = "--output=go-template={{index .data \"pi.stdout\" | base64decode}}";
        let pi = ns.kubectl.run(&["get", "secret", "foosecret", decoded])?;
        assert!(pi.starts_with("3.14159265358979") && pi.len() > 2000, "{pi}");

        ns.condition_of("credentials", "OutputWritten", "True")?;
        let credentials = ns.kubectl.get(&["secret", "shop-credentials"])?;
        assert_eq!(credentials["data"]["username"], "c2hvcA==");
        // 18 random bytes are 24 characters, and those 32 in a Secret.
        assert_eq!(text(&credentials["data"]["password"]).len(), 32);

        ns.data_until("shop-pods", "what is known of both pods", |pods| {
            let told = |pod: &str| pods[pod].as_str()?.strip_prefix(pod).map(str::to_owned);
            let (one, other) = (told("shop-1")?, told("shop-2")?);
            (one.starts_with(" has the address ") && other.starts_with(" has the address ")).then_some(())
        })?;

        ns.reason_of("tidy-up", "Ready", "Idle")?;
        ns.edit("tidy-up", &serde_json::json!({"run": "now"}))?;
        ns.condition_of("tidy-up", "Complete", "True").map(drop)?;
        Ok(())
    })
}
