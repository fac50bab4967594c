//! Compares what was accepted with what was done.

use super::client::Known;
use super::clock::now_ms;
use super::effects::{self, End, Execution};
use super::site::Site;
use db::{Sql, args};
use queue::State;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

static JOBS: Sql = Sql::both("SELECT id, state, token, error FROM jobs WHERE kind = 'chaos'");
static EFFECTS: Sql =
    Sql::both("SELECT natural_key, job_id, token, lane, position FROM chaos_effects ORDER BY seq");
static CLAIMS: Sql = Sql::both(
    "SELECT job_id, token, started_at FROM attempts \
     WHERE outcome = 'crash' AND started_at IS NOT NULL",
);

/// The figures of a run; all but the last group must be zero.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    /// Accepted, and neither done with its effect nor dead.
    pub(super) lost: u64,
    /// Done, and never asked for.
    pub(super) phantom: u64,
    /// Effects beyond the first under one key.
    pub(super) dup_effect: u64,
    /// Effects of a holder that had lost the job.
    pub(super) zombie: u64,
    /// Effects of a lane out of order.
    pub(super) inversions: u64,
    /// Executions of one job that ran at the same time and both committed.
    pub(super) overlap: u64,
    /// Dead, and not because its process was killed three times.
    pub(super) dead: u64,
    /// One key, two ids.
    pub(super) contradicted: u64,
    /// Tried again before its time.
    pub(super) early: u64,

    pub(super) accepted: u64,
    pub(super) unknown: u64,
    pub(super) reruns: u64,
    pub(super) refused: u64,
    pub(super) quarantined: u64,
    /// From a kill to the next claim of a job that the victim held, at the longest.
    pub(super) orphan_ms: i64,
}

struct Job {
    state: State,
    token: i64,
    quarantined: bool,
}

struct Effect {
    key: String,
    job: Uuid,
    token: i64,
    lane: Option<String>,
    position: i64,
}

pub(super) async fn judge(site: &Site) -> Verdict {
    let known = site.ledger.known();
    let (jobs, effects) = (jobs(site).await, effects_of(site).await);
    let executions = effects::read(&site.dir);
    let mut verdict = Verdict {
        accepted: known.accepted.len() as u64,
        unknown: known.unknown,
        contradicted: known.contradicted,
        ..Verdict::default()
    };
    count_jobs(&mut verdict, &known, &jobs, &effects);
    count_effects(&mut verdict, &known, &jobs, &effects);
    count_executions(&mut verdict, &effects, &executions);
    verdict.early = early(&known, &executions);
    verdict.orphan_ms = orphan(site, &effects, &executions).await;
    verdict
}

async fn jobs(site: &Site) -> HashMap<Uuid, Job> {
    let rows = site.db.read(&JOBS, args![]).await.expect("the record answers after the run");
    let job = |row: &db::Row| -> Result<(Uuid, Job), db::Error> {
        let state: String = row.get("state")?;
        let error: Option<String> = row.get("error")?;
        let quarantined = error.is_some_and(|error| error.starts_with("quarantined"));
        let state = State::parse(&state).expect("a state");
        Ok((row.get("id")?, Job { state, token: row.get("token")?, quarantined }))
    };
    rows.iter().map(|row| job(row).expect("the columns are there")).collect()
}

async fn effects_of(site: &Site) -> Vec<Effect> {
    let rows = site.db.read(&EFFECTS, args![]).await.expect("the record answers after the run");
    let effect = |row: &db::Row| -> Result<Effect, db::Error> {
        Ok(Effect {
            key: row.get("natural_key")?,
            job: row.get("job_id")?,
            token: row.get("token")?,
            lane: row.get("lane")?,
            position: row.get("position")?,
        })
    };
    rows.iter().map(|row| effect(row).expect("the columns are there")).collect()
}

fn count_jobs(verdict: &mut Verdict, known: &Known, jobs: &HashMap<Uuid, Job>, effects: &[Effect]) {
    let with_effect: HashSet<Uuid> = effects.iter().map(|effect| effect.job).collect();
    for (id, job) in known.accepted.values() {
        let is_kept = jobs.get(id).is_some_and(|row| match row.state {
            State::Done => job.plain || with_effect.contains(id),
            state => state.is_final(),
        });
        verdict.lost += u64::from(!is_kept);
    }
    for (id, job) in jobs {
        verdict.phantom += u64::from(!known.sent.contains(id));
        if job.state == State::Dead {
            *(if job.quarantined { &mut verdict.quarantined } else { &mut verdict.dead }) += 1;
        }
    }
}

fn count_effects(
    verdict: &mut Verdict,
    known: &Known,
    jobs: &HashMap<Uuid, Job>,
    effects: &[Effect],
) {
    let mut seen = HashSet::new();
    let mut lanes: HashMap<&str, i64> = HashMap::new();
    for effect in effects {
        verdict.dup_effect += u64::from(!seen.insert(&effect.key));
        verdict.phantom += u64::from(!known.sent.contains(&effect.job));
        let newest = jobs.get(&effect.job).map_or(i64::MAX, |job| job.token);
        verdict.zombie += u64::from(effect.token < newest);
        if let Some(lane) = &effect.lane {
            let last = lanes.entry(lane).or_default();
            verdict.inversions += u64::from(effect.position < *last);
            *last = effect.position.max(*last);
        }
    }
}

fn count_executions(verdict: &mut Verdict, effects: &[Effect], executions: &[Execution]) {
    let committed: HashSet<(Uuid, i64)> = effects.iter().map(|e| (e.job, e.token)).collect();
    let mut by_job: HashMap<Uuid, Vec<&Execution>> = HashMap::new();
    for execution in executions {
        by_job.entry(execution.job).or_default().push(execution);
    }
    for runs in by_job.values() {
        for (number, run) in runs.iter().enumerate() {
            let asked = matches!(run.ended, Some((_, End::Retry | End::Failed)));
            verdict.reruns += u64::from(number + 1 < runs.len() && !asked);
            verdict.refused += u64::from(matches!(run.ended, Some((_, End::Refused))));
            let others = runs[number + 1..].iter().filter(|other| {
                let is_open = run.ended.is_none_or(|(ended, _)| other.began < ended - 20);
                let both = [run, **other].map(|e| committed.contains(&(e.job, e.token)));
                is_open && both == [true, true]
            });
            verdict.overlap += others.count() as u64;
        }
    }
}

/// Beginnings that came more than a second before the delay was over that the last end asked for.
/// The end of a former holder, who asked in vain, comes after the next beginning.
fn early(known: &Known, executions: &[Execution]) -> u64 {
    let delays: HashMap<Uuid, i64> =
        known.accepted.values().map(|(id, job)| (*id, job.retry_ms as i64)).collect();
    let mut last: HashMap<Uuid, &Execution> = HashMap::new();
    let mut early = 0;
    for run in executions {
        let before = last.insert(run.job, run).and_then(|before| before.ended);
        let (Some((ended, End::Retry)), Some(delay)) = (before, delays.get(&run.job)) else {
            continue;
        };
        early += u64::from(ended <= run.began && run.began < ended + delay - 1_000);
    }
    early
}

/// Who held it and was killed before the handler began has left only its claim.
async fn orphan(site: &Site, effects: &[Effect], executions: &[Execution]) -> i64 {
    let committed: HashSet<(Uuid, i64)> = effects.iter().map(|e| (e.job, e.token)).collect();
    let claims = crashed_claims(site).await;
    let mut longest = 0;
    for (name, at) in &site.killed {
        let held = executions.iter().filter(|run| {
            run.worker == *name && run.ended.is_none() && !committed.contains(&(run.job, run.token))
        });
        for orphan in held {
            let begun = executions.iter().filter(|run| run.job == orphan.job && run.began > *at);
            let claimed = claims.get(&orphan.job).into_iter().flatten();
            let claimed = claimed.filter(|(token, _)| *token > orphan.token).map(|(_, at)| *at);
            let again = begun.map(|run| run.began).chain(claimed).min();
            longest = longest.max(again.map_or(0, |again| again - at));
        }
    }
    longest
}

/// Token and time, as [`now_ms`] counts, of claims that were lost.
async fn crashed_claims(site: &Site) -> HashMap<Uuid, Vec<(i64, i64)>> {
    let offset = queue::clock::now().timestamp_millis() - now_ms();
    let mut claims: HashMap<Uuid, Vec<(i64, i64)>> = HashMap::new();
    let rows = site.db.read(&CLAIMS, args![]).await.expect("the record answers after the run");
    for row in rows {
        let at: chrono::DateTime<chrono::Utc> = row.get("started_at").expect("a time");
        let claim = (row.get("token").expect("a token"), at.timestamp_millis() - offset);
        claims.entry(row.get("job_id").expect("an id")).or_default().push(claim);
    }
    claims
}
