//! A file server that is left alone because its disk is full: whoever asks why a transfer waits is
//! told so (C6).

use super::{ANNE, Case, documents};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::Job;
use jobs::kinds::TransferToNas;
use queue::{NewJob, State, clock};
use records::nas;
use serde_json::{Value, json};
use std::time::Duration;
use tests::stores::Deployment;
use tests::wait::until;
use uuid::Uuid;

const FULL: &str = "the disk of the NAS is full";

async fn hold(case: &Case, length: Duration) {
    let at = (super::NAS[0].1, 22);
    nas::hold(case.db(), at, "disk_full", "disque plein sur le NAS", length).await.unwrap();
}

async fn why(case: &Case, job: &str) -> Value {
    let answer = case.get(&format!("/api/v1/jobs/{job}/why"), ANNE).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

fn instant(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

/// Found full at once and again a little later: held since the first time, until the last says.
pub(crate) async fn a_transfer_that_waits_for_a_full_disk_says_so(deployment: Deployment) {
    let mut case = Case::with_nas(deployment).await;
    case.seed(documents(1..=2, None)).await;
    let before = clock::now();
    hold(&case, Duration::from_secs(5)).await;
    let between = clock::now();
    hold(&case, Duration::from_secs(600)).await;
    case.app.start_worker();
    let run = case.post_preferring("/api/v1/sync/run", ANNE, "respond-async").await.json();
    let job = run["job"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let id: Uuid = job.parse().unwrap();
    until("the transfer has looked, and waits, and its worker has shown itself", async || {
        case.engine.get(id).await.unwrap().unwrap().state == State::Scheduled
            && !case.engine.workers().await.unwrap().is_empty()
    })
    .await;

    let told = why(&case, &job).await;
    let blockers = told["blockers"].as_array().unwrap();
    let held = &blockers[0];
    assert_eq!((blockers.len(), &held["code"]), (1, &json!("HELD")), "{told}");
    assert_eq!(held["reason"], FULL);
    // Two clocks: the store's and the test's.
    let (slack, since) = (TimeDelta::milliseconds(50), instant(&held["since"]));
    assert!((before - slack..=between + slack).contains(&since), "{told}");
    assert!(instant(&held["until"]) > between + TimeDelta::seconds(500), "{told}");
    let summary = told["summary"].as_str().unwrap();
    assert!(summary.contains(FULL) && summary.contains("held since"), "{told}");

    let said = case.app.run(&["jobs", "why", &job]).await;
    assert!(said.contains(FULL) && said.contains("is held since"), "{said}");
    let said: Value =
        serde_json::from_str(&case.app.run(&["jobs", "why", &job, "--json"]).await).unwrap();
    assert_eq!(said["blockers"][0]["type"], "held", "{said}");
    assert_eq!(said["blockers"][0]["until"], held["until"]);
}

/// A pause is harder; whoever is put in for later, or needs no file server, is not held; and when
/// there is room again nobody is.
pub(crate) async fn a_full_disk_holds_only_those_that_it_holds(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    hold(&case, Duration::from_secs(600)).await;
    let transfer = || NewJob {
        principal: Some("key:anne".to_owned()),
        ..TransferToNas { documents: Some(vec![1]), ..Default::default() }.into_new()
    };
    let later = NewJob { run_at: Some(clock::now() + TimeDelta::days(1)), ..transfer() };
    let test =
        NewJob { principal: Some("key:anne".to_owned()), ..jobs::kinds::TestNas {}.into_new() };
    let put = case.engine.enqueue(&[transfer(), later, test]).await.unwrap();
    let codes = async |number: usize| {
        let told = why(&case, &put[number].id.to_string()).await;
        let codes = told["blockers"].as_array().unwrap().iter().map(|one| one["code"].clone());
        codes.filter(|code| !code.as_str().unwrap().starts_with("NO_WORKER")).collect::<Vec<_>>()
    };
    assert_eq!(codes(0).await, ["HELD"]);
    assert_eq!(codes(1).await, ["SCHEDULE"]);
    assert_eq!(codes(2).await, [Value::Null; 0]);

    let by = queue::Actor { principal: "cli:test".to_owned(), reason: None };
    let (scope, name) = (queue::PauseScope::Queue, "nas".to_owned());
    let pause = queue::Pause { scope, name, until: None, by, since: None };
    case.engine.pause(&pause).await.unwrap();
    assert_eq!(codes(0).await, ["PAUSED", "HELD"]);
    case.engine.resume(scope, "nas").await.unwrap();

    let mut tx = case.db().begin().await.unwrap();
    nas::clear_in(&mut tx, (super::NAS[0].1, 22)).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(codes(0).await, [Value::Null; 0]);
}
