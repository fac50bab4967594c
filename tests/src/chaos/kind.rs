//! The one kind of the harness: works for a while, then records its effect and its end together.

use super::effects::{self, End};
use db::{Sql, args};
use jobs::{Context, Failure, Job, RetryPolicy, Unique};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// $1 key, $2 job, $3 token, $4 lane, $5 position. No unique key: a double must show.
static EFFECT: Sql = Sql::both(
    "INSERT INTO chaos_effects (natural_key, job_id, token, lane, position) \
     VALUES ($1, $2, $3, $4, $5)",
);

/// A piece of work. Deaf to cancellation: only the store can stop a late one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Chaos {
    /// What the effect is about; an equal one is superfluous.
    pub(super) key: String,
    pub(super) lane: Option<String>,
    /// Place in the lane, as the client meant it.
    pub(super) position: i64,
    pub(super) work_ms: u64,
    /// So many attempts fail at first, and are tried again after `retry_ms`.
    pub(super) failures: u32,
    pub(super) retry_ms: u64,
    /// No effect and no key: for storms.
    pub(super) plain: bool,
    /// Kills the process that runs it.
    pub(super) aborts: bool,
}

impl Job for Chaos {
    const KIND: &'static str = "chaos";
    const QUEUE: &'static str = "chaos";
    const MAX_ATTEMPTS: u32 = 100;
    const RETRY: RetryPolicy =
        RetryPolicy::new(Duration::from_millis(50), Duration::from_millis(500));
    const TIMEOUT: Duration = Duration::from_secs(600);

    fn unique(&self) -> Unique {
        if self.plain { Unique::No } else { Unique::Ever(self.key.clone()) }
    }

    fn lane(&self) -> Option<String> {
        self.lane.clone()
    }

    async fn run(self, cx: &Context) -> Result<(), Failure> {
        let ticket = cx.job.ticket;
        effects::begin(ticket.id, ticket.token);
        let result = self.work(cx).await;
        let end = match &result {
            Ok(()) => End::Done,
            Err(Failure::LeaseLost) => End::Refused,
            Err(Failure::RetryAfter(..)) => End::Retry,
            Err(_) => End::Failed,
        };
        effects::end(ticket.id, ticket.token, end);
        result
    }
}

impl Chaos {
    /// Works so long, then has its effect.
    pub(super) fn new(key: String, work_ms: u64) -> Self {
        Self {
            key,
            lane: None,
            position: 0,
            work_ms,
            failures: 0,
            retry_ms: 0,
            plain: false,
            aborts: false,
        }
    }

    async fn work(&self, cx: &Context) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(self.work_ms)).await;
        if self.aborts {
            std::process::abort();
        }
        if cx.job.attempt <= self.failures {
            let after = Duration::from_millis(self.retry_ms);
            return Err(Failure::RetryAfter(after, "as told".into()));
        }
        if self.plain {
            return Ok(());
        }
        let ticket = cx.job.ticket;
        let mut tx = cx.db().begin().await?;
        cx.hold_in(&mut tx, None).await?;
        let lane = self.lane.clone();
        let values = args![&self.key, ticket.id, ticket.token, lane, self.position];
        tx.execute(&EFFECT, values).await?;
        cx.finish_in(&mut tx, None, &ticket.token).await?;
        tx.commit().await?;
        Ok(())
    }
}
