//! Kind → how to parse it, run it and retry it.

use crate::{Context, Failure, Job, RetryPolicy};
use db::Db;
use futures::future::{BoxFuture, FutureExt};
use queue::{Hold, NewJob};
use serde_path_to_error::Track;
use std::collections::BTreeMap;
use std::time::Duration;

/// A parsed job, ready to run once.
pub type Runnable =
    Box<dyn for<'a> FnOnce(&'a Context) -> BoxFuture<'a, Result<(), Failure>> + Send>;

/// What holds up the jobs of a kind, if anything does.
type Held<'a> = BoxFuture<'a, Result<Option<Hold>, db::Error>>;

/// What is known about one kind.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    /// Its stored name.
    pub name: &'static str,
    /// Where its jobs wait.
    pub queue: &'static str,
    /// The newest payload version it reads.
    pub version: i64,
    /// How long to wait between attempts.
    pub retry: RetryPolicy,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How long a cancelled attempt may take to stop by itself.
    pub cancel_grace: Duration,
    parse: fn(&str) -> Result<Runnable, serde_json::Error>,
    new: fn(&str) -> Result<NewJob, Malformed>,
    held: for<'a> fn(&'a Db) -> Held<'a>,
}

/// What is wrong with a payload, and where: `lignes[2].prix: invalid type …`.
pub type Malformed = serde_path_to_error::Error<serde_json::Error>;

impl Kind {
    fn of<J: Job>() -> Self {
        Self {
            name: J::KIND,
            queue: J::QUEUE,
            version: J::VERSION,
            retry: J::RETRY,
            timeout: J::TIMEOUT,
            cancel_grace: J::CANCEL_GRACE,
            parse: |payload| {
                let job: J = serde_json::from_str(payload)?;
                Ok(Box::new(move |cx| job.run(cx).boxed()))
            },
            new: |payload| {
                let mut reader = serde_json::Deserializer::from_str(payload);
                let job: J = serde_path_to_error::deserialize(&mut reader)?;
                let rest = |error| Malformed::new(Track::new().path(), error);
                reader.end().map_err(rest)?;
                Ok(job.into_new())
            },
            held: |db| J::held(db).boxed(),
        }
    }

    /// Reads a stored payload.
    pub fn parse(&self, payload: &str) -> Result<Runnable, serde_json::Error> {
        (self.parse)(payload)
    }

    /// Checks a payload from outside and makes a job of it.
    pub fn new_job(&self, payload: &str) -> Result<NewJob, Malformed> {
        (self.new)(payload)
    }

    /// What holds up its jobs just now, if anything does.
    pub async fn held(&self, db: &Db) -> Result<Option<Hold>, db::Error> {
        (self.held)(db).await
    }
}

/// No kind has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no job of kind `{0}`")]
pub struct UnknownKind(pub String);

/// Every kind this process knows.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    kinds: BTreeMap<&'static str, Kind>,
}

impl Catalog {
    /// The kinds of `kinds.rs`.
    pub fn standard() -> Self {
        crate::kinds::register(Self::default())
    }

    /// Adds a kind.
    ///
    /// # Panics
    /// If another kind has the same name: the process must not start.
    #[must_use]
    pub fn with<J: Job>(mut self) -> Self {
        let earlier = self.kinds.insert(J::KIND, Kind::of::<J>());
        assert!(earlier.is_none(), "two kinds are named `{}`", J::KIND);
        self
    }

    /// The kind of that name.
    pub fn get(&self, name: &str) -> Result<&Kind, UnknownKind> {
        self.kinds.get(name).ok_or_else(|| UnknownKind(name.to_owned()))
    }

    /// All kinds, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values()
    }
}
