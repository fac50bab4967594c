//! What is answered before a job's end (C-23, D-6, D-7, D-9), and when it has none.

use super::{ANNE, Case, documents, report};
use queue::{Filter, Outcome, Page, Progress, Save, State};
use serde_json::{Value, json};
use tests::app::Answer;
use tests::stores::{Deployment, signal};
use tests::wait::until;
use uuid::Uuid;

/// C-23, D-7, D-9, R-001-23, R-001-35: the same four members, and where to follow; whoever asks meanwhile
/// joins.
pub(crate) async fn a_run_that_takes_long_shows_how_far_it_is_and_is_joined(
    deployment: Deployment,
) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(1..=8, None)).await;
    let first = case.post_preferring("/api/v1/sync/run", ANNE, "respond-async").await;
    let body = pending(&first, "respond-async");
    let waiting = json!({"total": 8, "synced": 0, "failed": 0, "errors": [],
        "statut": "EN_COURS", "job": body["job"]});
    assert_eq!(body, waiting);
    let job = case.take("nas").await;
    let mut so_far = report(&[(1, None), (2, None), (3, Some("Fichier source introuvable"))]);
    so_far["total"] = json!(8);
    let save = Save {
        progress: Some(Progress { done: 1, total: 2 }),
        checkpoint: Some(so_far.to_string()),
    };
    case.engine.save(job.ticket, &save).await.unwrap();
    let second = case.post_preferring("/api/v1/sync/run", ANNE, "wait=0").await;
    let errors = ["Document 3: Fichier source introuvable"];
    let expected = json!({"total": 8, "synced": 2, "failed": 1, "errors": errors,
        "statut": "EN_COURS", "job": body["job"]});
    assert_eq!(pending(&second, "wait=0"), expected);
    // Its maker may follow it.
    let shown = case.get(body["job"].as_str().unwrap(), ANNE).await;
    assert_eq!((shown.status, &shown.json()["done"]), (200, &json!(false)));
    // Both were one job; after its end a run is another one.
    let outcomes: Vec<_> = (1..=8).map(|id| (id, None)).collect();
    case.end(&job, &report(&outcomes)).await;
    let stats = case.engine.stats().await.unwrap();
    assert!(stats.iter().all(|queue| queue.ready + queue.running == 0), "{stats:?}");
    let third = case.post_preferring("/api/v1/sync/run", ANNE, "wait=0").await;
    assert_ne!(pending(&third, "wait=0")["job"], body["job"]);
}

/// D-6, D-9.
pub(crate) async fn a_document_that_takes_long_is_pending(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(42..=42, None)).await;
    let path = "/api/v1/sync/document/42";
    let first = case.post_preferring(path, ANNE, "respond-async").await;
    let body = pending(&first, "respond-async");
    let expected = json!({"success": false, "message": "Synchronisation en cours",
        "statut": "EN_COURS", "job": body["job"]});
    assert_eq!(body, expected);
    // Asked for twice at once, it is sent once.
    let second = case.post_preferring(path, ANNE, "wait=0").await;
    assert_eq!(pending(&second, "wait=0")["job"], body["job"]);
    let shown = case.get("/api/v1/documents/42", ANNE).await.json();
    assert!(shown["demande_le"].is_string() && shown["synced_at"].is_null(), "{shown}");
}

/// I-25: no success is told that was not reported.
pub(crate) async fn a_transfer_without_an_outcome_is_no_success(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(42..=42, None)).await;
    let dies = async || {
        let job = case.take("nas").await;
        let dead = Outcome::Dead { error: "out of order".to_owned() };
        case.engine.finish(&[(job.ticket, dead)]).await.unwrap();
    };
    let (run, ()) = tokio::join!(case.post("/api/v1/sync/run", ANNE), dies());
    assert_eq!(run.status, 500, "{}", run.text);
    let body = run.json();
    let interrupted = json!("Synchronisation interrompue");
    assert_eq!((&body["success"], &body["message"]), (&json!(false), &interrupted));
    assert!(!run.text.contains("out of order"), "{}", run.text);
    let (one, ()) = tokio::join!(case.post("/api/v1/sync/document/42", ANNE), dies());
    let expected = json!({"success": false, "message": interrupted});
    assert_eq!((one.status, one.json()), (200, expected));
}

/// C-23, R-001-24, R-001-29: somebody cancels the transfer that a client waits for.
pub(crate) async fn a_cancelled_transfer_tells_how_far_it_came(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(1..=8, None)).await;
    let cancelled = "Synchronisation annulée";
    // Before anybody has begun.
    let (run, ()) = tokio::join!(case.post("/api/v1/sync/run", ANNE), async {
        let job = case.put_in().await;
        case.cancel(job).await;
    });
    let nothing = json!({"total": 8, "synced": 0, "failed": 0, "errors": [cancelled]});
    assert_eq!((run.status, run.json()), (200, nothing));
    // In the middle.
    let (run, ()) = tokio::join!(case.post("/api/v1/sync/run", ANNE), async {
        let mut so_far = report(&[(1, None), (2, None), (3, Some("Fichier source introuvable"))]);
        so_far["total"] = json!(8);
        case.stop(Some(&so_far)).await;
    });
    let expected = json!({"total": 8, "synced": 2, "failed": 1,
        "errors": ["Document 3: Fichier source introuvable", cancelled]});
    assert_eq!((run.status, run.json()), (200, expected));
    // One document; and one that had arrived when it was cancelled is there.
    let there = json!({"success": true, "message": "Synchronisé vers 192.168.1.100"});
    let not_there = json!({"success": false, "message": cancelled});
    for (so_far, expected) in [(None, not_there), (Some(report(&[(4, None)])), there)] {
        let one = case.post("/api/v1/sync/document/4", ANNE);
        let (one, ()) = tokio::join!(one, case.stop(so_far.as_ref()));
        assert_eq!((one.status, one.json()), (200, expected));
    }
}

/// R-001-21: and the test is not made later.
pub(crate) async fn a_test_that_nobody_makes_has_timed_out(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let start = std::time::Instant::now();
    let answer = case.post("/api/v1/sync/test", ANNE).await;
    let expected = json!({"success": false, "message": "Timeout de connexion (15s)"});
    assert_eq!((answer.status, answer.json()), (200, expected));
    let took = start.elapsed();
    assert!((15.0..15.5).contains(&took.as_secs_f64()), "C1: {took:?}");
    let claim = queue::Claim {
        queue: "nas_test".to_owned(),
        worker: "test".to_owned(),
        limit: 1,
        lease: super::PATIENCE,
    };
    assert!(case.engine.claim(&claim).await.unwrap().is_empty());
}

/// A process that stops does not call that a time-out.
pub(crate) async fn a_test_that_the_process_does_not_await_is_interrupted(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let stop = async {
        case.take("nas_test").await;
        assert!(signal(case.app.apis[0].pid(), "TERM"));
    };
    let (answer, ()) = tokio::join!(case.post("/api/v1/sync/test", ANNE), stop);
    let expected = json!({"success": false, "message": "Échec de connexion : test interrompu"});
    assert_eq!((answer.status, answer.json()), (200, expected));
}

impl Case {
    /// A transfer that waits.
    async fn put_in(&self) -> Uuid {
        let filter = Filter { state: Some(State::Ready), ..Filter::default() };
        let mut ids = Vec::new();
        until("there is a job", async || {
            let page = Page { limit: 1, before: None };
            ids = self.engine.find(&filter, &page).await.unwrap().ids;
            !ids.is_empty()
        })
        .await;
        ids[0]
    }

    /// Takes the next transfer, which comes as far as this and is cancelled.
    async fn stop(&self, so_far: Option<&Value>) {
        let job = self.take("nas").await;
        let save = Save { progress: None, checkpoint: so_far.map(Value::to_string) };
        self.engine.save(job.ticket, &save).await.unwrap();
        self.cancel(job.ticket.id).await;
        self.obey(&job).await;
    }
}

fn pending(answer: &Answer, applied: &str) -> Value {
    assert_eq!(answer.status, 202, "{}", answer.text);
    let body = answer.json();
    assert_eq!(answer.headers["location"], body["job"].as_str().unwrap());
    assert_eq!(answer.headers["retry-after"], "2");
    assert_eq!(answer.headers["preference-applied"], applied);
    body
}
