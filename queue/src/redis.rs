//! Redis in front of PostgreSQL: an index of ready jobs and a doorbell.
//!
//! Nothing here is the truth. Per queue one sorted set holds ids of ready jobs in claiming order;
//! an id that is missing is found again by the record's upkeep, an id too many is refused by the
//! row. So Redis may be killed, emptied or replaced by a stale replica at any moment.

mod keys;
mod link;

use crate::Error;
use crate::bell::postgres::Notifier;
use crate::bell::{Bell, Carrier, Entry, Gathered, Message};
use async_trait::async_trait;
use futures::StreamExt;
use link::Link;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Ids per command: no command may keep Redis busy for long.
const STEP: usize = 1_000;
/// An index that knows nothing is filled from the record this often at the most.
const FILL_EVERY: Duration = Duration::from_millis(200);
/// The first ready jobs are shown to the index this often, whatever it knows: ids that were popped
/// by a process that died, or lost with a stale replica, are always among the first.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// The index and the way to ring other processes.
#[derive(Clone)]
pub(crate) struct Index {
    link: Arc<Link>,
    keys: keys::Keys,
    filled: Arc<Mutex<HashMap<String, Instant>>>,
    /// Queues that this process claims from, and when it last showed their first jobs.
    swept: Arc<Mutex<HashMap<String, Option<Instant>>>>,
    id: Uuid,
    /// Rings while Redis does not.
    instead: Notifier,
}

/// Redis did not answer in time, or refused.
#[derive(Debug, thiserror::Error)]
#[error("redis: {0}")]
pub(crate) struct Unreachable(pub(crate) String);

/// Starts to ring other processes and to hear them; while Redis does not answer, `instead` rings.
pub(crate) fn start(
    bell: &Arc<Bell>,
    url: &str,
    prefix: &str,
    instead: Notifier,
) -> Result<Index, Error> {
    let link = Link::new(url).map_err(Error::Settings)?;
    let keys = keys::Keys::new(prefix);
    let index = Index {
        link: Arc::new(link),
        keys,
        filled: Arc::default(),
        swept: Arc::default(),
        id: bell.id,
        instead,
    };
    bell.start(Box::new(index.clone()));
    tokio::spawn(listen(Arc::downgrade(bell), index.clone()));
    Ok(index)
}

impl Index {
    /// Takes the ids that come first; whoever got them must claim their rows.
    pub(crate) async fn pop(&self, queue: &str, limit: usize) -> Result<Vec<Uuid>, Unreachable> {
        lock(&self.swept).entry(queue.to_owned()).or_default();
        let mut pipe = redis::pipe();
        pipe.cmd("ZPOPMIN").arg(self.keys.ready(queue)).arg(limit.min(STEP));
        let (popped,): (Vec<(Vec<u8>, f64)>,) = self.link.run(&pipe).await?;
        Ok(popped.iter().filter_map(|(id, _)| Uuid::from_slice(id).ok()).collect())
    }

    /// Adds ready jobs; those that are there stay.
    pub(crate) async fn add(&self, queue: &str, entries: &[Entry]) -> Result<(), Unreachable> {
        for step in entries.chunks(STEP) {
            let mut pipe = redis::pipe();
            self.add_to(&mut pipe, queue, step);
            self.link.run::<()>(&pipe).await?;
        }
        Ok(())
    }

    fn add_to(&self, pipe: &mut redis::Pipeline, queue: &str, entries: &[Entry]) {
        let command = pipe.cmd("ZADD").arg(self.keys.ready(queue));
        for entry in entries {
            command.arg(entry.rank).arg(entry.id.as_bytes());
        }
        command.ignore();
    }

    /// Whether it is time to compare an index that knows nothing with the record.
    pub(crate) fn may_fill(&self, queue: &str) -> bool {
        let mut filled = lock(&self.filled);
        let now = Instant::now();
        let due = filled.get(queue).is_none_or(|last| now.duration_since(*last) >= FILL_EVERY);
        if due {
            filled.insert(queue.to_owned(), now);
        }
        due
    }

    /// Queues that this process claims from and whose first jobs are to be shown again; at once by
    /// a new process, since processes that are killed often would never come to it.
    pub(crate) fn take_sweeps(&self) -> Vec<String> {
        let now = Instant::now();
        let mut swept = lock(&self.swept);
        let is_due = |last: &Instant| now.duration_since(*last) >= SWEEP_EVERY;
        let due = swept.iter_mut().filter(|(_, last)| last.as_ref().is_none_or(is_due));
        due.map(|(queue, last)| {
            *last = Some(now);
            queue.clone()
        })
        .collect()
    }

    /// Index first, then ring, few jobs in one round trip: whoever hears finds the jobs there.
    async fn publish(&self, gathered: &Gathered) -> Result<(), String> {
        let mut pipe = redis::pipe();
        let mut waiting = 0;
        for (queue, entries) in &gathered.ready {
            for step in entries.chunks(STEP) {
                if waiting + step.len() > STEP {
                    self.link.run::<()>(&pipe).await.map_err(|error| error.to_string())?;
                    (pipe, waiting) = (redis::pipe(), 0);
                }
                self.add_to(&mut pipe, queue, step);
                waiting += step.len();
            }
        }
        for message in gathered.messages(self.id, STEP) {
            let text = serde_json::to_string(&message).map_err(|error| error.to_string())?;
            pipe.cmd("PUBLISH").arg(self.keys.bell()).arg(text).ignore();
        }
        self.link.run::<()>(&pipe).await.map_err(|error| error.to_string())
    }

    pub(crate) async fn ping(&self) -> Result<(), Error> {
        let mut pipe = redis::pipe();
        pipe.cmd("PING").ignore();
        self.link.run::<()>(&pipe).await.map_err(|error| Error::Unreachable(error.to_string()))
    }
}

#[async_trait]
impl Carrier for Index {
    async fn carry(&self, gathered: &Gathered) -> Result<(), String> {
        let Err(error) = self.publish(gathered).await else { return Ok(()) };
        self.instead.carry(gathered).await.map_err(|also| format!("{error}; {also}"))
    }

    fn before_local(&self) -> bool {
        true
    }
}

/// Hears until the bell is gone; every (re)connection counts as a ring for everybody.
async fn listen(bell: Weak<Bell>, index: Index) {
    while bell.strong_count() > 0 {
        if let Ok(mut heard) = index.link.subscribe(&index.keys.bell()).await {
            if let Some(bell) = bell.upgrade() {
                bell.hear_everything();
            }
            while let Some(text) = next(&bell, &mut heard).await {
                if let (Some(bell), Ok(message)) =
                    (bell.upgrade(), serde_json::from_str::<Message>(&text))
                {
                    bell.hear(&message);
                }
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The next message; none when the connection has ended or the bell is gone.
async fn next(bell: &Weak<Bell>, heard: &mut link::Messages) -> Option<String> {
    loop {
        match tokio::time::timeout(Duration::from_secs(5), heard.next()).await {
            Ok(message) => return message,
            Err(_) if bell.strong_count() == 0 => return None,
            Err(_) => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
