//! What a survey found, for people and for programs.

use serde::Serialize;
use std::fmt;

/// Rates are jobs per second.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) version: &'static str,
    pub(super) deployment: &'static str,
    pub(super) processors: usize,
    pub(super) enqueue_serial: f64,
    pub(super) enqueue_64_in_flight: f64,
    pub(super) enqueue_bulk_1000: f64,
    pub(super) drained: u64,
    pub(super) drain: f64,
    pub(super) idle_latency_ms: Spread,
}

/// How latencies are spread, in milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Spread {
    jobs: usize,
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Spread {
    pub(super) fn of(ns: &[u64]) -> Self {
        let mut sorted = ns.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let index = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            sorted.get(index).map_or(0.0, |ns| milliseconds(*ns))
        };
        Self { jobs: ns.len(), p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with two decimals")]
fn milliseconds(ns: u64) -> f64 {
    ns as f64 / 1e6
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.idle_latency_ms;
        writeln!(
            f,
            "relais {}, {} deployment, {} processors\n",
            self.version, self.deployment, self.processors
        )?;
        for (what, rate) in [
            ("put in, one call after another", self.enqueue_serial),
            ("put in, 64 calls at once", self.enqueue_64_in_flight),
            ("put in, 1000 jobs per call", self.enqueue_bulk_1000),
            ("run, by one worker process", self.drain),
        ] {
            writeln!(f, "{what:<32}{rate:>9.0} jobs/s")?;
        }
        writeln!(
            f,
            "{:<32}{:>9.2} ms at p50, {:.2} at p95, {:.2} at p99, {:.2} at most",
            "from putting in to start, idle", latency.p50, latency.p95, latency.p99, latency.max
        )?;
        write!(
            f,
            "\n{} jobs of about 200 bytes that do nothing; all of them were removed again. Other load \
             on this machine\nor its servers counts: compare figures of one run only.",
            self.drained
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Spread;

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let ns: Vec<u64> = (1..=200).rev().map(|ms| ms * 1_000_000).collect();
        let spread = Spread::of(&ns);
        let all = [spread.p50, spread.p95, spread.p99, spread.max];
        assert_eq!(all, [101.0, 191.0, 199.0, 200.0]);
        assert_eq!(Spread::of(&[]).max.to_bits(), 0);
    }
}
