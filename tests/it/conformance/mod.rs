//! What every deployment promises: each case is listed once and runs on all three.
//!
//! A case is a function of a [`Stage`] and never asks which engine it got. What only one
//! deployment can promise is in `distributed_only.rs` and `postgres_only.rs`.

mod claim;
mod distributed_only;
mod enqueue;
mod finish;
mod gather;
mod lane;
mod postgres_only;
mod read;
mod ready;
mod reap;
mod retention;
mod stage;
mod unique;
mod wait;

use stage::Stage;

macro_rules! conformance {
    ($($module:ident :: $case:ident),* $(,)?) => {
        conformance! { @engine embedded Embedded $($module::$case)* }
        conformance! { @engine postgres Postgres $($module::$case)* }
        conformance! { @engine distributed Distributed $($module::$case)* }
    };
    (@engine $engine:ident $deployment:ident $($module:ident :: $case:ident)*) => {
        mod $engine {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $case() {
                    let deployment = tests::stores::Deployment::$deployment;
                    if let Some(stage) = super::Stage::open(deployment).await {
                        super::$module::$case(&stage).await;
                        stage.close().await;
                    }
                }
            )*
        }
    };
}

conformance! {
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
    retention::removal_goes_in_steps,
    retention::a_key_that_was_for_ever_is_free_once_its_job_is_gone,
}
