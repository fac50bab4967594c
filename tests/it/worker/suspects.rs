//! A job whose processes died twice runs apart from the others (G-11).

use super::floor::Floor;
use db::{Sql, args};
use jobs::Job as _;
use queue::{NewJob, State};
use std::time::Duration;
use tests::script::{Execution, Script, Step};
use uuid::Uuid;

fn short() -> Script {
    Script::new([Step::Sleep(300)])
}

/// Puts in a job whose processes died so often already.
async fn put_crashed(floor: &Floor, script: &Script, crashes: i64) -> Uuid {
    static CRASHED: Sql = Sql::both("UPDATE jobs SET crashes = $2 WHERE id = $1");
    let mut tx = floor.engine.db().begin().await.unwrap();
    let timeout = Some(Duration::from_secs(60));
    let job = NewJob { timeout, ..script.clone().into_new() };
    let id = floor.engine.enqueue_in(&mut tx, &[job]).await.unwrap()[0].id;
    assert_eq!(tx.execute(&CRASHED, args![id, crashes]).await.unwrap(), 1);
    tx.commit().await.unwrap();
    id
}

fn only(script: &Script) -> Execution {
    let executions = script.executions();
    assert_eq!(executions.len(), 1);
    executions[0].clone()
}

fn overlap(one: &Script, other: &Script) -> bool {
    let (one, other) = (only(one), only(other));
    let ended = |run: &Execution| run.ended.expect("it has ended");
    one.began < ended(&other) && other.began < ended(&one)
}

pub(super) async fn a_job_whose_processes_died_twice_runs_alone(floor: &Floor) {
    let scripts: Vec<Script> = (0..6).map(|_| short()).collect();
    let mut ids = Vec::new();
    for (script, crashes) in scripts.iter().zip([0, 2, 0, 2, 1, 0]) {
        ids.push(put_crashed(floor, script, crashes).await);
    }
    let worker = floor.worker(6).await;
    for id in ids {
        floor.ended(id, State::Done).await;
    }
    for suspect in [1, 3] {
        for other in (0..6).filter(|other| *other != suspect) {
            assert!(!overlap(&scripts[suspect], &scripts[other]), "{suspect} beside {other}");
        }
    }
    let ordinary = [0, 2, 4, 5];
    let are_beside = |one: &usize| {
        ordinary.iter().any(|two| one < two && overlap(&scripts[*one], &scripts[*two]))
    };
    assert!(ordinary.iter().any(are_beside), "the others run side by side");
    worker.stop().await;
}

pub(super) async fn a_suspect_that_lasts_lets_others_run_but_no_other_suspect(floor: &Floor) {
    let long = Script::new([Step::Hold]);
    let (other_suspect, ordinary) = (short(), short());
    let id = put_crashed(floor, &long, 2).await;
    let worker = floor.worker(3).await;
    long.until_holding().await;
    let waiting = put_crashed(floor, &other_suspect, 2).await;
    let beside = put_crashed(floor, &ordinary, 0).await;
    floor.ended(beside, State::Done).await;
    assert!(only(&long).ended.is_none());
    assert_eq!(other_suspect.executions(), []);
    long.release();
    floor.ended(id, State::Done).await;
    floor.ended(waiting, State::Done).await;
    assert!(!overlap(&long, &other_suspect));
    worker.stop().await;
}

/// Waiting for its turn, it is told all the same.
pub(super) async fn a_waiting_suspect_is_cancelled_and_handed_back(floor: &Floor) {
    let long = Script::new([Step::Hold]);
    let (cancelled, kept) = (short(), short());
    let id = put_crashed(floor, &long, 2).await;
    let worker = floor.worker(3).await;
    long.until_holding().await;
    let cancelled_id = put_crashed(floor, &cancelled, 2).await;
    let kept_id = put_crashed(floor, &kept, 2).await;
    super::floor::until("both are held", async || {
        floor.row(cancelled_id).await.state == State::Running
            && floor.row(kept_id).await.state == State::Running
    })
    .await;
    let by = queue::Actor { principal: "key:ops".to_owned(), reason: None };
    floor.engine.act(&[cancelled_id], queue::Act::Cancel, &by).await.unwrap();
    floor.ended(cancelled_id, State::Cancelled).await;
    worker.shut_down();
    super::floor::until("it is handed back", async || {
        let row = floor.row(kept_id).await;
        (row.state, row.attempt) == (State::Ready, 0)
    })
    .await;
    long.release();
    worker.stopped().await;
    assert_eq!(floor.row(id).await.state, State::Done);
    assert_eq!((cancelled.executions(), kept.executions()), (vec![], vec![]));
}
