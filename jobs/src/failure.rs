//! What should happen next when a job does not succeed: an instruction, not a diagnosis.

use std::error::Error;
use std::time::Duration;

type Source = Box<dyn Error + Send + Sync>;

/// Why an attempt ended without success, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Try again after the kind's back-off; spends an attempt.
    #[error("{0}")]
    Transient(#[source] Source),
    /// Try again after exactly this long; spends an attempt.
    #[error("{1}")]
    RetryAfter(Duration, #[source] Source),
    /// Never try again: the job is dead and kept.
    #[error("{0}")]
    Permanent(#[source] Source),
    /// Not yet: come back after this long; spends no attempt.
    #[error("not yet")]
    Snooze(Duration),
    /// Hand the job back as it is, because the worker shuts down ([`Context::draining`]); spends
    /// no attempt, keeps the checkpoint.
    ///
    /// [`Context::draining`]: crate::Context::draining
    #[error("handed back")]
    Release,
    /// Somebody else holds the job now: drop everything, record nothing.
    #[error("the lease was lost")]
    LeaseLost,
}

impl Failure {
    /// A failure that may pass by itself.
    pub fn transient(source: impl Into<Source>) -> Self {
        Self::Transient(source.into())
    }

    /// A failure that will not.
    pub fn permanent(source: impl Into<Source>) -> Self {
        Self::Permanent(source.into())
    }
}

impl From<db::Error> for Failure {
    fn from(error: db::Error) -> Self {
        Self::Transient(Box::new(error))
    }
}

impl From<queue::Error> for Failure {
    fn from(error: queue::Error) -> Self {
        match error {
            queue::Error::LeaseLost(_) => Self::LeaseLost,
            refused @ (queue::Error::PayloadTooLarge { .. } | queue::Error::Invalid(_)) => {
                Self::Permanent(Box::new(refused))
            }
            other => Self::Transient(Box::new(other)),
        }
    }
}
