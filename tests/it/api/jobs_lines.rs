//! Jobs as lines of JSON: streamed both ways, each line judged for itself.

use super::jobs_put::{WRITER, call, header, jobs_api, key, no_sales};
use super::{READER, Rows};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::Deployment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const JOBS: &str = "/api/v1/jobs";
const NDJSON: (&str, &str) = ("Content-Type", "application/x-ndjson");

fn line(shop: u32) -> String {
    json!({"kind": "apply_sales_batch", "payload": no_sales(shop)}).to_string()
}

async fn put(app: &TestApp, headers: &[(&str, &str)], body: String) -> Vec<Value> {
    let mut all = vec![key(WRITER), NDJSON];
    all.extend(headers);
    let answer = call(app, "POST", JOBS, &all, body).await;
    assert_eq!(
        (answer.status, header(&answer, "content-type")),
        (200, Some(NDJSON.1)),
        "{}",
        answer.text
    );
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_has_its_verdict_and_none_fails_another() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[("RELAIS_LIMITS_PAYLOAD_BYTES", "1024")]).await;
        let db = app.stores.db().await;
        let once = json!({"kind": "apply_sales_batch", "payload": no_sales(1), "priority": 1,
                          "unique": {"scope": "ever", "key": "k"}});
        let long = format!(r#"{{"kind":"prune_jobs","payload":"{}"}}"#, "x".repeat(2_000));
        let endless = "y".repeat(100_000);
        let lines = [
            line(1),
            "{".into(),
            String::new(),
            once.to_string(),
            once.to_string(),
            r#"{"kind":"nothing","payload":{}}"#.into(),
            r#"["prune_jobs",{}]"#.into(),
            r#"{"kind":"prune_jobs","payload":{"a":1}}"#.into(),
            long,
            endless,
            "\u{0}".into(),
            "{\"kind\":\"prune_jobs\",\"payload\":{},\"lane\":\"a\\u0000\"}".into(),
            line(2),
        ];
        let told = put(&app, &[], lines.join("\n")).await;
        let numbers: Vec<_> = told.iter().filter_map(|v| v["line"].as_u64()).collect();
        assert_eq!(numbers, [1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
        let codes: Vec<_> =
            told.iter().map(|v| v["error"]["code"].as_str().unwrap_or("")).collect();
        let (bad, large) = ("INVALID", "PAYLOAD_TOO_LARGE");
        let expected = ["", bad, "", "", "UNKNOWN_KIND", bad, bad, large, large, bad, bad, "", ""];
        assert_eq!(codes, expected, "{told:?}");
        assert_eq!((&told[2]["created"], &told[3]["created"]), (&json!(true), &json!(false)));
        assert_eq!(told[2]["id"], told[3]["id"]);
        assert!(told[6]["error"]["detail"].as_str().unwrap().contains("unknown field `a`"));
        assert_eq!(told[12], json!({"accepted": 4, "refused": 8}));
        assert_eq!(Rows::of(&db).await.jobs, 3);

        // Many lines, and a stream that broke sent again from its start.
        let many = |count: u32| (0..count).map(|shop| line(shop) + "\n").collect::<String>();
        let key = [("Idempotency-Key", "upload-01")];
        let first = put(&app, &key, many(700)).await;
        assert_eq!(first[700], json!({"accepted": 700, "refused": 0}));
        let again = put(&app, &key, many(1_200)).await;
        assert_eq!(again[1_200], json!({"accepted": 1_200, "refused": 0}));
        for number in [0, 699] {
            assert_eq!(first[number]["id"], again[number]["id"]);
            assert_eq!(again[number]["replayed"], true);
        }
        assert_eq!((&again[700]["created"], again[700].get("replayed")), (&json!(true), None));
        assert_eq!(Rows::of(&db).await.jobs, 3 + 1_200);
        let other = put(&app, &key, line(77)).await;
        assert_eq!(other[0]["error"]["code"], "IDEMPOTENCY_KEY_REUSED");
        assert_eq!(put(&app, &[], String::new()).await, [json!({"accepted": 0, "refused": 0})]);
        db.close().await;
    }
}

/// A request whose body comes in chunks, of which none has been sent.
fn head() -> String {
    format!(
        "POST {JOBS} HTTP/1.1\r\nHost: relais\r\nX-API-Key: {WRITER}\r\n\
         Content-Type: application/jsonl\r\nTransfer-Encoding: chunked\r\n"
    )
}

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

async fn until(from: &mut TcpStream, got: &mut String, says: &str) {
    let read = async {
        let mut bytes = [0; 4_096];
        while !got.contains(says) {
            let count = from.read(&mut bytes).await.unwrap();
            assert!(count > 0, "{got}");
            got.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
    };
    let came = tokio::time::timeout(Duration::from_secs(20), read).await;
    assert!(came.is_ok(), "no {says} in {got}");
}

#[tokio::test(flavor = "multi_thread")]
async fn verdicts_come_while_the_body_still_goes() {
    for deployment in Deployment::chosen() {
        let app = jobs_api(deployment, &[]).await;
        let mut stream = TcpStream::connect(app.address(0)).await.unwrap();
        let mut got = String::new();
        stream.write_all(format!("{}\r\n", head()).as_bytes()).await.unwrap();
        for number in 1..=5 {
            stream.write_all(&chunk(&(line(number) + "\n"))).await.unwrap();
            until(&mut stream, &mut got, &format!(r#"{{"line":{number},"id":""#)).await;
        }
        stream.write_all(b"0\r\n\r\n").await.unwrap();
        until(&mut stream, &mut got, r#"{"accepted":5,"refused":0}"#).await;
        assert!(got.starts_with("HTTP/1.1 200 OK"), "{got}");
        // The connection goes on to the next request.
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: relais\r\n\r\n").await.unwrap();
        got.clear();
        until(&mut stream, &mut got, "HTTP/1.1 200").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_refused_before_it_begins_and_cut_when_it_stalls() {
    let app = jobs_api(Deployment::Embedded, &[]).await;
    for (headers, status) in [
        (&[NDJSON][..], 401),
        (&[NDJSON, key(READER)], 403),
        (&[NDJSON, key(WRITER), ("Content-Encoding", "gzip")], 415),
        (&[NDJSON, key(WRITER), ("Idempotency-Key", "short")], 422),
    ] {
        let answer = call(&app, "POST", JOBS, headers, line(1)).await;
        assert_eq!(answer.status, status, "{headers:?}: {}", answer.text);
    }
    let began = Instant::now();
    let mut stalled = TcpStream::connect(app.address(0)).await.unwrap();
    stalled.write_all(format!("{}\r\n", head()).as_bytes()).await.unwrap();
    stalled.write_all(&chunk(&(line(1) + "\n{\"kind\""))).await.unwrap();
    let mut got = String::new();
    stalled.read_to_string(&mut got).await.unwrap();
    assert!(got.contains(r#""created":true"#) && got.contains("BODY_TOO_SLOW"), "{got}");
    assert!(got.contains(r#""accepted":1"#) && began.elapsed() < Duration::from_secs(15), "{got}");

    // Whoever asks first is told to go on.
    let mut asking = TcpStream::connect(app.address(0)).await.unwrap();
    asking.write_all(format!("{}Expect: 100-continue\r\n\r\n", head()).as_bytes()).await.unwrap();
    let mut first = [0; 25];
    asking.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 100 Continue\r\n\r\n");

    // Whoever does not read its verdicts is not read from for ever either.
    let mut deaf = TcpStream::connect(app.address(0)).await.unwrap();
    deaf.write_all(format!("{}\r\n", head()).as_bytes()).await.unwrap();
    let piece = chunk(&"x\n".repeat(32_768));
    let mut sent = 0_usize;
    while let Ok(Ok(())) =
        tokio::time::timeout(Duration::from_secs(3), deaf.write_all(&piece)).await
    {
        sent += piece.len();
        assert!(sent < 100_000_000, "read without end");
    }
}
