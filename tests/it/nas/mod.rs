//! Source 001's contract and the documents behind it, as a client meets them: HTTP against the
//! running program, each case on all three deployments, with stores of its own.
//!
//! Where what a transfer brings matters to the contract alone, the case itself is the worker: it
//! takes the job from the queue and records its end.

mod contract;
mod counts;
mod documents;
mod end_to_end;
mod held;
mod keys;
mod quota;
mod room;
mod scope;
mod seed;
mod sweep;
mod waiting;

use crate::by_deployment;
use queue::{Act, Acted, Actor, Claim, Claimed, Engine, Outcome};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;
use tests::wait::until;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);
/// Two keys that may send documents, an administrator, and a key that may do nothing.
const ANNE: &str = "anne.5f0c9a7e1d2b4c6f8a9b0c1d2e3f4a5b";
const BORIS: &str = "boris.0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e";
const ADMIN: &str = "admin.1b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e";
const NOBODY: &str = "nobody.9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b";
/// A file server that is configured and never asked.
const NAS: [(&str, &str); 3] =
    [("NAS_HOST", "192.168.1.100"), ("NAS_USER", "secret-user"), ("NAS_PATH", "/volume1/factures")];

on_every_deployment! {
    by_deployment:
    contract::the_status_is_that_of_the_source,
    contract::the_configuration_never_shows_the_user,
    contract::without_a_configuration_each_route_says_so_in_its_way,
    contract::a_test_is_always_200_and_says_what_was_found,
    contract::a_run_tells_what_became_of_each_document,
    contract::one_document_is_sent_and_may_be_sent_again,
    contract::ids_that_are_none_are_refused,
    keys::a_run_with_a_key_is_answered_again,
    keys::a_key_belongs_to_one_document,
    keys::a_full_queue_takes_no_more_documents,
    keys::a_cancelled_transfer_is_the_answer_for_its_key,
    keys::a_cancelled_test_is_the_answer_for_its_key,
    held::a_transfer_that_waits_for_a_full_disk_says_so,
    held::a_full_disk_holds_only_those_that_it_holds,
    waiting::a_run_that_takes_long_shows_how_far_it_is_and_is_joined,
    waiting::a_document_that_takes_long_is_pending,
    waiting::a_transfer_without_an_outcome_is_no_success,
    waiting::a_cancelled_transfer_tells_how_far_it_came,
    waiting::a_test_that_nobody_makes_has_timed_out,
    waiting::a_test_that_the_process_does_not_await_is_interrupted,
    documents::a_document_comes_whole_and_under_a_name_of_ours,
    documents::a_users_name_is_only_shown,
    documents::what_is_no_document_is_refused_and_leaves_nothing,
    documents::a_document_has_a_largest_size,
    documents::a_client_that_goes_away_leaves_nothing,
    documents::a_repeated_upload_is_one_document,
    documents::a_document_is_removed_but_not_while_it_is_sent,
    documents::pages_hold_every_document_once,
    quota::a_keys_documents_have_a_largest_size_together,
    quota::a_body_that_cannot_fit_is_not_waited_for,
    quota::uploads_at_once_do_not_pass_it_together,
    quota::an_upload_whose_answer_was_lost_is_one_document,
    counts::counts_are_those_of_the_table_whatever_happens,
    counts::a_mark_counts_only_for_the_file_that_was_sent,
    counts::a_document_is_claimed_by_one_job_at_a_time,
    scope::what_is_foreign_looks_like_what_is_missing,
    scope::only_keys_with_the_scope_may_come_in,
    scope::an_open_contract_asks_for_no_key,
    scope::an_open_client_follows_what_open_clients_asked_for,
    scope::a_closed_contract_shows_no_job_without_a_key,
    seed::a_missing_file_is_seeded_and_found_later,
    seed::a_seed_is_checked_as_a_whole,
    seed::names_at_the_destination_are_unique,
    seed::given_ids_never_meet_counted_ones,
    end_to_end::seven_of_eight_documents_arrive,
    end_to_end::a_refused_key_is_told_for_each_document,
    sweep::what_a_crash_leaves_is_swept_and_nothing_else,
}

/// One API on fresh stores, with keys; no worker.
struct Case {
    app: TestApp,
    engine: std::sync::Arc<dyn Engine>,
}

impl Case {
    async fn open(deployment: Deployment, env: &[(&str, &str)]) -> Self {
        let limits = [("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000")];
        let env: Vec<_> = limits.iter().chain(env).copied().collect();
        let mut app = TestApp::on(deployment.fresh().await, &env);
        app.seed(&keys()).await;
        app.start_api().await;
        let engine = app.stores.engine().await;
        Self { app, engine }
    }

    /// With a file server.
    async fn with_nas(deployment: Deployment) -> Self {
        Self::open(deployment, &NAS).await
    }

    fn db(&self) -> &db::Db {
        self.engine.db()
    }

    fn uploads(&self) -> PathBuf {
        self.app.dir().join("data/uploads")
    }

    /// Every file below the uploads folder, with its bytes.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = Vec::new();
        let mut folders = vec![self.uploads()];
        while let Some(folder) = folders.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            for entry in entries {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(self.uploads()).unwrap();
                    // One that is being received may go meanwhile.
                    let Ok(bytes) = std::fs::read(&path) else { continue };
                    files.push((name.to_str().unwrap().to_owned(), bytes));
                }
            }
        }
        files.sort();
        files
    }

    fn request(&self, method: &str, path: &str, key: &str) -> reqwest::RequestBuilder {
        let request = self.app.http().request(method.parse().unwrap(), self.app.url(0, path));
        let request = request.timeout(PATIENCE);
        if key.is_empty() { request } else { request.header("X-API-Key", key) }
    }

    async fn get(&self, path: &str, key: &str) -> Answer {
        read(self.request("GET", path, key)).await
    }

    async fn post(&self, path: &str, key: &str) -> Answer {
        read(self.request("POST", path, key)).await
    }

    /// The same with a preference.
    async fn post_preferring(&self, path: &str, key: &str, prefer: &str) -> Answer {
        read(self.request("POST", path, key).header("Prefer", prefer)).await
    }

    async fn delete(&self, path: &str, key: &str) -> Answer {
        read(self.request("DELETE", path, key)).await
    }

    fn upload_request(&self, key: &str, name: &str, bytes: &[u8]) -> reqwest::RequestBuilder {
        let disposition = format!("form-data; name=\"fichier\"; filename=\"{name}\"");
        let body = form(&[(&disposition, bytes)]);
        let request = self.request("POST", "/api/v1/documents", key);
        request.header("Content-Type", FORM).body(body)
    }

    /// Uploads a document, which must succeed; returns it.
    async fn upload(&self, key: &str, name: &str, bytes: &[u8]) -> Value {
        let answer = read(self.upload_request(key, name, bytes)).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.json()
    }

    /// Seeds documents that are nobody's, or somebody's.
    async fn seed(&self, documents: Value) {
        self.app.seed(&json!({ "documents": documents })).await;
    }

    /// Takes the next job of a queue, as a worker does.
    async fn take(&self, queue: &str) -> Claimed {
        let claim =
            Claim { queue: queue.to_owned(), worker: "test".to_owned(), limit: 1, lease: PATIENCE };
        let mut claimed = None;
        until("there is a job", async || {
            claimed = self.engine.claim(&claim).await.unwrap().pop();
            claimed.is_some()
        })
        .await;
        claimed.unwrap()
    }

    /// Records the end of a job.
    async fn end(&self, job: &Claimed, result: &Value) {
        let outcome = Outcome::Done { result: Some(result.to_string()), progress: None };
        let recorded = self.engine.finish(&[(job.ticket, outcome)]).await.unwrap();
        assert_eq!(recorded, [job.ticket]);
    }

    /// An operator cancels a job.
    async fn cancel(&self, job: Uuid) {
        let by = Actor { principal: "cli:ops".to_owned(), reason: None };
        let acted = self.engine.act(&[job], Act::Cancel, &by).await.unwrap();
        assert!(matches!(acted[..], [Acted::Done | Acted::Requested]), "{acted:?}");
    }

    /// Ends a running job that somebody cancelled, as a worker does.
    async fn obey(&self, job: &Claimed) {
        let cancelled = Outcome::Cancelled { error: "cli:ops".to_owned() };
        let recorded = self.engine.finish(&[(job.ticket, cancelled)]).await.unwrap();
        assert_eq!(recorded, [job.ticket]);
    }

    async fn status(&self, key: &str) -> Value {
        let answer = self.get("/api/v1/sync/status", key).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }
}

const FORM: &str = "multipart/form-data; boundary=limite";

/// A multipart body of these parts: what each says of itself, and what it holds.
fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (disposition, bytes) in parts {
        let head = format!("--limite\r\nContent-Disposition: {disposition}\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--limite--\r\n");
    body
}

async fn read(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

fn keys() -> Value {
    let key = |key: &str, scopes: Value| json!({"cle": key, "nom": key, "portees": scopes});
    json!({"cles_api": [
        key(ANNE, json!(["nas"])), key(BORIS, json!(["nas"])), key(ADMIN, json!(["admin"])),
        key(NOBODY, json!(["jobs:read", "jobs:write"])),
    ]})
}

/// Documents with these ids, without files.
fn documents(ids: std::ops::RangeInclusive<i64>, owner: Option<&str>) -> Value {
    let document =
        |id| json!({"id": id, "fichier": format!("facture-{id}.jpg"), "proprietaire": owner});
    ids.map(document).collect()
}

/// What a transfer reports: each document, and why it was not sent.
fn report(outcomes: &[(i64, Option<&str>)]) -> Value {
    let failed: Vec<_> = outcomes.iter().filter_map(|(id, why)| Some((id, (*why)?))).collect();
    let errors: Vec<_> = failed.iter().map(|(id, why)| format!("Document {id}: {why}")).collect();
    let each: Vec<_> = outcomes
        .iter()
        .map(|(id, why)| json!({"id": id, "ok": why.is_none(), "message": why.unwrap_or_default()}))
        .collect();
    json!({"total": outcomes.len(), "synced": outcomes.len() - failed.len(),
           "failed": failed.len(), "errors": errors, "documents": each})
}
