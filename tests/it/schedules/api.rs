//! `/api/v1/schedules`: the contract, for those who may and those who may not.

use super::until;
use reqwest::Method;
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::stores::Stores;

const READER: &str = "reader.5f0c9a7e1d2b4c6f8a9b0c1d2e3f4a5b";
const ADMIN: &str = "admin.0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e";
const NOBODY: &str = "nobody.9e8d7c6b5a4f3e2d1c0b9a8f7e6d5c4b";
const SCHEDULES: &str = "/api/v1/schedules";

async fn app(stores: Stores) -> TestApp {
    let mut app = TestApp::on(stores, &[]);
    let keys = json!({"boutiques": [], "terminaux": [], "articles": [], "cles_api": [
        {"cle": READER, "nom": "lecture", "portees": ["jobs:read"]},
        {"cle": ADMIN, "nom": "admin", "portees": ["admin"]},
        {"cle": NOBODY, "nom": "rien", "portees": []}]});
    app.seed(&keys).await;
    app.start_api().await;
    app
}

/// Status and body of an answer; null if it has none.
async fn ask(
    app: &TestApp,
    key: &str,
    method: &str,
    path: &str,
    body: Option<&str>,
) -> (u16, Value) {
    let method: Method = method.parse().unwrap();
    let mut request = app.http().request(method, app.url(0, path)).header("X-API-Key", key);
    if let Some(body) = body {
        request = request.header("Content-Type", "application/json").body(body.to_owned());
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let is_problem = answer
        .headers()
        .get("content-type")
        .is_some_and(|value| value.as_bytes() == b"application/problem+json");
    assert_eq!(is_problem, status >= 400, "{path}: {status}");
    (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
}

async fn admin(app: &TestApp, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let body = body.map(|body| body.to_string());
    ask(app, ADMIN, method, path, body.as_deref()).await
}

pub(super) async fn the_life_of_a_schedule_over_http(stores: Stores) {
    let app = app(stores).await;
    let body = json!({"name": "nightly", "cron": "30 2 * * *", "timezone": "Europe/Paris",
                      "kind": "verify_stock", "missed": "all", "missed_limit": 7});
    let (status, made) = admin(&app, "POST", SCHEDULES, Some(body.clone())).await;
    assert_eq!((status, &made["name"]), (201, &json!("nightly")), "{made}");
    assert_eq!((&made["missed"], &made["missed_limit"]), (&json!("all"), &json!(7)));
    assert_eq!((&made["on_gap"], &made["on_fold"]), (&json!("run"), &json!("first")));
    assert_eq!((&made["overlap"], &made["source"]), (&json!("skip"), &json!("api")));
    assert_eq!((&made["payload"], &made["paused"]), (&json!({}), &json!(false)));
    assert!(made["next_tick"].is_string() && made["last_tick"].is_null(), "{made}");
    let (status, again) = admin(&app, "POST", SCHEDULES, Some(body)).await;
    assert_eq!((status, &again["code"]), (409, &json!("CONFLICT")), "{again}");

    // The clocks of Paris go forward on the 28th of March 2027 and back on the 31st of October.
    let path = "/api/v1/schedules/nightly";
    let preview = format!("{path}/preview?count=2&from=2027-03-27T12:00:00Z");
    let (status, shown) = ask(&app, READER, "GET", &preview, None).await;
    assert_eq!(status, 200, "{shown}");
    assert_eq!(shown["times"][0]["at"], "2027-03-28T01:00:00Z");
    assert_eq!(shown["times"][0]["local"], "2027-03-28T03:00:00+02:00");
    assert!(shown["times"][0]["note"].as_str().unwrap().contains("does not exist"), "{shown}");
    assert_eq!(shown["times"][1]["at"], "2027-03-29T00:30:00Z");
    assert_eq!(shown["times"].as_array().unwrap().len(), 2);
    let twice = json!({"cron": "30 2 * * *", "timezone": "Europe/Paris", "on_fold": "both",
                       "count": 3, "from": "2027-10-30T12:00:00Z"});
    let (status, shown) = admin(&app, "POST", "/api/v1/schedules/preview", Some(twice)).await;
    let times: Vec<_> = (0..3).map(|at| shown["times"][at]["at"].clone()).collect();
    let expected = ["2027-10-31T00:30:00Z", "2027-10-31T01:30:00Z", "2027-11-01T01:30:00Z"];
    assert_eq!((status, times), (200, expected.map(Value::from).to_vec()), "{shown}");

    let (status, paused) = admin(&app, "POST", &format!("{path}/pause"), None).await;
    assert_eq!(
        (status, &paused["paused"], &paused["next_tick"]),
        (200, &json!(true), &Value::Null)
    );
    let rest = json!({"until": "2099-01-01T00:00:00Z", "reason": "inventaire"});
    let (_, paused) = admin(&app, "POST", &format!("{path}/pause"), Some(rest)).await;
    assert_eq!(paused["paused_reason"], "inventaire");
    assert_eq!(paused["next_tick"], "2099-01-01T01:30:00Z");
    let other = json!({"cron": "0 * * * *", "kind": "prune_jobs"});
    let (status, replaced) = admin(&app, "PUT", path, Some(other.clone())).await;
    assert_eq!(
        (status, &replaced["timezone"], &replaced["paused"]),
        (200, &json!("UTC"), &json!(true))
    );
    let (status, resumed) = admin(&app, "POST", &format!("{path}/resume"), None).await;
    assert_eq!(
        (status, &resumed["paused"], &resumed["paused_until"]),
        (200, &json!(false), &Value::Null)
    );

    let (status, triggered) = admin(&app, "POST", &format!("{path}/trigger"), None).await;
    assert_eq!((status, &triggered["kind"]), (202, &json!("prune_jobs")), "{triggered}");
    let job = triggered["job"].as_str().unwrap();
    let (status, job) = ask(&app, READER, "GET", job, None).await;
    assert_eq!((status, &job["state"], &job["id"]), (200, &json!("ready"), &triggered["id"]));

    let (status, _) = admin(&app, "PUT", "/api/v1/schedules/second", Some(other)).await;
    assert_eq!(status, 201);
    let (_, page) = ask(&app, READER, "GET", "/api/v1/schedules?limit=1", None).await;
    assert_eq!(
        (&page["schedules"][0]["name"], &page["next"]),
        (&json!("nightly"), &json!("nightly"))
    );
    let (_, page) = ask(&app, READER, "GET", "/api/v1/schedules?limit=1&after=nightly", None).await;
    assert_eq!((&page["schedules"][0]["name"], &page["next"]), (&json!("second"), &Value::Null));

    // A scheduler that starts now runs it, and the ledger tells.
    let often = json!({"cron": "* * * * * *", "kind": "prune_jobs"});
    admin(&app, "PUT", "/api/v1/schedules/second", Some(often)).await;
    let mut app = app;
    std::fs::write(app.dir().join("relais.toml"), "").unwrap();
    app.start_scheduler();
    let ticks = "/api/v1/schedules/second/ticks?limit=1";
    until("it ticks", async || ask(&app, READER, "GET", ticks, None).await.1["next"].is_string())
        .await;
    let (_, newest) = ask(&app, READER, "GET", ticks, None).await;
    let before = newest["next"].as_str().unwrap();
    let (_, older) = ask(&app, READER, "GET", &format!("{ticks}&before={before}"), None).await;
    assert!(older["ticks"][0]["nominal"].as_str().unwrap() < before, "{older}");
    // The scheduler has brought the schedules of the configuration.
    let (status, refused) = admin(&app, "DELETE", "/api/v1/schedules/verify_stock", None).await;
    assert_eq!((status, &refused["code"]), (409, &json!("CONFLICT")), "{refused}");
    for name in ["nightly", "second"] {
        let path = format!("{SCHEDULES}/{name}");
        assert_eq!(admin(&app, "DELETE", &path, None).await.0, 204);
        assert_eq!(admin(&app, "DELETE", &path, None).await.0, 404);
    }
}

pub(super) async fn bad_input_is_told_and_changes_nothing(stores: Stores) {
    let app = app(stores).await;
    let good = json!({"name": "x", "cron": "0 0 1 1 *", "kind": "prune_jobs"});
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body.to_string()
    };
    for (body, told) in [
        (String::new(), "body"),
        ("[]".to_owned(), "body"),
        ("{".to_owned(), "body"),
        ("{\"cron\": \"* * * * *\"}".to_owned(), "kind"),
        (with("nmae", json!("y")), "nmae"),
        (with("name", json!("X y")), "`name`"),
        (with("name", json!("preview")), "`name`"),
        (with("name", json!("n".repeat(65))), "`name`"),
        (with("name", Value::Null), "`name`"),
        (with("cron", json!("often")), "`cron`"),
        (with("cron", json!("0 0 30 2 *")), "never comes"),
        (with("cron", json!("*,".repeat(100_000))), "`cron`"),
        (with("cron", json!("\u{0} * * * *")), "`cron`"),
        (with("timezone", json!("Mars/Olympus")), "`timezone`"),
        (with("kind", json!("sing")), "prune_jobs"),
        (with("payload", json!({"x": 1})), "`payload`"),
        (with("payload", json!(7)), "`payload`"),
        (with("payload", json!({"x": "y".repeat(262_144)})), "262144"),
        (with("on_gap", json!("jump")), "run, skip"),
        (with("on_fold", json!(2)), "body"),
        (with("missed", json!("some")), "skip, once, all"),
        (with("missed_limit", json!(0)), "`missed_limit`"),
        (with("missed_limit", json!(-1)), "body"),
        (with("overlap", json!("")), "skip, allow"),
    ] {
        let shown: String = body.chars().take(80).collect();
        let (status, answer) = ask(&app, ADMIN, "POST", SCHEDULES, Some(&body)).await;
        assert_eq!((status, &answer["code"]), (422, &json!("INVALID")), "{shown}: {answer}");
        assert!(answer["detail"].as_str().unwrap().contains(told), "{shown}: {answer}");
    }
    let (status, made) = ask(&app, ADMIN, "POST", SCHEDULES, Some(&good.to_string())).await;
    assert_eq!(status, 201, "{made}");
    let x = "/api/v1/schedules/x";
    for (method, path, body, status) in [
        ("GET", "/api/v1/schedules?limit=0", None, 422),
        ("GET", "/api/v1/schedules?limit=101", None, 422),
        ("GET", "/api/v1/schedules?limit=many", None, 422),
        ("GET", "/api/v1/schedules?after=%00", None, 422),
        ("GET", "/api/v1/schedules?offset=1", None, 422),
        ("GET", "/api/v1/schedules/y", None, 404),
        ("GET", "/api/v1/schedules/%00", None, 404),
        ("GET", "/api/v1/schedules/%ff", None, 404),
        ("GET", "/api/v1/schedules/x/preview?count=0", None, 422),
        ("GET", "/api/v1/schedules/x/preview?count=101", None, 422),
        ("GET", "/api/v1/schedules/x/preview?from=soon", None, 422),
        ("GET", "/api/v1/schedules/x/preview?from=%2B262142-01-01T00:00:00Z", None, 422),
        ("GET", "/api/v1/schedules/x/ticks?before=-0001-01-01T00:00:00Z", None, 422),
        ("GET", "/api/v1/schedules/y/ticks", None, 404),
        ("POST", "/api/v1/schedules/x/pause", Some(json!({"until": "later"})), 422),
        ("POST", "/api/v1/schedules/x/pause", Some(json!({"reason": "a\u{0}b"})), 422),
        ("POST", "/api/v1/schedules/x/pause", Some(json!({"reason": "r".repeat(501)})), 422),
        ("POST", "/api/v1/schedules/y/pause", None, 404),
        ("POST", "/api/v1/schedules/y/resume", None, 404),
        ("POST", "/api/v1/schedules/y/trigger", None, 404),
        ("PUT", x, Some(json!({"name": "y", "cron": "* * * * *", "kind": "prune_jobs"})), 422),
        ("PATCH", x, Some(json!({})), 405),
        ("POST", "/api/v1/schedules/preview", Some(json!({"cron": "x"})), 422),
    ] {
        let (answered, answer) = admin(&app, method, path, body).await;
        assert_eq!(answered, status, "{method} {path}: {answer}");
    }
    assert_eq!(admin(&app, "GET", x, None).await.1, made, "nothing has changed it");
    let changes = [
        ("POST", SCHEDULES.to_owned()),
        ("PUT", x.to_owned()),
        ("DELETE", x.to_owned()),
        ("POST", format!("{x}/pause")),
        ("POST", format!("{x}/resume")),
        ("POST", format!("{x}/trigger")),
    ];
    for (method, path) in changes {
        assert_eq!(ask(&app, READER, method, &path, Some("{}")).await.0, 403, "{method} {path}");
        assert_eq!(ask(&app, "who.knows", method, &path, Some("{}")).await.0, 401, "{path}");
    }
    for path in [SCHEDULES.to_owned(), x.to_owned(), format!("{x}/preview"), format!("{x}/ticks")] {
        assert_eq!(ask(&app, READER, "GET", &path, None).await.0, 200, "{path}");
        assert_eq!(ask(&app, NOBODY, "GET", &path, None).await.0, 403, "{path}");
    }
}
