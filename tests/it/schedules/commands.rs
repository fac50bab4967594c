//! `relais schedules`, as people and programs use it.

use super::definition;
use queue::schedules;
use serde_json::Value;
use tests::app::{Process, TestApp};
use tests::stores::Stores;

pub(super) async fn schedules_are_shown_and_steered_by_commands(stores: Stores) {
    let app = TestApp::on(stores, &[]);
    let db = app.stores.db().await;
    let mut paris = definition("nightly", "30 2 * * *");
    paris.timezone = "Europe/Paris".to_owned();
    schedules::put(&db, &paris, false).await.unwrap();
    let list = app.run(&["schedules", "list"]).await;
    assert!(list.starts_with("NAME ") && list.contains("Europe/Paris"), "{list}");
    let run = async |args: &[&str]| -> Value {
        let args = [&["schedules"], args, &["--json"]].concat();
        serde_json::from_str(&app.run(&args).await).unwrap()
    };
    assert_eq!(run(&["list"]).await[0]["name"], "nightly");
    let preview = ["schedules", "preview", "nightly", "--from", "2027-03-27T12:00:00Z"];
    let preview = app.run(&preview).await;
    assert!(
        preview.contains("2027-03-28 03:00:00 +02:00  this time of day does not exist"),
        "{preview}"
    );
    assert_eq!(preview.lines().count(), 21);
    let paused = run(&["pause", "nightly", "--reason", "inventaire"]).await;
    assert_eq!((&paused["paused"], &paused["paused_reason"]), (&true.into(), &"inventaire".into()));
    assert!(app.run(&["schedules", "list"]).await.contains("paused"));
    assert_eq!(run(&["resume", "nightly"]).await["paused"], false);
    let job = run(&["trigger", "nightly"]).await;
    let shown = app.run(&["jobs", "show", job["id"].as_str().unwrap()]).await;
    assert!(shown.contains("prune_jobs"), "{shown}");
    assert!(app.run(&["schedules", "show", "nightly"]).await.contains("payload        {}"));
    assert_eq!(run(&["ticks", "nightly"]).await, Value::Array(vec![]));
    for (wrong, code) in [
        (&["schedules", "show", "absent"][..], 1),
        (&["schedules", "pause", "absent"], 1),
        (&["schedules", "preview", "nightly", "--from", "soon"], 2),
        (&["schedules", "ticks", "nightly", "--limit", "0"], 2),
    ] {
        let mut process = Process::spawn(wrong, &app.env, app.dir());
        let status = process.wait(super::PATIENCE).await.unwrap();
        assert_eq!(status.code(), Some(code), "{wrong:?}: {}", process.log());
    }
}
