//! Recording deliveries (D-12): while some are being recorded, the next ones gather.

use super::{Delivery, Mark};
use crate::State;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::sleep;
use uuid::Uuid;

/// Pauses between attempts to record deliveries. A mark that is lost costs one repeated report,
/// never a sale.
const RETRIES_MS: [u64; 4] = [50, 250, 1000, 2000];

/// Deliveries of this process that wait to be recorded.
#[derive(Clone, Default)]
pub(crate) struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    waiting: Vec<(Uuid, Mark)>,
    is_written: bool,
}

/// The duty to record what waits.
struct Turn {
    notes: Notes,
    over: bool,
}

impl Notes {
    /// Adds a delivery; whoever finds nobody writing has to.
    fn add(&self, id: Uuid, mark: Mark) -> Option<Turn> {
        let mut noted = self.lock();
        noted.waiting.push((id, mark));
        let is_first = !std::mem::replace(&mut noted.is_written, true);
        is_first.then(|| Turn { notes: self.clone(), over: false })
    }

    fn lock(&self) -> MutexGuard<'_, Noted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// What waits; nothing ends the turn.
    fn next(&mut self) -> Vec<(Uuid, Mark)> {
        let mut noted = self.notes.lock();
        self.over = noted.waiting.is_empty();
        noted.is_written = !self.over;
        std::mem::take(&mut noted.waiting)
    }

    async fn write(mut self, state: &State) {
        loop {
            let notes = self.next();
            if notes.is_empty() {
                return;
            }
            let ids: Vec<Uuid> = notes.iter().map(|(id, _mark)| *id).collect();
            for pause in RETRIES_MS.map(Duration::from_millis) {
                let Err(error) = state.engine.delivered(&ids).await else { break };
                tracing::warn!(?ids, %error, "deliveries could not be recorded");
                sleep(pause).await;
            }
        }
    }
}

impl Drop for Turn {
    /// Ended early: the next delivery begins anew.
    fn drop(&mut self) {
        if !self.over {
            self.notes.lock().is_written = false;
        }
    }
}

/// Records, once the answer has left whole, that it did. Until then requests of `lane` wait.
pub(crate) fn delivery(state: &State, lane: &str, id: Uuid) -> Delivery {
    let mark = state.marks.begin(lane);
    let state = state.clone();
    Delivery::new(move || {
        if let Some(turn) = state.notes.add(id, mark) {
            let marking = state.marking.clone();
            marking.spawn(async move { turn.write(&state).await });
        }
    })
}
