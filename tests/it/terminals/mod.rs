//! What source 002's terminals are promised beyond single answers: keys, load, histories, figures,
//! device keys, policies and isolation, each case on all three deployments.

mod desk;
mod faults;
pub(crate) mod isolation;
mod keys;
mod look;
mod poison;
mod policies;

use crate::by_deployment;
use crate::sales::{Case, PATH, read};
use tests::app::{Answer, TestApp};

on_every_deployment! {
    by_deployment:
    desk::a_delivery_lets_a_refused_sale_succeed,
    desk::a_person_settles_a_refused_sale,
    desk::an_alert_is_settled_by_a_person,
    faults::an_error_anywhere_changes_nothing,
    faults::a_stall_anywhere_changes_nothing,
    faults::death_anywhere_changes_nothing,
    faults::a_delivery_that_is_lost_costs_a_report,
    isolation::a_line_across_shops_is_impossible,
    isolation::shops_hear_nothing_of_each_other,
    isolation::a_statement_that_forgets_its_shop_finds_nothing,
    keys::a_key_replays_its_answer_word_for_word,
    keys::a_key_joins_its_job_while_that_runs,
    keys::a_key_protects_sales_without_numbers,
    keys::a_fault_is_not_kept_for_a_key,
    keys::a_cancelled_batch_is_taken_in_anew,
    keys::the_first_of_twins_is_no_replay,
    keys::a_known_key_is_let_in_under_load,
    look::the_history_is_paged_newest_first,
    look::the_figures_are_of_the_shops_day_and_month,
    look::the_log_tells_what_became_of_each_sale,
    look::what_was_refused_is_shown_as_it_was_sent,
    look::refused_sales_are_listed_until_they_succeed,
    look::nobody_looks_into_another_shop,
    poison::a_sale_that_kills_is_set_aside,
    poison::a_sale_that_panics_is_one_sales_error,
    policies::a_paired_terminal_shows_its_key,
    policies::a_sale_of_more_than_there_is_is_booked_with_an_alert,
    policies::two_terminals_in_one_second_share_no_number,
    policies::invoice_numbers_tell_the_time_of_their_zone,
}

/// Sends sales with headers of one's own.
async fn send(app: &TestApp, serial: &str, headers: &[(&str, &str)], sales: &[String]) -> Answer {
    let request = app.http().post(app.url(0, PATH)).header("X-Device-Serial", serial);
    let request =
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    read(request.body(format!("[{}]", sales.join(","))).send().await.unwrap()).await
}

/// Asks for something as a terminal.
async fn get(app: &TestApp, serial: &str, path: &str) -> Answer {
    let request = app.http().get(app.url(0, path)).header("X-Device-Serial", serial);
    read(request.send().await.unwrap()).await
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

impl Case {
    /// Sends sales by its first terminal under a key.
    async fn keyed(&self, key: &str, prefer: &str, sales: &[String]) -> Answer {
        let headers = [("Idempotency-Key", key), ("Prefer", prefer)];
        send(self.app, &self.serial(1), &headers, sales).await
    }
}
