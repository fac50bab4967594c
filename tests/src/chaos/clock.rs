//! Time that all processes of this machine share and nobody can set: since it was started.
//!
//! libfaketime does not touch it, a frozen process does not stop it. Good to 10 ms, like its file.

use std::sync::LazyLock;
use std::time::Instant;

/// Milliseconds since the machine started.
pub(super) fn now_ms() -> i64 {
    static ANCHOR: LazyLock<(Instant, f64)> = LazyLock::new(|| {
        let text = std::fs::read_to_string("/proc/uptime").expect("Linux has /proc/uptime");
        let seconds = text.split(' ').next().and_then(|word| word.parse().ok());
        (Instant::now(), seconds.expect("it begins with seconds"))
    });
    let seconds = ANCHOR.1 + ANCHOR.0.elapsed().as_secs_f64();
    (seconds * 1_000.0) as i64
}
