//! a process or a server is killed or emptied again and again under load.

use super::ORPHAN;
use crate::chaos::Run;
use crate::chaos::client::mix;
use crate::chaos::report::Report;
use crate::chaos::site::{Hands, Site};
use crate::stores::{Redis, Stores};
use db::{Sql, args};
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::time::Duration;

const SLOTS: usize = 8;

/// Two workers, jobs put in for as long as strikes last, and a strike after each pause.
async fn under_load(
    run: &Run<'_>,
    site: &mut Site,
    (jobs, strikes, every): (usize, usize, Duration),
    mut strike: impl AsyncFnMut(&mut Site, &mut StdRng),
) {
    let mut random = StdRng::seed_from_u64(run.seed);
    let hands = Hands::of(SLOTS);
    while site.workers.len() < 3 {
        site.start_worker(&hands);
    }
    let mut jobs = mix("strike", jobs, run.seed, 1_200);
    // Some are always running, and where many are put in some always wait.
    jobs.iter_mut().filter(|job| job.lane.is_none()).for_each(|job| job.work_ms += 150);
    let load = site.load(jobs, every * strikes as u32, run.seed);
    for _ in 0..strikes {
        tokio::time::sleep(every.mul_f64(random.random_range(0.5..1.5))).await;
        strike(site, &mut random).await;
    }
    load.await.expect("the client does not panic");
}

pub(super) async fn kill_workers(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    let every = Duration::from_secs(if run.full { 2 } else { 1 });
    let plan = (run.jobs(400, 100_000), run.kills(8, 500), every);
    let hands = Hands::of(SLOTS);
    under_load(&run, &mut site, plan, async |site, random| {
        let victim = random.random_range(0..site.workers.len());
        site.kill(victim);
        site.replace(victim, &hands);
    })
    .await;
    let mut report = Report::of(name, &run, &site).await;
    let reruns = report.figure("reruns").unwrap_or_default();
    let most = (site.killed.len() * SLOTS) as u64;
    report.require(reruns <= most, format!("reruns={reruns}, at most {most} were in flight"));
    let orphan = Duration::from_millis(report.orphan_ms.unsigned_abs());
    report.require_in_time(orphan <= run.lease() + ORPHAN, format!("an orphan waited {orphan:?}"));
    site.close().await;
    report
}

/// Half of the strikes with `everysec`, half with `always`, each on a server of its own.
pub(super) async fn kill_redis(name: &'static str, run: Run<'_>) -> Report {
    let (jobs, kills) = (run.jobs(1_200, 100_000) / 2, run.kills(4, 200) / 2);
    let mut reports = Vec::new();
    for append in ["everysec", "always"] {
        let redis = match append {
            "always" => Redis::start_append_always().await,
            _ => Redis::start_append_only().await,
        };
        let stores = Stores { redis_url: Some(redis.url()), ..run.servers.stores().await };
        let mut site = Site::on(&run, stores, run.lease()).await;
        let plan = (jobs, kills, Duration::from_millis(1_200));
        under_load(&run, &mut site, plan, async |_, random| {
            tokio::task::block_in_place(|| redis.kill9());
            tokio::time::sleep(Duration::from_millis(random.random_range(50..400))).await;
            redis.start().await;
        })
        .await;
        let mut report = Report::of(name, &run, &site).await;
        report.note("appendfsync", append);
        report.note("redis_kills", kills);
        site.close().await;
        reports.push(report);
    }
    let last = reports.pop().expect("there were two");
    for report in reports {
        let broken = !report.is_ok();
        let report = report.print();
        if broken {
            return report;
        }
    }
    last
}

/// `FLUSHALL`, and between two of them a random key is deleted.
pub(super) async fn empty_redis(name: &'static str, run: Run<'_>) -> Report {
    let mut site = Site::open(&run, run.lease()).await;
    let (mut flushed, mut deleted) = (0, 0);
    let plan = (run.jobs(1_200, 100_000), run.kills(10, 400), Duration::from_millis(500));
    under_load(&run, &mut site, plan, async |_, random| {
        let redis = run.servers.redis();
        if random.random_range(0..3) == 0 {
            redis.flush();
            flushed += 1;
            return;
        }
        let answer = redis.ask("RANDOMKEY").unwrap_or_default();
        if let Some(key) = answer.lines().nth(1) {
            let answer = redis.ask(&format!("DEL {key}")).unwrap_or_default();
            deleted += u32::from(answer.starts_with(":1"));
        }
    })
    .await;
    let mut report = Report::of(name, &run, &site).await;
    report.note("flushed", flushed);
    report.note("deleted", deleted);
    report.require(deleted > 0, "no key was there to be deleted");
    site.close().await;
    report
}

/// SIGKILL of the postmaster, `pg_ctl stop -m immediate`, or the end of every connection.
pub(super) async fn kill_postgres(name: &'static str, run: Run<'_>) -> Report {
    static TERMINATE: Sql = Sql::both(
        "SELECT pg_terminate_backend(pid) AS cut FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let mut site = Site::open(&run, run.lease()).await;
    let mut struck = [0_usize; 3];
    let plan = (run.jobs(300, 50_000), run.kills(3, 90), Duration::from_secs(2));
    under_load(&run, &mut site, plan, async |site, random| {
        let postgres = run.servers.postgres();
        // The first three are one of each, so that a short run proves each.
        let done: usize = struck.iter().sum();
        let choice = if done < 3 { done } else { random.random_range(0..3) };
        match choice {
            0 => {
                tokio::task::block_in_place(|| postgres.kill9());
                postgres.start().await;
            }
            1 => postgres.restart_immediate().await,
            // It may end before it has answered.
            _ => drop(site.db.read(&TERMINATE, args![]).await),
        }
        struck[choice] += 1;
    })
    .await;
    let mut report = Report::of(name, &run, &site).await;
    report.note("postmaster_kills", struck[0]);
    report.note("immediate", struck[1]);
    report.note("terminated", struck[2]);
    site.close().await;
    report
}
