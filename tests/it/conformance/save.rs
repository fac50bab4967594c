//! What a running job keeps: only for its holder, and there for the next attempt (promises 2, 3).

use super::stage::{Stage, crash, done, finish, job, put, retry, row, take_one};
use queue::{Error, Outcome, Progress, Save, Ticket, clock};
use std::time::Duration;

fn checkpoint(text: &str) -> Save {
    Save { checkpoint: Some(text.to_owned()), progress: None }
}

fn lines(texts: &[&str]) -> Vec<(chrono::DateTime<chrono::Utc>, String)> {
    texts.iter().map(|text| (clock::now(), (*text).to_owned())).collect()
}

fn is_lost(answer: Result<(), Error>) -> bool {
    answer.is_err_and(|error| matches!(error, Error::LeaseLost(_)))
}

pub(crate) async fn a_checkpoint_is_there_for_the_next_attempt(stage: &Stage) {
    let id = put(stage, job()).await;
    let ends = [
        retry("boom", Duration::ZERO),
        Outcome::Release,
        Outcome::Snooze { after: Duration::ZERO },
    ];
    for (number, end) in ends.into_iter().enumerate() {
        let held = take_one(stage).await;
        let before = number.checked_sub(1).map(|number| format!(r#"{{"page": {number}}}"#));
        assert_eq!(held.checkpoint, before, "as it was written");
        let save = checkpoint(&format!(r#"{{"page": {number}}}"#));
        stage.save(held.ticket, &save).await.unwrap();
        let progress = Progress { done: 3, total: 7 };
        stage.save(held.ticket, &Some(progress).into()).await.unwrap();
        let seen = row(stage, id).await;
        assert_eq!((seen.checkpoint, seen.progress), (save.checkpoint, Some(progress)));
        finish(stage, held.ticket, end).await;
    }
    crash(stage, 1).await;
    let held = take_one(stage).await;
    assert_eq!(held.checkpoint.as_deref(), Some(r#"{"page": 2}"#));
    assert_eq!(row(stage, id).await.progress, None, "progress is that of the attempt");
}

pub(crate) async fn a_former_holder_keeps_nothing(stage: &Stage) {
    let id = put(stage, job()).await;
    let former = crash(stage, 1).await.remove(0).ticket;
    // Between the two holders, and while the second one has it.
    for second in [None, Some(())] {
        let held = match second {
            Some(()) => Some(take_one(stage).await),
            None => None,
        };
        assert!(is_lost(stage.save(former, &checkpoint("1")).await));
        assert!(is_lost(stage.log(former, &lines(&["late"])).await));
        assert!(is_lost(stage.keep_step(former, "pay", "1").await));
        let mut tx = stage.db().begin().await.unwrap();
        assert!(is_lost(stage.hold_in(&mut tx, former, &checkpoint("2")).await));
        tx.rollback().await.unwrap();
        if let Some(held) = held {
            finish(stage, held.ticket, done()).await;
        }
    }
    assert!(is_lost(stage.save(former, &checkpoint("3")).await), "after the end");
    assert!(is_lost(stage.log(former, &lines(&["late"])).await));
    assert_eq!(row(stage, id).await.checkpoint, None);
    assert!(stage.logs(id, None, 10).await.unwrap().is_empty());
    assert_eq!(stage.step(id, "pay").await.unwrap(), None);
}

pub(crate) async fn lines_are_kept_in_order_with_their_attempt(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = take_one(stage).await;
    stage.log(held.ticket, &lines(&["one", "two"])).await.unwrap();
    stage.log(held.ticket, &[]).await.unwrap();
    stage.log(held.ticket, &lines(&["three"])).await.unwrap();
    finish(stage, held.ticket, retry("boom", Duration::ZERO)).await;
    assert!(is_lost(stage.log(held.ticket, &lines(&["late"])).await));
    let held = take_one(stage).await;
    stage.log(held.ticket, &lines(&["four"])).await.unwrap();
    let all = stage.logs(id, None, 10).await.unwrap();
    let seen: Vec<_> = all.iter().map(|line| (line.attempt, line.line.as_str())).collect();
    assert_eq!(seen, [(1, "one"), (1, "two"), (1, "three"), (2, "four")]);
    let rest = stage.logs(id, Some(all[1].seq), 1).await.unwrap();
    assert_eq!(rest, all[2..3]);
    assert!(all.is_sorted_by_key(|line| line.seq));
}

pub(crate) async fn a_step_is_kept_once_for_the_whole_job(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = crash(stage, 1).await.remove(0).ticket;
    assert_eq!(stage.step(id, "pay").await.unwrap(), None);
    let now = take_one(stage).await.ticket;
    assert!(is_lost(stage.keep_step(held, "pay", "0").await));
    stage.keep_step(now, "pay", r#"{"receipt": 7}"#).await.unwrap();
    stage.keep_step(now, "pay", r#"{"receipt": 8}"#).await.unwrap();
    stage.keep_step(now, "mail", "null").await.unwrap();
    assert_eq!(stage.step(id, "pay").await.unwrap().as_deref(), Some(r#"{"receipt": 7}"#));
    finish(stage, now, retry("boom", Duration::ZERO)).await;
    let again = take_one(stage).await.ticket;
    assert_eq!(stage.step(id, "pay").await.unwrap().as_deref(), Some(r#"{"receipt": 7}"#));
    assert_eq!(stage.step(id, "mail").await.unwrap().as_deref(), Some("null"));
    stage.keep_step(again, "pay", "9").await.unwrap();
    assert_eq!(stage.step(id, "pay").await.unwrap().as_deref(), Some(r#"{"receipt": 7}"#));
}

pub(crate) async fn a_checkpoint_or_result_above_the_limit_is_refused(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = take_one(stage).await.ticket;
    let large = format!("\"{}\"", "x".repeat(65_536));
    let refused = stage.save(held, &checkpoint(&large)).await.unwrap_err();
    let why = "the checkpoint has 65538 bytes, 65536 are allowed";
    assert!(matches!(&refused, Error::Invalid(said) if said == why), "{refused}");
    assert!(stage.keep_step(held, "s", &large).await.is_err());
    assert_eq!(row(stage, id).await.checkpoint, None);
    assert_eq!(stage.cancels(&[Ticket { ..held }]).await.unwrap(), []);
}
