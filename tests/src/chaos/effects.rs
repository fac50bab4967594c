//! Which executions there were, as the workers saw them: one file per worker process, one line per
//! beginning and per end, appended whole. Independent of the stores, and it survives a SIGKILL.

use super::clock::now_ms;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Mutex, OnceLock};
use uuid::Uuid;

static FILE: OnceLock<Mutex<File>> = OnceLock::new();

/// Where this process writes.
pub(super) fn open(path: &Path) {
    let file = File::options().create(true).append(true).open(path).expect("the directory is ours");
    FILE.set(Mutex::new(file)).expect("a worker has one file");
}

/// How an execution ended, as its worker saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its transaction committed, or it returned success.
    Done,
    /// The store said that the lease was lost.
    Refused,
    /// The store did not answer; it will be tried again.
    Failed,
    /// It asked to be tried again, as it was told to.
    Retry,
}

const ENDS: [(End, &str); 4] = [
    (End::Done, "done"),
    (End::Refused, "refused"),
    (End::Failed, "failed"),
    (End::Retry, "retry"),
];

/// One execution.
#[derive(Debug, Clone)]
pub(super) struct Execution {
    pub(super) job: Uuid,
    pub(super) token: i64,
    pub(super) worker: String,
    pub(super) began: i64,
    /// The worker's own clock at the beginning, Unix milliseconds.
    pub(super) wall: i64,
    pub(super) ended: Option<(i64, End)>,
}

/// Writes down a beginning.
pub(super) fn begin(job: Uuid, token: i64) {
    let wall = queue::clock::now().timestamp_millis();
    write(&format!("B {job} {token} {} {wall}\n", now_ms()));
}

/// Writes down an end.
pub(super) fn end(job: Uuid, token: i64, end: End) {
    let (_, word) = ENDS.iter().find(|(known, _)| *known == end).expect("every end has a word");
    write(&format!("E {job} {token} {} {word}\n", now_ms()));
}

fn write(line: &str) {
    let mut file = FILE.get().expect("the file is open").lock().unwrap();
    file.write_all(line.as_bytes()).expect("the disk takes a line");
}

/// What the workers of `dir` have written so far, by beginning.
pub(super) fn read(dir: &Path) -> Vec<Execution> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).expect("the directory is ours").flatten() {
        let path = entry.path();
        if path.extension().is_some_and(|extension| extension == "effects") {
            let worker = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            all.extend(of_worker(&worker, &std::fs::read_to_string(&path).unwrap_or_default()));
        }
    }
    all.sort_by_key(|execution| execution.began);
    all
}

fn of_worker(worker: &str, text: &str) -> Vec<Execution> {
    let mut executions: Vec<Execution> = Vec::new();
    let mut open = std::collections::HashMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let [what, job, token, at, last] = words[..] else { continue };
        let (Ok(job), Ok(token), Ok(at)) = (job.parse(), token.parse::<i64>(), at.parse()) else {
            continue;
        };
        if what == "B" {
            open.insert((job, token), executions.len());
            let wall = last.parse().unwrap_or_default();
            let worker = worker.to_owned();
            executions.push(Execution { job, token, worker, began: at, wall, ended: None });
        } else if let Some(number) = open.remove(&(job, token)) {
            let end = ENDS.iter().find(|(_, word)| *word == last).map(|(end, _)| (at, *end));
            executions[number].ended = end;
        }
    }
    executions
}
