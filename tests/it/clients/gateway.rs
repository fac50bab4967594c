//! What both clients do with each answer that is no 201: something between them and the API (a proxy,
//! a hotel's login page, an overloaded server) answers in its place, once.

use super::build::{Client, clients};
use super::till::{Line, Till};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::Deployment;
use tests::wait::until;

/// A status, `Retry-After`, a body.
type Answer = (u16, Option<u64>, &'static str);

/// What a client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The same body under the same key.
    Again,
    /// The same sales under another key, in batches of so many.
    Anew(usize),
    /// The one sale is put aside.
    Aside,
    /// Nothing for minutes; a person is told.
    Tell,
}

const LOGIN: &str = "<html><h1>Bienvenue à l'hôtel</h1></html>";

/// The rows of the guide's table, and what is no answer of ours.
const TABLE: [(Answer, usize, Next); 18] = [
    (
        (202, Some(1), r#"{"success":false,"ventes_creees":[],"ventes_erreurs":null}"#),
        2,
        Next::Again,
    ),
    ((200, None, LOGIN), 2, Next::Again),
    ((201, None, LOGIN), 2, Next::Again),
    ((201, None, r#"{"success":true}"#), 2, Next::Again),
    ((302, None, LOGIN), 2, Next::Again),
    ((408, None, "{}"), 2, Next::Again),
    ((409, Some(1), "{}"), 2, Next::Again),
    ((429, Some(3), r#"{"code":"TOO_MANY_PENDING"}"#), 2, Next::Again),
    ((500, None, "{}"), 2, Next::Again),
    ((502, None, LOGIN), 2, Next::Again),
    ((503, Some(2), "{}"), 2, Next::Again),
    ((410, None, r#"{"code":"JOB_EXPIRED"}"#), 2, Next::Anew(2)),
    ((422, None, r#"{"code":"IDEMPOTENCY_KEY_REUSED"}"#), 2, Next::Anew(2)),
    ((413, None, r#"{"code":"BATCH_TOO_LARGE"}"#), 1, Next::Aside),
    ((413, None, r#"{"code":"BATCH_TOO_LARGE"}"#), 2, Next::Anew(1)),
    ((400, None, r#"{"code":"NO_BOUTIQUE"}"#), 1, Next::Tell),
    ((404, None, r#"{"code":"TERMINAL_NOT_FOUND"}"#), 1, Next::Tell),
    ((415, None, "{}"), 1, Next::Tell),
];

/// A request: when, its key and its body.
#[derive(Debug, Clone)]
struct Asked {
    at: Instant,
    key: String,
    body: String,
}

#[derive(Clone)]
struct Gateway {
    api: String,
    http: reqwest::Client,
    script: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Gateway {
    /// Its address is returned, too.
    async fn start(app: &TestApp) -> (Self, String) {
        let gateway = Self {
            api: app.url(0, ""),
            http: app.http().clone(),
            script: Arc::default(),
            asked: Arc::default(),
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (gateway, url)
    }

    /// Answers the next request so.
    fn plan(&self, answer: Answer) {
        self.asked.lock().unwrap().clear();
        self.script.lock().unwrap().push_back(answer);
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

/// As planned, or what the API says.
async fn answer(State(gateway): State<Gateway>, headers: HeaderMap, body: Bytes) -> Response {
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let key = text("Idempotency-Key");
    gateway.asked.lock().unwrap().push(Asked {
        at: Instant::now(),
        key: key.clone(),
        body: body.clone(),
    });
    let planned = gateway.script.lock().unwrap().pop_front();
    if let Some((status, retry_after, body)) = planned {
        let mut response = (StatusCode::from_u16(status).unwrap(), body).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert("Retry-After", seconds.into());
        }
        if status == 302 {
            response.headers_mut().insert("Location", "/login".parse().unwrap());
        }
        return response;
    }
    let request = gateway.http.post(format!("{}/api/v2/simple/ventes/sync/", gateway.api));
    let request = request.header("X-Device-Serial", text("X-Device-Serial"));
    let request = request.header("Content-Type", text("Content-Type"));
    let answer = request.header("Idempotency-Key", key).body(body).send().await.unwrap();
    let status = answer.status().as_u16();
    (StatusCode::from_u16(status).unwrap(), answer.bytes().await.unwrap()).into_response()
}

/// R-002-38, R-002-46, R-002-47, D-9, D-11: each answer of the guide's table, and what is none.
#[tokio::test(flavor = "multi_thread")]
async fn each_answer_is_followed_as_the_guide_says() {
    if !Deployment::Embedded.is_chosen() {
        return;
    }
    let stores = Deployment::Embedded.fresh().await;
    let clients = tokio::task::spawn_blocking(clients).await.unwrap();
    let mut app = TestApp::on(stores, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000")]);
    app.seed(&json!({
        "boutiques": [{"id": 2, "nom": "Ma Boutique", "fuseau": "Africa/Kinshasa"}],
        "terminaux": clients.each_ref().map(|client| json!(
            {"numero_serie": client.name, "nom": client.name, "boutique_id": 2, "actif": true})),
        "articles": [{"id": 6, "boutique_id": 2, "nom": "A", "prix_vente": "1.00", "stock": 1000}],
    }))
    .await;
    app.start_api().await;
    app.start_worker();
    let runs = clients.iter().map(|client| follow(&app, client));
    futures::future::join_all(runs).await;
}

async fn follow(app: &TestApp, client: &'static Client) {
    let (gateway, url) = Gateway::start(app).await;
    let mut till = Till::start(client, url);
    for (answer, sales, next) in TABLE {
        gateway.plan(answer);
        let lines: &[Line] = &[(6, 1, 100)];
        let numbers = till.sell_many(sales, lines);
        let case = format!("{} {answer:?}", client.name);
        let told = till.told();
        if next == Next::Tell {
            until(&case, async || till.told().len() > told.len()).await;
            assert!(till.told().contains(&format!("told: {}: ", answer.0)), "{case}");
            tokio::time::sleep(Duration::from_millis(1_500)).await;
            assert_eq!(gateway.asked().len(), 1, "{case}");
            assert!(!till.outbox().is_open, "{case}");
            // Whoever opens the app again asks for it.
            till.restart();
        }
        let ended = async || {
            let outbox = till.outbox();
            let aside = |number: &String| outbox.aside.iter().any(|(name, _)| name == number);
            numbers.iter().all(|number| outbox.done.contains_key(number) || aside(number))
        };
        until(&case, ended).await;
        let asked = gateway.asked();
        let (first, rest) = asked.split_first().unwrap();
        match next {
            Next::Again => {
                let [second] = rest else { panic!("{case}: {asked:?}") };
                assert_eq!((&second.key, &second.body), (&first.key, &first.body), "{case}");
            }
            Next::Anew(size) => {
                assert_eq!(rest.len(), sales / size, "{case}: {asked:?}");
                assert!(rest.iter().all(|request| request.key != first.key), "{case}");
            }
            Next::Aside => {
                assert!(rest.is_empty(), "{case}: {asked:?}");
                let aside = (numbers[0].clone(), "BATCH_TOO_LARGE".to_owned());
                assert!(till.outbox().aside.contains(&aside), "{case}");
            }
            Next::Tell => assert!(rest.len() == 1 && rest[0].key != first.key, "{case}"),
        }
        if let (Some(seconds), [second, ..]) = (answer.1, rest) {
            let waited = second.at - first.at;
            assert!(waited >= Duration::from_secs(seconds), "{case}: {waited:?}");
        }
        if next == Next::Tell || next == Next::Aside || answer.0 == 422 {
            until(&case, async || till.told().len() > told.len()).await;
        } else {
            assert_eq!(till.told(), told, "{case}");
        }
        assert!(till.is_running(), "{case}");
    }
}
