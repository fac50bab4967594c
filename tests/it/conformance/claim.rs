//! Promises 2 and 6: one holder, and the order of claiming.

use super::stage::{
    HOUR, LEASE, PATIENCE, QUEUE, Stage, claim, done, finish, ids, job, put, retry, row, take,
    take_one,
};
use chrono::Duration as Span;
use queue::{Claim, NewJob, State, clock};
use std::collections::HashSet;
use std::time::{Duration, Instant};

pub(crate) async fn two_workers_never_hold_one_job(stage: &Stage) {
    const JOBS: usize = 400;
    let jobs: Vec<NewJob> = (0..JOBS).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let engines = [stage.engine(), stage.another().await];
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let engine = engines[n % 2].clone();
            tokio::spawn(async move {
                let (queue, worker) = (QUEUE.to_owned(), format!("worker-{n}"));
                let claim = Claim { queue, worker, limit: 7, lease: LEASE };
                let (mut held, start) = (Vec::new(), Instant::now());
                // An empty claim is not the end: another worker may hold the rows for a moment.
                while start.elapsed() < PATIENCE {
                    let more = engine.claim(&claim).await.unwrap();
                    let stats = engine.stats().await.unwrap();
                    if more.is_empty() && stats.iter().all(|queue| queue.ready == 0) {
                        break;
                    }
                    held.extend(ids(&more));
                }
                held
            })
        })
        .collect();
    let mut held = Vec::new();
    for worker in workers {
        held.extend(worker.await.unwrap());
    }
    let distinct: HashSet<_> = held.iter().collect();
    assert_eq!((held.len(), distinct.len()), (JOBS, JOBS));
}

/// Jobs in the order in which they must come.
fn in_order() -> Vec<NewJob> {
    let ago = |seconds| Some(clock::now() - Span::seconds(seconds));
    let of = |priority, run_at| NewJob { priority, run_at, ..job() };
    let mut jobs = vec![
        of(0, ago(10)),
        of(1, ago(30)),
        of(1, ago(20)),
        of(5, ago(60)),
        of(5, ago(5)),
        of(5, ago(5)),
        of(9, ago(90)),
    ];
    // The same instant for two, so that only their ids tell them apart. All other ids fall, so
    // that no order by id alone looks right.
    jobs[5].run_at = jobs[4].run_at;
    let mut ids: Vec<_> = jobs.iter().map(|job| job.id).collect();
    ids.reverse();
    ids.swap(4, 5);
    for (job, id) in jobs.iter_mut().zip(ids) {
        job.id = id;
    }
    jobs
}

async fn put_shuffled(stage: &Stage, jobs: &[NewJob]) {
    for index in [3, 6, 2, 0, 5, 1, 4] {
        put(stage, jobs[index].clone()).await;
    }
    stage.reap().await.unwrap();
}

pub(crate) async fn the_order_is_priority_then_due_time_then_id(stage: &Stage) {
    let jobs = in_order();
    put_shuffled(stage, &jobs).await;
    let mut order = Vec::new();
    for _ in &jobs {
        order.push(take_one(stage).await.ticket.id);
    }
    assert_eq!(order, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
}

pub(crate) async fn a_batch_is_claimed_in_the_same_order(stage: &Stage) {
    let jobs = in_order();
    put_shuffled(stage, &jobs).await;
    let order = ids(&take(stage, jobs.len()).await);
    assert_eq!(order, jobs.iter().map(|job| job.id).collect::<Vec<_>>());
}

pub(crate) async fn a_job_is_not_claimed_before_its_time(stage: &Stage) {
    let run_at = Some(clock::now() + Span::hours(1));
    let id = put(stage, NewJob { run_at, priority: 0, ..job() }).await;
    stage.reap().await.unwrap();
    assert!(claim(stage, 10).await.is_empty());
    assert_eq!(row(stage, id).await.state, State::Scheduled);
}

pub(crate) async fn a_scheduled_job_is_claimed_once_it_is_due(stage: &Stage) {
    let run_at = clock::now() + Span::milliseconds(300);
    let id = put(stage, NewJob { run_at: Some(run_at), ..job() }).await;
    let taken = take_one(stage).await;
    assert_eq!(taken.ticket.id, id);
    // SQLite keeps milliseconds.
    assert!(clock::now() >= run_at - Span::milliseconds(1), "claimed before it was due");
}

pub(crate) async fn a_queue_gives_only_its_own_jobs(stage: &Stage) {
    let other = NewJob { queue: "other".to_owned(), ..job() };
    let (mine, theirs) = (put(stage, job()).await, put(stage, other).await);
    assert_eq!(take_one(stage).await.ticket.id, mine);
    assert!(claim(stage, 10).await.is_empty());
    let (queue, worker) = ("other".to_owned(), "b".to_owned());
    let claim = Claim { queue, worker, limit: 10, lease: LEASE };
    assert_eq!(ids(&stage.claim(&claim).await.unwrap()), [theirs]);
}

pub(crate) async fn a_claim_says_everything_the_worker_needs(stage: &Stage) {
    let new = NewJob {
        version: 3,
        lane: Some("shop:2".to_owned()),
        principal: Some("terminal:7".to_owned()),
        max_attempts: 4,
        trace: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
        payload: r#"{"n":1}"#.to_owned(),
        ..job()
    };
    put(stage, new.clone()).await;
    let held = take_one(stage).await;
    assert_eq!((held.ticket.id, held.version, held.attempt), (new.id, 3, 1));
    assert_eq!((held.max_attempts, held.crashes), (4, 0));
    assert_eq!((held.kind, held.queue, held.payload), (new.kind, new.queue, new.payload));
    assert_eq!((held.principal, held.lane, held.trace), (new.principal, new.lane, new.trace));
    assert!(held.lane_seq.is_some());
    let row = row(stage, new.id).await;
    assert_eq!((row.state, row.lease_holder.as_deref()), (State::Running, Some("a")));
    assert_eq!(row.created_at, held.created_at);
    assert!(row.started_at.is_some() && row.finished_at.is_none());
    let left = row.lease_until.unwrap() - clock::now();
    assert!(left <= Span::from_std(LEASE).unwrap(), "{left}");
    assert!(left > Span::from_std(LEASE - PATIENCE).unwrap(), "{left}");
}

pub(crate) async fn each_claim_counts_an_attempt_and_raises_the_token(stage: &Stage) {
    put(stage, job()).await;
    let mut last = 0;
    for attempt in 1..=4 {
        let held = take_one(stage).await;
        assert_eq!(held.attempt, attempt);
        assert!(held.ticket.token > last);
        last = held.ticket.token;
        finish(stage, held.ticket, retry("again", Duration::ZERO)).await;
    }
    finish(stage, take_one(stage).await.ticket, retry("later", HOUR)).await;
    stage.reap().await.unwrap();
    assert!(claim(stage, 1).await.is_empty());
    put(stage, job()).await;
    finish(stage, take_one(stage).await.ticket, done()).await;
}
