//! The whole way: a client uploads, the contract is asked, and a real file server has the files.

use super::{ANNE, BORIS, Case};
use serde_json::json;
use std::path::Path;
use tests::sshd::{Access, Sshd};
use tests::stores::Deployment;

/// A file server, and a product that trusts it.
async fn open(deployment: Deployment, access: Access) -> (Sshd, Case) {
    let nas = tokio::task::spawn_blocking(Sshd::start).await.unwrap();
    let env = nas.env(access, Path::new("data/uploads"));
    let env: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut case = Case::open(deployment, &env).await;
    case.app.run(&["nas", "trust", "--yes"]).await;
    case.app.start_worker();
    (nas, case)
}

/// The source's own example: eight documents, one of them without its file. R-001-6 to R-001-9,
/// R-001-12, R-001-17, R-001-18, R-001-22, R-001-24 to R-001-26, R-001-28, R-001-29, R-001-33,
/// R-001-34, C-27
pub(crate) async fn seven_of_eight_documents_arrive(deployment: Deployment) {
    let (nas, case) = open(deployment, Access::Plain).await;
    let test = case.post("/api/v1/sync/test", ANNE).await;
    let works = json!({"success": true, "message": "Connexion réussie"});
    assert_eq!((test.status, test.json()), (200, works), "{}", nas.log());
    let mut uploaded = Vec::new();
    for number in 0..7 {
        let bytes = vec![number; 10_000];
        let document = case.upload(ANNE, &format!("facture-{number}.pdf"), &bytes).await;
        uploaded.push((document["nom_nas"].as_str().unwrap().to_owned(), bytes));
    }
    case.seed(json!([{"id": 42, "fichier": "facture-42.jpg", "proprietaire": "anne"}])).await;
    let of_boris = case.upload(BORIS, "autre.pdf", b"boris").await;
    let run = case.post("/api/v1/sync/run", ANNE).await;
    let expected = json!({"total": 8, "synced": 7, "failed": 1,
        "errors": ["Document 42: Fichier source introuvable"]});
    assert_eq!((run.status, run.json()), (200, expected), "{}", case.app.workers[0].log());
    for (name, bytes) in &uploaded {
        assert_eq!(std::fs::read(nas.nas().join(name)).unwrap(), *bytes, "{name}");
    }
    let status = case.status(ANNE).await;
    let expected = json!({"total_documents": 8, "synced": 7, "pending": 1, "sync_percentage": 87.5,
        "last_sync": status["last_sync"], "nas_configured": true});
    assert_eq!(status, expected);
    assert!(status["last_sync"].is_string(), "{status}");
    // Nobody else's went along.
    let foreign = of_boris["nom_nas"].as_str().unwrap();
    assert!(!nas.nas().join(foreign).exists());
    let one = |id: &serde_json::Value| format!("/api/v1/sync/document/{id}");
    for _ in 0..2 {
        let sent = case.post(&one(&of_boris["id"]), BORIS).await;
        let expected = json!({"success": true, "message": "Synchronisé vers 127.0.0.1"});
        assert_eq!((sent.status, sent.json()), (200, expected));
    }
    assert_eq!(std::fs::read(nas.nas().join(foreign)).unwrap(), b"boris");
    let missing = case.post(&one(&json!(42)), ANNE).await;
    let expected = json!({"success": false, "message": "Fichier source introuvable"});
    assert_eq!((missing.status, missing.json()), (200, expected));
    assert_eq!(case.get("/api/v1/documents/42", ANNE).await.json()["demande_le"], json!(null));
    // The file comes later.
    std::fs::write(case.uploads().join("facture-42.jpg"), b"42").unwrap();
    let run = case.post("/api/v1/sync/run", ANNE).await;
    let expected = json!({"total": 1, "synced": 1, "failed": 0, "errors": []});
    assert_eq!((run.status, run.json()), (200, expected));
    assert_eq!(std::fs::read(nas.nas().join("facture-42.jpg")).unwrap(), b"42");
    let shown = case.get("/api/v1/documents/42", ANNE).await.json();
    assert_eq!((&shown["synced_to_nas"], &shown["taille"]), (&json!(true), &json!(2)), "{shown}");
    assert_eq!(case.status(ANNE).await["sync_percentage"], 100.0);
    // What was sent stays there when it is removed here.
    assert_eq!(case.delete("/api/v1/documents/42", ANNE).await.status, 204);
    assert!(nas.nas().join("facture-42.jpg").exists());
}

/// R-001-20, R-001-25, I-25: a file server that lets nobody in.
pub(crate) async fn a_refused_key_is_told_for_each_document(deployment: Deployment) {
    let (_nas, case) = open(deployment, Access::Wrong).await;
    let test = case.post("/api/v1/sync/test", ANNE).await;
    let body = test.json();
    let message = body["message"].as_str().unwrap();
    assert_eq!((test.status, &body["success"]), (200, &json!(false)));
    assert!(message.starts_with("Échec de connexion : ") && message.contains("Permission denied"));
    let first = case.upload(ANNE, "a.pdf", b"a").await["id"].clone();
    let second = case.upload(ANNE, "b.pdf", b"b").await["id"].clone();
    let run = case.post("/api/v1/sync/run", ANNE).await;
    let body = run.json();
    assert_eq!((run.status, &body["total"], &body["failed"]), (200, &json!(2), &json!(2)));
    for (error, id) in body["errors"].as_array().unwrap().iter().zip([first, second]) {
        let error = error.as_str().unwrap();
        assert!(error.starts_with(&format!("Document {id}: ")), "{error}");
        assert!(error.contains("Permission denied"), "{error}");
    }
    assert_eq!(case.status(ANNE).await["synced"], 0);
}
