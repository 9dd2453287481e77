//! The samples run as they are.

use anyhow::Result;
use e2e::scenario;

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

        ns.reason_of("tidy-up", "Ready", "Idle")?;
        ns.edit("tidy-up", &serde_json::json!({"run": "now"}))?;
        ns.condition_of("tidy-up", "Complete", "True").map(drop)?;
        Ok(())
    })
}
