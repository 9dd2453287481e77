//! Writes what is made of the types: the CustomResourceDefinition as YAML, or with `--fields` the names of its fields, a
//! line each, by which the operator tells whether the cluster's definition holds all of them.

use std::{env, io::Write};

use extendedjob_api::fields::Schema;

/// Tells readers of the file where to make a change.
const HEADER: &str = "# Generated from api/src by `cargo xtask gen`: edit there, not here.\n";

fn main() -> anyhow::Result<()> {
    let crd = extendedjob_api::crd();
    let text = if env::args().any(|argument| argument == "--fields") {
        let schema = crd.spec.versions.first().and_then(|version| version.schema.as_ref());
        let schema = serde_json::to_value(schema.map(|schema| &schema.open_api_v3_schema))?;
        serde_json::from_value::<Schema>(schema)?.fields().into_iter().map(|field| field + "\n").collect()
    } else {
        HEADER.to_owned() + &serde_saphyr::to_string(&crd)?
    };
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}
