//! `docs/clients.md` is kept in step with the program: its requests are sent as they stand there,
//! its answers compared, and its two clients use no member that was not seen on the way.

mod rows;

use crate::sales::{job_done, read};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;

pub(crate) fn file(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The fenced blocks of one language, in order.
pub(crate) fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let open = format!("\n```{language}\n");
    text.split(&open).skip(1).map(|rest| rest.split_once("\n```\n").unwrap().0).collect()
}

/// A message of HTTP as the guide writes it.
struct Message<'t> {
    /// `POST /path HTTP/1.1` or `HTTP/1.1 201 Created`.
    start: Vec<&'t str>,
    headers: Vec<(&'t str, &'t str)>,
    body: &'t str,
}

impl<'t> Message<'t> {
    fn read(text: &'t str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or_else(|| panic!("no body: {text}"));
        let mut lines = head.lines();
        let start = lines.next().unwrap().split(' ').collect();
        Self { start, headers: lines.map(|line| line.split_once(": ").unwrap()).collect(), body }
    }

    fn header(&self, name: &str) -> Option<&'t str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| *value)
    }

    async fn send(&self, app: &TestApp) -> Answer {
        let request = app.http().post(app.url(0, self.start[1]));
        let add = |request: reqwest::RequestBuilder, (name, value): &(&str, &str)| {
            request.header(*name, *value)
        };
        let request = self.headers.iter().fold(request, add);
        read(request.body(self.body.to_owned()).send().await.unwrap()).await
    }

    /// Whether this is what came: the status, the headers that are shown, every member.
    fn compare(&self, answer: &Answer) {
        assert_eq!(answer.status.to_string(), self.start[1], "{}", answer.text);
        for (name, value) in &self.headers {
            let found = answer.headers.get(*name).map(|found| found.to_str().unwrap());
            assert!(found.is_some_and(|found| alike(value, found)), "{name}: {found:?}");
        }
        let replayed = answer.headers.contains_key("idempotency-replayed");
        assert_eq!(replayed, self.header("Idempotency-Replayed").is_some(), "{}", answer.text);
        let shown: Value = serde_json::from_str(self.body).unwrap();
        assert_alike(&shown, &answer.json(), &answer.text);
    }
}

/// `…` at the end stands for anything.
fn alike(shown: &str, found: &str) -> bool {
    shown.strip_suffix('…').map_or(shown == found, |start| found.starts_with(start))
}

fn assert_alike(shown: &Value, found: &Value, all: &str) {
    match (shown, found) {
        (Value::Object(a), Value::Object(b)) => {
            let names = |map: &serde_json::Map<String, Value>| -> BTreeSet<String> {
                map.keys().cloned().collect()
            };
            assert_eq!(names(a), names(b), "{all}");
            a.iter().for_each(|(name, value)| assert_alike(value, &b[name], all));
        }
        (Value::Array(a), Value::Array(b)) => {
            assert_eq!(a.len(), b.len(), "{all}");
            a.iter().zip(b).for_each(|(a, b)| assert_alike(a, b, all));
        }
        (Value::String(a), Value::String(b)) => assert!(alike(a, b), "{a} or {b}: {all}"),
        _ => assert_eq!(shown, found, "{all}"),
    }
}

/// R-002-37 to R-002-40, R-002-44 to R-002-47, R-000-4, D-9, D-11, D-12: each request of the guide
/// is answered as it says. A 202 is what comes while there is no worker.
#[tokio::test(flavor = "multi_thread")]
async fn the_client_guide_shows_what_happens() {
    if !Deployment::Embedded.is_chosen() {
        return;
    }
    let mut app = TestApp::start(Deployment::Embedded).await;
    let db = app.stores.db().await;
    records::seed::load(&db, records::seed::DEMO).await.unwrap();
    db.close().await;
    let guide = file("docs/clients.md");
    let messages: Vec<_> = blocks(&guide, "http").into_iter().map(Message::read).collect();
    assert!(messages.len() >= 14 && messages.len().is_multiple_of(2), "{}", messages.len());
    for pair in messages.chunks(2) {
        let (request, shown) = (&pair[0], &pair[1]);
        assert_eq!((request.start[0], shown.start[0]), ("POST", "HTTP/1.1"));
        if shown.start[1] != "202" {
            shown.compare(&request.send(&app).await);
            continue;
        }
        app.workers[0].kill9();
        let answer = request.send(&app).await;
        shown.compare(&answer);
        app.restart_worker(0);
        job_done(&app, request.header("X-Device-Serial").unwrap(), &answer).await;
    }
    described(&app, &guide).await;
}

/// Every answer of the API's description has a line in the guide's tables.
async fn described(app: &TestApp, guide: &str) {
    let answer = app.http().get(app.url(0, "/openapi.json")).send().await.unwrap();
    let description = read(answer).await.json();
    for (path, title) in [
        ("/api/v2/simple/ventes/sync/", "\n## The answers\n"),
        ("/api/v1/sync/push", "\n## Local servers\n"),
    ] {
        let section = guide.split_once(title).unwrap().1.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
        let told: Vec<_> = rows.flat_map(|cell| cell.split([' ', ','])).collect();
        let statuses = description["paths"][path]["post"]["responses"].as_object().unwrap();
        assert!(statuses.len() > 10, "{description}");
        for status in statuses.keys() {
            let is_told = told.contains(&status.as_str())
                || (status.starts_with('5') && told.contains(&"5xx"));
            assert!(is_told, "{path}: {status} has no line in {told:?}");
        }
    }
}

/// Names of members, by what stands before them.
fn names_of(value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => members.iter().for_each(|(name, value)| {
            into.insert(name.clone());
            names_of(value, into);
        }),
        Value::Array(items) => items.iter().for_each(|item| names_of(item, into)),
        _ => {}
    }
}

/// What the C# client calls the members, in order.
fn csharp_names(code: &str) -> Vec<&str> {
    code.split("JsonPropertyName(\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
}

/// What the TypeScript client calls them: interfaces after a line `// wire: …`.
fn typescript_names(code: &str) -> Vec<&str> {
    let bodies = code.split("// wire: ").skip(1).map(|rest| rest.split('}').next().unwrap());
    let members = bodies.flat_map(|body| body.lines().filter(|line| line.starts_with("  ")));
    members.map(|line| line.trim().split(['?', ':']).next().unwrap()).collect()
}

/// R-002-37, R-002-39: the two clients send and read members that the compared messages have, in
/// the order of the first request, and send each header of a request that a terminal needs.
#[test]
fn the_clients_of_the_guide_know_the_messages_of_the_guide() {
    let guide = file("docs/clients.md");
    let messages: Vec<_> = blocks(&guide, "http").into_iter().map(Message::read).collect();
    let route = messages[0].start[1];
    let terminals = messages.chunks(2).filter(|pair| pair[0].start[1] == route);
    let mut seen = BTreeSet::new();
    for message in terminals.flatten() {
        names_of(&serde_json::from_str(message.body).unwrap(), &mut seen);
    }
    let sent = ["article_id", "quantite", "prix_unitaire", "numero_facture", "date_vente"];
    let sent = sent.into_iter().chain(["mode_paiement", "paye", "lignes"]).collect::<Vec<_>>();
    let place = |name: &str| messages[0].body.find(&format!("\"{name}\":")).unwrap();
    assert!(sent[..3].is_sorted_by_key(|name| place(name)));
    assert!(sent[3..].is_sorted_by_key(|name| place(name)));
    for (language, names) in
        [("csharp", csharp_names as fn(&str) -> Vec<&str>), ("ts", typescript_names)]
    {
        let code = blocks(&guide, language);
        let [code] = code.as_slice() else { panic!("{} blocks of {language}", code.len()) };
        let names = names(code);
        assert_eq!(names[..sent.len()], sent, "{language}");
        for name in ["ventes_creees", "ventes_erreurs", "deja_synchronisee", "reessayable"] {
            assert!(names.contains(&name), "{language}: {name}");
        }
        for name in names {
            assert!(seen.contains(name), "{language}: nobody sends `{name}`");
        }
        let terminal = messages.iter().filter(|m| m.start[1] == route);
        let headers: BTreeSet<_> =
            terminal.flat_map(|m| m.headers.iter().map(|(name, _)| *name)).collect();
        for header in headers.difference(&["Prefer", "Content-Type"].into()) {
            assert!(code.contains(&format!("\"{header}\"")), "{language}: {header}");
        }
        assert!(code.contains(&format!("\"{route}\"")), "{language}");
    }
}

/// Each machine word of the guide is one that the program has.
#[test]
fn the_codes_of_the_guide_exist() {
    let guide = file("docs/clients.md");
    let sources = ["api/src/error.rs", "records/src/ventes/refusal.rs"].map(file).concat();
    let words: BTreeSet<_> = guide
        .split('`')
        .filter(|word| {
            word.contains('_') && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
        })
        .collect();
    assert!(words.len() > 12, "{words:?}");
    for word in words {
        assert!(sources.contains(&format!("\"{word}\"")), "nobody says `{word}`");
    }
}
