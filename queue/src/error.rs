//! What an engine can answer instead of doing what it was asked.

/// A refused or failed queue operation.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller no longer holds the job: somebody else may be running it. Abandon the attempt.
    #[error("the lease of job {0} was lost")]
    LeaseLost(uuid::Uuid),
    /// The job is larger than an engine takes.
    #[error("the payload has {size_bytes} bytes, {max_bytes} are allowed")]
    PayloadTooLarge {
        /// Bytes of the payload.
        size_bytes: usize,
        /// Bytes allowed.
        max_bytes: usize,
    },
    /// The call asks for more than is allowed: says what, where, and what is allowed.
    #[error("{0}")]
    Invalid(String),
    /// The settings name no deployment.
    #[error("{0}")]
    Settings(String),
    /// Redis does not answer. The record still does: only readiness says this.
    #[error("{0}")]
    Unreachable(String),
    /// The record failed.
    #[error(transparent)]
    Db(#[from] db::Error),
}

impl Error {
    /// Whether the same call may succeed later without anybody changing it.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Db(error) if error.is_transient())
    }
}
