//! Nanoseconds that processes of one machine can compare.

use rustix::time::{ClockId, clock_gettime};

/// `CLOCK_MONOTONIC`, the same in every process.
pub(super) fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    part(now.tv_sec) * 1_000_000_000 + part(now.tv_nsec)
}
