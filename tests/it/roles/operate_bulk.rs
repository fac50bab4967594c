//! What operators do by hand to many jobs: `relais jobs cancel|retry|delete`, `relais dead`.

use super::operate::{Desk, claim};
use queue::{Engine, NewJob, Outcome, State};
use serde_json::{Value, json};
use tests::stores::Stores;
use uuid::Uuid;

async fn put_in(engine: &dyn Engine, kind: &str, count: usize) -> Vec<Uuid> {
    let jobs: Vec<_> = (0..count).map(|_| NewJob::new(kind, "shelf", "{}")).collect();
    engine.enqueue(&jobs).await.unwrap().iter().map(|enqueued| enqueued.id).collect()
}

async fn state(engine: &dyn Engine, id: Uuid) -> Option<State> {
    engine.get(id).await.unwrap().map(|row| row.state)
}

fn counts(json: &Value) -> [u64; 4] {
    ["matched", "done", "requested", "refused"].map(|name| json[name].as_u64().unwrap())
}

pub(super) async fn many_jobs_are_cancelled_retried_and_deleted(stores: Stores) {
    let engine = stores.engine().await;
    let (engine, desk) = (&*engine, Desk::on(stores));
    let mut tidy = put_in(engine, "tidy", 450).await;
    let other = put_in(engine, "sweep", 1).await[0];
    let held = claim(engine, "shelf", 1).await[0].ticket.id;
    let cancel = ["jobs", "cancel", "--kind", "tidy", "--reason", "wrong import"];
    let dry = desk.json(0, &[&cancel[..], &["--dry-run"]].concat());
    assert_eq!((counts(&dry), &dry["dry_run"]), ([450, 0, 0, 0], &json!(true)));
    let some =
        desk.json(0, &[&cancel[..], &["--yes", "--state", "ready", "--limit", "10"]].concat());
    assert_eq!((counts(&some), &some["more"]), ([10, 10, 0, 0], &json!(true)));
    let rest = desk.json(0, &[&cancel[..], &["--yes"]].concat());
    assert_eq!(counts(&rest), [440, 439, 1, 0], "{rest}");
    assert!(engine.get(held).await.unwrap().unwrap().cancel_at.is_some());
    assert_eq!(state(engine, other).await, Some(State::Ready));
    let acts = engine.actions(tidy[449]).await.unwrap();
    assert_eq!((&*acts[0].principal, acts[0].reason.as_deref()), ("cli:ada", Some("wrong import")));
    desk.json(3, &["jobs", "cancel", "--kind", "dance"]);

    // What has its end is not cancelled, what runs is not deleted.
    tidy.retain(|id| *id != held);
    let (one, running) = (tidy[0].to_string(), held.to_string());
    let refused = desk.json(4, &["jobs", "cancel", &one]);
    assert_eq!((counts(&refused), &refused["refusals"][0]["id"]), ([1, 0, 0, 1], &json!(one)));
    let ended = desk.ask(&["jobs", "delete", &running, &one]);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    assert!(ended.out.contains("1 deleted, 1 refused") && ended.err.contains("cancel it first"));
    assert_eq!(state(engine, tidy[0]).await, None);
    assert_eq!(desk.text(0, &["jobs", "retry", "--kind", "tidy", "--yes"]), "448 put back");
    assert_eq!(state(engine, tidy[1]).await, Some(State::Ready));
    desk.text(0, &["jobs", "cancel", "--kind", "tidy", "--state", "ready", "--yes"]);
    let deleted = desk.json(0, &["jobs", "delete", "--kind", "tidy", "--yes"]);
    assert_eq!(counts(&deleted), [448, 448, 0, 0]);
    assert_eq!(state(engine, tidy[1]).await, None);
}

pub(super) async fn the_dead_are_listed_and_put_back(stores: Stores) {
    let engine = stores.engine().await;
    let (engine, desk) = (&*engine, Desk::on(stores));
    let ids = put_in(engine, "tidy", 3).await;
    let held = claim(engine, "shelf", 3).await;
    let error = "no paper\nat all \u{1b}[31m".to_owned();
    let ends: Vec<_> =
        held.iter().map(|held| (held.ticket, Outcome::Dead { error: error.clone() })).collect();
    engine.finish(&ends).await.unwrap();
    let living = put_in(engine, "tidy", 1).await[0].to_string();
    let table = desk.text(0, &["dead"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    assert!(table.contains("no paper…") && !table.contains('\u{1b}'), "{table}");
    let list = desk.json(0, &["dead", "list", "--kind", "tidy", "--limit", "2"]);
    assert_eq!(list["jobs"][0]["error"], json!(error));
    let next = list["next"].as_str().unwrap();
    let rest = desk.json(0, &["dead", "list", "--limit", "2", "--before", next]);
    assert_eq!((rest["jobs"].as_array().map(Vec::len), rest.get("next")), (Some(1), None));

    let first = ids[0].to_string();
    let ended = desk.ask(&["dead", "requeue", &living, "--reason", "x"]);
    assert!(ended.code == Some(4) && ended.err.contains("is ready"), "{ended:?}");
    assert_eq!(desk.text(0, &["dead", "requeue", &first, "--reason", "paper"]), "1 put back");
    let all = ["dead", "requeue", "--queue", "shelf", "--reason", "paper", "--yes"];
    let done = desk.json(0, &all);
    assert_eq!(counts(&done), [2, 2, 0, 0]);
    assert_eq!(counts(&desk.json(3, &all)), [0, 0, 0, 0]);
    for id in ids {
        assert_eq!(state(engine, id).await, Some(State::Ready));
    }
}
