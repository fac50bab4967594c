//! Bodies that are no batch of sales, and bodies meant to cost more than they are worth.

use super::raw::{SYNC, Way, head, sales, sales_in_chunks, sales_with, send};
use super::{READER, Rows, SERIAL, api, peak_memory, sale};
use async_compression::tokio::write::GzipEncoder;
use serde_json::{Value, json};
use std::time::Duration;
use tests::stores::Deployment;
use tokio::io::AsyncWriteExt as _;

const AT_ONCE: Duration = Duration::from_secs(2);
const LIMIT: usize = 2 * 1024 * 1024;
const MAX_MEMORY: u64 = 128;

/// (what it is, the request, status, code)
type Case = (&'static str, Vec<u8>, u16, &'static str);

fn no_batches() -> Vec<Case> {
    let bodies: [(&str, &[u8]); 26] = [
        ("nothing", b""),
        ("blanks", b" \r\n\t"),
        ("words", b"bonjour"),
        ("an object", br#"{"numero_facture":"A","lignes":[{"article_id":6}]}"#),
        ("null", b"null"),
        ("a number", b"1e400"),
        ("a string", b"\"[]\""),
        ("half an array", br#"[{"lignes":[{"article_id":6}]}"#),
        ("a comma too many", br#"[{"lignes":[{"article_id":6}]},]"#),
        ("garbage behind", br#"[{"lignes":[{"article_id":6}]}] x"#),
        ("another array behind", br#"[{"lignes":[{"article_id":6}]}][]"#),
        ("a NUL behind", b"[{\"lignes\":[{\"article_id\":6}]}]\0"),
        ("a NUL before", b"\0[{\"lignes\":[{\"article_id\":6}]}]"),
        ("a NUL in a string", b"[{\"numero_facture\":\"A\0\"}]"),
        ("a line end in a string", b"[{\"numero_facture\":\"A\nB\"}]"),
        ("an escape character in a string", b"[{\"numero_facture\":\"A\x1b[2J\"}]"),
        ("a control character in a number", b"[{\"lignes\":[{\"article_id\":6\x01}]}]"),
        ("invalid UTF-8", b"[{\"numero_facture\":\"\xff\"}]"),
        ("half a surrogate in UTF-8", b"[{\"numero_facture\":\"\xed\xa0\x80\"}]"),
        ("an overlong slash", b"[{\"numero_facture\":\"\xc0\xaf\"}]"),
        ("UTF-16", b"\xff\xfe[\0]\0"),
        ("two byte order marks", b"\xef\xbb\xbf\xef\xbb\xbf[{}]"),
        ("NaN", b"[NaN]"),
        ("a leading zero", b"[007]"),
        ("a comment", b"[1/**/]"),
        ("single quotes", b"[{'a':1}]"),
    ];
    let case = |(name, body)| (name, sales(SERIAL, body), 400, "INVALID_FORMAT");
    let mut cases: Vec<_> = bodies.into_iter().map(case).collect();
    cases.push(("an empty array", sales(SERIAL, b"[]"), 400, "EMPTY_DATA"));
    cases.push(("an empty array with blanks", sales(SERIAL, b" [ \n ] "), 400, "EMPTY_DATA"));
    cases
}

fn too_large() -> Vec<Case> {
    let many = |count: usize, one: &str| format!("[{}]", vec![one; count].join(","));
    let lines =
        format!(r#"[{{"numero_facture":"A","lignes":{}}}]"#, many(501, r#"{"article_id":6}"#));
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let objects = format!("[{}1{}]", r#"{"a":"#.repeat(100_000), "}".repeat(100_000));
    let number = |digits: usize| {
        format!(r#"[{{"lignes":[{{"article_id":6,"prix_unitaire":{}}}]}}]"#, "9".repeat(digits))
    };
    let cases: Vec<(&'static str, Vec<u8>)> = vec![
        ("1 001 sales", sales(SERIAL, many(1_001, "{}").as_bytes())),
        ("a million zeros", sales(SERIAL, many(1_000_000, "0").as_bytes())),
        ("501 lines", sales(SERIAL, lines.as_bytes())),
        ("100 000 arrays in each other", sales(SERIAL, &deep)),
        ("100 000 objects in each other", sales(SERIAL, objects.as_bytes())),
        ("33 levels", sales(SERIAL, &[vec![b'['; 33], vec![b']'; 33]].concat())),
        ("10 MB of [", sales(SERIAL, &vec![b'['; 10_000_000])),
        ("10 MB of [ in chunks", sales_in_chunks(SERIAL, &vec![b'['; 10_000_000])),
        ("100 MB of blanks", sales(SERIAL, &vec![b' '; 100_000_000])),
        ("100 MB of blanks in chunks", sales_in_chunks(SERIAL, &vec![b' '; 100_000_000])),
        ("a number of 5 MB", sales(SERIAL, number(5_000_000).as_bytes())),
        ("one byte too many", sales(SERIAL, &batch_of(LIMIT + 1, "X"))),
        ("one byte too many in chunks", sales_in_chunks(SERIAL, &batch_of(LIMIT + 1, "X"))),
    ];
    cases.into_iter().map(|(name, bytes)| (name, bytes, 413, "BATCH_TOO_LARGE")).collect()
}

/// A thousand sales in exactly so many bytes.
fn batch_of(bytes: usize, prefix: &str) -> Vec<u8> {
    let sale = |number: usize, padding: &str| {
        format!(
            r#"{{"numero_facture":"{prefix}-{number:04}","lignes":[{{"article_id":6}}],"note":"{padding}"}}"#
        )
    };
    let bare: Vec<_> = (0..1_000).map(|number| sale(number, "")).collect();
    let room = bytes - 2 - 999 - bare.iter().map(String::len).sum::<usize>();
    let padding = "é".repeat(room / 1_000 / 2);
    let mut sales: Vec<_> = (0..1_000).map(|number| sale(number, &padding)).collect();
    sales[0] = sale(0, &format!("{padding}{}", "x".repeat(room - padding.len() * 1_000)));
    let body = format!("[{}]", sales.join(",")).into_bytes();
    assert_eq!(body.len(), bytes);
    body
}

async fn packed() -> Vec<Case> {
    let gzip = |body: &[u8]| sales_with(SERIAL, &[("Content-Encoding", "gzip")], body);
    let one = pack(sale("G").to_string().as_bytes()).await;
    let encoded = |encoding: &str| sales_with(SERIAL, &[("Content-Encoding", encoding)], &one);
    let bomb = bomb().await;
    assert!(bomb.len() < LIMIT, "the bomb must get past the limit on what is sent");
    let members = pack(&vec![b' '; 1024 * 1024]).await.repeat(1024);
    let nested = pack(&one).await;
    vec![
        ("a gzip of 1 GiB", gzip(&bomb), 413, "BATCH_TOO_LARGE"),
        ("1 024 gzips of 1 MiB", gzip(&members), 413, "BATCH_TOO_LARGE"),
        ("a gzip cut short", gzip(&one[..one.len() - 5]), 400, "INVALID_BODY"),
        ("a gzip without its middle", gzip(&one[..15]), 400, "INVALID_BODY"),
        ("no gzip", gzip(b"[]"), 400, "INVALID_BODY"),
        ("a gzip in a gzip", gzip(&nested), 400, "INVALID_FORMAT"),
        ("a gzip of an object", gzip(&pack(b"{}").await), 400, "INVALID_FORMAT"),
        ("brotli", encoded("br"), 415, "UNSUPPORTED_ENCODING"),
        ("deflate", encoded("deflate"), 415, "UNSUPPORTED_ENCODING"),
        ("gzip twice", encoded("gzip, gzip"), 415, "UNSUPPORTED_ENCODING"),
        ("an invented encoding", encoded("x"), 415, "UNSUPPORTED_ENCODING"),
        ("a gzip that nobody names", sales(SERIAL, &one), 400, "INVALID_FORMAT"),
    ]
}

async fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(bytes).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// One gzip member that inflates to 1 GiB of blanks: a flushed block of 1 MiB, again and again.
async fn bomb() -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    let blanks = vec![b' '; 1024 * 1024];
    encoder.write_all(&blanks).await.unwrap();
    encoder.flush().await.unwrap();
    let first = encoder.get_ref().len();
    encoder.write_all(&blanks).await.unwrap();
    encoder.flush().await.unwrap();
    let bytes = encoder.into_inner();
    let (start, block) = bytes.split_at(first);
    [start, &block.repeat(1023)].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_body_is_refused_at_once_in_little_memory_and_leaves_nothing() {
    let app = api(Deployment::Postgres, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000")]).await;
    let db = app.stores.db().await;
    let before = Rows::of(&db).await;
    let mut wrong = Vec::new();
    for (name, bytes, status, code) in [no_batches(), too_large(), packed().await].concat() {
        let Some(reply) = send(app.address(0), &bytes, Way::Whole).await else {
            wrong.push(format!("{name}: no answer"));
            continue;
        };
        if (reply.status, reply.code().as_str()) != (status, code) || reply.took > AT_ONCE {
            wrong.push(format!(
                "{name}: not {status} {code} in {:?}: {}",
                reply.took,
                reply.text()
            ));
        }
        if status == 413 && !reply.json()["max"].is_u64() {
            wrong.push(format!("{name}: the limit is not named: {}", reply.text()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(Rows::of(&db).await, before);
    let peak = peak_memory(app.apis[0].pid());
    assert!(peak <= MAX_MEMORY, "{peak} MiB");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_or_crawls_is_given_up_and_leaves_nothing() {
    let app = api(Deployment::Embedded, &[]).await;
    let db = app.stores.db().await;
    let before = Rows::of(&db).await;
    let whole = sales(SERIAL, sale("S").to_string().as_bytes());
    let chunks = sales_in_chunks(SERIAL, sale("S").to_string().as_bytes());
    let head = |bytes: &[u8]| bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let (half, halves) = (&whole[..head(&whole) + 20], &chunks[..head(&chunks) + 20]);
    let crawl = Way::Trickle(head(&whole), Duration::from_millis(400));
    let silent = Way::Trickle(half.len(), Duration::from_secs(1));
    let (stopped, stopped_chunks, crawled, fell_silent) = tokio::join!(
        send(app.address(0), half, Way::ThenClose),
        send(app.address(0), halves, Way::ThenClose),
        send(app.address(0), &whole, crawl),
        send(app.address(0), half, silent),
    );
    for stopped in [stopped, stopped_chunks] {
        // Whoever stopped sending may well have stopped listening: an answer is a courtesy.
        let refused =
            stopped.is_none_or(|r| (r.status, r.code().as_str()) == (400, "INVALID_BODY"));
        assert!(refused, "half a body was answered otherwise");
    }
    for slow in [crawled, fell_silent] {
        let slow = slow.expect("a slow client is told so");
        assert_eq!((slow.status, slow.code().as_str()), (408, "BODY_TOO_SLOW"));
        assert!((4..9).contains(&slow.took.as_secs()), "after {:?}", slow.took);
    }
    assert_eq!(Rows::of(&db).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_within_the_limits_is_accepted() {
    let mut app =
        api(Deployment::Postgres, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000")]).await;
    app.start_worker();
    let address = app.address(0);
    let mark = [b"\xef\xbb\xbf".as_slice(), sale("BOM").to_string().as_bytes()].concat();
    let packed = pack(sale("GZIP").to_string().as_bytes()).await;
    let plain = sale("PLAIN").to_string();
    let mut bare =
        head(&format!("POST {}", SYNC.trim_end_matches('/')), &[("X-Device-Serial", SERIAL)]);
    bare.extend(format!("Content-Length: {}\r\n\r\n{plain}", plain.len()).into_bytes());
    let numbers = r#"[{"numero_facture":"N","lignes":[{"article_id":6e0,"quantite":1.0,"prix_unitaire":4e4}]}]"#;
    for (name, bytes) in [
        ("a byte order mark", sales(SERIAL, &mark)),
        ("gzip", sales_with(SERIAL, &[("Content-Encoding", "gzip")], &packed)),
        ("chunks", sales_in_chunks(SERIAL, sale("CHUNKS").to_string().as_bytes())),
        ("no content type, no last slash", bare),
        ("numbers spelt otherwise", sales(SERIAL, numbers.as_bytes())),
    ] {
        let reply = send(address, &bytes, Way::Whole).await.unwrap();
        assert_eq!(reply.status, 201, "{name}: {}", reply.text());
        assert_eq!(
            reply.json()["statistiques"],
            json!({"total_envoyees": 1, "reussies": 1, "erreurs": 0})
        );
    }
    let full = sales_with(SERIAL, &[("Prefer", "respond-async")], &batch_of(LIMIT, "FULL"));
    let reply = send(address, &full, Way::Whole).await.unwrap();
    assert_eq!(reply.status, 202, "{}", reply.text());
    let job = app.url(0, reply.header("location").unwrap());
    let ask = app.http().get(job).header("X-API-Key", READER).header("Prefer", "wait=25");
    let job: Value = ask.send().await.unwrap().json().await.unwrap();
    assert_eq!((&job["state"], &job["done"]), (&json!("done"), &json!(true)), "{job}");
    let rows = Rows::of(&app.stores.db().await).await;
    assert_eq!((rows.sales, rows.rejections), (1_005, 0));
}
