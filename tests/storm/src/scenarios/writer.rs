//! A run that prints while something goes wrong, and whose output is to be stored all the same: whole.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use crowds::extended_jobs::{once, running};
use crowds::patience::answered;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::stage::Stage;

/// Its ExtendedJob.
const WRITER: &str = "writer";
/// Where its output goes.
const TARGET: &str = "written";
/// Of a hundred characters each.
const LINES: usize = 400;
/// It pauses after so many.
const AT_ONCE: usize = 25;

/// Starts it, for some sixteen seconds.
pub(super) async fn begin(stage: &mut Stage<'_>) -> Result<()> {
    begin_for(stage, Duration::from_secs(16)).await
}

/// Starts it; it prints for about so long.
pub(super) async fn begin_for(stage: &mut Stage<'_>, time: Duration) -> Result<()> {
    stage.expected.without_pod(1, WRITER);
    stage.namespace.create_extended_job(WRITER, printing(time)).await
}

/// Waits until its output is stored; each line is to be there once.
pub(super) async fn until_all_is_written(stage: &Stage<'_>) -> Result<()> {
    stage.namespace.until_written(WRITER, 1).await?;
    let config_maps = stage.namespace.api::<ConfigMap>();
    let written = answered("read the output", || config_maps.get(TARGET)).await?;
    let text = written.data.and_then(|mut data| data.remove("main.stdout")).context("no output")?;
    let expected: String = (1..=LINES).map(|line| format!("{line:099}\n")).collect();
    ensure!(text == expected, "the output has {} lines, not as they were printed", text.lines().count());
    Ok(())
}

fn printing(time: Duration) -> Value {
    let pause = time.as_secs() / (LINES / AT_ONCE) as u64;
    let print =
        format!(r#"printf "%099d\n", i; if (i % {AT_ONCE} == 0) {{ fflush(); system("sleep {pause}") }}"#);
    let program = format!("BEGIN {{ for (i = 1; i <= {LINES}; i++) {{ {print} }} }}");
    let mut spec = running(once(), json!(["awk", program]));
    spec["output"] = json!({"stdout": {"configRef": TARGET}});
    spec
}
