//! Each row of the guide's two tables of answers happens, with the words that the row names.

use super::{blocks, file};
use crate::push::PUSH;
use crate::sales::{PATH, job_done, read};
use serde_json::json;
use std::time::Duration;
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const SERIAL: &str = "0a1badae951f8473";
const NOWHERE: &str = "sans-boutique";
const SITE: &str = "site1.relais-demo-site-key";
const ADMIN: &str = "chef.une-cle-d-administrateur";
const SALE: &str = r#"[{"numero_facture":"G-1","lignes":[{"article_id":6}]}]"#;

/// Headers, a body, and what is answered: a status and a code.
type Case<'t> = (&'t [(&'t str, &'t str)], &'t str, u16, &'t str);

struct Desk {
    app: TestApp,
    guide: String,
}

impl Desk {
    async fn send(&self, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let request = self.app.http().post(self.app.url(0, path));
        let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        let request = headers.iter().fold(request, add).timeout(Duration::from_secs(30));
        read(request.body(body.to_owned()).send().await.unwrap()).await
    }

    /// An answer with this status and code, which the section's row for the status names. One that
    /// asks to come again says when.
    fn compare(&self, section: &str, answer: &Answer, status: u16, code: &str) {
        let found = answer.json()["code"].as_str().unwrap_or_default().to_owned();
        assert_eq!((answer.status, &*found), (status, code), "{}", answer.text);
        let section = self.guide.split_once(section).unwrap().1.split("\n## ").next().unwrap();
        let is_row = |line: &&str| {
            let cell = line.strip_prefix("| ").and_then(|rest| rest.split(" |").next());
            cell.is_some_and(|cell| cell.split([' ', ',']).any(|word| word == status.to_string()))
        };
        let rows: Vec<_> = section.lines().filter(is_row).collect();
        let named = |row: &&str| code.is_empty() || row.contains(&format!("`{code}`"));
        assert!(rows.iter().any(named), "{status} {code}: {rows:?}");
        let again = rows.iter().any(|row| row.contains("`Retry-After`"));
        let is_told = answer.headers.contains_key("retry-after");
        // In a row of two codes, that of a client that is too old for this server is for good.
        let again = again && code != "SCHEMA_TOO_OLD";
        assert_eq!(is_told, again, "{status} {code}: {:?}", answer.headers);
    }
}

/// D-9, D-11, D-18, D-19, D-32, R-002-25, R-002-26, R-002-27, R-000-18
#[tokio::test(flavor = "multi_thread")]
async fn each_row_of_the_tables_happens() {
    if !Deployment::Embedded.is_chosen() {
        return;
    }
    let mut app = TestApp::on(Deployment::Embedded.fresh().await, &[]);
    let db = app.stores.db().await;
    records::seed::load(&db, records::seed::DEMO).await.unwrap();
    let more = json!({
        "terminaux": [{"numero_serie": NOWHERE, "nom": "N", "boutique_id": null, "actif": true}],
        "cles_api": [{"cle": ADMIN, "nom": "A", "portees": ["admin"]}],
    });
    records::seed::load(&db, &more.to_string()).await.unwrap();
    db.close().await;
    app.start_api().await;
    let mut desk = Desk { app, guide: file("docs/clients.md") };
    refusals(&desk).await;
    keys(&mut desk).await;
    pushes(&desk).await;
    too_much(&desk).await;
}

const ANSWERS: &str = "\n## The answers\n";

async fn refusals(desk: &Desk) {
    let serial = ("X-Device-Serial", SERIAL);
    let many = format!("[{}]", vec!["{}"; 1_001].join(","));
    let cases: &[Case<'_>] = &[
        (&[], SALE, 400, "MISSING_SERIAL"),
        (&[serial], "{}", 400, "INVALID_FORMAT"),
        (&[serial], "[]", 400, "EMPTY_DATA"),
        (&[("X-Device-Serial", NOWHERE)], SALE, 400, "NO_BOUTIQUE"),
        (&[serial, ("Content-Encoding", "gzip")], SALE, 400, "INVALID_BODY"),
        (&[("X-Device-Serial", "inconnu")], SALE, 404, "TERMINAL_NOT_FOUND"),
        (&[serial], &many, 413, "BATCH_TOO_LARGE"),
        (&[serial, ("Content-Type", "text/html")], SALE, 415, "UNSUPPORTED_MEDIA_TYPE"),
        (&[serial, ("Content-Encoding", "br")], SALE, 415, "UNSUPPORTED_ENCODING"),
        (&[serial, ("Idempotency-Key", "court")], SALE, 422, "INVALID"),
    ];
    for (headers, body, status, code) in cases {
        desk.compare(ANSWERS, &desk.send(PATH, headers, body).await, *status, code);
    }
    let foreign = desk.send(&format!("{PATH}?boutique_id=999"), &[serial], SALE).await;
    desk.compare(ANSWERS, &foreign, 403, "BOUTIQUE_MISMATCH");
    let long = desk.send(&format!("{PATH}?x={}", "x".repeat(9_000)), &[serial], SALE).await;
    desk.compare(ANSWERS, &long, 414, "URI_TOO_LONG");
    let heavy = desk.send(PATH, &[serial, ("X-Heavy", &"x".repeat(17_000))], SALE).await;
    desk.compare(ANSWERS, &heavy, 431, "HEADERS_TOO_LARGE");
    let get = desk.app.http().get(desk.app.url(0, PATH)).header(serial.0, serial.1);
    desk.compare(ANSWERS, &read(get.send().await.unwrap()).await, 405, "METHOD_NOT_ALLOWED");
    let mut slow = TcpStream::connect(desk.app.address(0)).await.unwrap();
    let head = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nX-Device-Serial: {SERIAL}\r\n");
    slow.write_all(format!("{head}Content-Length: 99\r\n\r\n[").as_bytes()).await.unwrap();
    let mut text = vec![0; 12];
    slow.read_exact(&mut text).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&text), "HTTP/1.1 408");
}

/// 202, 409, 410: nobody works at first.
async fn keys(desk: &mut Desk) {
    let key = |key| [("X-Device-Serial", SERIAL), ("Idempotency-Key", key)];
    let put = async |desk: &Desk, name, prefer| {
        desk.send(PATH, &[&key(name)[..], &[("Prefer", prefer)]].concat(), SALE).await
    };
    let pending = put(desk, "guide-0001", "respond-async").await;
    desk.compare(ANSWERS, &pending, 202, "");
    let strict = put(desk, "guide-0001", "handling=strict").await;
    desk.compare(ANSWERS, &strict, 409, "IDEMPOTENCY_KEY_IN_USE");
    desk.app.start_worker();
    job_done(&desk.app, SERIAL, &pending).await;
    let job = desk.app.url(0, pending.headers["location"].to_str().unwrap());
    let deleted = desk.app.http().delete(job).header("X-API-Key", ADMIN).send().await.unwrap();
    assert_eq!(deleted.status(), 204);
    desk.compare(ANSWERS, &put(desk, "guide-0001", "wait=0").await, 410, "JOB_EXPIRED");
    desk.app.workers[0].kill9();
}

async fn pushes(desk: &Desk) {
    let section = "\n## Local servers\n";
    let first = desk.guide.clone();
    let body = blocks(&first, "http").into_iter().find(|block| block.contains(PUSH)).unwrap();
    let body = body.split_once("\n\n").unwrap().1;
    let version = |number: &str| {
        body.replace("\"schema_version\":1", &format!("\"schema_version\":{number}"))
    };
    let (old, new) = (version("0"), version("99"));
    let head = body.split_once("\"entities\"").unwrap().0;
    let many = format!(r#"{head}"entities":[{}]}}"#, vec!["{}"; 1_001].join(","));
    let (json, key) = (("Content-Type", "application/json"), ("X-API-Key", SITE));
    let cases: &[Case<'_>] = &[
        (&[json, key], "{}", 422, "INVALID"),
        (&[json], body, 401, "UNAUTHORIZED"),
        (&[json, ("X-API-Key", ADMIN)], body, 403, "FORBIDDEN"),
        (&[json, key], &old, 409, "SCHEMA_TOO_OLD"),
        (&[json, key], &new, 409, "SCHEMA_TOO_NEW"),
        (&[json, key], &many, 413, "BATCH_TOO_LARGE"),
        (&[key, ("Content-Type", "text/html")], body, 415, "UNSUPPORTED_MEDIA_TYPE"),
    ];
    for (headers, body, status, code) in cases {
        let section = if [413, 415].contains(status) { ANSWERS } else { section };
        desk.compare(section, &desk.send(PUSH, headers, body).await, *status, code);
    }
}

/// 429: nobody works, so the 21st batch is too many; and too many strangers.
async fn too_much(desk: &Desk) {
    let put = async |number: usize| {
        let body = SALE.replace("G-1", &format!("G-1-{number}"));
        let headers = [("X-Device-Serial", SERIAL), ("Prefer", "respond-async")];
        desk.send(PATH, &headers, &body).await
    };
    let answers = futures::future::join_all((0..25).map(put)).await;
    let refused = answers.iter().find(|answer| answer.status != 202).expect("not all are taken");
    desk.compare(ANSWERS, refused, 429, "TOO_MANY_PENDING");
    for _ in 0..21 {
        let answer = desk.send(PATH, &[("X-Device-Serial", "inconnu")], SALE).await;
        if answer.status != 404 {
            return desk.compare(ANSWERS, &answer, 429, "RATE_LIMIT_EXCEEDED");
        }
    }
    panic!("strangers may ask for ever");
}
