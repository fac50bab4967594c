//! Promises 2, 3 and 5: only the holder records an end, together with its effects or not at all.

use super::stage::{
    HOUR, QUEUE, Stage, claim_for, crash, dead, done, finish, job, put, retry, row, take, take_one,
    until,
};
use queue::{Error, NewJob, Outcome, Progress, Save, State, Ticket, clock};
use std::time::Duration;

pub(crate) async fn only_the_holder_may_finish(stage: &Stage) {
    let id = put(stage, job()).await;
    let former = crash(stage, 1).await.remove(0);
    let holder = take_one(stage).await;
    assert_eq!((former.ticket.id, holder.ticket.id), (id, id));
    assert!(holder.ticket.token > former.ticket.token);
    for outcome in [done(), dead("no"), retry("no", HOUR), Outcome::Release] {
        assert!(stage.finish(&[(former.ticket, outcome)]).await.unwrap().is_empty());
    }
    assert_eq!(row(stage, id).await.state, State::Running);
    finish(stage, holder.ticket, done()).await;
    assert_eq!(row(stage, id).await.state, State::Done);
}

pub(crate) async fn stale_tokens_among_ten_thousand_are_refused_alone(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..10_000).map(|_| job()).collect();
    for batch in jobs.chunks(2_000) {
        stage.enqueue(batch).await.unwrap();
    }
    let is_stale = |ticket: &Ticket, all: &[Ticket]| all.contains(ticket);
    let mut tickets: Vec<Ticket> =
        take(stage, jobs.len()).await.iter().map(|held| held.ticket).collect();
    let mut stale = Vec::new();
    for ticket in tickets.iter_mut().step_by(100) {
        ticket.token -= 1;
        stale.push(*ticket);
    }
    let ends: Vec<_> = tickets.iter().map(|ticket| (*ticket, done())).collect();
    let held = stage.finish(&ends).await.unwrap();
    assert_eq!((held.len(), stale.len()), (9_900, 100));
    assert!(!held.iter().any(|ticket| is_stale(ticket, &stale)));
    for ticket in stale.iter().take(5) {
        assert_eq!(row(stage, ticket.id).await.state, State::Running);
    }
    assert_eq!(row(stage, held[0].id).await.state, State::Done);
    let stats = stage.stats().await.unwrap();
    assert_eq!(stats.iter().find(|queue| queue.queue == QUEUE).unwrap().running, 100);
}

/// The effect is another job here: a row like any other, and one that can be read back.
pub(crate) async fn an_end_inside_a_transaction_happens_with_its_effects_or_not_at_all(
    stage: &Stage,
) {
    put(stage, job()).await;
    let held = take_one(stage).await;
    let effect = NewJob { queue: "effects".to_owned(), ..job() };
    for commit in [false, true] {
        let mut tx = stage.db().begin().await.unwrap();
        stage.enqueue_in(&mut tx, std::slice::from_ref(&effect)).await.unwrap();
        stage.finish_in(&mut tx, held.ticket, &done()).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let expected = if commit { State::Done } else { State::Running };
        assert_eq!(row(stage, held.ticket.id).await.state, expected);
        assert_eq!(stage.get(effect.id).await.unwrap().is_some(), commit);
    }
}

pub(crate) async fn an_end_after_the_lease_was_lost_takes_its_effects_along(stage: &Stage) {
    let id = put(stage, job()).await;
    let former = crash(stage, 1).await.remove(0);
    let effect = NewJob { queue: "effects".to_owned(), ..job() };
    let mut tx = stage.db().begin().await.unwrap();
    stage.enqueue_in(&mut tx, std::slice::from_ref(&effect)).await.unwrap();
    let refused = stage.finish_in(&mut tx, former.ticket, &done()).await;
    assert!(matches!(refused, Err(Error::LeaseLost(lost)) if lost == id), "{refused:?}");
    tx.rollback().await.unwrap();
    assert!(stage.get(effect.id).await.unwrap().is_none());
    assert_eq!(row(stage, id).await.state, State::Ready);
    // The next holder ends it once; a second end is refused as well.
    let holder = take_one(stage).await;
    let mut tx = stage.db().begin().await.unwrap();
    stage.finish_in(&mut tx, holder.ticket, &done()).await.unwrap();
    tx.commit().await.unwrap();
    let mut tx = stage.db().begin().await.unwrap();
    let refused = stage.finish_in(&mut tx, holder.ticket, &done()).await;
    assert!(matches!(refused, Err(Error::LeaseLost(_))), "{refused:?}");
    tx.rollback().await.unwrap();
}

pub(crate) async fn a_held_transaction_stops_a_former_holder(stage: &Stage) {
    let id = put(stage, job()).await;
    let former = crash(stage, 1).await.remove(0);
    for holder in [false, true] {
        let progress = Some(Progress { done: 1, total: 2 });
        let ticket = if holder { take_one(stage).await.ticket } else { former.ticket };
        let mut tx = stage.db().begin().await.unwrap();
        let held = stage.hold_in(&mut tx, ticket, &progress.into()).await;
        assert_eq!(held.is_ok(), holder, "{held:?}");
        assert!(holder || matches!(held, Err(Error::LeaseLost(lost)) if lost == id));
        tx.rollback().await.unwrap();
    }
}

/// The lease runs out while the transaction is open; upkeep elsewhere must not win.
pub(crate) async fn a_job_held_in_a_transaction_is_not_taken_away(stage: &Stage) {
    let id = put(stage, job()).await;
    let elsewhere = stage.another().await;
    let held = claim_for(stage, 1, Duration::from_millis(400)).await.remove(0);
    let mut tx = stage.db().begin().await.unwrap();
    stage.hold_in(&mut tx, held.ticket, &Save::default()).await.unwrap();
    let lease_until = row(stage, id).await.lease_until.unwrap();
    until("the lease has run out", async || clock::now() > lease_until).await;
    // SQLite lets it wait for the transaction, PostgreSQL may skip the row: both are right.
    let upkeep = tokio::spawn(async move { elsewhere.reap().await });
    until("upkeep has begun", async || true).await;
    stage.finish_in(&mut tx, held.ticket, &done()).await.unwrap();
    tx.commit().await.unwrap();
    let reaped = upkeep.await.unwrap().unwrap();
    assert_eq!((reaped.recovered, reaped.dead), (0, 0));
    let row = row(stage, id).await;
    assert_eq!((row.state, row.crashes), (State::Done, 0));
}

pub(crate) async fn progress_is_recorded_with_its_transaction(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = take_one(stage).await;
    for (progress, commit, expected) in
        [(1, true, Some(1)), (2, false, Some(1)), (3, true, Some(3))]
    {
        let mut tx = stage.db().begin().await.unwrap();
        let progress = Some(Progress { done: progress, total: 3 });
        stage.hold_in(&mut tx, held.ticket, &progress.into()).await.unwrap();
        if commit {
            tx.commit().await.unwrap();
        } else {
            tx.rollback().await.unwrap();
        }
        let seen = row(stage, id).await.progress;
        assert_eq!(seen, expected.map(|done| Progress { done, total: 3 }));
    }
    let mut tx = stage.db().begin().await.unwrap();
    stage.hold_in(&mut tx, held.ticket, &Save::default()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(row(stage, id).await.progress, Some(Progress { done: 3, total: 3 }));
}

pub(crate) async fn release_and_snooze_spend_no_attempt(stage: &Stage) {
    let id = put(stage, NewJob { max_attempts: 1, ..job() }).await;
    for outcome in [Outcome::Release, Outcome::Snooze { after: Duration::from_millis(20) }] {
        let held = take_one(stage).await;
        assert_eq!(held.attempt, 1);
        finish(stage, held.ticket, outcome).await;
        let row = row(stage, id).await;
        assert_eq!((row.attempt, row.crashes), (0, 0));
        assert!(matches!(row.state, State::Ready | State::Scheduled), "{:?}", row.state);
        assert_eq!((row.lease_holder, row.lease_until), (None, None));
    }
    assert!(stage.attempts(id).await.unwrap().is_empty());
    let held = take_one(stage).await;
    finish(stage, held.ticket, Outcome::Snooze { after: HOUR }).await;
    assert_eq!(row(stage, id).await.state, State::Scheduled);
}

pub(crate) async fn a_retry_keeps_its_error_and_waits(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = take_one(stage).await;
    finish(stage, held.ticket, retry("the NAS is full", HOUR)).await;
    let row = row(stage, id).await;
    assert_eq!((row.state, row.attempt), (State::Scheduled, 1));
    assert_eq!(row.error.as_deref(), Some("the NAS is full"));
    let wait = row.run_at - clock::now();
    assert!((wait - chrono::Duration::hours(1)).abs() < chrono::Duration::minutes(1), "{wait}");
    let attempts = stage.attempts(id).await.unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!((attempts[0].attempt, attempts[0].outcome.as_str()), (1, "retry"));
    assert_eq!(
        (attempts[0].error.as_str(), attempts[0].worker.as_deref()),
        ("the NAS is full", Some("a"))
    );
    assert!(attempts[0].started_at.is_some_and(|started| started <= attempts[0].ended_at));
}

pub(crate) async fn every_error_of_a_dead_job_stays(stage: &Stage) {
    let id = put(stage, job()).await;
    for n in 1..=3 {
        let held = take_one(stage).await;
        finish(stage, held.ticket, retry(&format!("error {n}"), Duration::ZERO)).await;
    }
    finish(stage, take_one(stage).await.ticket, dead("error 4")).await;
    let attempts = stage.attempts(id).await.unwrap();
    let told: Vec<_> =
        attempts.iter().map(|a| (a.attempt, a.outcome.as_str(), a.error.as_str())).collect();
    let expected = [
        (1, "retry", "error 1"),
        (2, "retry", "error 2"),
        (3, "retry", "error 3"),
        (4, "dead", "error 4"),
    ];
    assert_eq!(told, expected);
    let row = row(stage, id).await;
    assert_eq!((row.state, row.error.as_deref()), (State::Dead, Some("error 4")));
    assert!(row.finished_at.is_some());
}

pub(crate) async fn a_final_state_never_changes(stage: &Stage) {
    for (end, state) in [(done(), State::Done), (dead("no"), State::Dead)] {
        let id = put(stage, job()).await;
        let held = take_one(stage).await;
        finish(stage, held.ticket, end).await;
        let before = row(stage, id).await;
        for outcome in [done(), dead("again"), retry("again", HOUR), Outcome::Release] {
            assert!(stage.finish(&[(held.ticket, outcome)]).await.unwrap().is_empty());
        }
        assert!(stage.extend(&[held.ticket], HOUR).await.unwrap().is_empty());
        let mut tx = stage.db().begin().await.unwrap();
        assert!(stage.hold_in(&mut tx, held.ticket, &Save::default()).await.is_err());
        tx.rollback().await.unwrap();
        stage.reap().await.unwrap();
        let after = row(stage, id).await;
        assert_eq!(
            (after.state, after.finished_at, after.error),
            (state, before.finished_at, before.error)
        );
    }
}

pub(crate) async fn a_result_is_kept_as_it_was_written(stage: &Stage) {
    let result = r#"{"total": 40000.00, "nom": "Café \u0000"}"#;
    let end = Outcome::Done { result: Some(result.to_owned()), progress: None };
    let (alone, inside) = (put(stage, job()).await, put(stage, job()).await);
    finish(stage, take_one(stage).await.ticket, end.clone()).await;
    let held = take_one(stage).await;
    let mut tx = stage.db().begin().await.unwrap();
    stage.finish_in(&mut tx, held.ticket, &end).await.unwrap();
    tx.commit().await.unwrap();
    for id in [alone, inside] {
        assert_eq!(row(stage, id).await.result.as_deref(), Some(result));
    }
}
