//! Writes the CustomResourceDefinition as YAML: `crdgen [FILE]`, without FILE to stdout.

use std::{env, fs, io::Write};

/// Tells readers of the file where to make a change.
const HEADER: &str = "# Generated from api/src by `cargo xtask gen`: edit there, not here.\n";

fn main() -> anyhow::Result<()> {
    let yaml = HEADER.to_owned() + &serde_saphyr::to_string(&extendedjob_api::crd())?;
    match env::args_os().nth(1) {
        Some(path) => fs::write(path, yaml)?,
        None => std::io::stdout().write_all(yaml.as_bytes())?,
    }
    Ok(())
}
