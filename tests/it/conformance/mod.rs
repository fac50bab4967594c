//! What every deployment promises: each case is listed once and runs on all three.
//!
//! A case is a function of a [`Stage`] and never asks which engine it got. What only one
//! deployment can promise is in `distributed_only.rs` and `postgres_only.rs`.

mod act;
mod attributes;
mod claim;
mod crew;
mod distributed_only;
mod enqueue;
mod expiry;
mod finish;
mod gather;
mod lane;
mod list;
mod pause;
mod postgres_only;
mod priority;
mod read;
mod ready;
mod reap;
mod retention;
mod save;
mod stage;
mod stats;
mod storm;
mod unique;
mod wait;
mod why;

use stage::Stage;
use tests::stores::Deployment;

async fn on_stage(deployment: Deployment, case: impl AsyncFnOnce(&Stage)) {
    let stage = Stage::on(deployment.fresh().await).await;
    case(&stage).await;
    stage.close().await;
}

on_every_deployment! {
    on_stage:
    enqueue::a_batch_goes_in_whole_or_not_at_all,
    enqueue::answers_come_in_the_order_of_the_jobs,
    enqueue::the_same_id_twice_makes_one_job,
    enqueue::an_enqueue_inside_a_transaction_exists_only_if_it_commits,
    enqueue::ten_thousand_due_jobs_are_all_claimable,
    enqueue::a_payload_above_the_limit_is_refused,
    enqueue::a_payload_is_kept_as_it_was_written,
    enqueue::what_one_engine_accepted_every_other_sees,
    gather::calls_at_once_get_their_own_answers,
    gather::a_refused_call_at_once_with_others_fails_alone,
    gather::equal_jobs_of_calls_at_once_make_one,
    gather::one_job_by_calls_at_once_is_new_to_one,
    gather::calls_of_one_lane_at_once_keep_their_order,
    gather::a_dropped_call_happens_whole_or_not_at_all,
    unique::while_alive_holds_until_the_end,
    unique::ever_outlives_the_end,
    unique::until_delivered_holds_until_an_answer_left_whole,
    unique::until_delivered_does_not_count_the_dead,
    unique::kinds_do_not_share_keys,
    unique::equal_jobs_at_once_make_one,
    unique::equal_jobs_of_one_batch_make_one,
    claim::two_workers_never_hold_one_job,
    claim::the_order_is_priority_then_due_time_then_id,
    claim::a_batch_is_claimed_in_the_same_order,
    claim::a_job_is_not_claimed_before_its_time,
    claim::a_scheduled_job_is_claimed_once_it_is_due,
    claim::a_queue_gives_only_its_own_jobs,
    claim::a_claim_says_everything_the_worker_needs,
    claim::each_claim_counts_an_attempt_and_raises_the_token,
    lane::a_lane_runs_in_the_order_of_acceptance,
    lane::a_batch_of_one_lane_keeps_its_order,
    lane::a_claim_takes_only_the_head_of_a_lane,
    lane::lanes_run_in_parallel,
    lane::priority_does_not_overtake_within_a_lane,
    lane::a_dead_head_does_not_block_its_lane,
    lane::a_retrying_head_blocks_its_lane,
    lane::a_scheduled_head_blocks_its_lane,
    lane::a_released_head_goes_first_again,
    lane::a_crashed_head_goes_first_again,
    lane::a_finished_lane_takes_new_jobs,
    lane::no_lane_is_ever_held_twice,
    finish::only_the_holder_may_finish,
    finish::stale_tokens_among_ten_thousand_are_refused_alone,
    finish::an_end_inside_a_transaction_happens_with_its_effects_or_not_at_all,
    finish::an_end_after_the_lease_was_lost_takes_its_effects_along,
    finish::a_held_transaction_stops_a_former_holder,
    finish::a_job_held_in_a_transaction_is_not_taken_away,
    finish::progress_is_recorded_with_its_transaction,
    finish::release_and_snooze_spend_no_attempt,
    finish::a_retry_keeps_its_error_and_waits,
    finish::every_error_of_a_dead_job_stays,
    finish::a_final_state_never_changes,
    finish::a_result_is_kept_as_it_was_written,
    reap::a_lost_lease_counts_a_crash_and_runs_again,
    reap::the_third_crash_is_quarantined,
    reap::a_suspect_that_had_not_begun_has_not_crashed,
    reap::a_crash_of_the_last_attempt_is_dead,
    reap::five_thousand_jobs_of_a_dead_worker_are_recovered,
    reap::a_live_lease_is_left_alone,
    reap::an_extended_lease_outlives_its_first_term,
    reap::extending_returns_only_what_is_held,
    reap::the_time_to_the_next_due_job_is_told,
    wait::an_end_is_seen_soon_after_its_commit,
    wait::an_end_before_the_wait_is_not_missed,
    wait::a_wait_ends_at_its_timeout,
    wait::a_retry_is_not_an_end,
    wait::everybody_who_waits_sees_the_end,
    wait::a_job_that_does_not_exist_is_none,
    ready::an_enqueue_wakes_every_engine,
    ready::a_commit_wakes_and_a_rollback_does_not,
    ready::the_end_of_a_head_wakes_for_the_next_of_its_lane,
    ready::a_recovered_job_wakes,
    read::a_list_is_paged_newest_first,
    read::a_list_is_narrowed_by_state_kind_and_queue,
    read::figures_are_kept_by_queue,
    read::unfinished_jobs_of_a_principal_are_counted_up_to_the_limit,
    retention::only_finished_jobs_past_their_time_are_removed,
    retention::cancelled_and_expired_jobs_go_with_the_dead,
    retention::removal_goes_in_steps,
    retention::a_key_that_was_for_ever_is_free_once_its_job_is_gone,
    act::a_waiting_job_is_cancelled_at_once,
    act::a_cancelled_job_lets_its_lane_go_on,
    act::a_running_job_is_asked_to_stop_from_anywhere,
    act::a_cancel_is_never_forgotten_over_an_end_that_waits_again,
    act::success_before_the_cancel_is_noticed_counts,
    act::a_job_asked_to_stop_whose_process_died_is_cancelled,
    act::a_job_with_a_bad_end_is_retried_by_hand,
    act::a_retried_job_goes_to_the_end_of_its_lane,
    act::a_retry_that_would_make_a_twin_is_refused,
    act::a_scheduled_job_is_made_ready_now,
    act::only_a_job_with_an_end_is_deleted,
    act::what_a_state_does_not_allow_is_refused_and_changes_nothing,
    act::cancels_meet_ends_in_busy_lanes,
    pause::a_paused_queue_gives_nothing_until_it_resumes,
    pause::a_paused_kind_lets_the_others_pass,
    pause::a_pause_until_a_time_ends_by_itself,
    pause::a_pause_says_who_and_why_and_the_last_one_counts,
    expiry::a_job_that_waited_too_long_expires_and_is_not_claimed,
    expiry::a_scheduled_job_expires_before_its_time,
    expiry::an_expired_head_does_not_block_its_lane,
    expiry::a_job_that_has_started_does_not_expire,
    priority::what_waited_ten_minutes_goes_before_fresh_urgent_jobs,
    priority::each_step_of_priority_is_a_minute,
    priority::a_retried_job_waits_from_its_new_time_on,
    save::a_checkpoint_is_there_for_the_next_attempt,
    save::a_former_holder_keeps_nothing,
    save::lines_are_kept_in_order_with_their_attempt,
    save::a_step_is_kept_once_for_the_whole_job,
    save::a_checkpoint_or_result_above_the_limit_is_refused,
    attributes::a_job_is_found_by_what_it_is_about,
    attributes::a_superfluous_job_leaves_no_attributes,
    attributes::too_many_or_too_long_attributes_are_refused_whole,
    list::every_filter_gives_what_it_says_and_all_of_it,
    list::a_list_between_two_instants_has_what_came_between_them,
    list::pages_have_no_gaps_and_no_doubles_while_jobs_come_and_go,
    list::what_lies_behind_ten_thousand_others_is_found_on_a_later_page,
    crew::a_worker_is_shown_with_what_it_does_and_holds,
    crew::a_silent_worker_is_not_alive_and_a_leaving_one_is_gone,
    crew::ends_of_all_workers_are_counted_by_the_minute,
    why::a_job_that_only_waits_its_turn_says_how_many_go_first,
    why::pauses_lanes_times_and_failures_are_named,
    why::a_queue_or_kind_without_a_living_worker_is_named,
    stats::every_state_is_counted_where_it_belongs,
    stats::a_queue_that_was_used_once_stays_known,
    stats::a_count_stops_at_ten_thousand,
    storm::twenty_thousand_jobs_of_the_same_second_all_run_once,
    storm::three_thousand_jobs_that_expire_together_go_in_steps,
    storm::two_thousand_jobs_are_cancelled_and_retried_in_one_call,
    storm::the_lanes_of_a_dead_worker_go_on_in_order,
}
