//! Uploading, listing and removing documents.

use super::{ANNE, BORIS, Case, FORM, form, read};
use records::documents::claim_in;
use records::documents::files::content;
use serde_json::{Value, json};
use std::time::Duration;
use tests::stores::Deployment;
use tests::wait::until;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// S-22: larger than any buffer on its way.
pub(crate) async fn a_document_comes_whole_and_under_a_name_of_ours(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(i) >> 7) as u8).collect();
    let answer = read(case.upload_request(ANNE, "Facture été 42.JPG", &bytes)).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let shown = answer.json();
    assert_eq!(answer.headers["location"], format!("/api/v1/documents/{}", shown["id"]));
    let files = case.files();
    assert_eq!(files.len(), 1, "{:?}", files.iter().map(|(name, _)| name).collect::<Vec<_>>());
    let (name, stored) = &files[0];
    assert!(*stored == bytes, "the bytes differ");
    let id = name.strip_suffix(".jpg").unwrap_or_else(|| panic!("{name}"));
    assert!(uuid::Uuid::try_parse(id).is_ok(), "{name}");
    let held = content(&case.uploads(), name).unwrap().unwrap();
    let expected = json!({
        "id": shown["id"], "nom_original": "Facture été 42.JPG", "nom_nas": name,
        "taille": 3_000_000, "sha256": held.sha256, "proprietaire": "anne",
        "synced_to_nas": false, "synced_at": null, "demande_le": null, "cree_le": shown["cree_le"],
    });
    assert_eq!(shown, expected);
    let again = case.get(answer.headers["location"].to_str().unwrap(), ANNE).await;
    assert_eq!((again.status, again.json()), (200, expected));
    // `file` is read as well, and an empty file is a file.
    let body = form(&[("form-data; name=\"file\"; filename=\"empty\"", b"")]);
    let request = case.request("POST", "/api/v1/documents", ANNE).header("Content-Type", FORM);
    let empty = read(request.body(body)).await;
    assert_eq!((empty.status, &empty.json()["taille"]), (201, &json!(0)), "{}", empty.text);
}

/// S-22, S-12: a path in it leads nowhere, and nothing else can be said about the document.
pub(crate) async fn a_users_name_is_only_shown(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let long = format!("{}.pdf", "a".repeat(251));
    for (sent, shown) in [
        ("../../etc/passwd", "passwd"),
        ("C:\\temp\\a.exe", "a.exe"),
        ("-e sh x", "-e sh x"),
        ("a b;rm", "a b;rm"),
        ("$(touch x)", "$(touch x)"),
        ("cafe\u{301}.pdf", "caf\u{e9}.pdf"),
        (long.as_str(), long.as_str()),
    ] {
        let document = case.upload(ANNE, sent, b"x").await;
        assert_eq!(document["nom_original"], shown, "{sent}");
        let nas = document["nom_nas"].as_str().unwrap();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-.".contains(c);
        assert!(nas.chars().all(is_plain) && !nas.starts_with('-'), "{nas}");
    }
    assert_eq!(case.files().len(), 7);
    let members = form(&[
        ("form-data; name=\"proprietaire\"", b"boris"),
        ("form-data; name=\"fichier\"; filename=\"a\"", b"x"),
    ]);
    let request = case.request("POST", "/api/v1/documents", ANNE).header("Content-Type", FORM);
    let refused = read(request.body(members)).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(refused.text.contains("proprietaire") && refused.text.contains("fichier"));
}

/// S-30: each with its own answer, and no file.
pub(crate) async fn what_is_no_document_is_refused_and_leaves_nothing(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let one: (&str, &[u8]) = ("form-data; name=\"fichier\"; filename=\"a.jpg\"", b"x");
    let nameless = "form-data; name=\"fichier\"";
    let long = format!("form-data; name=\"fichier\"; filename=\"{}\"", "a".repeat(256));
    let blank = "form-data; name=\"fichier\"; filename=\"  \"";
    let whole = form(&[one]);
    for (what, kind, body, status) in [
        ("two files", FORM, form(&[one, one]), 422),
        ("no file", FORM, form(&[]), 422),
        ("no name", FORM, form(&[(nameless, b"x")]), 422),
        ("a blank name", FORM, form(&[(blank, b"x")]), 422),
        ("a long name", FORM, form(&[(&long, b"x")]), 422),
        ("no end", FORM, whole[..whole.len() - 6].to_vec(), 400),
        ("no form", FORM, b"hello".to_vec(), 400),
        ("JSON", "application/json", b"{}".to_vec(), 415),
        ("no boundary", "multipart/form-data", whole.clone(), 422),
        ("no type", "", whole.clone(), 415),
    ] {
        let request = case.request("POST", "/api/v1/documents", ANNE).body(body);
        let request = if kind.is_empty() { request } else { request.header("Content-Type", kind) };
        let refused = read(request).await;
        assert_eq!(refused.status, status, "{what}: {}", refused.text);
        assert!(refused.json()["detail"].is_string(), "{what}: {}", refused.text);
        assert!(case.files().is_empty(), "{what}: {:?}", case.files());
    }
    let packed = case.upload_request(ANNE, "a", b"x").header("Content-Encoding", "gzip");
    assert_eq!(read(packed).await.status, 415);
    assert_eq!(case.status(ANNE).await["total_documents"], 0);
}

/// S-30: the limit is the file's, told before it is read where that can be known.
pub(crate) async fn a_document_has_a_largest_size(deployment: Deployment) {
    let env = [&super::NAS[..], &[("RELAIS_NAS_DOCUMENT_BYTES", "100000")]].concat();
    let case = Case::open(deployment, &env).await;
    case.upload(ANNE, "a.bin", &vec![7; 100_000]).await;
    for bytes in [100_001, 300_000] {
        let refused = read(case.upload_request(ANNE, "a.bin", &vec![7; bytes])).await;
        assert_eq!(refused.status, 413, "{}", refused.text);
        let body = refused.json();
        assert_eq!((&body["max"], &body["code"]), (&json!(100_000), &json!("DOCUMENT_TOO_LARGE")));
        assert!(body["detail"].as_str().unwrap().contains("100000"), "{body}");
    }
    assert_eq!(case.files().len(), 1);
}

/// S-22: what was not received whole is gone at once.
pub(crate) async fn a_client_that_goes_away_leaves_nothing(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let mut socket = tokio::net::TcpStream::connect(case.app.address(0)).await.unwrap();
    let head = format!(
        "POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nX-API-Key: {ANNE}\r\nContent-Type: {FORM}\r\n\
         Content-Length: 1000000\r\n\r\n--limite\r\nContent-Disposition: form-data; \
         name=\"fichier\"; filename=\"a.jpg\"\r\n\r\nbeginning"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    until("the file has begun", async || case.files().len() == 1).await;
    assert!(case.files()[0].0.starts_with(".recus/"), "{:?}", case.files());
    drop(socket);
    until("the file is gone", async || case.files().is_empty()).await;
    assert_eq!(case.status(ANNE).await["total_documents"], 0);
    // One that stops sending is not waited for.
    let mut socket = tokio::net::TcpStream::connect(case.app.address(0)).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let answered = socket.read_to_string(&mut answer);
    tokio::time::timeout(Duration::from_secs(20), answered).await.expect("an answer").unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    until("the file is gone", async || case.files().is_empty()).await;
}

/// D-11: the same file and name with the same key, and nobody else's.
pub(crate) async fn a_repeated_upload_is_one_document(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let send = async |key: &str, name: &str, bytes: &[u8]| {
        let request = case.upload_request(key, name, bytes);
        read(request.header("Idempotency-Key", "upload-0001")).await
    };
    let first = send(ANNE, "a.jpg", b"one").await;
    let again = send(ANNE, "a.jpg", b"one").await;
    assert_eq!((first.status, again.status), (201, 201), "{} {}", first.text, again.text);
    assert_eq!(first.text, again.text);
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(send(ANNE, "a.jpg", b"two").await.status, 422);
    assert_eq!(send(ANNE, "b.jpg", b"one").await.status, 422);
    assert_eq!(send(BORIS, "a.jpg", b"one").await.status, 201);
    assert_eq!(case.files().len(), 2, "{:?}", case.files());
}

/// The row and the file, both or none.
pub(crate) async fn a_document_is_removed_but_not_while_it_is_sent(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let id = case.upload(ANNE, "a.jpg", b"x").await["id"].as_i64().unwrap();
    let path = format!("/api/v1/documents/{id}");
    let job = uuid::Uuid::now_v7();
    let claim = async |hold: Duration| {
        let mut tx = case.db().begin().await.unwrap();
        assert_eq!(claim_in(&mut tx, &[id], job, hold).await.unwrap(), [id]);
        tx.commit().await.unwrap();
    };
    claim(Duration::from_secs(60)).await;
    let busy = case.delete(&path, ANNE).await;
    assert_eq!(busy.status, 409, "{}", busy.text);
    assert_eq!((case.files().len(), case.get(&path, ANNE).await.status), (1, 200));
    // A claim that ran out is none.
    claim(Duration::ZERO).await;
    let removed = case.delete(&path, ANNE).await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    assert!(case.files().is_empty(), "{:?}", case.files());
    assert_eq!(case.delete(&path, ANNE).await.status, 404);
    // A file that is gone already does not keep its row.
    let id = case.upload(ANNE, "a.jpg", b"x").await["id"].as_i64().unwrap();
    std::fs::remove_file(case.uploads().join(&case.files()[0].0)).unwrap();
    assert_eq!(case.delete(&format!("/api/v1/documents/{id}"), ANNE).await.status, 204);
}

/// S-30.
pub(crate) async fn pages_hold_every_document_once(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let shared = |id| json!({"id": id, "fichier": format!("{id}.jpg")});
    case.seed((1..=4).map(shared).collect()).await;
    for (index, key) in [ANNE, BORIS, ANNE, ANNE, BORIS].into_iter().enumerate() {
        case.upload(key, &format!("{index}.jpg"), b"x").await;
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/documents?limit=2".to_owned();
    for _ in 0..10 {
        let page = case.get(&path, ANNE).await.json();
        let documents = page["documents"].as_array().unwrap();
        assert!((1..=2).contains(&documents.len()), "{page}");
        seen.extend(documents.iter().map(|document| document["id"].as_i64().unwrap()));
        if page["next"].is_null() {
            break;
        }
        path = format!("/api/v1/documents?limit=2&before={}", page["next"]);
    }
    assert_eq!(seen, [8, 7, 5, 4, 3, 2, 1]);
    for wrong in ["limit=0", "limit=501", "limit=x", "before=x", "autre=1"] {
        let refused = case.get(&format!("/api/v1/documents?{wrong}"), ANNE).await;
        assert_eq!(refused.status, 422, "{wrong}: {}", refused.text);
    }
    let all: Value = case.get("/api/v1/documents", ANNE).await.json();
    assert_eq!((all["documents"].as_array().unwrap().len(), &all["next"]), (7, &Value::Null));
}
