//! The sliding window of one process, in memory that is bounded whatever strangers send.

use super::{Quota, WINDOW};
use std::collections::{HashMap, VecDeque};
use std::time::Instant;

/// Keys beyond these share one window, until a sweep has made room.
const MAX_KEYS: usize = 20_000;

/// When each key's counted requests came.
#[derive(Default)]
pub(super) struct Windows {
    accepted: HashMap<String, VecDeque<Instant>>,
    swept: Option<Instant>,
}

impl Windows {
    /// Counts a request made `now` if fewer than `limit` were counted in the window before it.
    pub(super) fn take(&mut self, key: &str, limit: u32, now: Instant) -> Quota {
        self.sweep(now);
        let is_full = self.accepted.len() >= MAX_KEYS && !self.accepted.contains_key(key);
        let key = if is_full { "" } else { key };
        let accepted = self.accepted.entry(key.to_owned()).or_default();
        while accepted.front().is_some_and(|first| now.duration_since(*first) >= WINDOW) {
            accepted.pop_front();
        }
        let is_within = accepted.len() < limit as usize;
        if is_within {
            accepted.push_back(now);
        }
        let counted = u32::try_from(accepted.len()).unwrap_or(u32::MAX);
        let reset = accepted.front().map_or(WINDOW, |first| WINDOW - now.duration_since(*first));
        Quota { accepted: is_within, limit, remaining: limit.saturating_sub(counted), reset }
    }

    /// Forgets keys whose last request has left the window; at most once a second, because it
    /// looks at every key.
    fn sweep(&mut self, now: Instant) {
        let pause = if self.accepted.len() >= MAX_KEYS { 1 } else { WINDOW.as_secs() };
        if self.swept.is_some_and(|swept| now.duration_since(swept).as_secs() < pause) {
            return;
        }
        self.swept = Some(now);
        self.accepted.retain(|_, accepted| {
            accepted.back().is_some_and(|last| now.duration_since(*last) < WINDOW)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::{MAX_KEYS, Windows};
    use std::time::{Duration, Instant};

    #[test]
    fn no_window_of_sixty_seconds_has_more_than_the_limit() {
        let mut windows = Windows::default();
        let start = Instant::now();
        let mut accepted = Vec::new();
        // Bursts placed to cheat a fixed window: late in one minute, early in the next.
        for millisecond in (0..180_000_u64).filter(|at| at % 60_000 > 55_000 || at % 60_000 < 2_000)
        {
            let now = start + Duration::from_millis(millisecond);
            if windows.take("a", 100, now).accepted {
                accepted.push(millisecond);
            }
        }
        assert!(accepted.len() >= 200, "{} were accepted", accepted.len());
        for first in &accepted {
            let within = accepted.iter().filter(|at| (*first..first + 60_000).contains(at)).count();
            assert!(within <= 100, "{within} within the minute from {first} ms");
        }
    }

    #[test]
    fn remaining_and_reset_tell_the_truth() {
        let mut windows = Windows::default();
        let start = Instant::now();
        let mut take = |seconds| windows.take("a", 2, start + Duration::from_secs(seconds));
        // (at second, accepted, remaining, seconds to the reset)
        for (at, accepted, remaining, reset) in [
            (0, true, 1, 60),
            (10, true, 0, 50),
            (20, false, 0, 40),
            (59, false, 0, 1),
            (60, true, 0, 10),
        ] {
            let quota = take(at);
            let seen = (quota.accepted, quota.remaining, quota.reset.as_secs());
            assert_eq!(seen, (accepted, remaining, reset), "at {at} s");
        }
    }

    #[test]
    fn keys_do_not_share_and_idle_ones_are_forgotten() {
        let mut windows = Windows::default();
        let start = Instant::now();
        assert!(windows.take("a", 1, start).accepted);
        assert!(windows.take("b", 1, start).accepted);
        assert!(!windows.take("a", 1, start).accepted);
        for number in 0..MAX_KEYS * 2 {
            windows.take(&number.to_string(), 1, start);
        }
        assert!(windows.accepted.len() <= MAX_KEYS + 1);
        windows.take("c", 1, start + Duration::from_secs(61));
        assert_eq!(windows.accepted.len(), 1);
    }
}
