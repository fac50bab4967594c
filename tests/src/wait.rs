//! Waiting for what must happen, by asking until it has. For what nothing rings for: other
//! processes' logs, rows that they write, servers that come back.

use std::time::{Duration, Instant};

/// A test waits this long for something that must happen; a busy machine is slow, not wrong.
pub const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// Asks again and again until the answer is yes; panics with `what` after [`PATIENCE`].
pub async fn until(what: &str, ask: impl AsyncFnMut() -> bool) {
    assert!(within(PATIENCE, ask).await, "not within {PATIENCE:?}: {what}");
}

/// Asks again and again; whether the answer was yes in time.
pub async fn within(patience: Duration, mut ask: impl AsyncFnMut() -> bool) -> bool {
    let start = Instant::now();
    while !ask().await {
        if start.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(LOOK).await;
    }
    true
}
