//! The sliding window that all API processes share through Redis, by Redis' own clock.

use super::{Quota, WINDOW};
use redis::aio::ConnectionManager;
use redis::{RedisError, Script};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// A limiter must not slow down what it protects.
const PATIENCE: Duration = Duration::from_millis(150);
/// After a failure Redis is left alone for so long.
const REST: Duration = Duration::from_secs(1);

pub(super) struct SharedWindows {
    connection: ConnectionManager,
    prefix: String,
    script: Script,
    rests_until: Mutex<Option<Instant>>,
}

impl SharedWindows {
    pub(super) fn new(connection: ConnectionManager, prefix: &str) -> Self {
        let script = Script::new(include_str!("sliding_window.lua"));
        Self { connection, prefix: prefix.to_owned(), script, rests_until: Mutex::new(None) }
    }

    /// `None` if Redis does not answer in time, or has not just now.
    pub(super) async fn take(&self, key: &str, limit: u32) -> Option<Quota> {
        if self.rests().is_some_and(|until| Instant::now() < until) {
            return None;
        }
        let error = match tokio::time::timeout(PATIENCE, self.ask(key, limit)).await {
            Ok(Ok(quota)) => return Some(quota),
            Ok(Err(error)) => error.to_string(),
            Err(late) => late.to_string(),
        };
        tracing::warn!(error, "the shared limiter does not answer: counting in this process");
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Instant::now() + REST);
        None
    }

    async fn ask(&self, key: &str, limit: u32) -> Result<Quota, RedisError> {
        let mut connection = self.connection.clone();
        let mut call = self.script.key(format!("{}{key}", self.prefix));
        call.arg(limit)
            .arg(WINDOW.as_micros().to_string())
            .arg(Uuid::new_v4().simple().to_string());
        let (accepted, count, reset): (u8, u32, u64) = call.invoke_async(&mut connection).await?;
        Ok(Quota {
            accepted: accepted == 1,
            limit,
            remaining: limit.saturating_sub(count),
            reset: Duration::from_micros(reset),
        })
    }

    fn rests(&self) -> Option<Instant> {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
