//! Requests that are wrong before their body matters: who asks, where, and how the head is cut.

use super::raw::{SYNC, Way, head, request, sales, sales_with, send};
use super::{INACTIVE, Rows, SERIAL, WITHOUT_SHOP, api, sale};
use serde_json::Value;
use std::time::Duration;
use tests::stores::Deployment;

/// Nothing here has to be waited for; a busy machine may still take a moment.
const AT_ONCE: Duration = Duration::from_secs(2);

/// (what it is, the request, status, code; "" is an answer of the HTTP layer, without a body)
type Case = (&'static str, Vec<u8>, u16, &'static str);

fn callers() -> Vec<Case> {
    let body = sale("H").to_string().into_bytes();
    let post = format!("POST {SYNC}");
    let with = |headers: &[(&str, &str)]| request(&post, headers, &body);
    vec![
        ("no serial", with(&[]), 400, "MISSING_SERIAL"),
        ("an empty serial", sales("", &body), 400, "MISSING_SERIAL"),
        ("a blank serial", sales("   ", &body), 400, "MISSING_SERIAL"),
        (
            "two serials",
            with(&[("X-Device-Serial", SERIAL), ("X-Device-Serial", SERIAL)]),
            400,
            "MISSING_SERIAL",
        ),
        ("a serial that is no ASCII", sales("é", &body), 400, "MISSING_SERIAL"),
        ("an unknown serial", sales("nobody", &body), 404, "TERMINAL_NOT_FOUND"),
        ("another case of a serial", sales("TILL-2", &body), 404, "TERMINAL_NOT_FOUND"),
        ("two serials in one", sales("till-2,till-2", &body), 404, "TERMINAL_NOT_FOUND"),
        ("a serial of 12 000 bytes", sales(&"s".repeat(12_000), &body), 404, "TERMINAL_NOT_FOUND"),
        ("SQL for a serial", sales("' OR 1=1 --", &body), 404, "TERMINAL_NOT_FOUND"),
        ("an inactive terminal", sales(INACTIVE, &body), 404, "TERMINAL_NOT_FOUND"),
        ("a terminal without shop", sales(WITHOUT_SHOP, &body), 400, "NO_BOUTIQUE"),
        // C-18: serial, terminal, shop, then the body.
        ("no serial, no JSON", request(&post, &[], b"?"), 400, "MISSING_SERIAL"),
        ("no shop, no JSON", sales(WITHOUT_SHOP, b"?"), 400, "NO_BOUTIQUE"),
        ("a NUL in the serial", sales("till\0-2", &body), 400, ""),
        ("a control character in the serial", sales("till-\x012", &body), 400, ""),
    ]
}

fn places() -> Vec<Case> {
    let to = |line: &str| request(line, &[("X-Device-Serial", SERIAL)], b"");
    let long = |bytes: usize| to(&format!("POST {SYNC}?{}", "x".repeat(bytes)));
    vec![
        ("GET", to(&format!("GET {SYNC}")), 405, "METHOD_NOT_ALLOWED"),
        ("PUT", to(&format!("PUT {SYNC}")), 405, "METHOD_NOT_ALLOWED"),
        ("DELETE", to(&format!("DELETE {SYNC}")), 405, "METHOD_NOT_ALLOWED"),
        ("OPTIONS", to(&format!("OPTIONS {SYNC}")), 405, "METHOD_NOT_ALLOWED"),
        ("an invented method", to(&format!("BREW {SYNC}")), 405, "METHOD_NOT_ALLOWED"),
        ("POST where only GET is", to("POST /livez"), 405, "METHOD_NOT_ALLOWED"),
        ("HEAD", to(&format!("HEAD {SYNC}")), 405, ""),
        ("HEAD of what can be read", to("HEAD /livez"), 200, ""),
        ("an unknown path", to("GET /nowhere"), 404, "NOT_FOUND"),
        ("a path above the root", to("GET /../../etc/passwd"), 404, "NOT_FOUND"),
        ("a path that is no UTF-8", to("GET /api/v1/%ff"), 404, "NOT_FOUND"),
        ("two slashes at the end", to(&format!("POST {SYNC}/")), 404, "NOT_FOUND"),
        ("an address of 9 000 bytes", long(9_000), 414, "URI_TOO_LONG"),
        ("an address of 60 000 bytes", long(60_000), 431, ""),
    ]
}

fn framings() -> Vec<Case> {
    let body = sale("H").to_string();
    let length = body.len().to_string();
    let longer = (body.len() + 1).to_string();
    let post = |headers: &[(&str, &str)]| {
        let mut bytes = head(&format!("POST {SYNC}"), &[("X-Device-Serial", SERIAL)]);
        for (name, value) in headers {
            bytes.extend(format!("{name}: {value}\r\n").into_bytes());
        }
        bytes.extend(b"\r\n");
        bytes.extend(body.as_bytes());
        bytes
    };
    let chunked = |encodings: &[&str]| {
        let encodings = encodings.iter().map(|encoding| ("Transfer-Encoding", *encoding));
        let mut headers = vec![("X-Device-Serial", SERIAL)];
        headers.extend(encodings);
        let mut bytes = head(&format!("POST {SYNC}"), &headers);
        bytes.extend(format!("\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).into_bytes());
        bytes
    };
    let many: Vec<_> = (0..200).map(|number| format!("X-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
    vec![
        (
            "a length and chunks",
            post(&[("Content-Length", &length), ("Transfer-Encoding", "chunked")]),
            400,
            "TWO_LENGTHS",
        ),
        (
            "chunks and a length",
            post(&[("Transfer-Encoding", "chunked"), ("Content-Length", &length)]),
            400,
            "TWO_LENGTHS",
        ),
        (
            "two lengths that differ",
            post(&[("Content-Length", &length), ("Content-Length", &longer)]),
            400,
            "",
        ),
        (
            "two equal lengths",
            post(&[("Content-Length", &length), ("Content-Length", &length)]),
            400,
            "TWO_LENGTHS",
        ),
        (
            "two lengths in one",
            post(&[("Content-Length", &format!("{length}, {longer}"))]),
            400,
            "",
        ),
        ("a negative length", post(&[("Content-Length", "-1")]), 400, ""),
        ("a length with a sign", post(&[("Content-Length", &format!("+{length}"))]), 400, ""),
        (
            "a length beyond 64 bits",
            post(&[("Content-Length", "99999999999999999999999")]),
            400,
            "",
        ),
        ("a length of 10 GB", post(&[("Content-Length", "10000000000")]), 413, "BATCH_TOO_LARGE"),
        ("an unknown transfer encoding", chunked(&["zip"]), 400, ""),
        (
            "a transfer encoding nobody undoes",
            chunked(&["gzip, chunked"]),
            400,
            "UNSUPPORTED_TRANSFER_ENCODING",
        ),
        ("chunked twice", chunked(&["chunked", "chunked"]), 400, "UNSUPPORTED_TRANSFER_ENCODING"),
        (
            "a header of 17 000 bytes",
            post(&[("X-Long", &"x".repeat(17_000))]),
            431,
            "HEADERS_TOO_LARGE",
        ),
        ("a header of 100 000 bytes", post(&[("X-Long", &"x".repeat(100_000))]), 431, ""),
        ("200 headers", post(&many), 431, ""),
        ("a folded header", post(&[("X-Fold", "a\r\n b")]), 400, ""),
        ("a space before the colon", post(&[("Content-Length ", &length)]), 400, ""),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(), 400, ""),
        (
            "a second content type",
            sales_with(SERIAL, &[("Content-Type", "application/xml")], b"<a/>"),
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_head_has_its_answer_at_once_and_leaves_nothing() {
    let app = api(Deployment::Embedded, &[]).await;
    let db = app.stores.db().await;
    let before = Rows::of(&db).await;
    let mut wrong = Vec::new();
    for (name, bytes, status, code) in [callers(), places(), framings()].concat() {
        let Some(reply) = send(app.address(0), &bytes, Way::Whole).await else {
            wrong.push(format!("{name}: no answer"));
            continue;
        };
        let is_fast = reply.took < AT_ONCE;
        if (reply.status, reply.code().as_str(), is_fast) != (status, code, true) {
            wrong.push(format!("{name}: not {status} {code}: {reply:?} {}", reply.text()));
        }
        let is_allowed = match status {
            405 => reply.header("allow").is_some_and(|methods| !methods.is_empty()),
            431 | 413 => reply.header("connection") == Some("close"),
            _ => true,
        };
        if !is_allowed {
            wrong.push(format!("{name}: a header is missing: {reply:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(Rows::of(&db).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sources_refusals_are_exact_and_tell_nothing_more() {
    let app = api(Deployment::Embedded, &[]).await;
    let ask = async |serial: &str, body: &[u8]| {
        let reply = send(app.address(0), &sales(serial, body), Way::Whole).await.unwrap();
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        let mut json = reply.json();
        let members = json.as_object_mut().unwrap();
        let instance = members.remove("instance").unwrap();
        assert!(instance.as_str().unwrap().contains(reply.header("x-request-id").unwrap()));
        json
    };
    let body = sale("H").to_string();
    let unknown = ask("nobody", body.as_bytes()).await;
    assert_eq!(unknown, ask(INACTIVE, body.as_bytes()).await, "unknown and inactive look alike");
    for (json, error, code) in [
        (&unknown, "Terminal non trouvé ou inactif", "TERMINAL_NOT_FOUND"),
        (
            &ask("", b"").await,
            "Numéro de série du terminal requis dans les headers",
            "MISSING_SERIAL",
        ),
        (&ask(WITHOUT_SHOP, b"").await, "Terminal non associé à une boutique", "NO_BOUTIQUE"),
        (
            &ask(SERIAL, b"{}").await,
            "Format invalide: un tableau de ventes est attendu",
            "INVALID_FORMAT",
        ),
        (&ask(SERIAL, b"[]").await, "Aucune vente à synchroniser", "EMPTY_DATA"),
    ] {
        assert_eq!((&json["error"], &json["code"]), (&Value::from(error), &Value::from(code)));
        let named = (code == "MISSING_SERIAL").then_some("X-Device-Serial");
        assert_eq!(json["header_required"].as_str(), named, "{json}");
    }
}

/// A head may take ten seconds, whoever sends a byte now and then.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_closed_in_time_and_disturbs_nobody() {
    let app = api(Deployment::Embedded, &[]).await;
    let slow = head(&format!("POST {SYNC}"), &[("X-Slow", &"x".repeat(200))]);
    let began = std::time::Instant::now();
    let address = app.address(0);
    let slow = move || {
        let bytes = slow.clone();
        async move { send(address, &bytes, Way::Trickle(20, Duration::from_millis(300))).await }
    };
    let slow: Vec<_> = (0..50).map(|_| tokio::spawn(slow())).collect();
    let healthy = send(address, &request("GET /livez", &[], b""), Way::Whole).await.unwrap();
    assert!(healthy.status == 200 && healthy.took < AT_ONCE, "{healthy:?}");
    for connection in slow {
        let reply = connection.await.unwrap();
        assert!(reply.is_none_or(|reply| reply.status == 408), "a slow head was accepted");
    }
    let took = began.elapsed();
    assert!((9..15).contains(&took.as_secs()), "closed after {took:?}");
}
