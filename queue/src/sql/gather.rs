//! Calls that put in few jobs each share transactions: while one is being written, the next ones
//! gather, so that a burst pays for a handful of commits instead of one each.
//!
//! A call that finds nobody writing goes at once, by itself. Each call stays all or none and gets
//! its own answer; one that fails for a reason of its own fails alone. Calls for one lane are
//! written one transaction after another, so the lane keeps their order, and calls for different
//! lanes never share one: who holds a lane's lock holds up nobody else.

use super::{COLLISIONS, Record, retry_collisions};
use crate::Error;
use crate::job::{Enqueued, NewJob};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A call with more jobs fills a transaction by itself.
const MOST_OF_A_CALL: usize = 100;
/// Jobs and bytes of one gathered transaction.
const MOST_JOBS: usize = 500;
const MOST_BYTES: usize = 1 << 20;
/// Transactions without a lane at once on PostgreSQL: one commits while others are being filled.
const POSTGRES_WRITERS: usize = 2;
/// A gathered transaction that waits longer for somebody's lock is given up, so that only the
/// call that needs the lock goes on to wait for it.
const PATIENCE: Duration = Duration::from_secs(2);

type Answer = Result<Vec<Enqueued>, Error>;

/// Who writes with whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Group {
    Plain,
    Lane(String),
}

/// A call that waits to be written.
struct Call {
    jobs: Vec<NewJob>,
    answer: oneshot::Sender<Answer>,
}

/// Calls of one group; it is there as long as somebody writes.
#[derive(Default)]
struct Queue {
    writers: usize,
    waiting: VecDeque<Call>,
}

/// What waits to be written in this process.
#[derive(Default)]
pub(crate) struct Gather {
    queues: Mutex<HashMap<Group, Queue>>,
}

/// The right to write for a group, passed on to whoever waits when its owner ends early.
struct Turn {
    record: Record,
    group: Group,
    over: bool,
}

impl Gather {
    /// Lets the caller write, if it may at once; else its jobs wait for whoever writes.
    fn enter(
        &self,
        group: &Group,
        most: usize,
        jobs: &[NewJob],
    ) -> Option<oneshot::Receiver<Answer>> {
        let mut queues = self.lock();
        let queue = queues.entry(group.clone()).or_default();
        if queue.writers < most {
            queue.writers += 1;
            return None;
        }
        let (answer, receiver) = oneshot::channel();
        queue.waiting.push_back(Call { jobs: jobs.to_vec(), answer });
        Some(receiver)
    }

    /// Takes what fits into one transaction, oldest first; if nothing waits, the writer is no
    /// longer counted.
    fn take_or_leave(&self, group: &Group) -> Vec<Call> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(group) else { return Vec::new() };
        let mut calls = Vec::new();
        let (mut jobs, mut bytes) = (0, 0);
        while let Some(call) = queue.waiting.pop_front() {
            // Nobody waits for it any more, and nothing of it has happened.
            if call.answer.is_closed() {
                continue;
            }
            jobs += call.jobs.len();
            bytes += call.jobs.iter().map(|job| job.payload.len()).sum::<usize>();
            if !calls.is_empty() && (jobs > MOST_JOBS || bytes > MOST_BYTES) {
                queue.waiting.push_front(call);
                break;
            }
            calls.push(call);
        }
        if calls.is_empty() {
            queue.writers -= 1;
            if queue.writers == 0 {
                queues.remove(group);
            }
        }
        calls
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Group, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    fn next(&mut self) -> Vec<Call> {
        let calls = self.record.gather.take_or_leave(&self.group);
        self.over = calls.is_empty();
        calls
    }

    /// Writes what waits, transaction after transaction, until nothing does.
    async fn write(mut self, mut calls: Vec<Call>) {
        while !calls.is_empty() {
            self.record.write_together(&self.group, calls).await;
            // Whoever was just answered may have more: let it join the next transaction.
            tokio::task::yield_now().await;
            calls = self.next();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        while !self.over {
            let calls = self.next();
            // Without a runtime nobody is left to wait: the calls are dropped.
            if let Ok(runtime) = tokio::runtime::Handle::try_current()
                && !self.over
            {
                let (record, group) = (self.record.clone(), self.group.clone());
                runtime.spawn(Self { record, group, over: false }.write(calls));
                self.over = true;
            }
        }
    }
}

impl Record {
    /// Puts jobs in, together with other calls if there are any.
    pub(super) async fn enqueue_gathered(&self, jobs: &[NewJob]) -> Answer {
        super::limits::check(jobs, self.max_payload_bytes)?;
        let Some(group) = group(jobs) else { return self.enqueue_alone(jobs).await };
        let is_parallel = group == Group::Plain && self.db.postgres().is_some();
        let most = if is_parallel { POSTGRES_WRITERS } else { 1 };
        let Some(answer) = self.gather.enter(&group, most, jobs) else {
            let _turn = Turn { record: self.clone(), group, over: false };
            return self.enqueue_alone(jobs).await;
        };
        match answer.await {
            Ok(answer) => answer,
            // The writer is gone without a word: if it wrote, the ids are known already.
            Err(_) => self.enqueue_alone(jobs).await,
        }
    }

    /// One transaction for one call.
    async fn enqueue_alone(&self, jobs: &[NewJob]) -> Answer {
        retry_collisions!(async {
            if let Some(sql) = self.in_one(jobs) {
                return self.insert_in_one(sql, jobs).await;
            }
            let mut tx = self.db.begin().await?;
            let enqueued = self.insert(&mut tx, jobs).await?;
            tx.commit().await?;
            Ok(enqueued)
        })
    }

    /// One transaction for many calls; if it cannot be, one for each.
    async fn write_together(&self, group: &Group, mut calls: Vec<Call>) {
        let mut jobs = Vec::new();
        let sizes: Vec<usize> = calls.iter().map(|call| call.jobs.len()).collect();
        for call in &mut calls {
            jobs.append(&mut call.jobs);
        }
        let error = match self.try_together(&jobs).await {
            Ok(Some(mut enqueued)) => {
                for (call, size) in calls.into_iter().zip(sizes) {
                    let rest = enqueued.split_off(size.min(enqueued.len()));
                    let _ = call.answer.send(Ok(std::mem::replace(&mut enqueued, rest)));
                }
                return;
            }
            Ok(None) => None,
            Err(error) => Some(error),
        };
        for (mut call, size) in calls.into_iter().zip(sizes) {
            if let Some(Error::Db(error)) = &error
                && let Some(outage) = error.outage()
            {
                let _ = call.answer.send(Err(Error::Db(outage)));
                continue;
            }
            // Somebody's lock, or one call that the store refuses: the others need not suffer.
            let rest = jobs.split_off(size);
            call.jobs = std::mem::replace(&mut jobs, rest);
            let write = self.clone().answer(call);
            match group {
                Group::Plain => drop(tokio::spawn(write)),
                Group::Lane(_) => write.await,
            }
        }
    }

    async fn try_together(&self, jobs: &[NewJob]) -> Result<Option<Vec<Enqueued>>, Error> {
        if let Some(sql) = self.in_one(jobs) {
            return self.insert_in_one(sql, jobs).await.map(Some);
        }
        let mut tx = self.db.begin().await?;
        let inserted = tokio::time::timeout(PATIENCE, self.insert(&mut tx, jobs)).await;
        let Ok(enqueued) = inserted else { return Ok(None) };
        let enqueued = enqueued?;
        // Never given up half way: it would be unknown whether it has happened.
        tx.commit().await?;
        Ok(Some(enqueued))
    }

    async fn answer(self, call: Call) {
        let answer = self.enqueue_alone(&call.jobs).await;
        let _ = call.answer.send(answer);
    }
}

/// With whom a call may be written; `None` if it is better off alone.
fn group(jobs: &[NewJob]) -> Option<Group> {
    let first = jobs.first()?;
    if jobs.iter().any(|job| job.lane != first.lane) {
        return None;
    }
    match &first.lane {
        Some(lane) => Some(Group::Lane(lane.clone())),
        None => (jobs.len() <= MOST_OF_A_CALL).then_some(Group::Plain),
    }
}
