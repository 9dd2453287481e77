//! What was measured: for people as a table, for programs as JSON.

use std::fmt;

use serde::Serialize;

/// Something measured of the operator, and of the floor where that can do it.
#[derive(Serialize)]
pub(crate) struct Figure {
    pub(crate) scenario: &'static str,
    pub(crate) what: String,
    /// `ms`, `s`, `MiB` and the like; empty for mere numbers.
    pub(crate) unit: &'static str,
    pub(crate) floor: Option<f64>,
    pub(crate) operator: f64,
    pub(crate) limit: Option<Limit>,
    /// Whether it is kept; without one it is.
    pub(crate) is_met: bool,
}

/// What the operator should stay within.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Limit {
    /// So many times the floor's.
    TimesFloor(f64),
    /// So much.
    Most(f64),
}

/// The figures so far.
#[derive(Default, Serialize)]
pub(crate) struct Figures {
    figures: Vec<Figure>,
    /// Something could not be measured.
    lacks_some: bool,
}

impl Figure {
    pub(crate) fn new(
        scenario: &'static str,
        what: impl Into<String>,
        unit: &'static str,
        operator: f64,
    ) -> Self {
        Self { scenario, what: what.into(), unit, floor: None, operator, limit: None, is_met: true }
    }

    pub(crate) fn beside(self, floor: f64) -> Self {
        Self { floor: Some(floor), ..self }
    }

    pub(crate) fn within(self, limit: Limit) -> Self {
        let most = match limit {
            Limit::TimesFloor(times) => times * self.floor.unwrap_or_default(),
            Limit::Most(most) => most,
        };
        Self { is_met: self.operator <= most, limit: Some(limit), ..self }
    }

    fn columns(&self) -> [String; 6] {
        let amount = |value: f64| format!("{value:.*} {}", decimals(value), self.unit).trim_end().to_owned();
        let floor = self.floor.filter(|floor| *floor > 0.0);
        let ratio = floor.map(|floor| format!("{:.2} x", self.operator / floor));
        let limit = self.limit.map(|limit| match limit {
            Limit::TimesFloor(times) => format!("{times} x"),
            Limit::Most(most) => amount(most),
        });
        let missed = if self.is_met { "" } else { "MISSED" };
        [
            format!("{}: {}", self.scenario, self.what),
            self.floor.map(amount).unwrap_or_default(),
            amount(self.operator),
            ratio.unwrap_or_default(),
            limit.unwrap_or_default(),
            missed.to_owned(),
        ]
    }
}

impl Figures {
    /// Takes one down, and shows it at once.
    pub(crate) fn push(&mut self, figure: Figure) {
        println!("    {}", figure.columns().join("  ").trim_end());
        self.figures.push(figure);
    }

    /// Something could not be measured.
    pub(crate) fn lack_some(&mut self) {
        self.lacks_some = true;
    }

    /// Whether all was measured, whatever came of it.
    pub(crate) fn are_whole(&self) -> bool {
        !self.lacks_some
    }

    /// Whether all was measured, and keeps within its limits.
    pub(crate) fn are_met(&self) -> bool {
        self.are_whole() && self.figures.iter().all(|figure| figure.is_met)
    }
}

/// Three digits that say something.
fn decimals(value: f64) -> usize {
    match value {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["", "floor", "operator", "ratio", "limit", ""].map(str::to_owned);
        let rows: Vec<[String; 6]> =
            [header].into_iter().chain(self.figures.iter().map(Figure::columns)).collect();
        let width =
            |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..6).map(width).collect();
        for row in &rows {
            let mut line = format!("{:width$}", row[0], width = widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line.push_str(&format!("  {cell:>width$}"));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_multiple_of_the_floor_or_an_amount() {
        let figure = |operator| Figure::new("latency", "p50", "ms", operator).beside(10.0);
        assert!(figure(11.5).within(Limit::TimesFloor(1.15)).is_met);
        assert!(!figure(11.6).within(Limit::TimesFloor(1.15)).is_met);
        assert!(figure(3.0).within(Limit::Most(3.0)).is_met);
        assert!(!figure(3.1).within(Limit::Most(3.0)).is_met);
        let mut figures = Figures::default();
        figures.push(figure(12.0).within(Limit::TimesFloor(1.15)));
        assert!(!figures.are_met());
        assert_eq!(
            figures.to_string().lines().last(),
            Some("latency: p50  10 ms     12 ms  1.20 x  1.15 x  MISSED")
        );
    }
}
