//! One job that does whatever a test wants, instead of a zoo of test jobs.
//!
//! A [`Script`] is a list of [`Step`]s. Each execution goes on where the last one stopped, up to
//! and including a step that ends an attempt; after the last step it succeeds. What happened is
//! kept in this process under the script's id.

use jobs::{Context, Failure, Job, RetryPolicy, Unique};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::watch;
use uuid::Uuid;

/// A test waits this long for something to happen; a busy machine is slow, not wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// One thing that an execution does.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Step {
    /// Ends with success.
    Succeed,
    /// Ends with success and this result.
    SucceedWith(String),
    /// Commits success and this result in a transaction of its own, then ends.
    FinishIn(String),
    /// Ends with a failure that is tried again.
    Transient(String),
    /// Ends with a failure that is tried again after so many milliseconds.
    RetryAfter(u64),
    /// Ends with a failure that is not tried again.
    Permanent(String),
    /// Ends: not yet, come back in so many milliseconds.
    Snooze(u64),
    /// Ends with a panic.
    Panic(String),
    /// Stands still until [`Script::release`]; ends, failed, if the attempt is cancelled first.
    Hold,
    /// Stands still until [`Script::release`], deaf to cancellation.
    HoldDeaf,
    /// Stands still for so many milliseconds, deaf to cancellation.
    Sleep(u64),
    /// Stands still until the attempt is cancelled, then goes on.
    AwaitCancel,
    /// Stands still until the worker shuts down, then goes on.
    AwaitDrain,
    /// Ends: hands the job back.
    Release,
    /// Shows progress: parts done, parts in all.
    Progress(u64, u64),
    /// Keeps this checkpoint.
    Checkpoint(u64),
    /// Logs this text.
    Log(String),
    /// Logs so many lines: `line 1`, `line 2` …
    LogLines(usize),
    /// Does this step once: its effect is [`Script::effects`], its result how many there are.
    Once(String),
    /// Keeps a thread busy for so many milliseconds without ever waiting.
    Block(u64),
}

/// A job that follows its steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// Under which executions are recorded and holds released.
    pub id: Uuid,
    pub steps: Vec<Step>,
    #[serde(default)]
    pub lane: Option<String>,
    #[serde(default)]
    pub unique: Option<String>,
}

/// One execution.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    pub attempt: u32,
    pub token: i64,
    pub began: Instant,
    /// `None` while it runs, and for ever if it was dropped half way.
    pub ended: Option<Instant>,
    /// Whether it saw its cancellation.
    pub cancelled: bool,
    /// The checkpoint it was given.
    pub resumed: Option<u64>,
}

#[derive(Debug, Default)]
struct Record {
    position: usize,
    executions: Vec<Execution>,
    effects: Vec<String>,
    holding: usize,
    released: usize,
}

static RECORDS: LazyLock<Mutex<HashMap<Uuid, watch::Sender<Record>>>> =
    LazyLock::new(Mutex::default);

fn record(id: Uuid) -> watch::Sender<Record> {
    RECORDS
        .lock()
        .unwrap()
        .entry(id)
        .or_insert_with(|| watch::Sender::new(Record::default()))
        .clone()
}

impl Script {
    /// A script with an id of its own.
    pub fn new(steps: impl Into<Vec<Step>>) -> Self {
        Self { id: Uuid::now_v7(), steps: steps.into(), lane: None, unique: None }
    }

    /// The same in a lane.
    #[must_use]
    pub fn in_lane(mut self, lane: &str) -> Self {
        self.lane = Some(lane.to_owned());
        self
    }

    /// What has happened so far, in the order of beginning.
    pub fn executions(&self) -> Vec<Execution> {
        record(self.id).borrow().executions.clone()
    }

    /// The keys that [`Step::Once`] was given, each time it had its effect.
    pub fn effects(&self) -> Vec<String> {
        record(self.id).borrow().effects.clone()
    }

    /// Lets one hold pass: the one that stands still, or the next.
    pub fn release(&self) {
        record(self.id).send_modify(|record| record.released += 1);
    }

    /// Waits until an execution stands still in a hold.
    pub async fn until_holding(&self) {
        self.until("holds", |record| record.holding > record.released).await;
    }

    /// Waits until so many executions have begun.
    pub async fn until_begun(&self, count: usize) {
        self.until("began", |record| record.executions.len() >= count).await;
    }

    /// Waits until so many executions have ended.
    pub async fn until_ended(&self, count: usize) {
        let ended =
            |record: &Record| record.executions.iter().filter(|e| e.ended.is_some()).count();
        self.until("ended", |record| ended(record) >= count).await;
    }

    async fn until(&self, what: &str, mut is_so: impl FnMut(&Record) -> bool) {
        let mut records = record(self.id).subscribe();
        let so = tokio::time::timeout(PATIENCE, records.wait_for(|record| is_so(record))).await;
        let so = so.map(|seen| seen.is_ok());
        assert_eq!(so, Ok(true), "not {what} within {PATIENCE:?}: {:?}", self.executions());
    }
}

impl Job for Script {
    const KIND: &'static str = "script";
    const QUEUE: &'static str = "script";
    const MAX_ATTEMPTS: u32 = 5;
    const RETRY: RetryPolicy =
        RetryPolicy::new(Duration::from_millis(10), Duration::from_millis(50));
    const TIMEOUT: Duration = Duration::from_secs(5);
    const CANCEL_GRACE: Duration = Duration::from_millis(1_500);

    fn unique(&self) -> Unique {
        self.unique.clone().map_or(Unique::No, Unique::WhileAlive)
    }

    fn lane(&self) -> Option<String> {
        self.lane.clone()
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let record = record(self.id);
        let mut number = 0;
        record.send_modify(|record| {
            number = record.executions.len();
            record.executions.push(Execution {
                attempt: cx.job.attempt,
                token: cx.job.ticket.token,
                began: Instant::now(),
                ended: None,
                cancelled: false,
                resumed: cx.resume(),
            });
        });
        let result = loop {
            let mut position = 0;
            record.send_modify(|record| {
                position = record.position;
                record.position += 1;
            });
            let step = self.steps.get(position).cloned().unwrap_or(Step::Succeed);
            if let Some(result) = perform(step, cx, &record).await {
                break result;
            }
        };
        record.send_modify(|record| {
            record.executions[number].ended = Some(Instant::now());
            record.executions[number].cancelled = cx.cancelled.is_cancelled();
        });
        result
    }
}

/// `Some` if the step ends the attempt.
async fn perform(
    step: Step,
    cx: &Context,
    record: &watch::Sender<Record>,
) -> Option<Result<(), Failure>> {
    match step {
        Step::Succeed => Some(Ok(())),
        Step::SucceedWith(result) => {
            cx.set_result(&result);
            Some(Ok(()))
        }
        Step::FinishIn(result) => Some(finish_in(cx, &result).await),
        Step::Transient(error) => Some(Err(Failure::transient(error))),
        Step::RetryAfter(ms) => {
            Some(Err(Failure::RetryAfter(Duration::from_millis(ms), "as scripted".into())))
        }
        Step::Permanent(error) => Some(Err(Failure::permanent(error))),
        Step::Snooze(ms) => Some(Err(Failure::Snooze(Duration::from_millis(ms)))),
        Step::Panic(message) => panic!("{message}"),
        Step::Hold => tokio::select! {
            () = hold(record) => None,
            () = cx.cancelled.cancelled() => Some(Err(Failure::transient("cancelled"))),
        },
        Step::AwaitCancel => {
            cx.cancelled.cancelled().await;
            None
        }
        Step::AwaitDrain => {
            cx.draining.cancelled().await;
            None
        }
        Step::Release => Some(Err(Failure::Release)),
        Step::Progress(done, total) => cx.progress(done, total).await.err().map(Err),
        Step::Checkpoint(state) => cx.checkpoint(&state).await.err().map(Err),
        Step::Log(text) => {
            cx.log(text);
            None
        }
        Step::LogLines(count) => {
            (1..=count).for_each(|number| cx.log(format!("line {number}")));
            None
        }
        Step::Once(step) => once(&step, cx, record).await.err().map(Err),
        Step::HoldDeaf => {
            hold(record).await;
            None
        }
        Step::Sleep(ms) => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            None
        }
        Step::Block(ms) => {
            std::thread::sleep(Duration::from_millis(ms));
            None
        }
    }
}

/// Stands still. Dropped half way (cancelled, timed out), it is over as if it had been released.
async fn hold(record: &watch::Sender<Record>) {
    struct Holding<'a>(&'a watch::Sender<Record>, usize);
    impl Drop for Holding<'_> {
        fn drop(&mut self) {
            self.0.send_modify(|record| record.released = record.released.max(self.1));
        }
    }
    let mut holding = Holding(record, 0);
    record.send_modify(|record| {
        record.holding += 1;
        holding.1 = record.holding;
    });
    let mut records = record.subscribe();
    let released = records.wait_for(|record| record.released >= holding.1).await;
    released.map(drop).expect("the sender is in hand");
}

async fn once(step: &str, cx: &Context, record: &watch::Sender<Record>) -> Result<usize, Failure> {
    cx.once(step, |key| async {
        let mut count = 0;
        record.send_modify(|record| {
            record.effects.push(key);
            count = record.effects.len();
        });
        Ok(count)
    })
    .await
}

async fn finish_in(cx: &Context, result: &str) -> Result<(), Failure> {
    let mut tx = cx.db().begin().await?;
    cx.hold_in(&mut tx, None).await?;
    cx.finish_in(&mut tx, None, &result).await?;
    tx.commit().await?;
    Ok(())
}
