//! When an equal job makes a new one superfluous.

use super::stage::{Stage, dead, done, finish, job, put, take_one};
use queue::{Engine, Enqueued, NewJob, Unique};
use uuid::Uuid;

fn alive(key: &str) -> NewJob {
    NewJob { unique: Unique::WhileAlive(key.to_owned()), ..job() }
}

fn ever(key: &str) -> NewJob {
    NewJob { unique: Unique::Ever(key.to_owned()), ..job() }
}

fn until_delivered(key: &str) -> NewJob {
    NewJob { unique: Unique::UntilDelivered(key.to_owned()), ..job() }
}

async fn enqueue(engine: &impl AsRef<dyn Engine>, job: NewJob) -> Enqueued {
    engine.as_ref().enqueue(&[job]).await.unwrap()[0]
}

fn existing(id: Uuid) -> Enqueued {
    Enqueued { id, created: false }
}

pub(crate) async fn while_alive_holds_until_the_end(stage: &Stage) {
    let first = put(stage, alive("k")).await;
    assert_eq!(enqueue(stage, alive("k")).await, existing(first));
    assert!(enqueue(stage, alive("other")).await.created);
    let held = take_one(stage).await;
    assert_eq!(held.ticket.id, first);
    assert_eq!(enqueue(stage, alive("k")).await, existing(first));
    finish(stage, held.ticket, done()).await;
    assert!(enqueue(stage, alive("k")).await.created);
}

pub(crate) async fn ever_outlives_the_end(stage: &Stage) {
    let first = put(stage, ever("tick")).await;
    finish(stage, take_one(stage).await.ticket, done()).await;
    assert_eq!(enqueue(stage, ever("tick")).await, existing(first));
    assert!(enqueue(stage, ever("next")).await.created);
}

pub(crate) async fn until_delivered_holds_until_an_answer_left_whole(stage: &Stage) {
    let first = put(stage, until_delivered("batch")).await;
    finish(stage, take_one(stage).await.ticket, done()).await;
    assert_eq!(enqueue(stage, until_delivered("batch")).await, existing(first));
    let numbered = put(stage, NewJob { unique: Unique::No, ..until_delivered("batch") }).await;
    finish(stage, take_one(stage).await.ticket, done()).await;
    let is_delivered = async |id| stage.get(id).await.unwrap().unwrap().delivered_at.is_some();
    assert_eq!((is_delivered(first).await, is_delivered(numbered).await), (false, false));
    // Noted twice is noted once.
    for ids in [vec![numbered], vec![first, numbered]] {
        stage.delivered(&ids).await.unwrap();
    }
    assert_eq!((is_delivered(first).await, is_delivered(numbered).await), (true, true));
    assert!(enqueue(stage, until_delivered("batch")).await.created);
}

pub(crate) async fn until_delivered_does_not_count_the_dead(stage: &Stage) {
    put(stage, until_delivered("batch")).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    assert!(enqueue(stage, until_delivered("batch")).await.created);
}

pub(crate) async fn kinds_do_not_share_keys(stage: &Stage) {
    put(stage, alive("k")).await;
    let other = NewJob { kind: "other".to_owned(), ..alive("k") };
    assert!(enqueue(stage, other).await.created);
}

pub(crate) async fn equal_jobs_at_once_make_one(stage: &Stage) {
    let engines = [stage.engine(), stage.another().await];
    for make in [alive, ever, until_delivered] {
        let tasks: Vec<_> = (0..16)
            .map(|n| {
                let engine = engines[n % 2].clone();
                tokio::spawn(async move { enqueue(&engine, make("same")).await })
            })
            .collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap());
        }
        let created: Vec<_> = answers.iter().filter(|answer| answer.created).collect();
        assert_eq!(created.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.id == created[0].id), "{answers:?}");
        finish(stage, take_one(stage).await.ticket, dead("make room")).await;
    }
}

pub(crate) async fn equal_jobs_of_one_batch_make_one(stage: &Stage) {
    let batch = [alive("k"), job(), alive("k")];
    let answers = stage.enqueue(&batch).await.unwrap();
    assert_eq!(answers[0], Enqueued { id: batch[0].id, created: true });
    assert_eq!(answers[1], Enqueued { id: batch[1].id, created: true });
    assert_eq!(answers[2], existing(batch[0].id));
}
