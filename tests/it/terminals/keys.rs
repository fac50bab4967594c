//! `Idempotency-Key` where sales are sent (D-11), and how it meets D-12, D-13 and D-18.

use super::{get, header, send};
use crate::sales::{Case, outcomes, sale};
use crate::ventes::{Shop, sales, stock};
use queue::{Act, Actor, Claim, Outcome, State};
use serde_json::json;
use std::time::Duration;
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;

fn replayed(answer: &Answer) -> bool {
    header(answer, "idempotency-replayed") == Some("true")
}

/// I-2, D-11: seven days of the same words; another body is told, another terminal not concerned.
pub(super) async fn a_key_replays_its_answer_word_for_word(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let line = format!(r#""article_id":{}"#, case.shop.a);
    let two = [sale("V-1", &line), sale("V-2", r#""article_id":1"#)];
    let first = case.keyed("premier-lot", "", &two).await;
    assert_eq!((first.status, replayed(&first)), (201, false), "{}", first.text);
    let spelt = two.clone().map(|sale| sale.replace(':', " :\n"));
    for (key, body) in [("\"premier-lot\"", &two), ("premier-lot", &spelt)] {
        for prefer in ["", "handling=strict", "respond-async"] {
            let again = case.keyed(key, prefer, body).await;
            assert_eq!((again.status, &again.text), (201, &first.text), "{prefer}");
            assert!(replayed(&again));
            assert_eq!(header(&again, "content-type"), Some("application/json"));
            for name in
                ["x-ratelimit-limit", "x-ratelimit-remaining", "ratelimit", "ratelimit-policy"]
            {
                assert!(again.headers.contains_key(name), "{name}");
            }
        }
    }
    let other = case.keyed("premier-lot", "", &two[..1]).await;
    assert_eq!((other.status, &other.json()["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
    assert_eq!(other.json()["type"], "urn:relais:problem:idempotency-key-reused");
    assert_eq!(other.json()["error"], "Cette clé d'idempotence a déjà servi à une autre requête");
    assert_eq!(case.keyed("court", "", &two).await.status, 422, "too short");
    // The replays were delivered, and so is what they report: without a key it is a duplicate.
    assert_eq!(case.words(&two).await, ["DUPLICATE", "ARTICLE_NON_TROUVE"]);
    // The same key of another terminal is its own.
    let theirs = [sale("V-3", &line)];
    let key = [("Idempotency-Key", "premier-lot")];
    let theirs = send(case.app, &case.serial(2), &key, &theirs).await;
    assert_eq!((theirs.status, replayed(&theirs)), (201, false), "{}", theirs.text);
    assert_eq!((sales(&case.db, &case.shop).await, stock(&case.db, case.shop.a).await), (2, 8));
    case.close().await;
}

/// D-11: joined, or refused if the client is strict; the 202 is not what is kept.
pub(super) async fn a_key_joins_its_job_while_that_runs(deployment: Deployment) {
    let mut app = TestApp::on(deployment.fresh().await, &[]);
    app.start_api().await;
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    let serial = format!("s{}-1", shop.id);
    let one = [sale("V-1", &format!(r#""article_id":{}"#, shop.a))];
    let put = async |prefer: &str| {
        let headers = [("Idempotency-Key", "lot-en-cours"), ("Prefer", prefer)];
        send(&app, &serial, &headers, &one).await
    };
    let at_once = futures::future::join_all((0..5).map(|_| put("wait=0"))).await;
    for answer in &at_once {
        assert_eq!((answer.status, &answer.text), (202, &at_once[0].text));
        assert_eq!(header(answer, "location"), header(&at_once[0], "location"));
    }
    assert_eq!(at_once.iter().filter(|answer| replayed(answer)).count(), 4, "one was the first");
    let strict = put("handling=strict").await;
    assert_eq!((strict.status, &strict.json()["code"]), (409, &json!("IDEMPOTENCY_KEY_IN_USE")));
    assert!(strict.headers.contains_key("retry-after"));
    app.start_worker();
    let waited = {
        let headers = [("Idempotency-Key", "lot-en-cours"), ("Prefer", "wait=20")];
        send(&app, &serial, &headers, &one).await
    };
    assert_eq!((waited.status, replayed(&waited)), (201, true), "{}", waited.text);
    assert_eq!(outcomes(&waited.json(), 1)[0].1, "+", "what the first request did");
    let headers = [("Idempotency-Key", "lot-en-cours"), ("Prefer", "handling=strict")];
    let last = send(&app, &serial, &headers, &one).await;
    assert_eq!((last.status, &last.text), (201, &waited.text));
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (1, 9));
    db.close().await;
}

/// D-13: two equal cash sales under two keys are two, even if no answer arrived; under one, one.
pub(super) async fn a_key_protects_sales_without_numbers(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let one = [format!(r#"{{"lignes":[{{"article_id":{}}}]}}"#, case.shop.b)];
    let mut numbers = std::collections::BTreeSet::new();
    for key in ["caisse-0001", "caisse-0002"] {
        let pending = case.keyed(key, "respond-async", &one).await;
        assert_eq!(pending.status, 202, "{}", pending.text);
        for _ in 0..2 {
            let done = case.keyed(key, "wait=20", &one).await;
            assert_eq!((done.status, replayed(&done)), (201, true), "{}", done.text);
            let (number, word) = outcomes(&done.json(), 1).remove(0);
            assert_eq!(word, "+", "the first request's answer, not a report of it");
            numbers.insert(number);
        }
    }
    assert_eq!((numbers.len(), sales(&case.db, &case.shop).await), (2, 2), "{numbers:?}");
    case.close().await;
}

/// D-11: somebody cancelled it, and there is no answer to keep: sent again it is a new request.
pub(super) async fn a_cancelled_batch_is_taken_in_anew(deployment: Deployment) {
    let mut app = TestApp::on(deployment.fresh().await, &[]);
    app.start_api().await;
    let (db, engine) = (app.stores.db().await, app.stores.engine().await);
    let shop = Shop::open(&db).await;
    let serial = format!("s{}-1", shop.id);
    let one = [sale("V-1", &format!(r#""article_id":{}"#, shop.a))];
    async fn put(app: &TestApp, serial: &str, prefer: &str, one: &[String]) -> Answer {
        send(app, serial, &[("Idempotency-Key", "lot-annule"), ("Prefer", prefer)], one).await
    }
    let first = put(&app, &serial, "wait=0", &one).await;
    assert_eq!(first.status, 202, "{}", first.text);
    let place = header(&first, "location").unwrap().to_owned();
    let job: uuid::Uuid = place.rsplit('/').next().unwrap().parse().unwrap();
    let by = Actor { principal: "test".to_owned(), reason: None };
    engine.act(&[job], Act::Cancel, &by).await.unwrap();
    assert_eq!(engine.get(job).await.unwrap().unwrap().state, State::Cancelled);
    let both = futures::future::join_all([
        put(&app, &serial, "wait=0", &one),
        put(&app, &serial, "wait=0", &one),
    ])
    .await;
    for answer in &both {
        assert_eq!(answer.status, 202, "{}", answer.text);
        assert_ne!(header(answer, "location"), Some(place.as_str()), "another job");
        assert_eq!(header(answer, "location"), header(&both[0], "location"));
    }
    app.start_worker();
    let done = put(&app, &serial, "wait=20", &one).await;
    assert_eq!(done.status, 201, "{}", done.text);
    let last = put(&app, &serial, "", &one).await;
    assert_eq!((last.status, &last.text, replayed(&last)), (201, &done.text, true));
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (1, 9));
    db.close().await;
}

/// D-11: of many that come at once, only those that joined are told that they did.
pub(super) async fn the_first_of_twins_is_no_replay(deployment: Deployment) {
    let case = Case::open(deployment).await;
    let line = format!(r#""article_id":{}"#, case.shop.a);
    for round in 0..5 {
        let (key, one) = (format!("jumeaux-{round}"), [sale(&format!("J-{round}"), &line)]);
        let all = (0..6).map(|_| case.keyed(&key, "wait=20", &one));
        let all = futures::future::join_all(all).await;
        assert!(all.iter().all(|answer| (answer.status, &answer.text) == (201, &all[0].text)));
        assert_eq!(all.iter().filter(|answer| !replayed(answer)).count(), 1);
    }
    case.close().await;
}

/// D-11: a 500 is not the end of a key; what its job does after an operator's requeue is.
pub(super) async fn a_fault_is_not_kept_for_a_key(deployment: Deployment) {
    let mut app = TestApp::on(deployment.fresh().await, &[]);
    app.start_api().await;
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    let serial = format!("s{}-1", shop.id);
    let admin = format!("a{}.assez-long-pour-un-secret", shop.id);
    let keys = json!({"cles_api": [{"cle": admin, "nom": "A", "portees": ["admin"]}]});
    records::seed::load(&db, &keys.to_string()).await.unwrap();
    let one = [sale("V-1", &format!(r#""article_id":{}"#, shop.a))];
    let put = async |prefer: &str| {
        let headers = [("Idempotency-Key", "lot-malade"), ("Prefer", prefer)];
        send(&app, &serial, &headers, &one).await
    };
    let pending = put("wait=0").await;
    assert_eq!(pending.status, 202);
    let engine = app.stores.engine().await;
    let lease = Duration::from_secs(30);
    let claim = Claim { queue: "records".into(), worker: "w".into(), limit: 1, lease };
    let held = engine.claim(&claim).await.unwrap().remove(0);
    engine.finish(&[(held.ticket, Outcome::Dead { error: "x".into() })]).await.unwrap();
    for _ in 0..2 {
        let died = put("wait=5").await;
        assert_eq!((died.status, &died.json()["code"]), (500, &json!("INTERNAL_ERROR")));
        assert_eq!(died.json()["error"], "Erreur interne du serveur");
    }
    let id = header(&pending, "location").unwrap().rsplit('/').next().unwrap().to_owned();
    let requeue = app.http().post(app.url(0, &format!("/api/v1/dead/{id}/requeue")));
    let requeued = requeue.header("X-API-Key", &admin).send().await.unwrap();
    assert!(requeued.status().is_success(), "{requeued:?}");
    app.start_worker();
    let headers = [("Idempotency-Key", "lot-malade"), ("Prefer", "wait=20")];
    let done = send(&app, &serial, &headers, &one).await;
    assert_eq!((done.status, replayed(&done)), (201, true), "{}", done.text);
    assert_eq!((sales(&db, &shop).await, stock(&db, shop.a).await), (1, 9));
    db.close().await;
}

/// D-18 (c), I-24: 503 in the contract's words, no row, but whoever is known and whoever asks for
/// a job is let in.
pub(super) async fn a_known_key_is_let_in_under_load(deployment: Deployment) {
    let limits = [
        ("RELAIS_LIMITS_CONTRACT_QUEUE_DEPTH", "1"),
        ("RELAIS_LIMITS_UNFINISHED_PER_PRINCIPAL", "1000"),
        ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "1000"),
    ];
    let mut app = TestApp::on(deployment.fresh().await, &limits);
    app.start_api().await;
    let db = app.stores.db().await;
    let shop = Shop::open(&db).await;
    let serial = format!("s{}-1", shop.id);
    let one = |number: &str| [sale(number, &format!(r#""article_id":{}"#, shop.a))];
    let put = async |key: &str, number: &str| {
        let headers = [("Idempotency-Key", key), ("Prefer", "wait=0")];
        send(&app, &serial, &headers, &one(number)).await
    };
    let first = put("lot-0001", "V-1").await;
    assert_eq!(first.status, 202, "{}", first.text);
    let mut tries = 0;
    let refused = loop {
        // The figures are a second old at the most.
        let answer = put(&format!("autre-{tries:04}"), "V-2").await;
        if answer.status != 202 {
            break answer;
        }
        tries += 1;
        assert!(tries < 200, "never refused");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((refused.status, &refused.json()["code"]), (503, &json!("QUEUE_OVERLOADED")));
    assert_eq!(refused.json()["error"], "Serveur surchargé, réessayez plus tard");
    let wait: u64 = header(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((2..=6).contains(&wait), "{wait}");
    static JOBS: db::Sql = db::Sql::both("SELECT COUNT(*) AS n FROM jobs");
    static KEYS: db::Sql = db::Sql::both("SELECT COUNT(*) AS n FROM requests");
    let count = async |sql: &'static db::Sql| -> i64 {
        db.read_one(sql, db::args![]).await.unwrap().unwrap().get("n").unwrap()
    };
    let rows = (count(&JOBS).await, count(&KEYS).await);
    assert_eq!(put("nouveau-lot", "V-3").await.status, 503);
    assert_eq!((count(&JOBS).await, count(&KEYS).await), rows, "a refused request leaves no row");
    let again = put("lot-0001", "V-1").await;
    assert_eq!((again.status, replayed(&again)), (202, true), "{}", again.text);
    let job = get(&app, &serial, header(&first, "location").unwrap()).await;
    assert_eq!(job.status, 200, "{}", job.text);
    app.start_worker();
    let headers = [("Idempotency-Key", "lot-0001"), ("Prefer", "wait=20")];
    assert_eq!(send(&app, &serial, &headers, &one("V-1")).await.status, 201);
    db.close().await;
}
