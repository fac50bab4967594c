//! Acts on one job or on many: found first, asked about, then done in steps.

use super::{Ended, actor, usage};
use crate::cli::jobs::{Bulk, Manner};
use crate::escape::escaped;
use crate::terminal::{self, Bar};
use queue::{Act, Acted, Engine, Filter, Page, State};
use serde_json::json;
use uuid::Uuid;

/// Jobs of one call; the bar moves after each.
const STEP: usize = 200;
/// Refusals that are told one by one.
const TOLD: usize = 20;

/// Which jobs, and how.
pub(super) struct Wish<'a> {
    pub(super) ids: &'a [Uuid],
    pub(super) state: Option<State>,
    pub(super) narrow: &'a crate::cli::filter::Narrow,
    pub(super) manner: &'a Manner,
}

impl<'a> From<&'a Bulk> for Wish<'a> {
    fn from(bulk: &'a Bulk) -> Self {
        Self { ids: &bulk.ids, state: bulk.state, narrow: &bulk.narrow, manner: &bulk.manner }
    }
}

/// What became of them.
#[derive(Default)]
struct Counts {
    done: usize,
    requested: usize,
    absent: usize,
    refused: Vec<(Uuid, String)>,
}

pub(super) async fn run(
    engine: &dyn Engine,
    act: Act,
    wish: Wish<'_>,
    json: bool,
) -> anyhow::Result<Ended> {
    let narrowed = wish.state.is_some() || !wish.narrow.is_empty();
    let (ids, more) = match (wish.ids, narrowed) {
        ([], false) => return usage("say which jobs: ids, or flags such as --state and --kind"),
        ([_, ..], true) => return usage("say which jobs by ids or by flags, not both"),
        ([_, ..], false) => (wish.ids.to_vec(), false),
        ([], true) => find(engine, act, &wish).await?,
    };
    let manner = wish.manner;
    let is_bulk = wish.ids.is_empty();
    if ids.is_empty() || manner.dry_run {
        let text = format!("{} would be {}", jobs(ids.len(), more), participle(act));
        report(json, ids.len(), more, manner.dry_run, &Counts::default(), &text)?;
        return Ok(if ids.is_empty() { Ended::Badly } else { Ended::Well });
    }
    if is_bulk && !manner.yes {
        let question = format!("{} will be {}", jobs(ids.len(), more), participle(act));
        match terminal::confirm(&question) {
            Some(true) => {}
            Some(false) => return usage("nothing was done"),
            None => return usage(&format!("{question}: say --yes, or --dry-run to only count")),
        }
    }
    let by = actor(manner.reason.as_deref());
    let mut counts = Counts::default();
    let mut bar = Bar::new(participle(act), ids.len());
    for step in ids.chunks(STEP) {
        let acted = engine.act(step, act, &by).await?;
        counts.add(step, acted);
        bar.advance(step.len());
    }
    drop(bar);
    report(json, ids.len(), more, false, &counts, &counts.sentence(act))?;
    Ok(counts.ended())
}

/// Ids of the jobs meant, and whether there may be more.
async fn find(engine: &dyn Engine, act: Act, wish: &Wish<'_>) -> anyhow::Result<(Vec<Uuid>, bool)> {
    let limit = usize::try_from(wish.manner.limit).unwrap_or(usize::MAX);
    let now = queue::clock::now();
    let mut ids = Vec::new();
    for state in State::ALL.into_iter().filter(|state| match wish.state {
        Some(wanted) => *state == wanted,
        None => allows(act, *state),
    }) {
        let filter: Filter = wish.narrow.filter(Some(state), now);
        let mut before = None;
        loop {
            if ids.len() >= limit {
                return Ok((ids, true));
            }
            let page = Page { limit: (limit - ids.len()).min(1_000), before };
            let found = engine.find(&filter, &page).await?;
            ids.extend(found.ids);
            before = found.next;
            if before.is_none() {
                break;
            }
        }
    }
    Ok((ids, false))
}

/// Whether the act is possible in this state. Retrying what only waits for its time has to be
/// said.
fn allows(act: Act, state: State) -> bool {
    match act {
        Act::Cancel => !state.is_final(),
        Act::Retry => matches!(state, State::Dead | State::Cancelled | State::Expired),
        Act::Delete => state.is_final(),
    }
}

impl Counts {
    fn add(&mut self, ids: &[Uuid], acted: Vec<Acted>) {
        for (id, acted) in ids.iter().zip(acted) {
            match acted {
                Acted::Done => self.done += 1,
                Acted::Requested => self.requested += 1,
                Acted::NotFound => self.absent += 1,
                Acted::Refused(why) => self.refused.push((*id, why)),
            }
        }
    }

    fn sentence(&self, act: Act) -> String {
        let mut parts = vec![format!("{} {}", self.done, participle(act))];
        for (count, text) in [
            (self.requested, "asked to stop"),
            (self.refused.len(), "refused"),
            (self.absent, "not found"),
        ] {
            if count > 0 {
                parts.push(format!("{count} {text}"));
            }
        }
        parts.join(", ")
    }

    fn ended(&self) -> Ended {
        match (self.refused.is_empty(), self.done + self.requested) {
            (false, _) => Ended::Refused,
            (true, 0) => Ended::Badly,
            (true, _) => Ended::Well,
        }
    }
}

fn report(
    json: bool,
    matched: usize,
    more: bool,
    dry_run: bool,
    counts: &Counts,
    text: &str,
) -> anyhow::Result<()> {
    let told = counts.refused.iter().take(TOLD);
    if json {
        let refusals: Vec<_> = told.map(|(id, why)| json!({"id": id, "why": why})).collect();
        let shown = json!({
            "matched": matched, "more": more, "dry_run": dry_run, "done": counts.done,
            "requested": counts.requested, "refused": counts.refused.len(),
            "not_found": counts.absent, "refusals": refusals,
        });
        return Ok(terminal::print(&shown.to_string())?);
    }
    for (id, why) in told {
        terminal::note(&format!("{id}: {}", escaped(why)));
    }
    Ok(terminal::print(text)?)
}

fn jobs(count: usize, more: bool) -> String {
    let behind = if more { "; there are more, see --limit" } else { "" };
    match count {
        0 => "no job".to_owned(),
        1 => format!("1 job{behind}"),
        count => format!("{count} jobs{behind}"),
    }
}

fn participle(act: Act) -> &'static str {
    match act {
        Act::Cancel => "cancelled",
        Act::Retry => "put back",
        Act::Delete => "deleted",
    }
}
