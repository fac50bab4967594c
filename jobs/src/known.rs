//! Which names of queues and kinds mean something: a pause of any other would be a slip of the pen.

use crate::Catalog;
use queue::{Engine, Error, PauseScope};

impl Catalog {
    /// Whether a queue or kind of that name is in the catalog, was ever used, is served by a
    /// worker, or is paused.
    pub async fn knows(
        &self,
        engine: &dyn Engine,
        scope: PauseScope,
        name: &str,
    ) -> Result<bool, Error> {
        let is_ours = self.iter().any(|kind| match scope {
            PauseScope::Queue => kind.queue == name,
            PauseScope::Kind => kind.name == name,
        });
        if is_ours {
            return Ok(true);
        }
        if scope == PauseScope::Queue && engine.stats().await?.iter().any(|q| q.queue == name) {
            return Ok(true);
        }
        if engine.workers().await?.iter().any(|worker| match scope {
            PauseScope::Queue => worker.queues.iter().any(|(queue, _)| queue == name),
            PauseScope::Kind => worker.kinds.iter().any(|(kind, _)| kind == name),
        }) {
            return Ok(true);
        }
        let pauses = engine.pauses().await?;
        Ok(pauses.iter().any(|pause| pause.scope == scope && pause.name == name))
    }
}
