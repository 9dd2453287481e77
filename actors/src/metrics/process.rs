//! What the process costs, under the names that Prometheus clients of all languages give it; read when it is asked for.

use std::fs;

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{counter::ConstCounter, gauge::ConstGauge},
};
use rustix::param::{clock_ticks_per_second, page_size};

/// Reads `/proc` with each scrape. What can't be read there is left out.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let read = |path| fs::read_to_string(path).ok();
        let stat = read("/proc/self/stat").and_then(|stat| Stat::parse(&stat));
        let mut tell = |name, help, metric: &dyn EncodeMetric| {
            metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
        };
        if let Some(Stat { ticks, resident_pages, .. }) = stat {
            let seconds = seconds(ticks);
            tell("process_cpu_seconds", "CPU time, of user and system.", &ConstCounter::new(seconds))?;
            let bytes = i64::try_from(resident_pages).unwrap_or(i64::MAX);
            let bytes = bytes.saturating_mul(i64::try_from(page_size()).unwrap_or(i64::MAX));
            tell("process_resident_memory_bytes", "Resident memory.", &ConstGauge::new(bytes))?;
        }
        let boot = read("/proc/stat").and_then(|stat| boot_time(&stat));
        if let (Some(boot), Some(Stat { started, .. })) = (boot, stat) {
            let start = boot + seconds(started);
            tell("process_start_time_seconds", "When it started, in Unix time.", &ConstGauge::new(start))?;
        }
        Ok(())
    }
}

/// Of `/proc/self/stat` (proc_pid_stat(5)).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stat {
    /// In which it had the CPU.
    ticks: u64,
    /// After the boot, in ticks.
    started: u64,
    resident_pages: u64,
}

impl Stat {
    fn parse(stat: &str) -> Option<Self> {
        // The second field is a name in brackets, which may hold anything.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Self { ticks: field(14)? + field(15)?, started: field(22)?, resident_pages: field(24)? })
    }
}

/// In Unix time.
fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

fn seconds(ticks: u64) -> f64 {
    // What is lost beyond 2^53 ticks is less than anyone would miss.
    #[allow(clippy::cast_precision_loss)]
    let (ticks, per_second) = (ticks as f64, clock_ticks_per_second() as f64);
    ticks / per_second
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let stat = "7 (a) b ) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 9000 1000000 321 18446744073709551615";
        assert_eq!(Stat::parse(stat), Some(Stat { ticks: 300, started: 9000, resident_pages: 321 }));
        assert_eq!(Stat::parse("7 (a"), None);
    }

    #[test]
    fn the_time_of_the_boot_is_found() {
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\nprocesses 3\n"), Some(1_700_000_000.0));
    }
}
