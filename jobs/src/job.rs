//! A kind of work.

use crate::{Context, Failure, RetryPolicy};
use db::Db;
use queue::{Hold, NewJob, Unique};
use serde::{Serialize, de::DeserializeOwned};
use std::future::Future;
use std::time::Duration;

/// A kind of work: a plain struct that says what to do, and `run`, which does it.
///
/// Every job runs at least once, so every kind is safe to run twice and says why. A payload only
/// ever gains optional fields; anything else is a new kind.
pub trait Job: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Verb and object, as the file is named: `send_email`. Stored: changing it is a migration.
    const KIND: &'static str;
    /// The resource it protects: `records`, `nas`, `sheets`, `notices`. Stored.
    const QUEUE: &'static str;
    /// Version of the payload's shape.
    const VERSION: i64 = 1;
    /// Attempts before the job is dead.
    const MAX_ATTEMPTS: u32 = 20;
    /// How long to wait between attempts.
    const RETRY: RetryPolicy = RetryPolicy::STANDARD;
    /// How long one attempt may take.
    const TIMEOUT: Duration = Duration::from_secs(60);
    /// How long a cancelled attempt may take to notice ([`Context::cancelled`]) and to clear up,
    /// before it is dropped.
    const CANCEL_GRACE: Duration = Duration::from_secs(10);
    /// 0 (first) to 9.
    const PRIORITY: u8 = 5;

    /// Whether an equal job makes this one superfluous.
    fn unique(&self) -> Unique {
        Unique::No
    }

    /// Jobs of one lane run one after another, in the order they were accepted.
    fn lane(&self) -> Option<String> {
        None
    }

    /// Names and values by which an administrator finds the job: a document's id, an invoice's
    /// number. At most 16, each at most 256 bytes.
    fn attributes(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What holds up every job of this kind just now, though its queue runs: something that all of
    /// them need. People who ask what a job waits for are told; the jobs find it out themselves.
    fn held(_db: &Db) -> impl Future<Output = Result<Option<Hold>, db::Error>> + Send {
        async { Ok(None) }
    }

    /// Does the work. On `Ok` the job is done, unless [`Context::finish_in`] has recorded that
    /// already together with the effects.
    fn run(self, cx: &Context) -> impl Future<Output = Result<(), Failure>> + Send;

    /// The job as an engine takes it.
    fn into_new(self) -> NewJob {
        let payload = serde_json::to_string(&self).expect("a job payload is plain data");
        NewJob {
            version: Self::VERSION,
            priority: Self::PRIORITY,
            max_attempts: Self::MAX_ATTEMPTS,
            lane: self.lane(),
            unique: self.unique(),
            attributes: self
                .attributes()
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            ..NewJob::new(Self::KIND, Self::QUEUE, payload)
        }
    }
}
