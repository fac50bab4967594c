//! How many bytes one key's documents may have (`nas.owner_bytes`), and what an upload is that was
//! sent again.

use super::{ANNE, BORIS, Case, FORM, form, read};
use serde_json::json;
use tests::app::Answer;
use tests::stores::Deployment;
use tests::wait::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn assert_full(refused: &Answer) {
    assert_eq!(refused.status, 507, "{}", refused.text);
    let body = refused.json();
    assert_eq!((&body["code"], &body["max"]), (&json!("QUOTA_EXCEEDED"), &json!(100_000)));
    assert!(body["detail"].as_str().unwrap().contains("100000 bytes"), "{body}");
}

async fn bounded(deployment: Deployment) -> Case {
    Case::open(deployment, &[("RELAIS_NAS_OWNER_BYTES", "100000")]).await
}

/// S-30: a key's documents together; what was removed makes room, and nobody else's counts.
pub(crate) async fn a_keys_documents_have_a_largest_size_together(deployment: Deployment) {
    let case = bounded(deployment).await;
    let first = case.upload(ANNE, "a.bin", &vec![1; 60_000]).await;
    case.upload(ANNE, "b.bin", &vec![1; 40_000]).await;
    case.upload(ANNE, "empty.bin", b"").await;
    for bytes in [1, 90_000] {
        assert_full(&read(case.upload_request(ANNE, "c.bin", &vec![1; bytes])).await);
        // With a key it is known only when it has come whole.
        let keyed = case.upload_request(ANNE, "c.bin", &vec![1; bytes]);
        assert_full(&read(keyed.header("Idempotency-Key", format!("upload-{bytes}"))).await);
    }
    assert_eq!(case.files().len(), 3);
    case.upload(BORIS, "c.bin", &vec![1; 100_000]).await;
    let path = format!("/api/v1/documents/{}", first["id"]);
    assert_eq!(case.delete(&path, ANNE).await.status, 204);
    case.upload(ANNE, "c.bin", &vec![1; 60_000]).await;
    assert_full(&read(case.upload_request(ANNE, "d.bin", b"x")).await);
    assert_eq!(case.status(ANNE).await["total_documents"], 3);
}

/// S-30: a body that cannot fit is refused before it is sent.
pub(crate) async fn a_body_that_cannot_fit_is_not_waited_for(deployment: Deployment) {
    let case = bounded(deployment).await;
    case.upload(ANNE, "a.bin", &vec![1; 90_000]).await;
    let mut socket = tokio::net::TcpStream::connect(case.app.address(0)).await.unwrap();
    let head = format!(
        "POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {ANNE}\r\nContent-Type: {FORM}\r\n\
         Content-Length: 200000\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let answered = socket.read_to_string(&mut answer);
    tokio::time::timeout(super::PATIENCE, answered).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 507 ") && answer.contains("QUOTA_EXCEEDED"), "{answer}");
    assert_eq!(case.files().len(), 1);
}

/// S-30: many at once do not pass it together.
pub(crate) async fn uploads_at_once_do_not_pass_it_together(deployment: Deployment) {
    let case = bounded(deployment).await;
    let name = |n| format!("{n}.bin");
    let bytes = vec![1; 30_000];
    let uploads = (0..8).map(|n| read(case.upload_request(ANNE, &name(n), &bytes)));
    let answers = futures::future::join_all(uploads).await;
    let (kept, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 201);
    assert_eq!((kept.len(), refused.len()), (3, 5));
    refused.into_iter().for_each(assert_full);
    assert_eq!(case.files().len(), 3);
    assert_eq!(case.status(ANNE).await["total_documents"], 3);
}

/// D-11: a client that never reads its answer, and sends the same again at once, has one document;
/// also if it was the last that fitted.
pub(crate) async fn an_upload_whose_answer_was_lost_is_one_document(deployment: Deployment) {
    let case = bounded(deployment).await;
    for round in 0..5 {
        let key = format!("lost-answer-{round}");
        let name = format!("{round}.bin");
        let disposition = format!("form-data; name=\"fichier\"; filename=\"{name}\"");
        let body = form(&[(&disposition, &[1; 20_000])]);
        let mut socket = tokio::net::TcpStream::connect(case.app.address(0)).await.unwrap();
        let head = format!(
            "POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {ANNE}\r\nContent-Type: {FORM}\r\n\
             Idempotency-Key: {key}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        drop(socket);
        let again = case.upload_request(ANNE, &name, &[1; 20_000]).header("Idempotency-Key", key);
        let answer = read(again).await;
        assert_eq!(answer.status, 201, "{round}: {}", answer.text);
        assert_eq!(case.status(ANNE).await["total_documents"], round + 1);
    }
    // What was received of the requests that were cut off goes too.
    until("each is there once", async || case.files().len() == 5).await;
}
