//! Promise 1: accepted is durable, and all or none.

use super::stage::{PATIENCE, QUEUE, Stage, claim, ids, job, put, row, take, take_one};
use queue::{Enqueued, Error, Filter, NewJob, Page, State};
use std::collections::HashSet;

async fn count(stage: &Stage) -> usize {
    let page = Page { limit: 100, before: None };
    stage.list(&Filter::default(), &page).await.unwrap().rows.len()
}

pub(crate) async fn a_batch_goes_in_whole_or_not_at_all(stage: &Stage) {
    let too_large = NewJob { payload: format!("\"{}\"", "x".repeat(70_000)), ..job() };
    assert!(stage.enqueue(&[job(), too_large, job()]).await.is_err());
    assert_eq!(count(stage).await, 0);
    assert!(claim(stage, 10).await.is_empty());
    stage.enqueue(&[job(), job(), job()]).await.unwrap();
    assert_eq!(count(stage).await, 3);
    assert!(stage.enqueue(&[]).await.unwrap().is_empty());
}

pub(crate) async fn answers_come_in_the_order_of_the_jobs(stage: &Stage) {
    let mut jobs: Vec<NewJob> = (0..50).map(|_| job()).collect();
    jobs.reverse();
    let known = jobs[20].clone();
    put(stage, known.clone()).await;
    let expected: Vec<Enqueued> =
        jobs.iter().map(|job| Enqueued { id: job.id, created: job.id != known.id }).collect();
    assert_eq!(stage.enqueue(&jobs).await.unwrap(), expected);
}

pub(crate) async fn the_same_id_twice_makes_one_job(stage: &Stage) {
    let again = job();
    let first = stage.enqueue(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(first, [Enqueued { id: again.id, created: true }]);
    let second = stage.enqueue(std::slice::from_ref(&again)).await.unwrap();
    assert_eq!(second, [Enqueued { id: again.id, created: false }]);
    assert_eq!(count(stage).await, 1);
    assert_eq!(take_one(stage).await.ticket.id, again.id);
    assert!(claim(stage, 10).await.is_empty());
}

pub(crate) async fn an_enqueue_inside_a_transaction_exists_only_if_it_commits(stage: &Stage) {
    let (kept, dropped) = (job(), job());
    let mut tx = stage.db().begin().await.unwrap();
    stage.enqueue_in(&mut tx, std::slice::from_ref(&dropped)).await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = stage.db().begin().await.unwrap();
    stage.enqueue_in(&mut tx, std::slice::from_ref(&kept)).await.unwrap();
    tx.commit().await.unwrap();
    assert!(stage.get(dropped.id).await.unwrap().is_none());
    assert_eq!(take_one(stage).await.ticket.id, kept.id);
    assert!(claim(stage, 10).await.is_empty());
}

pub(crate) async fn ten_thousand_due_jobs_are_all_claimable(stage: &Stage) {
    let past = queue::clock::now() - chrono::Duration::seconds(1);
    let jobs: Vec<NewJob> = (0..10_000).map(|_| NewJob { run_at: Some(past), ..job() }).collect();
    for batch in jobs.chunks(1_000) {
        stage.enqueue(batch).await.unwrap();
    }
    let taken: HashSet<_> = ids(&take(stage, jobs.len()).await).into_iter().collect();
    assert_eq!(taken.len(), jobs.len());
    assert!(claim(stage, 10).await.is_empty());
}

pub(crate) async fn a_payload_above_the_limit_is_refused(stage: &Stage) {
    let of_size =
        |size: usize| NewJob { payload: format!("\"{}\"", "x".repeat(size - 2)), ..job() };
    let refused = stage.enqueue(&[of_size(65_537)]).await;
    assert!(
        matches!(refused, Err(Error::PayloadTooLarge { size_bytes: 65_537, max_bytes: 65_536 })),
        "{refused:?}"
    );
    put(stage, of_size(65_536)).await;
    assert_eq!(take_one(stage).await.payload.len(), 65_536);
}

/// Numbers keep their digits, members their order, and a NUL is a character like any other.
pub(crate) async fn a_payload_is_kept_as_it_was_written(stage: &Stage) {
    let payload = r#"{"b": 1.50, "a":"\u0000é😀", "b":12345678901234567890.10}"#;
    let id = put(stage, NewJob { payload: payload.to_owned(), ..job() }).await;
    assert_eq!(row(stage, id).await.payload, payload);
    assert_eq!(take_one(stage).await.payload, payload);
}

pub(crate) async fn what_one_engine_accepted_every_other_sees(stage: &Stage) {
    let other = stage.another().await;
    let new = NewJob { principal: Some("terminal:7".to_owned()), priority: 2, ..job() };
    let id = put(stage, new).await;
    let seen = row(&other, id).await;
    assert_eq!((seen.state, seen.priority, seen.attempt), (State::Ready, 2, 0));
    assert_eq!((seen.queue.as_str(), seen.kind.as_str()), (QUEUE, "test"));
    assert_eq!(seen.principal.as_deref(), Some("terminal:7"));
    let age = (queue::clock::now() - seen.created_at).abs();
    assert!(age < chrono::Duration::from_std(PATIENCE).unwrap(), "{age}");
    assert_eq!(take_one(&other).await.ticket.id, id);
}
