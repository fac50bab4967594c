//! `relais jobs tail`: what happens to one job, line by line, until its end.

use super::{Ended, absent, by_state};
use crate::escape::escaped;
use crate::{listing, terminal};
use queue::{Engine, JobRow, LogLine, Progress, State};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// Progress and log lines are seen within this time; an end at once.
const LOOK: Duration = Duration::from_millis(500);
/// Log lines of one look; more follow at once.
const LINES: usize = 500;

/// What was printed last.
#[derive(Default)]
struct Printed {
    state: Option<(State, u32)>,
    progress: Option<Progress>,
    line: Option<i64>,
}

pub(super) async fn run(engine: &dyn Engine, id: Uuid, json: bool) -> anyhow::Result<Ended> {
    let mut printed = Printed::default();
    let mut wait = Duration::ZERO;
    loop {
        let Some(row) = engine.wait(id, wait).await? else { return absent(id) };
        // Read after the row: a job that had its end then logs no more.
        let lines = engine.logs(id, printed.line, LINES).await?;
        let has_all = lines.len() < LINES;
        for event in printed.news(&row, lines) {
            let text = if json { event.to_string() } else { sentence(&event) };
            if !terminal::print_on(&text)? {
                return Ok(Ended::Well);
            }
        }
        if has_all && row.state.is_final() {
            let text = if json { end(&row).to_string() } else { listing::outcome(&row) };
            terminal::print(&text)?;
            return Ok(by_state(row.state));
        }
        wait = if has_all { LOOK } else { Duration::ZERO };
    }
}

impl Printed {
    fn news(&mut self, row: &JobRow, lines: Vec<LogLine>) -> Vec<Value> {
        let mut news = Vec::new();
        if !row.state.is_final() && self.state != Some((row.state, row.attempt)) {
            self.state = Some((row.state, row.attempt));
            news.push(json!({
                "event": "state", "state": row.state.as_str(), "attempt": row.attempt,
                "max_attempts": row.max_attempts, "run_at": row.run_at, "error": row.error,
                "worker": row.lease_holder,
            }));
        }
        for line in lines {
            self.line = Some(line.seq);
            news.push(json!({
                "event": "log", "seq": line.seq, "attempt": line.attempt, "at": line.at,
                "line": line.line,
            }));
        }
        if let Some(progress) = row.progress.filter(|p| self.progress != Some(*p)) {
            self.progress = Some(progress);
            let Progress { done, total } = progress;
            news.push(json!({"event": "progress", "done": done, "total": total}));
        }
        news
    }
}

fn end(row: &JobRow) -> Value {
    json!({
        "event": "end", "state": row.state.as_str(), "error": row.error,
        "finished_at": row.finished_at,
    })
}

fn sentence(event: &Value) -> String {
    let text = |name: &str| escaped(event[name].as_str().unwrap_or_default()).into_owned();
    match event["event"].as_str() {
        Some("state") => {
            let holder = match event["worker"].as_str() {
                Some(worker) => format!(" on {}", escaped(worker)),
                None => String::new(),
            };
            let error = match event["error"].as_str() {
                Some(error) => format!(": {}", escaped(error)),
                None => String::new(),
            };
            let (attempt, max) = (&event["attempt"], &event["max_attempts"]);
            format!("state     {}, attempt {attempt} of {max}{holder}{error}", text("state"))
        }
        Some("progress") => format!("progress  {} of {}", event["done"], event["total"]),
        _ => format!("log       {}  {}", text("at"), text("line")),
    }
}
