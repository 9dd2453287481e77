//! Percentiles, and how something grows.

use std::time::Duration;

/// The value that so many hundredths of the values do not exceed: the nearest rank, no value that is none of them.
pub(crate) fn percentile(values: &mut [Duration], hundredths: usize) -> Duration {
    values.sort_unstable();
    let rank = (values.len() * hundredths).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

/// The exponent e of the power law y ~ x^e that fits best: the slope of a line through the logarithms. 1 is linear.
pub(crate) fn exponent(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let logs: Vec<(f64, f64)> = points.iter().map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / count;
    let (x_mean, y_mean) = (mean(|it| it.0), mean(|it| it.1));
    let along: f64 = logs.iter().map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    let spread: f64 = logs.iter().map(|(x, _)| (x - x_mean).powi(2)).sum();
    along / spread
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut values: Vec<_> = (1..=200).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut values, 50), Duration::from_millis(100));
        assert_eq!(percentile(&mut values, 99), Duration::from_millis(198));
        assert_eq!(percentile(&mut values[..1], 99), Duration::from_millis(1));
        assert_eq!(percentile(&mut [], 50), Duration::ZERO);
    }

    #[test]
    fn the_exponent_tells_linear_from_quadratic_growth() {
        let grown = |by: fn(f64) -> f64| exponent(&[1.0, 2.0, 4.0].map(|x| (x, by(x))));
        assert!((grown(|x| 3.0 * x) - 1.0).abs() < 1e-9);
        assert!((grown(|x| 3.0 * x * x) - 2.0).abs() < 1e-9);
    }
}
