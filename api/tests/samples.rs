//! The samples keep the rules, also those that only the operator looks at.

use std::fs;

use extendedjob_api::{ExtendedJob, validate};
use serde_json::Value;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/samples");

#[test]
fn each_sample_keeps_the_rules() {
    let mut checked = 0;
    for entry in fs::read_dir(SAMPLES).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
        for object in objects.iter().filter(|object| object["kind"] == "ExtendedJob") {
            // By way of text, because a template is kept as the text that it was.
            let sample: ExtendedJob = serde_json::from_str(&object.to_string()).unwrap();
            assert_eq!(validate(&sample.spec, "default"), Ok(()), "{}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 5, "only {checked} were found");
}
