//! What operators do by hand with single jobs and with queues: `relais jobs enqueue|why|tail`,
//! `relais queues`, `relais workers`.

use super::{Ended, relais, relais_reading, until};
use queue::{Beat, Claim, Claimed, Engine, NewJob, Outcome, Progress, Save, State};
use serde_json::{Value, json};
use std::time::Duration;
use tests::app::{Process, TestApp};
use tests::guardian::scratch_dir;
use tests::stores::{Deployment, Stores};
use uuid::Uuid;

/// Stores with their schema, and the program on them.
pub(super) struct Desk {
    pub(super) app: TestApp,
}

impl Desk {
    pub(super) fn on(stores: Stores) -> Self {
        Self { app: TestApp::on(stores, &[("USER", "ada")]) }
    }

    pub(super) fn ask(&self, args: &[&str]) -> Ended {
        self.ask_reading(args, "")
    }

    fn ask_reading(&self, args: &[&str], input: &str) -> Ended {
        let env: Vec<_> = self.app.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        tokio::task::block_in_place(|| relais_reading(self.app.dir(), &env, args, input))
    }

    /// Output of a command that ends so, as JSON.
    pub(super) fn json(&self, code: i32, args: &[&str]) -> Value {
        let ended = self.ask(&[args, &["--json"]].concat());
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        serde_json::from_str(&ended.out).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
    }

    /// The same, as text.
    pub(super) fn text(&self, code: i32, args: &[&str]) -> String {
        let ended = self.ask(args);
        assert_eq!(ended.code, Some(code), "{args:?}: {ended:?}");
        ended.out.trim_end().to_owned()
    }
}

pub(super) async fn claim(engine: &dyn Engine, queue: &str, limit: usize) -> Vec<Claimed> {
    let claim = Claim {
        queue: queue.to_owned(),
        worker: "hand-1".to_owned(),
        limit,
        lease: Duration::from_secs(60),
    };
    engine.claim(&claim).await.unwrap()
}

pub(super) async fn a_job_is_put_in_explained_and_followed_to_its_end(stores: Stores) {
    let engine = stores.engine().await;
    let desk = Desk::on(stores);
    let engine = &*engine;
    std::fs::write(desk.app.dir().join("empty.json"), "{}").unwrap();
    let steer = ["--queue", "shelf", "--priority", "2", "--lane", "l", "--unique", "k"];
    let put = ["jobs", "enqueue", "prune_jobs", "@empty.json", "--attribute", "ticket=1"];
    let id = desk.text(0, &[&put[..], &steer].concat());
    let id = Uuid::try_parse(&id).unwrap();
    let twin = desk.json(0, &[&put[..], &steer].concat());
    assert_eq!(twin, json!({"id": id, "created": false}));
    let row = engine.get(id).await.unwrap().unwrap();
    assert_eq!((&*row.queue, row.priority, row.lane.as_deref()), ("shelf", 2, Some("l")));
    assert_eq!(row.principal.as_deref(), Some("cli:ada"));
    let name = id.to_string();
    let shown = desk.json(0, &["jobs", "show", &name]);
    assert_eq!((&shown["attributes"], &shown["payload"]), (&json!({"ticket": "1"}), &json!({})));
    let found = desk.json(0, &["jobs", "list", "--attribute", "ticket=1", "--since", "1h"]);
    assert_eq!(found.as_array().map(Vec::len), Some(1), "{found}");
    assert_eq!(desk.json(0, &["jobs", "list", "--until", "1h"]), json!([]));

    let why = desk.json(0, &["jobs", "why", &name]);
    assert_eq!(why["blockers"], json!([{"type": "no_worker_for_queue"}]));
    let why = desk.text(0, &["jobs", "why", &name]);
    assert!(
        why.contains("is ready") && why.contains("No living worker serves its queue."),
        "{why}"
    );
    let later = desk.ask_reading(&["jobs", "enqueue", "prune_jobs", "-", "--in", "2h"], "{}");
    let why = desk.text(0, &["jobs", "why", later.out.trim()]);
    assert!(why.contains("It was put in for "), "{why}");

    // A job is followed while it runs; what it logs cannot command the terminal.
    let env: Vec<_> = desk.app.env.clone();
    let mut tail = Process::spawn(&["jobs", "tail", &name], &env, desk.app.dir());
    super::printed(&tail, "ready, attempt 0").await;
    let ticket = claim(engine, "shelf", 1).await[0].ticket;
    super::printed(&tail, "running, attempt 1 of").await;
    let now = queue::clock::now();
    engine.log(ticket, &[(now, "one\u{1b}[31m".to_owned())]).await.unwrap();
    super::printed(&tail, "one\\u001b[31m").await;
    engine.save(ticket, &Save::from(Some(Progress { done: 1, total: 2 }))).await.unwrap();
    super::printed(&tail, "progress  1 of 2").await;
    engine.log(ticket, &[(now, "last words".to_owned())]).await.unwrap();
    engine.finish(&[(ticket, Outcome::Dead { error: "no paper".to_owned() })]).await.unwrap();
    let status = tail.wait(super::PATIENCE).await.unwrap();
    assert_eq!(status.code(), Some(3), "{}", tail.log());
    assert!(tail.log().contains("last words") && tail.log().contains("dead: no paper"));
    for once in ["one\\u001b", "last words", "progress  1 of 2", "running, attempt 1"] {
        assert_eq!(tail.log().matches(once).count(), 1, "{once}: {}", tail.log());
    }
    let again = desk.ask(&["jobs", "tail", &name, "--json"]);
    let events: Vec<Value> =
        again.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((again.code, names), (Some(3), vec!["log", "log", "progress", "end"]));

    // Waiting ends with the job.
    let put = ["jobs", "enqueue", "prune_jobs", "--queue", "shelf", "--unique", "w"];
    let wait = [&put[..], &["--wait", "--json"]].concat();
    let mut waiting = Process::spawn(&wait, &env, desk.app.dir());
    let mut held = Vec::new();
    until("the job is there", async || {
        held = claim(engine, "shelf", 1).await;
        !held.is_empty()
    })
    .await;
    let done = Outcome::Done { result: Some(r#"{"pruned":7}"#.to_owned()), progress: None };
    engine.finish(&[(held[0].ticket, done)]).await.unwrap();
    assert_eq!(waiting.wait(super::PATIENCE).await.unwrap().code(), Some(0), "{}", waiting.log());
    assert!(waiting.log().contains(r#""result":{"pruned":7}"#), "{}", waiting.log());
    let short = [&put[..], &["--wait=1ms"]].concat();
    assert_eq!(desk.ask(&short).code, Some(1));
}

pub(super) async fn queues_and_workers_are_shown_paused_and_resumed(stores: Stores) {
    let engine = stores.engine().await;
    let mut desk = Desk::on(stores);
    engine.enqueue(&[NewJob::new("tidy", "shelf", "{}")]).await.unwrap();
    let paused = desk.json(0, &["queues", "pause", "shelf", "--for", "10m", "--reason", "moving"]);
    assert_eq!((&paused["by"], &paused["reason"]), (&json!("cli:ada"), &json!("moving")));
    assert!(claim(&*engine, "shelf", 1).await.is_empty());
    let queues = desk.json(0, &["queues"]);
    let shelf = queues["queues"].as_array().unwrap().iter().find(|q| q["name"] == "shelf").unwrap();
    assert_eq!((&shelf["depth"]["ready"], &shelf["paused"]["scope"]), (&json!(1), &json!("queue")));
    let table = desk.text(0, &["queues", "list"]);
    assert!(table.starts_with("QUEUE ") && table.contains("by cli:ada: moving"), "{table}");
    assert!(!table.contains('\u{1b}'), "no colours: {table:?}");
    desk.text(0, &["queues", "pause", "--kind", "verify_stock"]);
    let table = desk.text(0, &["queues"]);
    assert!(table.contains("kind verify_stock is paused until resumed by cli:ada"), "{table}");
    assert_eq!(desk.text(0, &["queues", "resume", "shelf"]), "queue shelf goes on");
    assert_eq!(desk.json(3, &["queues", "resume", "shelf"]), json!({"resumed": false}));
    assert_eq!(desk.json(0, &["queues", "resume", "--kind", "verify_stock"])["resumed"], true);

    engine
        .beat(&Beat {
            worker: "hand-1".to_owned(),
            queues: vec![("shelf".to_owned(), 4)],
            kinds: vec![("tidy".to_owned(), 1)],
            running: 0,
            draining: true,
            last_claim: None,
            ended: Vec::new(),
            leaving: false,
        })
        .await
        .unwrap();
    let held = claim(&*engine, "shelf", 1).await;
    let workers = desk.json(0, &["workers"]);
    assert_eq!(workers["workers"][0]["jobs"][0]["id"], json!(held[0].ticket.id), "{workers}");
    let table = desk.text(0, &["workers"]);
    assert!(table.contains("hand-1") && table.contains("draining") && table.contains("shelf=4"));
    let row = engine.get(held[0].ticket.id).await.unwrap().unwrap();
    assert_eq!(row.state, State::Running);

    // A real worker shows itself, and takes its name away when it stops.
    desk.app.start_worker();
    let served = |desk: &Desk| {
        let workers = desk.json(0, &["workers"])["workers"].as_array().unwrap().clone();
        workers.iter().filter(|worker| worker["kinds"].to_string().contains("prune_jobs")).count()
    };
    until("the worker is shown", async || served(&desk) == 1).await;
    desk.app.workers[0].terminate();
    assert!(desk.app.workers[0].wait(super::PATIENCE).await.is_some());
    assert_eq!(served(&desk), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_command_lines_are_told_and_change_nothing() {
    let desk = Desk::on(Deployment::Embedded.fresh().await);
    let engine = desk.app.stores.engine().await;
    engine.enqueue(&[NewJob::new("tidy", "shelf", "{}")]).await.unwrap();
    let unknown = Uuid::now_v7().to_string();
    for (code, named, line) in [
        (2, "known are", &["jobs", "enqueue", "dance"][..]),
        (2, "payload: ", &["jobs", "enqueue", "prune_jobs", "{"]),
        (2, "payload: ", &["jobs", "enqueue", "prune_jobs", r#"{"x": 1}"#]),
        (1, "absent.json cannot be read", &["jobs", "enqueue", "prune_jobs", "@absent.json"]),
        (2, "--priority", &["jobs", "enqueue", "prune_jobs", "--priority", "10"]),
        (2, "500ms", &["jobs", "enqueue", "prune_jobs", "--in", "5"]),
        (2, "NAME=VALUE", &["jobs", "enqueue", "prune_jobs", "--attribute", "x"]),
        (
            2,
            "cannot be used with",
            &["jobs", "enqueue", "prune_jobs", "--in", "5m", "--run-at", "2999-01-01T00:00:00Z"],
        ),
        (2, "2026-01-31", &["jobs", "list", "--since", "yesterday"]),
        (2, "scheduled, ready", &["jobs", "cancel", "--state", "lost"]),
        (2, "say which jobs", &["jobs", "cancel"]),
        (2, "not both", &["jobs", "cancel", &unknown, "--kind", "tidy"]),
        (2, "say --yes", &["jobs", "cancel", "--kind", "tidy"]),
        (3, "", &["jobs", "cancel", &unknown]),
        (3, "there is no job", &["jobs", "why", &unknown]),
        (3, "there is no job", &["jobs", "tail", &unknown]),
        (3, "no queue `nowhere` is known", &["queues", "pause", "nowhere"]),
        (3, "no kind `dance` is known", &["queues", "resume", "--kind", "dance"]),
        (2, "required", &["queues", "pause"]),
        (2, "cannot be used with", &["queues", "pause", "shelf", "--kind", "tidy"]),
        (2, "in the future", &["queues", "pause", "shelf", "--until", "2001-01-01T00:00:00Z"]),
        (2, "--reason", &["dead", "requeue", "--kind", "tidy"]),
        (2, "say which jobs", &["dead", "requeue", "--reason", "x"]),
    ] {
        let ended = desk.ask(line);
        assert_eq!(ended.code, Some(code), "{line:?}: {ended:?}");
        assert!(ended.err.contains(named), "{line:?}: {ended:?}");
    }
    let jobs = desk.json(0, &["jobs", "list"]);
    assert_eq!(
        (jobs[0]["state"].as_str(), jobs.as_array().map(Vec::len)),
        (Some("ready"), Some(1))
    );
    assert!(engine.pauses().await.unwrap().is_empty());
    // Looking makes no database.
    let ended = relais(&scratch_dir("looking"), &[], &["queues"]);
    assert!(ended.code == Some(1) && ended.err.contains("there is no database file"), "{ended:?}");
}
