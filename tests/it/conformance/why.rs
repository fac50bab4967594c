//! Why a job does not run: everything that is in its way, named.

use super::act::{later, ops};
use super::crew::{beat, grow_old};
use super::stage::{HOUR, Stage, finish, job, of_lane, put, retry, take_one};
use queue::{Beat, Blocker, NewJob, Pause, PauseScope, State, Why, clock};
use uuid::Uuid;

async fn why(stage: &Stage, id: Uuid) -> Why {
    stage.why(id).await.unwrap().expect("the job is there")
}

pub(crate) async fn a_job_that_only_waits_its_turn_says_how_many_go_first(stage: &Stage) {
    stage.beat(&beat("w")).await.unwrap();
    let first = put(stage, job()).await;
    let second = put(stage, job()).await;
    let last = put(stage, NewJob { priority: 9, ..job() }).await;
    assert_eq!(why(stage, first).await.blockers, []);
    assert!(why(stage, first).await.estimate.is_some());
    assert_eq!(why(stage, second).await.blockers, [Blocker::Turn { ahead: 1 }]);
    assert_eq!(why(stage, last).await.blockers, [Blocker::Turn { ahead: 2 }]);
    assert_eq!(stage.why(Uuid::now_v7()).await.unwrap(), None);
}

pub(crate) async fn pauses_lanes_times_and_failures_are_named(stage: &Stage) {
    stage.beat(&beat("w")).await.unwrap();
    let head = put(stage, of_lane("shop:1")).await;
    put(stage, of_lane("shop:1")).await;
    let third = put(stage, of_lane("shop:1")).await;
    let expected = Blocker::LaneHead { id: head, state: State::Ready, ahead: 2 };
    assert_eq!(why(stage, third).await.blockers, [expected]);
    assert_eq!(why(stage, third).await.estimate, None, "nobody knows how long the others take");

    let held = take_one(stage).await;
    let expected = Blocker::LaneHead { id: head, state: State::Running, ahead: 2 };
    assert_eq!(why(stage, third).await.blockers, [expected]);
    let running = why(stage, head).await;
    assert_eq!((running.blockers.len(), running.estimate), (0, None));
    finish(stage, held.ticket, retry("no route", HOUR)).await;
    let failed = why(stage, head).await;
    let error = Some("no route".to_owned());
    let run_at = failed.row.run_at;
    assert_eq!(failed.blockers, [Blocker::Backoff { run_at, attempt: 1, error }]);
    assert_eq!(failed.estimate, Some(run_at));

    let planned = why(stage, put(stage, later()).await).await;
    let run_at = planned.row.run_at;
    assert_eq!(planned.blockers, [Blocker::Schedule { run_at }]);
    assert_eq!(planned.estimate, Some(run_at));

    let until = Some(clock::now() + chrono::Duration::hours(2));
    for (scope, name) in [(PauseScope::Queue, "work"), (PauseScope::Kind, "test")] {
        let pause = Pause { scope, name: name.to_owned(), until, by: ops(), since: None };
        stage.pause(&pause).await.unwrap();
    }
    let paused = why(stage, planned.row.id).await;
    let pauses = stage.pauses().await.unwrap();
    let named: Vec<_> = pauses.iter().cloned().map(Blocker::Paused).collect();
    assert_eq!(paused.blockers[..2], named);
    assert_eq!(paused.estimate, pauses[0].until, "once the pause is over");
}

pub(crate) async fn a_queue_or_kind_without_a_living_worker_is_named(stage: &Stage) {
    let id = put(stage, job()).await;
    let newer = put(stage, NewJob { version: 3, kind: "other".to_owned(), ..job() }).await;
    assert_eq!(why(stage, id).await.blockers, [Blocker::NoWorkerForQueue]);
    let elsewhere = Beat { queues: vec![("other".to_owned(), 1)], ..beat("elsewhere") };
    stage.beat(&elsewhere).await.unwrap();
    assert_eq!(why(stage, id).await.blockers, [Blocker::NoWorkerForQueue]);
    stage.beat(&beat("w")).await.unwrap();
    assert_eq!(why(stage, id).await.blockers, []);
    assert!(why(stage, newer).await.blockers.contains(&Blocker::NoWorkerForKind));
    for (version, knows) in [(2, false), (3, true)] {
        let kinds = vec![("other".to_owned(), version)];
        stage.beat(&Beat { kinds, ..beat("w") }).await.unwrap();
        let blocked = why(stage, newer).await.blockers.contains(&Blocker::NoWorkerForKind);
        assert_eq!(blocked, !knows, "version {version}");
    }
    stage.beat(&Beat { draining: true, ..beat("w") }).await.unwrap();
    assert_eq!(why(stage, id).await.blockers, [Blocker::NoWorkerForQueue], "it takes no more");
    stage.beat(&beat("w")).await.unwrap();
    grow_old(stage, 30).await;
    assert_eq!(why(stage, id).await.blockers, [Blocker::NoWorkerForQueue], "it is silent");
}
