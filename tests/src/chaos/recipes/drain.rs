//! SIGTERM interrupts nothing that ends in time, takes nothing new, and hands the rest back
//! without spending an attempt (G-20, G-21).

use crate::chaos::Run;
use crate::chaos::client::put;
use crate::chaos::clock::now_ms;
use crate::chaos::effects::{self, Execution};
use crate::chaos::kind::Chaos;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use db::{Sql, args};
use std::time::Duration;

/// A busy machine is slow, not wrong.
const SLACK: Duration = Duration::from_millis(1_500);
/// A claim that was on its way at the signal may still begin; none after this.
const ON_ITS_WAY_MS: i64 = 250;
/// Jobs that wait behind those of the first worker.
const BEHIND: usize = 20;

static SPENT: Sql =
    Sql::both("SELECT count(*) AS jobs FROM jobs WHERE kind = 'chaos' AND attempt <> 1");

fn jobs(name: &str, count: usize, work_ms: u64) -> Vec<Chaos> {
    let job = |number| Chaos::new(format!("{name}-{number}"), work_ms);
    (0..count).map(job).collect()
}

fn of_worker(site: &Site, number: usize) -> Vec<Execution> {
    let name = &site.workers[number].name;
    effects::read(&site.dir).into_iter().filter(|run| run.worker == *name).collect()
}

pub(super) async fn drain(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    let count = run.jobs(40, 200);
    let (longest, more) = if run.full { (20_000, 8_000) } else { (3_000, 8_000) };

    // In time: all end, and what waits behind them stays where it is.
    let in_time = site.start_worker(&Hands::of(count));
    put(&site.engine, &site.ledger, &jobs("in-time", count, longest)).await;
    let all_begun = site.until_begun(count).await;
    put(&site.engine, &site.ledger, &jobs("behind", BEHIND, 0)).await;
    let (took, code, late) = terminate(&mut site, in_time, Duration::from_secs(60)).await;
    let interrupted = of_worker(&site, in_time).iter().filter(|run| run.ended.is_none()).count();

    // Too late: at the deadline the rest is handed back and runs elsewhere at once.
    let grace = Duration::from_secs(1);
    let hands = Hands { grace, ..Hands::of(count + BEHIND) };
    let too_late = site.start_worker(&hands);
    put(&site.engine, &site.ledger, &jobs("too-late", count, more)).await;
    // Those behind have begun too, sooner or later: they do not count for these.
    let begun_late = site.until_begun(count + BEHIND + count).await;
    let other = site.start_worker(&Hands::of(count + BEHIND));
    let (late_took, late_code, _) = terminate(&mut site, too_late, Duration::from_secs(60)).await;
    let released = of_worker(&site, too_late).iter().filter(|run| run.ended.is_none()).count();

    let mut report = Report::of(name, &run, &site).await;
    let handover = handover(&site, too_late, other);
    let row = site.db.read_one(&SPENT, args![]).await.expect("the record answers");
    let spent: i64 = row.expect("a count").get("jobs").expect("a count");
    report.require(all_begun && begun_late, "not all jobs began within a minute");
    report.require((code, late_code) == (Some(0), Some(0)), format!("exit {code:?} {late_code:?}"));
    report.require(interrupted == 0, format!("interrupted={interrupted}"));
    report.require(late == 0, format!("{late} jobs began after SIGTERM"));
    let most = Duration::from_millis(longest) + SLACK;
    report.require_in_time(took <= most, format!("the drain took {took:?}"));
    // A deaf handler gets a second to notice.
    let most = grace + Duration::from_secs(1) + SLACK;
    report.require_in_time(
        late_took <= most,
        format!("the drain at the deadline took {late_took:?}"),
    );
    report.require(released == count, format!("released={released} of {count}"));
    report.require(spent == 0, format!("{spent} jobs spent an attempt"));
    report.require_in_time(handover <= 2_500, format!("a released job waited {handover} ms"));
    report.note("drained", count);
    report.note("interrupted", interrupted);
    report.note("begun_after_term", late);
    report.note("drain", format!("{:.1}s", took.as_secs_f64()));
    report.note("released", released);
    report.note("handover", format!("{handover}ms"));
    site.close().await;
    report
}

/// How long until it ended, how, and how many jobs it began after the signal.
async fn terminate(
    site: &mut Site,
    number: usize,
    patience: Duration,
) -> (Duration, Option<i32>, usize) {
    let (start, at) = (std::time::Instant::now(), now_ms());
    site.workers[number].process.terminate();
    let status = site.workers[number].process.wait(patience).await;
    let late = of_worker(site, number).iter().filter(|run| run.began > at + ON_ITS_WAY_MS).count();
    (start.elapsed(), status.and_then(|status| status.code()), late)
}

/// Milliseconds from the end of the grace time, which is when jobs are handed back at the
/// earliest, until the last of them has begun elsewhere.
fn handover(site: &Site, from: usize, to: usize) -> i64 {
    let left = of_worker(site, from);
    let taken = of_worker(site, to);
    let again = |job| taken.iter().filter(|run| run.job == job).map(|run| run.began).min();
    let first = left.iter().filter(|run| run.ended.is_none()).filter_map(|run| again(run.job));
    let times: Vec<i64> = first.collect();
    let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) else { return 0 };
    last - first
}
