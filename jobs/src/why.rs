//! Why a job does not run: what its queue knows, and what its kind does.

use crate::Catalog;
use queue::{Blocker, Engine, Error, Hold, JobRow, State};
use uuid::Uuid;

/// What a job waits for; `None` if there is no such job.
pub async fn why(
    engine: &dyn Engine,
    catalog: &Catalog,
    id: Uuid,
) -> Result<Option<queue::Why>, Error> {
    let Some(mut why) = engine.why(id).await? else { return Ok(None) };
    let waits = matches!(why.row.state, State::Scheduled | State::Ready);
    if let Ok(kind) = catalog.get(&why.row.kind)
        && waits
        && let Some(hold) = kind.held(engine.db()).await?
    {
        add(&mut why.blockers, hold, &why.row);
    }
    Ok(Some(why))
}

/// A job that has looked already waits for the hold, not for a time that somebody chose; one that
/// was put in for later than its end, for that alone.
fn add(blockers: &mut Vec<Blocker>, hold: Hold, row: &JobRow) {
    let has_looked = row.started_at.is_some();
    if !has_looked && row.run_at > hold.until {
        return;
    }
    blockers.retain(|blocker| !(has_looked && matches!(blocker, Blocker::Schedule { .. })));
    let is_harder =
        |blocker: &&Blocker| matches!(blocker, Blocker::Paused(_) | Blocker::LaneHead { .. });
    let place = blockers.iter().take_while(is_harder).count();
    blockers.insert(place, Blocker::Held(hold));
}
