//! Calls that come at once share transactions, and none of them notices.

use super::stage::{Stage, claim, done, finish, job, of_lane, take_one};
use db::{Sql, args};
use futures::future::join_all;
use queue::{Enqueued, Error, NewJob, Unique};
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// As many as a busy process has in flight.
const CALLS: usize = 64;

/// All at once, in this order.
pub(crate) async fn at_once(
    stage: &Stage,
    calls: &[Vec<NewJob>],
) -> Vec<Result<Vec<Enqueued>, Error>> {
    join_all(calls.iter().map(|jobs| stage.enqueue(jobs))).await
}

fn new(jobs: &[NewJob]) -> Vec<Enqueued> {
    jobs.iter().map(|job| Enqueued { id: job.id, created: true }).collect()
}

pub(crate) async fn calls_at_once_get_their_own_answers(stage: &Stage) {
    let calls: Vec<Vec<NewJob>> = (0..CALLS).map(|n| (0..n % 4).map(|_| job()).collect()).collect();
    let answers = at_once(stage, &calls).await;
    for (jobs, answer) in calls.iter().zip(answers) {
        assert_eq!(answer.unwrap(), new(jobs));
    }
    let expected: HashSet<Uuid> = calls.iter().flatten().map(|job| job.id).collect();
    let taken = super::stage::take(stage, expected.len()).await;
    assert_eq!(taken.iter().map(|job| job.ticket.id).collect::<HashSet<_>>(), expected);
    assert!(claim(stage, 10).await.is_empty());
}

/// The store refuses the second job of one call.
pub(crate) async fn a_refused_call_at_once_with_others_fails_alone(stage: &Stage) {
    for make in [job, || of_lane("shop:2")] {
        let mut calls: Vec<Vec<NewJob>> = (0..CALLS).map(|_| vec![make(), make()]).collect();
        calls[40][1].priority = 77;
        let answers = at_once(stage, &calls).await;
        for (n, (jobs, answer)) in calls.iter().zip(answers).enumerate() {
            if n == 40 {
                assert!(matches!(&answer, Err(error) if !error.is_transient()), "{answer:?}");
            } else {
                assert_eq!(answer.unwrap(), new(jobs), "call {n}");
            }
        }
        assert!(stage.get(calls[40][0].id).await.unwrap().is_none());
        assert!(stage.get(calls[41][1].id).await.unwrap().is_some());
    }
}

pub(crate) async fn equal_jobs_of_calls_at_once_make_one(stage: &Stage) {
    let unique = |n: usize| NewJob { unique: Unique::Ever(format!("key {}", n % 8)), ..job() };
    let calls: Vec<Vec<NewJob>> = (0..CALLS).map(|n| vec![job(), unique(n)]).collect();
    let mut answers: HashMap<usize, Vec<Enqueued>> = HashMap::new();
    for (n, answer) in at_once(stage, &calls).await.into_iter().enumerate() {
        let answer = answer.unwrap();
        assert_eq!(answer[0], Enqueued { id: calls[n][0].id, created: true });
        answers.entry(n % 8).or_default().push(answer[1]);
    }
    for answers in answers.values() {
        let created: Vec<_> = answers.iter().filter(|answer| answer.created).collect();
        assert_eq!(created.len(), 1, "{answers:?}");
        assert!(answers.iter().all(|answer| answer.id == created[0].id), "{answers:?}");
    }
}

pub(crate) async fn one_job_by_calls_at_once_is_new_to_one(stage: &Stage) {
    let again = vec![job()];
    let calls = vec![again; CALLS];
    let answers = at_once(stage, &calls).await;
    let answers: Vec<Enqueued> = answers.into_iter().map(|answer| answer.unwrap()[0]).collect();
    assert_eq!(answers.iter().filter(|answer| answer.created).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.id == calls[0][0].id));
}

pub(crate) async fn calls_of_one_lane_at_once_keep_their_order(stage: &Stage) {
    // Ids count downwards: the order is that of arrival, not of their making.
    let mut jobs: Vec<NewJob> = (0..24).map(|_| of_lane("shop:2")).collect();
    jobs.reverse();
    let calls: Vec<Vec<NewJob>> = jobs.iter().map(|job| vec![job.clone()]).collect();
    assert!(at_once(stage, &calls).await.iter().all(Result::is_ok));
    for job in &jobs {
        let head = take_one(stage).await;
        assert_eq!(head.ticket.id, job.id);
        assert!(claim(stage, 10).await.is_empty(), "two jobs of one lane at once");
        finish(stage, head.ticket, done()).await;
    }
}

/// Somebody stops waiting; what was put in is whole or not there, and the others are served.
pub(crate) async fn a_dropped_call_happens_whole_or_not_at_all(stage: &Stage) {
    let calls: Vec<Vec<NewJob>> = (0..CALLS).map(|_| vec![job(), job(), job()]).collect();
    let tasks: Vec<_> = calls
        .iter()
        .cloned()
        .enumerate()
        .map(|(n, jobs)| {
            let engine = stage.engine();
            tokio::spawn(async move {
                // The first ones are those that write for the others.
                let patience = Duration::from_micros(if n % 2 == 0 { 100 } else { 30_000_000 });
                tokio::time::timeout(patience, engine.enqueue(&jobs)).await
            })
        })
        .collect();
    for (n, task) in tasks.into_iter().enumerate() {
        let answer = task.await.unwrap();
        assert!(n % 2 == 0 || answer.is_ok_and(|answer| answer.unwrap() == new(&calls[n])));
    }
    whole_or_not_there(stage, &calls).await;
}

/// As one look at the record shows it.
pub(crate) async fn whole_or_not_there(stage: &Stage, calls: &[Vec<NewJob>]) {
    static IDS: Sql = Sql::both("SELECT id FROM jobs");
    let rows = stage.db().read(&IDS, args![]).await.unwrap();
    let rows: HashSet<Uuid> = rows.iter().map(|row| row.get("id").unwrap()).collect();
    for jobs in calls {
        let there = jobs.iter().filter(|job| rows.contains(&job.id)).count();
        assert!(there == 0 || there == jobs.len(), "{there} of {}", jobs.len());
    }
}
