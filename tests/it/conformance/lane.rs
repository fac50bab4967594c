//! Promise 6: strictly one after another within a lane, in parallel across lanes.

use super::stage::{
    HOUR, PATIENCE, QUEUE, Stage, claim, crash, dead, done, finish, ids, job, of_lane, put, retry,
    take, take_one,
};
use queue::{Claim, NewJob, Outcome, clock};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Runs the lane to its end, one job after another; nothing else may come with them.
async fn run_all(stage: &Stage, count: usize) -> Vec<Uuid> {
    let mut order = Vec::new();
    for _ in 0..count {
        let head = take_one(stage).await;
        assert!(claim(stage, 10).await.is_empty(), "two jobs of one lane at once");
        finish(stage, head.ticket, done()).await;
        order.push(head.ticket.id);
    }
    assert!(claim(stage, 10).await.is_empty());
    order
}

pub(crate) async fn a_lane_runs_in_the_order_of_acceptance(stage: &Stage) {
    let engines = [stage.engine(), stage.another().await];
    // Ids count downwards here: the order is that of acceptance, not of their making.
    let mut jobs: Vec<NewJob> = (0..10).map(|_| of_lane("shop:2")).collect();
    jobs.reverse();
    for (index, job) in jobs.iter().enumerate() {
        put(&engines[index % 2], job.clone()).await;
    }
    let expected: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(run_all(stage, jobs.len()).await, expected);
}

pub(crate) async fn a_batch_of_one_lane_keeps_its_order(stage: &Stage) {
    let mut jobs: Vec<NewJob> = (0..10).map(|_| of_lane("shop:2")).collect();
    jobs.reverse();
    stage.enqueue(&jobs[..6]).await.unwrap();
    stage.enqueue(&jobs[6..]).await.unwrap();
    let expected: Vec<Uuid> = jobs.iter().map(|job| job.id).collect();
    assert_eq!(run_all(stage, jobs.len()).await, expected);
}

pub(crate) async fn a_claim_takes_only_the_head_of_a_lane(stage: &Stage) {
    let lane: Vec<NewJob> = (0..5).map(|_| of_lane("shop:2")).collect();
    stage.enqueue(&lane).await.unwrap();
    let free = put(stage, job()).await;
    let mut taken = ids(&take(stage, 2).await);
    taken.sort();
    let mut expected = [lane[0].id, free];
    expected.sort();
    assert_eq!(taken, expected);
    assert!(claim(stage, 10).await.is_empty());
}

pub(crate) async fn lanes_run_in_parallel(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..15).map(|n| of_lane(&format!("shop:{}", n % 5))).collect();
    stage.enqueue(&jobs).await.unwrap();
    for round in jobs.chunks(5) {
        let heads = take(stage, 5).await;
        let mut taken = ids(&heads);
        taken.sort();
        assert_eq!(taken, round.iter().map(|job| job.id).collect::<Vec<_>>());
        assert!(claim(stage, 10).await.is_empty());
        let ends: Vec<_> = heads.iter().map(|head| (head.ticket, done())).collect();
        assert_eq!(stage.finish(&ends).await.unwrap().len(), 5);
    }
}

pub(crate) async fn priority_does_not_overtake_within_a_lane(stage: &Stage) {
    let slow = put(stage, NewJob { priority: 9, ..of_lane("shop:2") }).await;
    let urgent = put(stage, NewJob { priority: 0, ..of_lane("shop:2") }).await;
    assert_eq!(run_all(stage, 2).await, [slow, urgent]);
}

pub(crate) async fn a_dead_head_does_not_block_its_lane(stage: &Stage) {
    put(stage, of_lane("shop:2")).await;
    let next = put(stage, of_lane("shop:2")).await;
    finish(stage, take_one(stage).await.ticket, dead("poison")).await;
    assert_eq!(run_all(stage, 1).await, [next]);
}

pub(crate) async fn a_retrying_head_blocks_its_lane(stage: &Stage) {
    put(stage, of_lane("shop:2")).await;
    put(stage, of_lane("shop:2")).await;
    let elsewhere = put(stage, of_lane("shop:3")).await;
    let head = take(stage, 2).await.into_iter().find(|job| job.ticket.id != elsewhere).unwrap();
    finish(stage, head.ticket, retry("later", HOUR)).await;
    stage.reap().await.unwrap();
    assert!(claim(stage, 10).await.is_empty());
    // And after its wait it is the head again, not the one behind it.
    let first = put(stage, of_lane("shop:4")).await;
    let second = put(stage, of_lane("shop:4")).await;
    finish(stage, take_one(stage).await.ticket, retry("soon", Duration::from_millis(50))).await;
    assert_eq!(run_all(stage, 2).await, [first, second]);
}

pub(crate) async fn a_scheduled_head_blocks_its_lane(stage: &Stage) {
    let run_at = Some(clock::now() + chrono::Duration::milliseconds(200));
    let first = put(stage, NewJob { run_at, ..of_lane("shop:2") }).await;
    let second = put(stage, of_lane("shop:2")).await;
    assert_eq!(run_all(stage, 2).await, [first, second]);
}

pub(crate) async fn a_released_head_goes_first_again(stage: &Stage) {
    let first = put(stage, of_lane("shop:2")).await;
    let second = put(stage, of_lane("shop:2")).await;
    finish(stage, take_one(stage).await.ticket, Outcome::Release).await;
    finish(stage, take_one(stage).await.ticket, Outcome::Snooze { after: Duration::ZERO }).await;
    assert_eq!(run_all(stage, 2).await, [first, second]);
}

pub(crate) async fn a_crashed_head_goes_first_again(stage: &Stage) {
    let first = put(stage, of_lane("shop:2")).await;
    let second = put(stage, of_lane("shop:2")).await;
    crash(stage, 1).await;
    assert_eq!(run_all(stage, 2).await, [first, second]);
}

pub(crate) async fn a_finished_lane_takes_new_jobs(stage: &Stage) {
    let mut before = None;
    for _ in 0..3 {
        put(stage, of_lane("shop:2")).await;
        let head = take_one(stage).await;
        assert!(head.lane_seq > before);
        before = head.lane_seq;
        // One arrives while the head runs, one after the lane has become empty.
        let next = put(stage, of_lane("shop:2")).await;
        assert!(claim(stage, 10).await.is_empty());
        finish(stage, head.ticket, done()).await;
        assert_eq!(run_all(stage, 1).await, [next]);
    }
}

/// Enqueuers, workers and upkeep at once: no lane is ever in two hands, and all jobs end.
pub(crate) async fn no_lane_is_ever_held_twice(stage: &Stage) {
    const JOBS: usize = 120;
    let held: Arc<Mutex<HashMap<String, Uuid>>> = Arc::default();
    let order: Arc<Mutex<HashMap<String, Vec<i64>>>> = Arc::default();
    let engines = [stage.engine(), stage.another().await];
    let putting = tokio::spawn({
        let engine = engines[0].clone();
        async move {
            for n in 0..JOBS {
                put(&engine, of_lane(&format!("shop:{}", n % 3))).await;
            }
        }
    });
    let workers: Vec<_> = (0..4)
        .map(|n| {
            let (engine, held, order) = (engines[n % 2].clone(), held.clone(), order.clone());
            tokio::spawn(async move {
                let (queue, worker) = (QUEUE.to_owned(), format!("worker-{n}"));
                let claim = Claim { queue, worker, limit: 2, lease: HOUR };
                let start = Instant::now();
                while order.lock().unwrap().values().map(Vec::len).sum::<usize>() < JOBS {
                    assert!(start.elapsed() < PATIENCE, "{:?}", order.lock().unwrap());
                    engine.reap().await.unwrap();
                    for job in engine.claim(&claim).await.unwrap() {
                        let lane = job.lane.clone().unwrap();
                        let other = held.lock().unwrap().insert(lane.clone(), job.ticket.id);
                        assert_eq!(other, None, "a lane in two hands");
                        tokio::task::yield_now().await;
                        order
                            .lock()
                            .unwrap()
                            .entry(lane.clone())
                            .or_default()
                            .push(job.lane_seq.unwrap());
                        held.lock().unwrap().remove(&lane);
                        let end = if job.attempt == 1 && job.lane_seq.unwrap() % 5 == 0 {
                            order.lock().unwrap().get_mut(&lane).unwrap().pop();
                            retry("once", Duration::from_millis(1))
                        } else {
                            done()
                        };
                        finish(&engine, job.ticket, end).await;
                    }
                }
            })
        })
        .collect();
    putting.await.unwrap();
    for worker in workers {
        worker.await.unwrap();
    }
    for (lane, order) in order.lock().unwrap().iter() {
        assert!(order.is_sorted(), "{lane}: {order:?}");
    }
}
