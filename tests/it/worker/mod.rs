//! What a worker promises, shown by the scriptable kind and [`worker::run`] in this process, on
//! all three deployments.

mod cancel;
mod drain;
mod floor;
mod keep;
mod lease;
mod load;
mod outage;
mod outcomes;
mod suspects;
mod upkeep;

use floor::Floor;
use tests::stores::Deployment;

async fn on_floor(deployment: Deployment, case: impl AsyncFnOnce(&Floor)) {
    let floor = Floor::on(deployment.fresh().await).await;
    case(&floor).await;
    floor.close().await;
}

on_every_deployment! {
    on_floor:
    outcomes::success_is_recorded_with_its_result,
    outcomes::a_transient_failure_is_tried_again_and_keeps_its_error,
    outcomes::retry_after_waits_exactly_that_long,
    outcomes::a_permanent_failure_is_dead_at_once,
    outcomes::a_snooze_comes_back_without_spending_an_attempt,
    outcomes::spent_attempts_are_dead_with_every_error,
    outcomes::a_panic_is_one_failed_attempt_and_the_worker_lives,
    outcomes::a_timeout_is_one_failed_attempt_even_of_a_deaf_handler,
    outcomes::an_unknown_kind_waits_for_a_worker_that_knows_it,
    outcomes::an_unreadable_payload_is_tried_again_not_killed,
    outcomes::a_newer_version_is_tried_again_not_killed,
    lease::a_lost_lease_fires_the_token_and_records_nothing,
    lease::a_deaf_handler_is_stopped_when_its_lease_is_lost,
    lease::a_busy_handler_does_not_look_dead,
    lease::an_end_in_a_transaction_and_a_return_are_recorded_once,
    lease::an_end_in_a_transaction_is_refused_once_another_holds_the_job,
    drain::running_jobs_finish_and_nothing_new_is_claimed,
    drain::at_the_grace_deadline_the_rest_is_handed_over_unspent,
    drain::an_idle_worker_stops_at_once,
    cancel::a_running_handler_is_told_within_a_second,
    cancel::a_handler_that_finishes_all_the_same_is_done,
    cancel::a_deaf_handler_is_dropped_after_its_grace,
    cancel::a_cancel_is_not_forgotten_when_the_worker_stops,
    cancel::a_job_may_have_a_time_limit_of_its_own,
    keep::a_drained_handler_goes_on_elsewhere_from_its_checkpoint,
    keep::a_job_handed_back_without_need_does_not_run_in_circles,
    keep::the_grace_time_ends_when_asked_twice,
    keep::lines_are_there_however_the_attempt_ends,
    keep::lines_are_seen_while_the_job_runs,
    keep::an_attempt_keeps_a_thousand_lines,
    keep::a_step_outside_is_done_once_over_crashes_and_failures,
    keep::a_former_holder_does_not_do_the_step,
    keep::a_worker_is_seen_while_it_lives,
    load::as_many_jobs_run_at_once_as_the_queue_has_slots,
    load::a_full_queue_does_not_starve_another,
    load::two_thousand_jobs_that_do_nothing_are_quick,
    load::a_lane_runs_one_job_after_another_in_order,
    suspects::a_job_whose_processes_died_twice_runs_alone,
    suspects::a_suspect_that_lasts_lets_others_run_but_no_other_suspect,
    suspects::a_waiting_suspect_is_cancelled_and_handed_back,
    upkeep::jobs_of_a_dead_worker_run_again_within_lease_and_five_seconds,
    upkeep::finished_jobs_past_their_retention_are_removed_by_the_kind,
    upkeep::a_corrupted_article_is_found_by_the_nightly_check,
}
