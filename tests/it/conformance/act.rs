//! Promise 9 and what people do to jobs: cancel, retry, delete, each as the job's state allows.

use super::stage::{
    HOUR, LEASE, Stage, crash, dead, done, finish, job, of_lane, put, retry, row, take, take_one,
    until,
};
use queue::{Act, Acted, Actor, CANCELS, NewJob, Outcome, State, Unique, clock};
use std::time::Duration;
use uuid::Uuid;

pub(crate) fn ops() -> Actor {
    Actor { principal: "key:ops".to_owned(), reason: Some("a test".to_owned()) }
}

pub(crate) async fn act(stage: &Stage, id: Uuid, act: Act) -> Acted {
    stage.act(&[id], act, &ops()).await.unwrap().remove(0)
}

pub(crate) fn later() -> NewJob {
    NewJob { run_at: Some(clock::now() + chrono::Duration::hours(1)), ..job() }
}

pub(crate) async fn a_waiting_job_is_cancelled_at_once(stage: &Stage) {
    for new in [job(), later()] {
        let id = put(stage, new).await;
        let waiting = stage.engine();
        let waiter = tokio::spawn(async move { waiting.wait(id, HOUR).await });
        assert_eq!(act(stage, id, Act::Cancel).await, Acted::Done);
        let seen = waiter.await.unwrap().unwrap().unwrap();
        assert_eq!(seen.state, State::Cancelled);
        assert_eq!(seen.error.as_deref(), Some("cancelled by key:ops: a test"));
        let actions = stage.actions(id).await.unwrap();
        assert_eq!((actions.len(), actions[0].act.as_str()), (1, "cancel"));
        assert_eq!((actions[0].principal.as_str(), &actions[0].reason), ("key:ops", &ops().reason));
    }
    assert!(super::stage::claim(stage, 10).await.is_empty());
}

pub(crate) async fn a_cancelled_job_lets_its_lane_go_on(stage: &Stage) {
    let ids = [(); 3].map(|()| of_lane("shop:1"));
    stage.enqueue(&ids).await.unwrap();
    // Not the head: the head stays, and the last one follows it.
    assert_eq!(act(stage, ids[1].id, Act::Cancel).await, Acted::Done);
    let head = take_one(stage).await;
    assert_eq!(head.ticket.id, ids[0].id);
    finish(stage, head.ticket, done()).await;
    let next = put(stage, of_lane("shop:1")).await;
    assert_eq!(act(stage, ids[2].id, Act::Cancel).await, Acted::Done);
    assert_eq!(take_one(stage).await.ticket.id, next);
}

pub(crate) async fn a_running_job_is_asked_to_stop_from_anywhere(stage: &Stage) {
    let elsewhere = stage.another().await;
    let id = put(stage, job()).await;
    let held = take_one(stage).await;
    let other = put(stage, job()).await;
    let also = take_one(stage).await;
    assert_eq!(also.ticket.id, other);
    assert!(stage.cancels(&[held.ticket, also.ticket]).await.unwrap().is_empty());
    let mut rung = stage.ready(CANCELS);
    rung.mark_unchanged();
    let acted = elsewhere.act(&[id], Act::Cancel, &ops()).await.unwrap();
    assert_eq!(acted, [Acted::Requested]);
    tokio::time::timeout(super::stage::PATIENCE, rung.changed()).await.expect("a ring").unwrap();
    let asked = stage.cancels(&[held.ticket, also.ticket]).await.unwrap();
    assert_eq!(asked, [(held.ticket, "cancelled by key:ops: a test".to_owned())]);
    let former = queue::Ticket { token: held.ticket.token - 1, ..held.ticket };
    assert!(stage.cancels(&[former]).await.unwrap().is_empty(), "another attempt's holder");
    assert_eq!(row(stage, id).await.state, State::Running);
    let error = asked[0].1.clone();
    finish(stage, held.ticket, Outcome::Cancelled { error }).await;
    let ended = row(stage, id).await;
    assert_eq!(ended.state, State::Cancelled);
    assert_eq!(ended.error.as_deref(), Some("cancelled by key:ops: a test"));
    assert_eq!(stage.attempts(id).await.unwrap()[0].outcome, "cancelled");
    elsewhere.db().close().await;
}

pub(crate) async fn a_cancel_is_never_forgotten_over_an_end_that_waits_again(stage: &Stage) {
    let ends = [
        retry("boom", Duration::ZERO),
        retry("boom", HOUR),
        Outcome::Snooze { after: HOUR },
        Outcome::Release,
    ];
    for end in ends {
        let id = put(stage, job()).await;
        let held = take_one(stage).await;
        assert_eq!(act(stage, id, Act::Cancel).await, Acted::Requested);
        assert_eq!(act(stage, id, Act::Cancel).await, Acted::Requested);
        assert_eq!(stage.actions(id).await.unwrap()[0].act, "cancel");
        finish(stage, held.ticket, end.clone()).await;
        let ended = row(stage, id).await;
        assert_eq!(ended.state, State::Cancelled, "{end:?}");
        assert!(ended.finished_at.is_some());
    }
}

pub(crate) async fn success_before_the_cancel_is_noticed_counts(stage: &Stage) {
    let id = put(stage, job()).await;
    let held = take_one(stage).await;
    assert_eq!(act(stage, id, Act::Cancel).await, Acted::Requested);
    finish(stage, held.ticket, done()).await;
    assert_eq!(row(stage, id).await.state, State::Done);
}

pub(crate) async fn a_job_asked_to_stop_whose_process_died_is_cancelled(stage: &Stage) {
    // Also where the crash would have been its last.
    for max_attempts in [5, 1] {
        let new = NewJob { max_attempts, ..of_lane("shop:9") };
        let (id, next) = (put(stage, new).await, put(stage, of_lane("shop:9")).await);
        let lease = Duration::from_millis(200);
        let held = super::stage::claim_for(stage, 1, lease).await;
        assert_eq!(held[0].ticket.id, id);
        assert_eq!(act(stage, id, Act::Cancel).await, Acted::Requested);
        until("it is taken back", async || {
            stage.reap().await.unwrap();
            row(stage, id).await.state != State::Running
        })
        .await;
        let ended = row(stage, id).await;
        assert_eq!((ended.state, ended.crashes), (State::Cancelled, 1));
        assert_eq!(ended.error.as_deref(), Some("cancelled by key:ops: a test"));
        let follower = take_one(stage).await;
        assert_eq!(follower.ticket.id, next);
        finish(stage, follower.ticket, done()).await;
    }
}

pub(crate) async fn a_job_with_a_bad_end_is_retried_by_hand(stage: &Stage) {
    let by_death = put(stage, NewJob { max_attempts: 1, ..job() }).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    let by_crashes = put(stage, job()).await;
    for _ in 0..3 {
        crash(stage, 1).await;
    }
    let by_cancel = put(stage, job()).await;
    act(stage, by_cancel, Act::Cancel).await;
    let soon = clock::now() + chrono::Duration::milliseconds(30);
    let by_expiry = put(stage, NewJob { expires_at: Some(soon), ..later() }).await;
    until("it expires", async || {
        stage.reap().await.unwrap();
        row(stage, by_expiry).await.state == State::Expired
    })
    .await;
    let before = row(stage, by_death).await;
    for id in [by_death, by_crashes, by_cancel, by_expiry] {
        assert!(row(stage, id).await.state.is_final());
        assert_eq!(act(stage, id, Act::Retry).await, Acted::Done);
        let again = row(stage, id).await;
        assert_eq!((again.state, again.crashes), (State::Ready, 0));
        assert_eq!((again.finished_at, again.expires_at), (None, None));
        let held = take_one(stage).await;
        assert_eq!(held.ticket.id, id);
        assert!(held.attempt <= held.max_attempts, "{held:?}");
        finish(stage, held.ticket, done()).await;
        assert_eq!(stage.actions(id).await.unwrap().last().unwrap().act, "retry");
    }
    assert_eq!(before.attempt, 1);
    assert_eq!(stage.attempts(by_death).await.unwrap().len(), 1, "the evidence stays");
}

pub(crate) async fn a_retried_job_goes_to_the_end_of_its_lane(stage: &Stage) {
    let first = put(stage, of_lane("shop:3")).await;
    let last = put(stage, of_lane("shop:3")).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    assert_eq!(act(stage, first, Act::Retry).await, Acted::Done);
    assert!(row(stage, first).await.blocked);
    for id in [last, first] {
        let held = take_one(stage).await;
        assert_eq!(held.ticket.id, id);
        assert!(super::stage::claim(stage, 5).await.is_empty(), "one at a time");
        finish(stage, held.ticket, done()).await;
    }
}

pub(crate) async fn a_retry_that_would_make_a_twin_is_refused(stage: &Stage) {
    let unique = Unique::WhileAlive("invoice:7".to_owned());
    let first = put(stage, NewJob { unique: unique.clone(), ..job() }).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    let twin = put(stage, NewJob { unique, ..job() }).await;
    assert_ne!(first, twin);
    let refused = act(stage, first, Act::Retry).await;
    assert!(
        matches!(&refused, Acted::Refused(why) if why.contains(&twin.to_string())),
        "{refused:?}"
    );
    assert_eq!(row(stage, first).await.state, State::Dead);
    finish(stage, take_one(stage).await.ticket, done()).await;
    assert_eq!(act(stage, first, Act::Retry).await, Acted::Done);
}

pub(crate) async fn a_scheduled_job_is_made_ready_now(stage: &Stage) {
    let id = put(stage, later()).await;
    assert_eq!(act(stage, id, Act::Retry).await, Acted::Done);
    assert_eq!(take_one(stage).await.ticket.id, id);
}

pub(crate) async fn only_a_job_with_an_end_is_deleted(stage: &Stage) {
    let gone = put(stage, NewJob { attributes: vec![("a".into(), "b".into())], ..job() }).await;
    finish(stage, take_one(stage).await.ticket, dead("no")).await;
    let waiting = put(stage, job()).await;
    let nobody = Uuid::now_v7();
    let acted = stage.act(&[gone, waiting, nobody], Act::Delete, &ops()).await.unwrap();
    let cancel_first = Acted::Refused("it is ready: cancel it first".to_owned());
    assert_eq!(acted, [Acted::Done, cancel_first, Acted::NotFound]);
    assert_eq!(stage.get(gone).await.unwrap(), None);
    assert!(stage.attempts(gone).await.unwrap().is_empty());
    assert!(stage.attributes(gone).await.unwrap().is_empty());
    assert_eq!(row(stage, waiting).await.state, State::Ready);
}

pub(crate) async fn what_a_state_does_not_allow_is_refused_and_changes_nothing(stage: &Stage) {
    let ready = put(stage, job()).await;
    assert!(matches!(act(stage, ready, Act::Retry).await, Acted::Refused(_)));
    let held = take_one(stage).await;
    assert!(matches!(act(stage, ready, Act::Retry).await, Acted::Refused(_)));
    assert!(matches!(act(stage, ready, Act::Delete).await, Acted::Refused(_)));
    assert_eq!(stage.extend(&[held.ticket], LEASE).await.unwrap(), [held.ticket]);
    finish(stage, held.ticket, done()).await;
    for refused in [Act::Cancel, Act::Retry] {
        let acted = act(stage, ready, refused).await;
        assert!(
            matches!(&acted, Acted::Refused(why) if why.starts_with("it is done: ")),
            "{acted:?}"
        );
    }
    assert_eq!(row(stage, ready).await.state, State::Done);
    assert!(stage.actions(ready).await.unwrap().is_empty());
}

/// Ends, cancels, expiries and enqueues meet in the same lanes: nobody waits for ever, nothing
/// fails, and each lane still runs one after another.
pub(crate) async fn cancels_meet_ends_in_busy_lanes(stage: &Stage) {
    let lane = |n: usize| of_lane(&format!("lane:{}", n % 3));
    let jobs: Vec<NewJob> = (0..90).map(lane).collect();
    stage.enqueue(&jobs).await.unwrap();
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    let other = stage.another().await;
    let canceller = {
        let (other, ids) = (other.clone(), ids.clone());
        tokio::spawn(async move {
            for pair in ids.chunks(2) {
                other.act(&pair[..1], Act::Cancel, &ops()).await.unwrap();
            }
        })
    };
    while stage.stats().await.unwrap().iter().any(|q| q.ready + q.blocked + q.running > 0) {
        for held in super::stage::claim(stage, 3).await {
            finish(stage, held.ticket, done()).await;
        }
    }
    canceller.await.unwrap();
    for id in ids {
        assert!(matches!(row(stage, id).await.state, State::Done | State::Cancelled));
    }
    assert!(take(stage, 0).await.is_empty());
    other.db().close().await;
}
