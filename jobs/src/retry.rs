//! How long to wait between attempts.

use rand::Rng;
use std::time::Duration;

/// Exponential back-off with full jitter: before attempt `n + 1` a random time between zero and
/// `min(max, base * 2^(n-1))`, so that jobs that failed together do not come back together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    base: Duration,
    max: Duration,
}

impl RetryPolicy {
    /// 1 s, 2 s, 4 s … at most 10 minutes.
    pub const STANDARD: Self = Self::new(Duration::from_secs(1), Duration::from_secs(600));

    /// Starts at `base`, stops growing at `max`.
    ///
    /// # Panics
    /// At compile time, if `base` is zero or above `max`.
    pub const fn new(base: Duration, max: Duration) -> Self {
        assert!(!base.is_zero() && base.as_nanos() <= max.as_nanos());
        Self { base, max }
    }

    /// The longest wait after `attempt` (from 1) has failed.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let factor = 1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor.max(1)).min(self.max)
    }

    /// A wait after `attempt` (from 1) has failed, drawn from `random`.
    pub fn delay(&self, attempt: u32, random: &mut impl Rng) -> Duration {
        self.ceiling(attempt).mul_f64(random.random::<f64>())
    }
}

#[cfg(test)]
mod tests {
    use super::RetryPolicy;
    use std::time::Duration;

    #[test]
    fn the_ceiling_doubles_up_to_its_maximum() {
        let policy = RetryPolicy::new(Duration::from_millis(500), Duration::from_secs(300));
        let ceilings = [1, 2, 3, 10, 11, 40, u32::MAX].map(|n| policy.ceiling(n).as_millis());
        assert_eq!(ceilings, [500, 1_000, 2_000, 256_000, 300_000, 300_000, 300_000]);
    }

    #[test]
    fn a_delay_stays_below_its_ceiling_and_varies() {
        let policy = RetryPolicy::STANDARD;
        let mut random = rand::rng();
        let delays: Vec<_> = (0..50).map(|_| policy.delay(5, &mut random)).collect();
        assert!(delays.iter().all(|delay| *delay <= policy.ceiling(5)));
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }
}
