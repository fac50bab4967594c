//! Promise 6 in full: the urgent go first, and nothing starves.

use super::stage::{Stage, finish, ids, job, put, retry, take, take_one};
use queue::{NewJob, clock};
use std::time::Duration;

fn with(priority: u8, age_minutes: i64) -> NewJob {
    let run_at = clock::now() - chrono::Duration::minutes(age_minutes);
    NewJob { priority, run_at: Some(run_at), ..job() }
}

pub(crate) async fn what_waited_ten_minutes_goes_before_fresh_urgent_jobs(stage: &Stage) {
    let mut jobs: Vec<NewJob> = (0..20).map(|_| with(0, 0)).collect();
    jobs.extend([with(9, 10), with(9, 8)]);
    stage.enqueue(&jobs).await.unwrap();
    let order = ids(&take(stage, 22).await);
    assert_eq!(order[0], jobs[20].id, "nine steps of priority are nine minutes");
    assert_eq!(order[21], jobs[21].id);
}

pub(crate) async fn each_step_of_priority_is_a_minute(stage: &Stage) {
    let jobs = [with(4, 0), with(5, 2), with(3, 0), with(5, 0)];
    stage.enqueue(&jobs).await.unwrap();
    let order = ids(&take(stage, 4).await);
    let expected = [1, 2, 0, 3].map(|index: usize| jobs[index].id);
    assert_eq!(order, expected);
}

pub(crate) async fn a_retried_job_waits_from_its_new_time_on(stage: &Stage) {
    let old = put(stage, with(9, 30)).await;
    let held = take_one(stage).await;
    assert_eq!(held.ticket.id, old);
    let fresh = put(stage, with(5, 0)).await;
    finish(stage, held.ticket, retry("again", Duration::ZERO)).await;
    assert_eq!(ids(&take(stage, 2).await), [fresh, old]);
}
