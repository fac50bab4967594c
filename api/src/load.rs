//! Whether a queue takes more (D-18): refused while its jobs wait too long already.

use crate::State;
use crate::error::ApiError;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// The figures are at most so old.
const AGE: Duration = Duration::from_secs(1);
/// A handful of old jobs is no overload: the lane of one shop may have stood still for hours.
const CROWD: u64 = 20;

/// How long each queue is, read once a second at the most.
#[derive(Default)]
pub(crate) struct Load {
    figures: Mutex<Arc<HashMap<String, Figures>>>,
    /// When they were last read; held while they are.
    read: tokio::sync::Mutex<Option<Instant>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Figures {
    ready: u64,
    oldest: Duration,
}

/// Refuses a job of the generic API for `queue` while its oldest ready job has waited too long.
pub(crate) async fn check(state: &State, queue: &str) -> Result<(), ApiError> {
    let Some(max) = state.settings.max_queue_age else { return Ok(()) };
    match figures(state, queue).await.oldest <= max {
        true => Ok(()),
        false => Err(ApiError::Overloaded { queue: queue.to_owned() }),
    }
}

/// Refuses a request of a contract while the jobs that wait in `queue` are too many, or more than
/// a few and too old.
pub(crate) async fn admit(state: &State, queue: &str) -> Result<(), ApiError> {
    let (age, depth) = (state.settings.contract_queue_age, state.settings.contract_queue_depth);
    if age.is_none() && depth.is_none() {
        return Ok(());
    }
    let found = figures(state, queue).await;
    let too_old = age.is_some_and(|age| found.ready >= CROWD && found.oldest > age);
    if too_old || depth.is_some_and(|depth| found.ready >= depth) {
        return Err(ApiError::Overloaded { queue: queue.to_owned() });
    }
    Ok(())
}

/// Read by one request, while others go by what is known. Figures that cannot be read refuse
/// nothing.
async fn figures(state: &State, queue: &str) -> Figures {
    let Load { figures, read } = &*state.load;
    if let Ok(mut at) = read.try_lock()
        && at.is_none_or(|at| at.elapsed() >= AGE)
    {
        let fresh = match timeout(state.settings.store_timeout, state.engine.stats()).await {
            Ok(Ok(stats)) => stats,
            failed => {
                tracing::warn!(?failed, "the queues' figures could not be read");
                Vec::new()
            }
        };
        let fresh = fresh.into_iter().map(|stats| {
            let oldest = stats.oldest_ready.unwrap_or_default();
            (stats.queue, Figures { ready: stats.ready, oldest })
        });
        *figures.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh.collect());
        *at = Some(Instant::now());
    }
    let known = Arc::clone(&figures.lock().unwrap_or_else(PoisonError::into_inner));
    known.get(queue).copied().unwrap_or_default()
}
