//! Five scheduler processes, of which one after the other is killed: each tick is one line of the
//! ledger and one job, and without kills none is late (G-9).

use crate::app::Process;
use crate::chaos::Run;
use crate::chaos::report::Report;
use crate::chaos::site::Site;
use chrono::TimeDelta;
use db::{Sql, args};
use queue::schedule::{Definition, Overlap, TickRow};
use queue::schedules;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

/// Schedules that tick every second.
const SCHEDULES: usize = 20;
const PROCESSES: usize = 5;
/// Lateness allowed to 99 of 100 ticks when nobody is killed.
const LATE_MS: i64 = 2_000;
/// Nothing but our own schedules.
const NOTHING: &str = "[schedule.prune_jobs]\ncron = ''\n[schedule.verify_stock]\ncron = ''\n";

static JOBS: Sql = Sql::both("SELECT id, run_at FROM jobs WHERE principal = $1 ORDER BY run_at");

pub(super) async fn ticks(name: &'static str, run: Run<'_>) -> Report {
    let site = Site::open(&run, run.lease()).await;
    std::fs::write(site.dir.join("relais.toml"), NOTHING).expect("the directory is ours");
    for number in 0..SCHEDULES {
        let definition =
            Definition::new(&schedule(number), "* * * * * *", "UTC", "prune_jobs", "{}");
        let definition = Definition { overlap: Overlap::Allow, ..definition };
        schedules::put(&site.db, &definition, false).await.expect("the schedule is good");
    }
    let env = site.stores.env();
    let start = || Process::spawn(&["scheduler"], &env, &site.dir);
    let mut processes: Vec<Process> = (0..PROCESSES).map(|_| start()).collect();
    let wall = Duration::from_secs((run.jobs(160, 1_000) / SCHEDULES) as u64);

    until_all_tick(&site).await;
    let calm_from = schedules::look(&site.db).await.expect("the record answers").now;
    tokio::time::sleep(wall).await;
    let calm_to = schedules::look(&site.db).await.expect("the record answers").now;
    let kills = run.kills(3, 3 * (wall.as_secs() as usize).div_ceil(60));
    let mut random = StdRng::seed_from_u64(run.seed);
    for _ in 0..kills {
        tokio::time::sleep(wall / (kills as u32 + 1)).await;
        let victim = random.random_range(0..PROCESSES);
        processes[victim].kill9();
        processes[victim] = start();
    }
    tokio::time::sleep(wall / (kills as u32 + 1)).await;
    drop(processes);

    let mut report = Report::of(name, &run, &site).await;
    let (mut count, mut wrong, mut calm) = (0, 0, Vec::new());
    for number in 0..SCHEDULES {
        let lines = ledger(&site, number).await;
        count += lines.len();
        wrong += faults(&site, number, &lines).await;
        let is_calm = |line: &&TickRow| line.nominal >= calm_from && line.nominal <= calm_to;
        calm.extend(lines.iter().filter(is_calm).map(|line| line.late_ms));
    }
    calm.sort_unstable();
    let p99 = calm.get(calm.len() * 99 / 100).copied().unwrap_or(i64::MAX);
    report.note("ticks", count);
    report.note("wrong_ticks", wrong);
    report.note("scheduler_kills", kills);
    report.note("late_p99", format!("{p99}ms"));
    report.require(wrong == 0, format!("wrong_ticks={wrong}"));
    report.require(calm.len() >= SCHEDULES, "too few ticks to say anything");
    report.require_in_time(p99 <= LATE_MS, format!("ticks were {p99} ms late"));
    site.close().await;
    report
}

fn schedule(number: usize) -> String {
    format!("tick-{number}")
}

/// Oldest first.
async fn ledger(site: &Site, number: usize) -> Vec<TickRow> {
    let lines = schedules::ticks(&site.db, &schedule(number), None, 10_000).await;
    let mut lines = lines.expect("the record answers");
    lines.reverse();
    lines
}

async fn until_all_tick(site: &Site) {
    for number in 0..SCHEDULES {
        while ledger(site, number).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Seconds without a tick, ticks without a job of their own, jobs without a tick.
async fn faults(site: &Site, number: usize, lines: &[TickRow]) -> usize {
    let principal = format!("schedule:{}", schedule(number));
    let rows = site.db.read(&JOBS, args![principal]).await.expect("the record answers");
    let job = |row: &db::Row| (row.get("run_at").expect("a time"), row.get("id").ok());
    let jobs: Vec<_> = rows.iter().map(job).collect();
    let gaps =
        lines.windows(2).filter(|two| two[1].nominal - two[0].nominal != TimeDelta::seconds(1));
    let pairs = lines.iter().zip(&jobs).filter(|(line, job)| (line.nominal, line.job_id) != **job);
    gaps.count() + pairs.count() + lines.len().abs_diff(jobs.len())
}
