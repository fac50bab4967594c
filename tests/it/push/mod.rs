//! Source 000's contract as a local server meets it: HTTP against the running program, each case on
//! all three deployments (R-000-4, R-000-12, R-000-18).
//!
//! Cases share one running program per deployment and keep apart by sites of their own; a case
//! that needs a worker to be missing or to die starts its own (`kills.rs`).

mod admission;
mod atomic;
mod by_hand;
mod commands;
mod conflicts;
mod contract;
mod faults;
mod isolation;
mod kills;
mod model;
mod plans;
mod poison;
mod repeats;
mod resolving;
mod strategies;

use crate::by_deployment;
use crate::sales::{read, shared};
use db::{Db, Sql, args};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;
use uuid::Uuid;

pub(crate) const PUSH: &str = "/api/v1/sync/push";
const PATIENCE: Duration = Duration::from_secs(30);

on_every_deployment! {
    by_deployment:
    contract::a_batch_of_a_ticket_and_its_lines_is_answered_entity_by_entity,
    contract::what_exists_is_updated_left_or_deleted,
    contract::quantities_are_exact_and_times_are_corrected,
    contract::each_entity_by_itself_fails_by_itself,
    contract::without_a_worker_a_batch_is_pending_and_later_applied_once,
    admission::only_a_site_s_own_key_may_push,
    admission::a_body_that_is_no_batch_is_refused_whole,
    admission::limits_come_before_the_work,
    admission::a_schema_outside_the_window_is_refused_for_now_or_for_good,
    atomic::a_failure_leaves_the_record_as_it_was,
    atomic::an_invalid_entity_is_found_before_the_first_write,
    atomic::both_modes_of_a_good_batch_end_alike,
    atomic::a_conflict_that_aborts_is_kept_and_nothing_else,
    repeats::a_batch_sent_again_is_answered_word_for_word,
    repeats::an_id_means_one_batch,
    repeats::a_batch_that_is_sent_at_once_is_applied_once,
    conflicts::the_last_writer_wins_and_both_sides_are_kept,
    conflicts::a_repeated_conflict_is_counted_not_added,
    conflicts::a_closed_ticket_stays_as_it_is,
    conflicts::the_order_of_arrival_decides_nothing,
    conflicts::a_conflict_is_superseded_by_a_later_push,
    resolving::a_person_decides_once,
    resolving::the_servers_side_is_a_new_version,
    resolving::the_clients_side_may_bring_its_content,
    resolving::a_decision_about_something_else_is_refused,
    resolving::a_merge_is_a_version_like_any_other,
    strategies::each_type_is_decided_by_its_strategy,
    strategies::members_are_merged_with_the_version_that_the_site_knew,
    strategies::a_batch_keeps_the_strategies_of_its_acceptance,
    isolation::two_sites_with_the_same_ids_never_meet,
    isolation::foreign_and_missing_look_alike,
    isolation::a_statement_that_forgets_its_site_finds_nothing,
    poison::an_entity_that_cannot_be_stored_is_one_entity_s_error,
    poison::an_atomic_batch_that_kills_is_dead_and_the_lane_goes_on,
    poison::the_entity_that_kills_is_set_aside,
    poison::an_entity_that_panics_is_one_entity_s_error,
    faults::an_error_anywhere_changes_nothing,
    faults::death_anywhere_changes_nothing,
    kills::the_batch_of_a_killed_worker_runs_again_once_in_effect,
    kills::batches_of_a_site_are_applied_in_their_order,
    by_hand::conflicts_are_listed_and_decided_by_hand,
    commands::a_key_is_made_shown_once_changed_and_revoked,
    commands::sites_are_seeded_with_their_keys,
}

/// A local server: its site and key.
pub(crate) struct Site {
    pub(crate) app: &'static TestApp,
    pub(crate) db: Db,
    pub(crate) id: i64,
    pub(crate) key: String,
}

impl Site {
    pub(crate) async fn open(deployment: Deployment) -> Self {
        let app = shared(deployment).await;
        let db = app.stores.db().await;
        let (id, key) = seed(&db).await;
        Self { app, db, id, key }
    }

    /// Sends a body until its answer is complete: a busy machine may need more than one wait.
    pub(crate) async fn post(&self, body: &Value) -> Answer {
        for _ in 0..5 {
            let answer = post(self.app, &self.key, "wait=20", body).await;
            if answer.status != 202 {
                return answer;
            }
        }
        panic!("not done in five waits: {body}")
    }

    /// Sends an atomic batch whose answer must be complete.
    pub(crate) async fn push(&self, entities: &[Value]) -> Answer {
        self.post(&batch("atomic", entities)).await
    }

    /// The same without one transaction for all.
    pub(crate) async fn push_each(&self, entities: &[Value]) -> Answer {
        self.post(&batch("per_entity", entities)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        get(self.app, &self.key, path).await
    }

    /// Everything of the site but conflicts and batches, as text: equal texts, equal records.
    pub(crate) async fn books(&self) -> String {
        books(&self.db, self.id).await
    }

    pub(crate) async fn count(&self, sql: &'static Sql) -> i64 {
        self.db.read_one(sql, args![self.id]).await.unwrap().unwrap().get("n").unwrap()
    }

    pub(crate) async fn close(self) {
        self.db.close().await;
    }
}

/// A site with one key.
pub(crate) async fn seed(db: &Db) -> (i64, String) {
    let id = i64::from(rand::random::<u32>()) + 1;
    let key = format!("s{id}.une-cle-de-site-assez-longue");
    let sites = json!({"sites": [{"id": id, "nom": format!("Site {id}"), "cles_api": [key]}]});
    records::seed::load(db, &sites.to_string()).await.unwrap();
    (id, key)
}

pub(crate) async fn post(app: &TestApp, key: &str, prefer: &str, body: &Value) -> Answer {
    let request = app.http().post(app.url(0, PUSH)).header("X-API-Key", key);
    let request = request.header("Content-Type", "application/json").header("Prefer", prefer);
    read(request.timeout(PATIENCE).body(body.to_string()).send().await.unwrap()).await
}

pub(crate) async fn get(app: &TestApp, key: &str, path: &str) -> Answer {
    let request = app.http().get(app.url(0, path)).header("X-API-Key", key);
    read(request.timeout(PATIENCE).send().await.unwrap()).await
}

pub(crate) fn batch(mode: &str, entities: &[Value]) -> Value {
    json!({"batch_id": Uuid::now_v7(), "schema_version": 1, "mode": mode, "entities": entities})
}

/// An instant so many seconds after a fixed one in the past.
pub(crate) fn at(seconds: i64) -> String {
    let start: chrono::DateTime<chrono::Utc> = "2025-06-01T10:00:00Z".parse().unwrap();
    (start + chrono::TimeDelta::seconds(seconds)).to_rfc3339()
}

fn upsert(kind: &str, id: Uuid, seconds: i64, data: &Value) -> Value {
    json!({"type": kind, "id": id, "op": "upsert", "updated_at": at(seconds),
           "base_version": null, "data": data})
}

pub(crate) fn ticket(id: Uuid, seconds: i64, numero: &str) -> Value {
    upsert(
        "ticket",
        id,
        seconds,
        &json!({"numero": numero, "statut": "ouvert", "ouvert_le": at(0)}),
    )
}

pub(crate) fn closed(id: Uuid, seconds: i64, numero: &str) -> Value {
    let data = json!({"numero": numero, "statut": "ferme", "ouvert_le": at(0), "ferme_le": at(60)});
    upsert("ticket", id, seconds, &data)
}

pub(crate) fn line(id: Uuid, seconds: i64, ticket: Option<Uuid>, quantity: &str) -> Value {
    let data = json!({"ticket_id": ticket, "article_code": "A-1", "designation": "Tôle",
                      "quantite": quantity, "unite": "kg", "poids_kg": null, "recu_le": at(0)});
    upsert("reception_line", id, seconds, &data)
}

pub(crate) fn delete(kind: &str, id: Uuid, seconds: i64) -> Value {
    json!({"type": kind, "id": id, "op": "delete", "updated_at": at(seconds)})
}

pub(crate) fn based(mut entity: Value, version: i64) -> Value {
    entity["base_version"] = version.into();
    entity
}

/// What became of each entity, such as `created 1` or `failed INVALID data.quantite`; checks the
/// accounting on the way (R-000-11, I-9).
pub(crate) fn outcomes(answer: &Answer) -> Vec<String> {
    let body = answer.json();
    let results = body["results"].as_array().unwrap_or_else(|| panic!("{}", answer.text));
    let summary = body["summary"].as_object().unwrap();
    assert_eq!(summary["total"], results.len(), "{body}");
    let counted: u64 =
        summary.iter().filter(|(name, _)| *name != "total").map(|(_, n)| n.as_u64().unwrap()).sum();
    assert_eq!(counted, results.len() as u64, "{body}");
    let of = |(index, result): (usize, &Value)| {
        assert_eq!(result["index"], index, "{body}");
        let text = |value: &Value| value.as_str().map(str::to_owned).unwrap_or_default();
        let status = text(&result["status"]);
        let words = match status.as_str() {
            "failed" => [text(&result["error"]["code"]), text(&result["error"]["field"])],
            "conflict" => {
                let conflict = &result["conflict"];
                [text(&conflict["kind"]), text(&conflict["resolution"])]
            }
            _ => [
                result["version"].as_i64().map(|v| v.to_string()).unwrap_or_default(),
                String::new(),
            ],
        };
        format!("{status} {}", words.join(" ")).trim().to_owned()
    };
    results.iter().enumerate().map(of).collect()
}

/// The conflict of an answer's only entity.
pub(crate) fn conflict_of(answer: &Answer) -> String {
    let id = answer.json()["results"][0]["conflict"]["id"].as_str().map(str::to_owned);
    id.unwrap_or_else(|| panic!("no conflict: {}", answer.text))
}

macro_rules! dump {
    ($postgres:literal, $sqlite:literal, $rest:literal) => {
        Sql::each(
            concat!("SELECT json_build_array(", $postgres, ")::text AS line FROM ", $rest),
            concat!("SELECT json_array(", $sqlite, ") AS line FROM ", $rest),
        )
    };
    ($columns:literal, $rest:literal) => {
        dump!($columns, $columns, $rest)
    };
}

/// The rows of a site that are its entities, without what names the site, the job or the moment.
pub(crate) async fn books(db: &Db, site: i64) -> String {
    static TICKETS: Sql = dump!(
        "id, numero, statut, ouvert_le, ferme_le, commentaire, version, updated_at, deleted_at IS NULL",
        "tickets WHERE site_id = $1 ORDER BY id"
    );
    static LINES: Sql = dump!(
        "id, ticket_id, article_code, designation, quantite, unite, poids_kg, recu_le, version, \
         updated_at, deleted_at IS NULL",
        "lignes_reception WHERE site_id = $1 ORDER BY id"
    );
    static VERSIONS: Sql = dump!(
        "entity_type, entity_id, version, deleted, data, updated_at",
        "entity_versions WHERE site_id = $1 ORDER BY entity_type, entity_id, version"
    );
    let mut text = String::new();
    for sql in [&TICKETS, &LINES, &VERSIONS] {
        for row in db.read(sql, args![site]).await.unwrap() {
            text.push_str(&row.get::<String>("line").unwrap());
            text.push('\n');
        }
    }
    text
}
