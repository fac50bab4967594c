//! The roles of one process: started together, stopped together.
//!
//! A role that ends before it was asked to stops the others, and its reason ends the process.

use std::collections::HashMap;
use std::error::Error;
use std::future::Future;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

type Source = Box<dyn Error + Send + Sync>;

/// Why the process cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Ended {
    #[error("the {0} ended without being asked to")]
    Early(&'static str),
    #[error("the {0} failed")]
    Failed(&'static str, #[source] Source),
    #[error("the {0} panicked")]
    Panicked(&'static str, #[source] JoinError),
}

/// Roles that run until the token is cancelled.
pub(crate) struct Crew {
    roles: JoinSet<Result<(), Source>>,
    names: HashMap<Id, &'static str>,
    shutdown: CancellationToken,
}

impl Crew {
    pub(crate) fn new(shutdown: CancellationToken) -> Self {
        Self { roles: JoinSet::new(), names: HashMap::new(), shutdown }
    }

    /// Starts a role.
    pub(crate) fn start<E: Into<Source>>(
        &mut self,
        name: &'static str,
        role: impl Future<Output = Result<(), E>> + Send + 'static,
    ) {
        let task = self.roles.spawn(async { role.await.map_err(Into::into) });
        self.names.insert(task.id(), name);
        tracing::info!(role = name, "started");
    }

    /// Waits until every role has ended; the first reason counts.
    pub(crate) async fn wait(mut self) -> Result<(), Ended> {
        let mut result = Ok(());
        while let Some(ended) = self.roles.join_next_with_id().await {
            let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
            let name = self.names.get(&id).copied().unwrap_or_default();
            let this = match ended {
                Ok((_, Ok(()))) if self.shutdown.is_cancelled() => Ok(()),
                Ok((_, Ok(()))) => Err(Ended::Early(name)),
                Ok((_, Err(source))) => Err(Ended::Failed(name, source)),
                Err(panic) => Err(Ended::Panicked(name, panic)),
            };
            match &this {
                Ok(()) => tracing::info!(role = name, "stopped"),
                // The first reason is the caller's to tell; a later one would be lost.
                Err(_) if result.is_ok() => {}
                Err(error) => tracing::error!(
                    role = name,
                    cause = error.source().map(tracing::field::display),
                    "{error}"
                ),
            }
            self.shutdown.cancel();
            result = result.and(this);
        }
        result
    }
}
