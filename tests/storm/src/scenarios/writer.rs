//! A run that prints while something goes wrong, and whose output is to be stored all the same: whole.

use std::time::Duration;

use anyhow::{Result, ensure};
use crowds::extended_jobs::{once, running};
use serde_json::{Value, json};

use crate::stage::Stage;

/// Its ExtendedJob.
pub(super) const WRITER: &str = "writer";
/// Where its output goes.
const TARGET: &str = "written";
/// Of a hundred characters each.
const LINES: usize = 400;
/// It pauses after so many.
const AT_ONCE: usize = 25;

/// Starts it, for some eight seconds: what goes wrong for longer meets the output when it is written, too.
pub(super) async fn begin(stage: &mut Stage<'_>) -> Result<()> {
    begin_for(stage, Duration::from_secs(8)).await
}

/// Starts it; it prints for about so long.
pub(super) async fn begin_for(stage: &mut Stage<'_>, time: Duration) -> Result<()> {
    stage.expected.without_pod(1, WRITER);
    stage.outputs.due += 1;
    stage.namespace.create_extended_job(WRITER, printing(time)).await
}

/// Waits until its output is stored; each line is to be there once.
pub(super) async fn until_all_is_written(stage: &mut Stage<'_>) -> Result<()> {
    stage.namespace.until_written(WRITER, 1).await?;
    let text = stage.namespace.stored_output(TARGET).await?;
    let expected: String = (1..=LINES).map(|line| format!("{line:099}\n")).collect();
    ensure!(text == expected, "the output has {} lines, not as they were printed", text.lines().count());
    stage.outputs.whole += 1;
    Ok(())
}

fn printing(time: Duration) -> Value {
    let pause = time.as_secs_f64() / (LINES / AT_ONCE) as f64;
    let print =
        format!(r#"printf "%099d\n", i; if (i % {AT_ONCE} == 0) {{ fflush(); system("sleep {pause}") }}"#);
    let program = format!("BEGIN {{ for (i = 1; i <= {LINES}; i++) {{ {print} }} }}");
    let mut spec = running(once(), json!(["awk", program]));
    spec["output"] = json!({"stdout": {"configRef": TARGET}});
    spec
}
