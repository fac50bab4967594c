//! Streams of events: of a job until its end, of the queues while somebody listens.

use super::{ADMIN, NEIGHBOUR, NOBODY, READER, SERIAL, api};
use queue::{Claim, Engine, NewJob, Outcome, Progress, Save, Ticket};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::Deployment;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

/// An event: name, id, data.
type Event = (String, Option<String>, Value);

/// A stream that is read event by event.
struct Reader {
    response: reqwest::Response,
    text: String,
}

impl Reader {
    async fn open(app: &TestApp, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = app.http().get(app.url(0, path));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self { response, text: String::new() }
    }

    /// The next event; `None` once the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        tokio::time::timeout(PATIENCE, self.read()).await.expect("an event, or the end")
    }

    async fn read(&mut self) -> Option<Event> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    let mut lines = block.lines().filter_map(|line| line.split_once(':'));
                    lines.find(|(n, _)| *n == name).map(|(_, value)| value.trim().to_owned())
                };
                if let (Some(name), Some(data)) = (field("event"), field("data")) {
                    return Some((name, field("id"), serde_json::from_str(&data).unwrap()));
                }
                assert!(block.starts_with("retry:") || block.starts_with(':'), "{block}");
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn expect(&mut self, name: &str) -> Value {
        let event = self.next().await.unwrap_or_else(|| panic!("the stream ended before {name}"));
        assert_eq!(event.0, name, "{event:?}");
        event.2
    }
}

async fn put_in(engine: &dyn Engine) -> Uuid {
    let job = NewJob::new("tidy", "shelf", "{}");
    engine.enqueue(&[job]).await.unwrap()[0].id
}

async fn claim(engine: &dyn Engine) -> Ticket {
    let claim = Claim {
        queue: "shelf".to_owned(),
        worker: "w".to_owned(),
        limit: 1,
        lease: Duration::from_secs(60),
    };
    engine.claim(&claim).await.unwrap()[0].ticket
}

async fn log(engine: &dyn Engine, ticket: Ticket, lines: &[&str]) {
    let lines: Vec<_> =
        lines.iter().map(|line| (queue::clock::now(), (*line).to_owned())).collect();
    engine.log(ticket, &lines).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_followed_to_its_end_and_nothing_is_told_twice() {
    for deployment in Deployment::chosen() {
        let app = api(deployment, &[]).await;
        let engine = app.stores.engine().await;
        let id = put_in(&*engine).await;
        let path = format!("/api/v1/jobs/{id}/events");
        let key = ("X-API-Key", READER);
        let mut stream = Reader::open(&app, &path, &[key]).await;
        assert_eq!(stream.expect("state").await["state"], "ready");
        let ticket = claim(&*engine).await;
        let running = stream.expect("state").await;
        assert_eq!((&running["state"], &running["attempt"]), (&json!("running"), &json!(1)));
        log(&*engine, ticket, &["one\u{1b}[31m", "two"]).await;
        let lines = [stream.next().await.unwrap(), stream.next().await.unwrap()];
        assert_eq!((&*lines[0].0, &lines[0].2["line"]), ("log", &json!("one\u{1b}[31m")));
        assert_eq!((&*lines[1].0, &lines[1].2["line"]), ("log", &json!("two")));
        let progress = Save::from(Some(Progress { done: 1, total: 3 }));
        engine.save(ticket, &progress).await.unwrap();
        assert_eq!(stream.expect("progress").await, json!({"done": 1, "total": 3}));
        log(&*engine, ticket, &["three"]).await;
        let told = Instant::now();
        engine.finish(&[(ticket, Outcome::Dead { error: "no".to_owned() })]).await.unwrap();
        let mut names = Vec::new();
        let mut end = Value::Null;
        while let Some((name, _, data)) = stream.next().await {
            names.push(name);
            end = data;
        }
        names.sort();
        assert_eq!(names, ["end", "log", "state"]);
        assert_eq!((&end["state"], &end["error"]), (&json!("dead"), &json!("no")));
        assert!(told.elapsed() < Duration::from_secs(5), "{:?}", told.elapsed());

        // Who comes back is told what it has missed, and who has seen the end is sent away.
        let first = lines[0].1.clone().unwrap();
        let mut again = Reader::open(&app, &path, &[key, ("Last-Event-ID", &first)]).await;
        let mut missed = Vec::new();
        while let Some((name, _, data)) = again.next().await {
            if name == "log" {
                missed.push(data["line"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(missed, ["two", "three"]);
        let status = async |headers: &[(&str, &str)], path: &str| {
            let mut request = app.http().get(app.url(0, path));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            request.send().await.unwrap().status().as_u16()
        };
        let unknown = format!("/api/v1/jobs/{}/events", Uuid::now_v7());
        for (headers, path, expected) in [
            (&[key, ("Last-Event-ID", "end")][..], &path, 204),
            (&[key, ("Last-Event-ID", "yesterday")], &path, 422),
            (&[], &path, 401),
            (&[("X-API-Key", NOBODY)], &path, 404),
            (&[("X-Device-Serial", NEIGHBOUR)], &path, 404),
            (&[key], &unknown, 404),
            (&[key], &"/api/v1/jobs/7/events".to_owned(), 404),
        ] {
            assert_eq!(status(headers, path).await, expected, "{headers:?} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_maker_follows_its_own_job_and_a_removed_job_ends() {
    let app = api(Deployment::Embedded, &[]).await;
    let engine = app.stores.engine().await;
    let mine = NewJob {
        principal: Some(format!("terminal:{SERIAL}")),
        run_at: Some(queue::clock::now() + chrono::TimeDelta::hours(1)),
        ..NewJob::new("tidy", "shelf", "{}")
    };
    engine.enqueue(std::slice::from_ref(&mine)).await.unwrap();
    let path = format!("/api/v1/jobs/{}/events", mine.id);
    let mut stream = Reader::open(&app, &path, &[("X-Device-Serial", SERIAL)]).await;
    assert_eq!(stream.expect("state").await["state"], "scheduled");
    let by = queue::Actor { principal: "cli:test".to_owned(), reason: None };
    engine.act(&[mine.id], queue::Act::Cancel, &by).await.unwrap();
    assert_eq!(stream.expect("state").await["state"], "cancelled");
    let end = stream.expect("end").await;
    assert_eq!(
        (&end["state"], &end["error"]),
        (&json!("cancelled"), &json!("cancelled by cli:test"))
    );
    assert_eq!(stream.next().await, None);

    // A client that goes away leaves its place, although nothing is sent meanwhile.
    let id = put_in(&*engine).await;
    let path = format!("/api/v1/jobs/{id}/events");
    let streams = async || {
        let metrics = app.http().get(app.url(0, "/metrics")).send().await.unwrap();
        let text = metrics.text().await.unwrap();
        let mut lines = text.lines().filter_map(|l| l.strip_prefix("relais_event_streams "));
        lines.next().map(str::to_owned)
    };
    let mut stream = Reader::open(&app, &path, &[("X-API-Key", ADMIN)]).await;
    stream.expect("state").await;
    assert_eq!(streams().await.as_deref(), Some("1"));
    drop(stream);
    let began = Instant::now();
    while streams().await.as_deref() != Some("0") {
        assert!(began.elapsed() < Duration::from_secs(10), "the place is not free");
    }

    let mut stream = Reader::open(&app, &path, &[("X-API-Key", ADMIN)]).await;
    stream.expect("state").await;
    static GONE: db::Sql = db::Sql::both("DELETE FROM jobs WHERE id = $1");
    app.stores.db().await.execute(&GONE, db::args![id]).await.unwrap();
    assert_eq!(stream.expect("end").await["error"], "the job was removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queues_are_followed_by_all_and_a_stop_waits_for_nobody() {
    for deployment in Deployment::chosen() {
        let mut app = api(deployment, &[]).await;
        let engine = app.stores.engine().await;
        let key = [("X-API-Key", READER)];
        let path = "/api/v1/queues/events";
        let mut streams =
            [Reader::open(&app, path, &key).await, Reader::open(&app, path, &key).await];
        for stream in &mut streams {
            assert!(stream.expect("queues").await["queues"].is_array());
        }
        let id = put_in(&*engine).await;
        for stream in &mut streams {
            while !stream.expect("queues").await.to_string().contains("shelf") {}
        }
        let mut job = Reader::open(&app, &format!("/api/v1/jobs/{id}/events"), &key).await;
        job.expect("state").await;
        let began = Instant::now();
        app.apis[0].terminate();
        let status = app.apis[0].wait(PATIENCE).await;
        assert!(status.is_some_and(|status| status.success()), "{}", app.apis[0].log());
        assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        // The streams were ended, not cut.
        while streams[0].next().await.is_some() {}
        assert_eq!(job.next().await, None);
    }
}
