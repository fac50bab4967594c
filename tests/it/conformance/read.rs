//! Promise 13: what people see.

use super::stage::{HOUR, QUEUE, Stage, claim, dead, done, finish, job, put, retry, take_one};
use queue::{Filter, NewJob, Page, State};
use uuid::Uuid;

async fn list(stage: &Stage, filter: &Filter, limit: usize, before: Option<Uuid>) -> Vec<Uuid> {
    let page = Page { limit, before };
    stage.list(filter, &page).await.unwrap().rows.iter().map(|row| row.id).collect()
}

pub(crate) async fn a_list_is_paged_newest_first(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..7).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let newest: Vec<Uuid> = jobs.iter().rev().map(|job| job.id).collect();
    let all = Filter::default();
    assert_eq!(list(stage, &all, 100, None).await, newest);
    let mut pages: Vec<Uuid> = Vec::new();
    for expected in [3, 3, 1, 0] {
        let page = list(stage, &all, 3, pages.last().copied()).await;
        assert_eq!(page.len(), expected);
        pages.extend(page);
    }
    assert_eq!(pages, newest);
}

pub(crate) async fn a_list_is_narrowed_by_state_kind_and_queue(stage: &Stage) {
    let ended = put(stage, job()).await;
    finish(stage, take_one(stage).await.ticket, done()).await;
    let other_kind = put(stage, NewJob { kind: "other".to_owned(), ..job() }).await;
    let other_queue = put(stage, NewJob { queue: "other".to_owned(), ..job() }).await;
    let of_state = |state| Filter { state: Some(state), ..Filter::default() };
    let of_kind = Filter { kind: Some("other".to_owned()), ..Filter::default() };
    let of_queue = Filter { queue: Some("other".to_owned()), ..Filter::default() };
    let of_all = Filter {
        state: Some(State::Ready),
        kind: Some("test".to_owned()),
        queue: Some("other".to_owned()),
        ..Filter::default()
    };
    assert_eq!(list(stage, &of_state(State::Done), 10, None).await, [ended]);
    assert_eq!(list(stage, &of_state(State::Ready), 10, None).await, [other_queue, other_kind]);
    assert!(list(stage, &of_state(State::Dead), 10, None).await.is_empty());
    assert_eq!(list(stage, &of_kind, 10, None).await, [other_kind]);
    assert_eq!(list(stage, &of_queue, 10, None).await, [other_queue]);
    assert_eq!(list(stage, &of_all, 10, None).await, [other_queue]);
}

pub(crate) async fn figures_are_kept_by_queue(stage: &Stage) {
    stage.enqueue(&[job(), job(), job(), job(), job()]).await.unwrap();
    put(stage, NewJob { queue: "other".to_owned(), ..job() }).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    finish(stage, take_one(stage).await.ticket, retry("later", HOUR)).await;
    assert_eq!(claim(stage, 1).await.len(), 1);
    let stats = stage.stats().await.unwrap();
    let work = stats.iter().find(|queue| queue.queue == QUEUE).unwrap();
    assert_eq!((work.ready, work.scheduled, work.running, work.dead), (2, 1, 1, 1));
    assert!(work.oldest_ready.is_some_and(|age| age < HOUR));
    let other = stats.iter().find(|queue| queue.queue == "other").unwrap();
    assert_eq!((other.ready, other.scheduled, other.running, other.dead), (1, 0, 0, 0));
}

pub(crate) async fn unfinished_jobs_of_a_principal_are_counted_up_to_the_limit(stage: &Stage) {
    let by = |name: &str| NewJob { principal: Some(name.to_owned()), ..job() };
    stage.enqueue(&[by("a"), by("a"), by("a"), by("b"), job()]).await.unwrap();
    assert_eq!(stage.unfinished("a", 10).await.unwrap(), 3);
    assert_eq!(stage.unfinished("a", 2).await.unwrap(), 2);
    assert_eq!(stage.unfinished("nobody", 10).await.unwrap(), 0);
    finish(stage, take_one(stage).await.ticket, done()).await;
    finish(stage, take_one(stage).await.ticket, retry("later", HOUR)).await;
    assert_eq!(stage.unfinished("a", 10).await.unwrap(), 2);
}
