//! Worker processes as people see them, and what they achieve.

use super::stage::{LEASE, QUEUE, Stage, job, put};
use db::{Sql, args};
use queue::{Beat, Claim};
use std::time::Duration;

pub(crate) fn beat(worker: &str) -> Beat {
    Beat {
        worker: worker.to_owned(),
        queues: vec![(QUEUE.to_owned(), 8), ("other".to_owned(), 1)],
        kinds: vec![("test".to_owned(), 2)],
        running: 0,
        draining: false,
        last_claim: None,
        ended: Vec::new(),
        leaving: false,
    }
}

/// Puts every sign of life back by so many seconds.
pub(crate) async fn grow_old(stage: &Stage, seconds: i64) {
    static BACK: Sql = Sql::both("UPDATE workers SET beat_at = {after $1} WHERE name <> $2");
    stage.db().execute(&BACK, args![-seconds * 1_000, ""]).await.unwrap();
}

pub(crate) async fn a_worker_is_shown_with_what_it_does_and_holds(stage: &Stage) {
    let claimed_ago = Some(Duration::from_secs(3));
    stage.beat(&Beat { running: 1, last_claim: claimed_ago, ..beat("w-1") }).await.unwrap();
    let id = put(stage, job()).await;
    let claim = Claim { queue: QUEUE.into(), worker: "w-1".into(), limit: 1, lease: LEASE };
    super::stage::until("the worker has it", async || {
        !stage.claim(&claim).await.unwrap().is_empty()
    })
    .await;
    let elsewhere = stage.another().await;
    elsewhere.beat(&beat("w-2")).await.unwrap();
    let workers = stage.workers().await.unwrap();
    assert_eq!(workers.len(), 2);
    let one = workers.iter().find(|worker| worker.name == "w-1").unwrap();
    assert!(one.alive && !one.draining);
    assert_eq!((&one.queues, &one.kinds), (&beat("").queues, &beat("").kinds));
    assert_eq!(one.jobs.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [id]);
    let ago = one.beat_at - one.last_claim_at.unwrap();
    assert!((ago.num_milliseconds() - 3_000).abs() < 100, "{ago}");
    let started_at = one.started_at;

    stage.beat(&Beat { draining: true, ..beat("w-1") }).await.unwrap();
    let workers = stage.workers().await.unwrap();
    let one = workers.iter().find(|worker| worker.name == "w-1").unwrap();
    assert!(one.draining && one.last_claim_at.is_some());
    assert_eq!(one.started_at, started_at);
    elsewhere.db().close().await;
}

pub(crate) async fn a_silent_worker_is_not_alive_and_a_leaving_one_is_gone(stage: &Stage) {
    stage.beat(&beat("silent")).await.unwrap();
    stage.beat(&beat("leaving")).await.unwrap();
    stage.beat(&Beat { leaving: true, ..beat("leaving") }).await.unwrap();
    grow_old(stage, 30).await;
    let workers = stage.workers().await.unwrap();
    let names: Vec<_> = workers.iter().map(|worker| (worker.name.as_str(), worker.alive)).collect();
    assert_eq!(names, [("silent", false)]);
    grow_old(stage, 3_700).await;
    assert!(stage.workers().await.unwrap().is_empty(), "an hour is long enough");
}

pub(crate) async fn ends_of_all_workers_are_counted_by_the_minute(stage: &Stage) {
    static BACK: Sql = Sql::each(
        "UPDATE throughput SET minute = minute - interval '1 minute' WHERE queue <> $1",
        "UPDATE throughput SET minute = strftime('%Y-%m-%dT%H:%M:00.000Z', minute, '-1 minute') \
         WHERE queue <> $1",
    );
    static SAME: Sql = Sql::both("SELECT count(DISTINCT minute) AS minutes FROM throughput");
    put(stage, job()).await;
    let ended = |done, failed| vec![(QUEUE.to_owned(), done, failed), ("other".to_owned(), 1, 0)];
    stage.beat(&Beat { ended: ended(5, 1), ..beat("w-1") }).await.unwrap();
    stage.beat(&Beat { ended: ended(7, 0), leaving: true, ..beat("w-2") }).await.unwrap();
    let figures = stage.stats().await.unwrap();
    // The turn of a minute in the middle of this case would only split the sum.
    let whole = stage.db().read_one(&SAME, args![]).await.unwrap().unwrap();
    if whole.get::<i64>("minutes").unwrap() == 1 {
        assert_eq!(figures[0].done_per_minute, 0, "the minute is not over: {figures:?}");
        stage.db().execute(&BACK, args![""]).await.unwrap();
    }
    let sum = async || {
        let all = stage.stats().await.unwrap();
        let work = all.into_iter().find(|queue| queue.queue == QUEUE).unwrap();
        (work.done_per_minute, work.failed_per_minute)
    };
    let (done, failed) = sum().await;
    assert!(
        (done, failed) == (12, 1) || whole.get::<i64>("minutes").unwrap() == 2,
        "{done} {failed}"
    );
}
