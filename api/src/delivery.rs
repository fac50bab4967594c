//! Knowing that an answer left whole (D-12): the callback that travels with an answer, the body
//! that carries it to the wire, and the marks it leaves in the record.

mod notes;

pub(crate) use notes::{Notes, delivery};

use crate::wire::Wire;
use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use std::collections::{BTreeSet, HashMap};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;

type Callback = Box<dyn FnOnce() + Send>;

/// What to do when an answer has left whole; dropped unfired if it does not. A handler puts it
/// into the extensions of its answer.
#[derive(Clone)]
pub(crate) struct Delivery(Arc<Mutex<Option<Callback>>>);

impl Delivery {
    pub(crate) fn new(callback: impl FnOnce() + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::new(callback)))))
    }

    /// Runs the callback, the first time.
    pub(crate) fn fire(&self) {
        let callback = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(callback) = callback {
            callback();
        }
    }
}

/// An answer's body that tells its connection when it ends, and whether every byte was taken.
pub(crate) struct Sent {
    body: Body,
    wire: Wire,
    delivery: Option<Delivery>,
}

impl Sent {
    pub(crate) fn new(body: Body, wire: Wire, delivery: Option<Delivery>) -> Self {
        Self { body, wire, delivery }
    }
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx));
        let whole = match &frame {
            None => true,
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => {
                self.delivery = None;
                false
            }
        };
        if whole && let Some(delivery) = self.delivery.take() {
            self.wire.end(Some(delivery));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Sent {
    fn drop(&mut self) {
        self.wire.end(None);
    }
}

/// Deliveries of this process that may have happened but are not in the record yet, per lane. A
/// client that has its answer may send the same sale again at once and must be told so.
#[derive(Clone, Default)]
pub(crate) struct Marks {
    shared: Arc<Shared>,
}

struct Shared {
    lanes: Mutex<Lanes>,
    changed: watch::Sender<()>,
}

#[derive(Default)]
struct Lanes {
    next: u64,
    pending: HashMap<String, BTreeSet<u64>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self { lanes: Mutex::default(), changed: watch::Sender::new(()) }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One delivery that is not in the record yet; dropped when it is, or when it never happened.
pub(crate) struct Mark {
    shared: Arc<Shared>,
    lane: String,
    number: u64,
}

impl Marks {
    /// Notes a delivery before its first byte leaves, so that no answer to it can come earlier.
    pub(crate) fn begin(&self, lane: &str) -> Mark {
        let mut lanes = self.shared.lock();
        lanes.next += 1;
        let number = lanes.next;
        lanes.pending.entry(lane.to_owned()).or_default().insert(number);
        Mark { shared: Arc::clone(&self.shared), lane: lane.to_owned(), number }
    }

    /// Waits until every delivery of `lane` that is pending now is settled, at most `patience`.
    pub(crate) async fn settled(&self, lane: &str, patience: Duration) {
        let last = self.shared.lock().next;
        let mut changed = self.shared.changed.subscribe();
        let is_settled = || {
            let lanes = self.shared.lock();
            let first = lanes.pending.get(lane).and_then(|pending| pending.first());
            first.is_none_or(|first| *first > last)
        };
        let wait = async {
            while !is_settled() {
                if changed.changed().await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(patience, wait).await.is_err() {
            tracing::debug!(lane, "gave up waiting for a delivery to be recorded");
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        let mut lanes = self.shared.lock();
        if let Some(pending) = lanes.pending.get_mut(&self.lane) {
            pending.remove(&self.number);
            if pending.is_empty() {
                lanes.pending.remove(&self.lane);
            }
        }
        drop(lanes);
        self.shared.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::Marks;
    use std::time::Duration;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_lane_waits_for_its_own_earlier_marks_and_not_for_ever() {
        let marks = Marks::default();
        let patience = Duration::from_secs(1);
        let mark = marks.begin("a");
        let began = Instant::now();
        marks.settled("b", patience).await;
        assert_eq!(began.elapsed(), Duration::ZERO, "another lane does not wait");
        marks.settled("a", patience).await;
        assert_eq!(began.elapsed(), patience, "patience ends");
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            drop(mark);
        });
        let began = Instant::now();
        let later = marks.clone();
        let (_, _later) = tokio::join!(marks.settled("a", patience), async { later.begin("a") });
        assert_eq!(began.elapsed(), Duration::from_millis(300), "a later mark is not waited for");
    }
}
