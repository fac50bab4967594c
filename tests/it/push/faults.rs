//! I-31: a fault at any await between "sent" and "answered" leaves the same record as none.

use super::{PUSH, batch, books, line, outcomes, seed, ticket};
use crate::sales::read;
use db::failpoint::Fault;
use serde_json::Value;
use std::time::{Duration, Instant};
use tests::program::Program;
use tests::stores::Deployment;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(60);

/// In the order in which a batch passes them; the entity is the second one of each batch.
const PLACES: [&str; 11] = [
    "accept",
    "enqueue",
    "accepted",
    "claim",
    "claimed",
    "entity 2",
    "written",
    "commit",
    "committed",
    "publish",
    "answer",
];

/// Fixed ids: the record is compared with that of another day.
fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// A local server that sends its batches until each is answered; programs that die are replaced.
async fn day(deployment: Deployment, fault: Option<(&str, Fault)>) -> (Vec<Vec<String>>, String) {
    let stores = deployment.fresh().await;
    let db = stores.db().await;
    let (site, key) = seed(&db).await;
    let http = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap();
    let mut program = Program::start(&stores).await;
    let place = fault.map(|(place, _)| match place.strip_prefix("entity ") {
        Some(number) => format!("entity {}", id(number.parse().unwrap())),
        None => place.to_owned(),
    });
    let mut armed = fault.map(|(_, fault)| program.arm(place.as_ref().unwrap(), fault, 1));
    let seen = armed.clone();
    let dies = fault.is_some_and(|(_, fault)| fault == Fault::Death);
    let batches = [
        batch("atomic", &[ticket(id(1), 1, "T"), line(id(2), 1, Some(id(1)), "1")]),
        batch("per_entity", &[line(id(3), 1, None, "1"), line(id(2), 2, Some(id(1)), "2")]),
        batch("atomic", &[line(id(4), 1, None, "1"), line(id(2), 3, Some(id(9)), "1")]),
    ];
    let mut told = Vec::new();
    for body in &batches {
        let began = Instant::now();
        loop {
            assert!(began.elapsed() < DEADLINE, "{fault:?}: never answered");
            let sent = ask(&http, &program, &key, body);
            let answer = match &mut armed {
                Some(armed) if dies => tokio::select! {
                    answer = sent => answer,
                    Ok(()) = armed.changed() => None,
                },
                _ => sent.await,
            };
            if dies && armed.as_ref().is_some_and(|armed| *armed.borrow() > 0) {
                armed = None;
                program.kill();
                program = Program::start(&stores).await;
            }
            if let Some(outcomes) = answer {
                told.push(outcomes);
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    assert!(seen.is_none_or(|seen| *seen.borrow() > 0), "{fault:?} was never reached");
    let books = books(&db, site).await;
    program.kill();
    db.close().await;
    stores.remove().await;
    (told, books)
}

/// A complete answer, if there is one.
async fn ask(
    http: &reqwest::Client,
    program: &Program,
    key: &str,
    body: &Value,
) -> Option<Vec<String>> {
    let request = http.post(format!("http://{}{PUSH}", program.address)).header("X-API-Key", key);
    let request = request.header("Content-Type", "application/json").body(body.to_string());
    let answer = read(request.timeout(Duration::from_secs(2)).send().await.ok()?).await;
    matches!(answer.status, 200 | 422).then(|| outcomes(&answer))
}

async fn the_same_record_whatever_fails(deployment: Deployment, fault: Fault) {
    let expected = day(deployment, None).await;
    assert_eq!(
        expected.0,
        [
            ["created 1", "created 1"],
            ["created 1", "updated 2"],
            ["rolled_back", "failed UNKNOWN_TICKET data.ticket_id"],
        ]
    );
    for places in PLACES.chunks(6) {
        let days = places.iter().map(|place| day(deployment, Some((place, fault))));
        for (place, found) in places.iter().zip(futures::future::join_all(days).await) {
            assert_eq!(found, expected, "{fault:?} at {place}");
        }
    }
}

/// I-31, I-1, I-3, D-14
pub(super) async fn an_error_anywhere_changes_nothing(deployment: Deployment) {
    the_same_record_whatever_fails(deployment, Fault::Error).await;
}

/// I-31, I-1, I-3, D-3
pub(super) async fn death_anywhere_changes_nothing(deployment: Deployment) {
    the_same_record_whatever_fails(deployment, Fault::Death).await;
}
