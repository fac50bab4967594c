//! Promise 7: whatever comes at once settles, in steps of a bounded size.

use super::act::{later, ops};
use super::stage::{PATIENCE, Stage, claim_for, done, finish, ids, job, of_lane, row, take, until};
use chrono::{DateTime, Utc};
use queue::{Act, Acted, NewJob, Outcome, State, Ticket, clock};
use std::collections::HashSet;
use std::time::Instant;

fn soon(ms: i64) -> Option<DateTime<Utc>> {
    Some(clock::now() + chrono::Duration::milliseconds(ms))
}

pub(crate) async fn twenty_thousand_jobs_of_the_same_second_all_run_once(stage: &Stage) {
    const JOBS: usize = 20_000;
    let jobs: Vec<NewJob> = (0..JOBS).map(|_| later()).collect();
    stage.enqueue(&jobs).await.unwrap();
    // Their second has come.
    static NOW: db::Sql = db::Sql::both("UPDATE jobs SET run_at = {now} WHERE state = $1");
    stage.db().execute(&NOW, db::args!["scheduled"]).await.unwrap();
    let mut due = 0;
    let start = Instant::now();
    while due < JOBS as u64 {
        assert!(start.elapsed() < 4 * PATIENCE, "{due} of {JOBS} became due");
        let reaped = stage.reap().await.unwrap();
        assert!(reaped.due <= 1_000, "one step moves {} jobs", reaped.due);
        assert_eq!(reaped.more, reaped.due == 1_000);
        due += reaped.due;
    }
    let mut ended = HashSet::new();
    while ended.len() < JOBS {
        let held = take(stage, 1_000).await;
        let ends: Vec<(Ticket, Outcome)> = held.iter().map(|job| (job.ticket, done())).collect();
        assert_eq!(stage.finish(&ends).await.unwrap().len(), held.len());
        let before = ended.len();
        ended.extend(ids(&held));
        assert_eq!(ended.len(), before + held.len(), "a job ran twice");
    }
    assert!(super::stage::claim(stage, 10).await.is_empty());
}

pub(crate) async fn three_thousand_jobs_that_expire_together_go_in_steps(stage: &Stage) {
    let expires_at = soon(-1);
    let mut jobs: Vec<NewJob> = (0..2_900).map(|_| NewJob { expires_at, ..job() }).collect();
    jobs.extend((0..100).map(|_| NewJob { expires_at, ..of_lane("shop:1") }));
    stage.enqueue(&jobs).await.unwrap();
    let last = of_lane("shop:1");
    stage.enqueue(std::slice::from_ref(&last)).await.unwrap();
    let mut expired = 0;
    while expired < 3_000 {
        let reaped = stage.reap().await.unwrap();
        assert!(reaped.expired > 0 && reaped.expired <= 1_000, "{reaped:?}");
        assert_eq!(reaped.more, reaped.expired == 1_000);
        expired += reaped.expired;
    }
    assert_eq!(ids(&take(stage, 1).await), [last.id]);
}

pub(crate) async fn two_thousand_jobs_are_cancelled_and_retried_in_one_call(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..2_000).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let all: Vec<_> = jobs.iter().map(|job| job.id).collect();
    let held = take(stage, 100).await;
    let acted = stage.act(&all, Act::Cancel, &ops()).await.unwrap();
    let running: HashSet<_> = ids(&held).into_iter().collect();
    for (id, acted) in all.iter().zip(acted) {
        let expected = if running.contains(id) { Acted::Requested } else { Acted::Done };
        assert_eq!(acted, expected);
    }
    let tickets: Vec<Ticket> = held.iter().map(|job| job.ticket).collect();
    assert_eq!(stage.cancels(&tickets).await.unwrap().len(), 100);
    for ticket in tickets {
        finish(stage, ticket, Outcome::Cancelled { error: "asked".to_owned() }).await;
    }
    let acted = stage.act(&all, Act::Retry, &ops()).await.unwrap();
    assert!(acted.iter().all(|acted| *acted == Acted::Done));
    assert_eq!(take(stage, 2_000).await.len(), 2_000);
}

/// A worker that dies with whole lanes in its hands: their order survives it.
pub(crate) async fn the_lanes_of_a_dead_worker_go_on_in_order(stage: &Stage) {
    let lane = |n: usize| of_lane(&format!("lane:{}", n % 50));
    let jobs: Vec<NewJob> = (0..150).map(lane).collect();
    stage.enqueue(&jobs).await.unwrap();
    let mut heads = Vec::new();
    until("the worker holds every head", async || {
        heads.extend(ids(&claim_for(stage, 50, std::time::Duration::from_secs(1)).await));
        heads.len() >= 50
    })
    .await;
    assert_eq!(heads.len(), 50);
    until("they are taken back", async || {
        stage.reap().await.unwrap();
        let mut crashed = 0;
        for id in &heads {
            crashed += row(stage, *id).await.crashes;
        }
        crashed >= 50
    })
    .await;
    for round in 0..3 {
        let held = take(stage, 50).await;
        let seqs: HashSet<_> = held.iter().map(|job| job.lane_seq).collect();
        assert_eq!(seqs.len(), 1, "round {round}: every lane is at the same place");
        for job in held {
            finish(stage, job.ticket, done()).await;
        }
    }
    for job in &jobs {
        assert_eq!(row(stage, job.id).await.state, State::Done);
    }
}
