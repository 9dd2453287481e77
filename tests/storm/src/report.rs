//! The scenarios' outcomes, and their table.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use crowds::target::Target;

use crate::expected::Tally;
use crate::load::Load;
use crate::scenarios::Scenario;
use crate::stage::{Outputs, Stage};

/// Differences that are shown of one scenario; one is often as good as a hundred.
const SHOWN: usize = 10;

/// All outcomes.
pub(crate) struct Report {
    outcomes: Vec<Outcome>,
}

struct Outcome {
    scenario: Scenario,
    found: Found,
    /// What went wrong besides, or with it.
    trouble: Option<Error>,
    took: Duration,
}

/// What a scenario came to.
#[derive(Default)]
struct Found {
    tally: Tally,
    outputs: Outputs,
    recovered: Option<Duration>,
}

impl Report {
    /// Runs the scenarios, one after the other, whatever comes of them.
    pub(crate) async fn gather(target: &Target, load: &Load) -> Self {
        let mut outcomes = Vec::new();
        for scenario in load.scenarios() {
            println!("==> {scenario}");
            let begin = Instant::now();
            let (found, played) = play(target, load, scenario).await;
            let took = begin.elapsed();
            let outcome = Outcome { scenario, found, trouble: played.err(), took };
            println!("{outcome}");
            outcomes.push(outcome);
        }
        Self { outcomes }
    }

    /// Whether nothing is missing, nothing double, and nothing else went wrong.
    pub(crate) fn is_good(&self) -> bool {
        self.outcomes.iter().all(Outcome::is_good)
    }
}

impl Outcome {
    fn is_good(&self) -> bool {
        self.found.tally.is_exact() && self.found.outputs.lost() == 0 && self.trouble.is_none()
    }
}

/// Plays one scenario. What was counted is worth having, also if it failed.
async fn play(target: &Target, load: &Load, scenario: Scenario) -> (Found, Result<()>) {
    let mut stage = match Stage::set(target, load, &scenario.to_string()).await {
        Ok(stage) => stage,
        Err(error) => return (Found::default(), Err(error)),
    };
    let played = scenario.play(&mut stage).await;
    let found = Found { tally: stage.tally(), outputs: stage.outputs, recovered: stage.recovered };
    let struck = stage.strike().await;
    (found, played.and(struck))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.outcomes.iter().map(|outcome| outcome.scenario.to_string().len()).max().unwrap_or(0);
        let width = width.max("scenario".len());
        let header = ["expected", "found", "missing", "double", "outputs", "lost", "seconds", "recovery"]
            .map(|title| format!("{title:>8}"));
        writeln!(f, "{:width$}  {}", "scenario", header.join("  "))?;
        for Outcome { scenario, found, trouble, took } in &self.outcomes {
            let Found { tally, outputs, recovered } = found;
            let Tally { expected, found, missing, double, .. } = *tally;
            let numbers = [expected, found, missing, double, outputs.due, outputs.lost()];
            let numbers = numbers.map(|number| format!("{number:>8}"));
            let recovery = recovered.map(|time| format!("{:.1}", time.as_secs_f64())).unwrap_or_default();
            let seconds = format!("{:>8.1}  {recovery:>8}", took.as_secs_f64());
            let verdict = if trouble.is_some() { "  FAILED" } else { "" };
            let line = format!("{:width$}  {}  {seconds}{verdict}", scenario.to_string(), numbers.join("  "));
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// What is worth knowing at once, before the table at the end.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_good() { "good" } else { "FAILED" };
        write!(f, "<== {}: {verdict} after {:.1} s", self.scenario, self.took.as_secs_f64())?;
        let differences = &self.found.tally.differences;
        for difference in differences.iter().take(SHOWN) {
            write!(f, "\n    {difference}")?;
        }
        if differences.len() > SHOWN {
            write!(f, "\n    and {} more", differences.len() - SHOWN)?;
        }
        self.trouble.iter().try_for_each(|trouble| write!(f, "\n    {trouble:#}"))
    }
}
