//! Every answer of source 001, to the letter.

use super::{ANNE, Case, documents, report};
use records::documents::{Sent, mark_synced_in};
use serde_json::json;
use tests::stores::Deployment;

/// R-001-6 to R-001-12: the figures of the source's own example.
pub(crate) async fn the_status_is_that_of_the_source(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let nothing = json!({"total_documents": 0, "synced": 0, "pending": 0, "sync_percentage": 0.0,
        "last_sync": null, "nas_configured": true});
    assert_eq!(case.status(ANNE).await, nothing);
    case.seed(documents(1..=150, None)).await;
    let sent = |id| Sent { id, sha256: "00".repeat(32), taille: 1 };
    let mut tx = case.db().begin().await.unwrap();
    let marked = mark_synced_in(&mut tx, &(1..=142).map(sent).collect::<Vec<_>>()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(marked.len(), 142);
    let status = case.status(ANNE).await;
    let last = status["last_sync"].as_str().unwrap();
    let at: chrono::DateTime<chrono::Utc> = last.parse().unwrap();
    assert!(last.len() == "2024-01-15T14:30:00Z".len() && last.ends_with('Z'), "{last}");
    assert!((queue::clock::now() - at).num_seconds().abs() < 30, "{last}");
    let expected = json!({"total_documents": 150, "synced": 142, "pending": 8,
        "sync_percentage": 94.7, "last_sync": last, "nas_configured": true});
    assert_eq!(status, expected);
}

/// R-001-13 to R-001-16, R-001-2 to R-001-4.
pub(crate) async fn the_configuration_never_shows_the_user(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let config = case.get("/api/v1/sync/config", ANNE).await;
    let expected = json!({"configured": true, "nas_host": true, "nas_user": true, "nas_path": true,
        "host": "192.168.1.100", "path": "/volume1/factures"});
    assert_eq!((config.status, config.json()), (200, expected));
    for (path, method) in [("config", "GET"), ("status", "GET"), ("run", "POST")] {
        let path = format!("/api/v1/sync/{path}");
        let answer = super::read(case.request(method, &path, ANNE)).await;
        assert!(!answer.text.contains("secret-user"), "{}", answer.text);
    }
    assert!(!case.app.apis[0].log().contains("secret-user"));
    let case = Case::open(deployment, &super::NAS[..1]).await;
    let config = case.get("/api/v1/sync/config", ANNE).await;
    let expected = json!({"configured": false, "nas_host": true, "nas_user": false,
        "nas_path": false, "host": "192.168.1.100", "path": ""});
    assert_eq!((config.status, config.json()), (200, expected));
    assert_eq!(case.status(ANNE).await["nas_configured"], false);
}

/// C-20, C-21, C-55, R-001-19, R-001-27, R-001-30.
pub(crate) async fn without_a_configuration_each_route_says_so_in_its_way(deployment: Deployment) {
    let case = Case::open(deployment, &super::NAS[..2]).await;
    case.seed(documents(42..=42, None)).await;
    let test = case.post("/api/v1/sync/test", ANNE).await;
    let sentence = "Synchronisation NAS non configurée. Définissez NAS_HOST, NAS_USER et NAS_PATH \
                    dans le fichier .env";
    assert_eq!((test.status, test.json()), (200, json!({"success": false, "message": sentence})));
    for path in ["/api/v1/sync/run", "/api/v1/sync/document/42", "/api/v1/sync/document/43"] {
        let refused = case.post(path, ANNE).await;
        assert_eq!(refused.status, 400, "{path}: {}", refused.text);
        assert_eq!(refused.headers["content-type"], "application/json");
        let body = refused.json();
        for (member, value) in [
            ("detail", json!("Synchronisation NAS non configurée")),
            ("message", json!("NAS non configuré")),
            ("success", json!(false)),
            ("status", json!(400)),
            ("title", json!("Bad Request")),
            ("code", json!("NAS_NOT_CONFIGURED")),
        ] {
            assert_eq!(body[member], value, "{path} {member}: {body}");
        }
        assert!(body["type"].is_string() && body["instance"].is_string(), "{body}");
    }
    let request = case.request("POST", "/api/v1/sync/run", ANNE);
    let problem = super::read(request.header("Accept", "application/problem+json")).await;
    assert_eq!(problem.headers["content-type"], "application/problem+json");
}

/// R-001-17, R-001-18, R-001-20: what the job found is the answer, word for word.
pub(crate) async fn a_test_is_always_200_and_says_what_was_found(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    for (success, message, code) in [
        (true, "Connexion réussie", "ok"),
        (false, "Échec de connexion : Permission denied (publickey)", "auth"),
    ] {
        let work = async {
            let job = case.take("nas_test").await;
            assert_eq!((job.kind.as_str(), job.payload.as_str()), ("test_nas", "{}"));
            let found = json!({"success": success, "message": message, "code": code});
            case.end(&job, &found).await;
        };
        let (answer, ()) = tokio::join!(case.post("/api/v1/sync/test", ANNE), work);
        let expected = json!({"success": success, "message": message});
        assert_eq!((answer.status, answer.json()), (200, expected));
    }
}

/// R-001-22, R-001-24 to R-001-26: seven of eight.
pub(crate) async fn a_run_tells_what_became_of_each_document(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let nothing = json!({"total": 0, "synced": 0, "failed": 0, "errors": []});
    let run = case.post("/api/v1/sync/run", ANNE).await;
    assert_eq!((run.status, run.json()), (200, nothing));
    case.seed(documents(41..=48, None)).await;
    let work = async {
        let job = case.take("nas").await;
        let payload: serde_json::Value = serde_json::from_str(&job.payload).unwrap();
        assert_eq!((job.kind.as_str(), &payload["viewer"]), ("transfer_to_nas", &json!("anne")));
        assert!(payload.get("documents").is_none(), "{payload}");
        let outcome = |id| (id, (id == 42).then_some("Fichier source introuvable"));
        case.end(&job, &report(&(41..=48).map(outcome).collect::<Vec<_>>())).await;
    };
    let (run, ()) = tokio::join!(case.post("/api/v1/sync/run", ANNE), work);
    let expected = json!({"total": 8, "synced": 7, "failed": 1,
        "errors": ["Document 42: Fichier source introuvable"]});
    assert_eq!((run.status, run.json()), (200, expected));
    assert!(run.headers.get_all("vary").iter().any(|value| value == "Prefer"));
}

/// R-001-28 to R-001-30, C-27.
pub(crate) async fn one_document_is_sent_and_may_be_sent_again(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(42..=42, None)).await;
    let success = json!({"success": true, "message": "Synchronisé vers 192.168.1.100"});
    let failure = json!({"success": false, "message": "Fichier source introuvable"});
    for (why, expected) in
        [(None, &success), (None, &success), (Some("Fichier source introuvable"), &failure)]
    {
        let work = async {
            let job = case.take("nas").await;
            let payload: serde_json::Value = serde_json::from_str(&job.payload).unwrap();
            assert_eq!((&payload["documents"], &payload["single"]), (&json!([42]), &json!(true)));
            case.end(&job, &report(&[(42, why)])).await;
        };
        let (answer, ()) = tokio::join!(case.post("/api/v1/sync/document/42", ANNE), work);
        assert_eq!((answer.status, &answer.json()), (200, expected));
    }
}

/// R-001-28, R-001-30: a clear refusal, never a 500.
pub(crate) async fn ids_that_are_none_are_refused(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let missing = ["43", "0", "-1", "99999999999999999999"].map(|id| (id, 404));
    let wrong = ["abc", "4.2", "%00", "%ff", "42%20", "1e3", "..%2f42"].map(|id| (id, 422));
    for (id, status) in missing.into_iter().chain(wrong) {
        let refused = case.post(&format!("/api/v1/sync/document/{id}"), ANNE).await;
        assert_eq!(refused.status, status, "{id}: {}", refused.text);
        let sentence = match status {
            404 => "Document non trouvé",
            _ => "Identifiant de document invalide : un nombre entier est attendu",
        };
        let body = refused.json();
        assert_eq!((&body["detail"], &body["message"]), (&json!(sentence), &json!(sentence)));
        assert_eq!(body["success"], false);
        let shown = case.get(&format!("/api/v1/documents/{id}"), ANNE).await;
        assert_eq!(shown.status, status, "{id}: {}", shown.text);
    }
}
