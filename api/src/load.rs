//! Whether a queue takes more (D-18): refused while its oldest ready job has waited too long.

use crate::State;
use crate::error::ApiError;
use std::collections::HashMap;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;
use tokio::time::timeout;

/// The figures are at most so old.
const AGE: Duration = Duration::from_secs(1);

/// How long the oldest ready job of each queue has waited, read once a second at the most.
#[derive(Default)]
pub(crate) struct Load(Mutex<Figures>);

#[derive(Default)]
struct Figures {
    at: Option<Instant>,
    oldest: HashMap<String, Duration>,
}

/// Refuses a job for `queue` if that is overloaded. Figures that cannot be read refuse nothing.
pub(crate) async fn check(state: &State, queue: &str) -> Result<(), ApiError> {
    let Some(max) = state.settings.max_queue_age else { return Ok(()) };
    let mut figures = state.load.0.lock().await;
    if figures.at.is_none_or(|at| at.elapsed() >= AGE) {
        match timeout(state.settings.store_timeout, state.engine.stats()).await {
            Ok(Ok(stats)) => {
                let age = |queue: queue::QueueStats| Some((queue.queue, queue.oldest_ready?));
                figures.oldest = stats.into_iter().filter_map(age).collect();
            }
            failed => {
                tracing::warn!(?failed, "the queues' figures could not be read");
                figures.oldest.clear();
            }
        }
        figures.at = Some(Instant::now());
    }
    if figures.oldest.get(queue).is_none_or(|oldest| *oldest <= max) {
        return Ok(());
    }
    // Not all at the same moment: whoever is refused comes back within the next five seconds.
    let jitter = u64::from(uuid::Uuid::new_v4().as_bytes()[0]) % 5;
    let retry_after = Duration::from_secs(1 + jitter);
    Err(ApiError::Overloaded { queue: queue.to_owned(), retry_after })
}
