//! The hours in which documents may be sent (`nas.window`).

use super::{Rig, content, literal, until};
use chrono::{DateTime, TimeDelta, Utc};
use jobs::kinds::TransferToNas;
use jobs::kinds::transfer_to_nas::Report;
use queue::{JobRow, State};
use std::time::Duration;
use tests::faketime;
use tests::sshd::{Access, descendants};
use tests::stores::{Deployment, Stores};

const WINDOW: &str = "RELAIS_NAS_WINDOW";

/// From so many hours from now to so many, as the setting has it.
fn hours(from: i64, to: i64) -> String {
    let at = |hours| (queue::clock::now() + TimeDelta::hours(hours)).format("%H:%M").to_string();
    format!("{}-{}", at(from), at(to))
}

async fn waiting(rig: &Rig, job: uuid::Uuid) -> JobRow {
    let mut row = None;
    until("it waits", async || {
        let found = rig.engine.get(job).await.unwrap().unwrap();
        assert!(!found.state.is_final(), "{found:?}\n{}", rig.logs());
        let waits = found.state == State::Scheduled && found.attempt == 0;
        row = waits.then_some(found);
        row.is_some()
    })
    .await;
    row.unwrap()
}

/// What was asked for outside of them waits, says so, and goes on by itself once they have come.
pub(crate) async fn outside_of_its_hours_a_transfer_waits_and_spends_no_attempt(stores: Stores) {
    let mut rig = Rig::on(stores, Access::Plain, &[(WINDOW, &hours(2, 3))]).await;
    let id = rig.document("a.pdf", &content(1, 500)).await;
    let job = rig.put(TransferToNas::default()).await;
    let row = waiting(&rig, job).await;
    assert_eq!(Report::of(&row).total, 1, "it says how many wait: {row:?}");
    let wait = row.run_at - queue::clock::now();
    assert!(wait < TimeDelta::seconds(31), "settings may be changed meanwhile: {wait}");
    assert!(rig.lines(job).await.contains("waits: documents are sent "), "{}", rig.logs());
    assert!(!rig.get(id).await.synced_to_nas && rig.arrived() == 0);
    rig.app.workers[0].kill9();
    rig.set(WINDOW, &hours(-1, 1));
    rig.app.start_worker();
    let report = rig.report(job).await;
    assert_eq!((report.total, report.synced), (1, 1), "{}", rig.logs());
    assert_eq!(rig.engine.get(job).await.unwrap().unwrap().attempt, 1);
    rig.assert_marks_are_true(&[id]).await;
}

/// Past midnight, in its zone: what is under way when they end stops, keeps what has arrived,
/// holds nothing, and goes on the next night. The store's clock decides: SQLite's is the worker's.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_is_cut_off_by_the_hour_goes_on_the_next_night() {
    const SIZE: usize = 12_000_000;
    let env = [
        (WINDOW, "22:00-06:00"),
        ("RELAIS_NAS_WINDOW_TIMEZONE", "Africa/Kinshasa"),
        ("RELAIS_NAS_BANDWIDTH_KIB", "400"),
    ];
    let mut rig = Rig::idle(Deployment::Embedded.fresh().await, Access::Plain, &env).await;
    let id = rig.document("large.bin", &content(1, SIZE)).await;
    let job = rig.put(TransferToNas::default()).await;
    let real = rig.app.env.clone();
    let tomorrow = |time: &str| {
        let day = (queue::clock::now() + TimeDelta::days(1)).date_naive();
        faketime::starting_at(&format!("{day} {time}"))
    };
    // Kinshasa is an hour ahead: 15 seconds are left.
    rig.app.env.extend(tomorrow("04:59:45"));
    rig.app.start_worker();
    until("it is under way", async || {
        let row = rig.engine.get(job).await.unwrap().unwrap();
        row.progress.is_some_and(|progress| progress.done > 1_000_000)
    })
    .await;
    let children = descendants(rig.app.workers[0].pid());
    assert!(children.len() >= 3, "{children:?}");
    let row = waiting(&rig, job).await;
    let lines = rig.lines(job).await;
    assert!(lines.contains("stops: the hours in which documents are sent are over"), "{lines}");
    let six: DateTime<Utc> = row.run_at;
    assert_eq!(six.format("%H:%M").to_string(), "05:00", "{six}");
    super::cuts::assert_gone(&children, Duration::from_secs(2)).await;
    assert!(!rig.get(id).await.synced_to_nas && !rig.on_nas("large.bin").exists());
    assert!(rig.on_nas(".rsync-partial/large.bin").exists(), "what has arrived is kept");
    rig.app.workers[0].kill9();
    rig.app.env = real;
    rig.set("RELAIS_NAS_BANDWIDTH_KIB", "0");
    rig.app.env.extend(tomorrow("21:00:00"));
    rig.app.start_worker();
    let report = rig.report(job).await;
    assert_eq!((report.total, report.synced), (1, 1), "{}", rig.logs());
    let sent = literal(&rig.lines(job).await);
    assert!(sent < SIZE as u64 - 1_000_000, "{sent} bytes were sent again");
    rig.assert_marks_are_true(&[id]).await;
}
