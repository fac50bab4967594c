//! C2: many small wishes are few runs.

use super::{Rig, content, sending, until};
use db::{Sql, args};
use jobs::Job as _;
use jobs::kinds::transfer_to_nas::Report;
use jobs::kinds::{TestNas, TransferToNas};
use queue::{Claim, Outcome, Save, State};
use records::documents::{self, Viewer};
use serde_json::json;
use std::collections::BTreeSet;
use tests::guardian::scratch_dir;
use tests::sshd::{Access, recorder};
use tests::stores::Deployment;

static LARGE: Sql = Sql::both("UPDATE documents SET taille = $1");
static HELD: Sql =
    Sql::both("SELECT COUNT(*) AS held FROM documents WHERE transfert_job IS NOT NULL");

/// All 2 000 of the requirement, beside a bare run: `cargo run --release -p tests --bin nas --
/// queued`.
const COUNT: usize = 600;

/// C2: documents that are asked for one by one while a worker runs travel together, through
/// whatever door they come; each job knows its own outcome, and `rclone` finds no difference.
#[tokio::test(flavor = "multi_thread")]
async fn documents_asked_for_one_by_one_are_a_few_runs() {
    let (rsync, log) = recorder(&scratch_dir("note"), "rsync");
    let env = [("RELAIS_NAS_RSYNC", rsync.to_str().unwrap())];
    let stores = Deployment::Embedded.fresh().await;
    let rig = Rig::on(stores, Access::Plain, &env).await;
    let all: Vec<_> = (0..COUNT).map(|n| (format!("{n}.pdf"), content(n, 300))).collect();
    let ids = rig.documents(&all).await;
    let mut jobs = Vec::new();
    for id in &ids {
        // As the route does, and as whoever puts jobs in by themselves.
        jobs.push(match id % 3 {
            0 => rig.put(TransferToNas { documents: Some(vec![*id]), ..Default::default() }).await,
            _ => rig.put_single(*id).await,
        });
    }
    for job in &jobs {
        let row = rig.end(*job).await;
        assert_eq!(row.state, State::Done, "{row:?}");
        assert!(
            row.result.as_deref().is_some_and(|result| result.contains("\"synced\":1")),
            "{row:?}"
        );
    }
    assert!(sending(&log) <= 10, "{} runs", sending(&log));
    rig.assert_marks_are_true(&ids).await;
    rig.nas.assert_holds(&rig.uploads);
    for id in [ids[0], ids[COUNT - 1]] {
        let document = rig.get(id).await;
        assert!(document.synced_to_nas && document.demande_le.is_none());
    }
}

/// Two transfers never send the same document at once, and never more of them run than allowed:
/// four wishes for the same documents are all fulfilled.
#[tokio::test(flavor = "multi_thread")]
async fn wishes_for_the_same_documents_do_not_meet() {
    let (rsync, log) = recorder(&scratch_dir("note"), "rsync");
    let env = [
        ("RELAIS_NAS_RSYNC", rsync.to_str().unwrap()),
        ("RELAIS_NAS_MAX_PARALLEL", "1"),
        ("RELAIS_NAS_BANDWIDTH_KIB", "300"),
    ];
    let mut rig = Rig::start(Access::Plain, &env).await;
    rig.app.start_worker();
    let all: Vec<_> = (0..20).map(|n| (format!("{n}.pdf"), content(n, 15_000))).collect();
    let ids = rig.documents(&all).await;
    let wish = || TransferToNas { documents: Some(ids.clone()), ..Default::default() };
    let mut jobs = Vec::new();
    for _ in 0..4 {
        jobs.push(rig.put(wish()).await);
    }
    for job in jobs {
        let report = rig.report(job).await;
        assert_eq!((report.total, report.synced), (20, 20), "{}", rig.logs());
    }
    assert_eq!(sending(&log), 1, "the first one's work is the others' too");
    rig.assert_marks_are_true(&ids).await;
}

/// A wish that nobody will fulfil is no reason to wait: a document that was asked for and whose job
/// was cancelled, too large to travel along, in front of one that fits.
#[tokio::test(flavor = "multi_thread")]
async fn wishes_that_do_not_fit_do_not_stand_in_the_way() {
    let rig = Rig::start(Access::Plain, &[]).await;
    let first = rig.document("first.pdf", &content(1, 500)).await;
    let second = rig.document("second.pdf", &content(2, 500)).await;
    let (half, mut tx) = (400 * 1_024 * 1_024_i64, rig.db.begin().await.unwrap());
    tx.execute(&LARGE, args![half]).await.unwrap();
    documents::request_in(&mut tx, first, &Viewer::Everybody).await.unwrap();
    tx.commit().await.unwrap();
    let job = rig.put_single(second).await;
    assert_eq!(rig.report(job).await.synced, 1, "{}", rig.logs());
    // What did not fit is held by nobody.
    let row = rig.db.read_one(&HELD, args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("held").unwrap(), 0);
}

/// Whoever is done with its own document, and has the connection, sends those of a burst that did not
/// travel along; its own outcome is that of its own document.
#[tokio::test(flavor = "multi_thread")]
async fn a_burst_goes_on_with_the_connection_that_is_there() {
    static FILLS_A_BATCH: Sql = Sql::both("UPDATE documents SET taille = $2 WHERE id = $1");
    const OTHERS: usize = 60;
    let (rsync, log) = recorder(&scratch_dir("note"), "rsync");
    let rig = Rig::start(Access::Plain, &[("RELAIS_NAS_RSYNC", rsync.to_str().unwrap())]).await;
    let first = rig.document("first.pdf", &content(0, 2_000_000)).await;
    let all: Vec<_> = (0..OTHERS).map(|n| (format!("{n}.pdf"), content(n, 300))).collect();
    let others = rig.documents(&all).await;
    let mut tx = rig.db.begin().await.unwrap();
    tx.execute(&FILLS_A_BATCH, args![first, 64 * 1_024 * 1_024_i64]).await.unwrap();
    for id in &others {
        documents::request_in(&mut tx, *id, &Viewer::Everybody).await.unwrap();
    }
    tx.commit().await.unwrap();
    let report = rig.report(rig.put_single(first).await).await;
    assert_eq!((report.total, report.synced), (1, 1), "{}", rig.logs());
    assert_eq!(sending(&log), 2, "{}", rig.logs());
    rig.assert_marks_are_true(&others).await;
    assert!(rig.get(others[OTHERS - 1]).await.synced_to_nas);
    let row = rig.db.read_one(&HELD, args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("held").unwrap(), 0);
}

/// A process that dies while it sends what others wait for leaves nothing taken: the next attempt has
/// nothing to send, and gives it back all the same.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_attempt_had_taken_for_others_is_given_back() {
    let mut rig = Rig::idle(Deployment::Embedded.fresh().await, Access::Plain, &[]).await;
    let all = ["own.pdf", "other.pdf"].map(|name| (name.to_owned(), content(1, 300)));
    let ids = rig.documents(&all).await;
    let job = rig.put_single(ids[0]).await;
    let (queue, worker) = (TransferToNas::QUEUE.to_owned(), "dead".to_owned());
    let lease = std::time::Duration::from_secs(60);
    let held = rig.engine.claim(&Claim { queue, worker, limit: 1, lease }).await.unwrap();
    let kept = json!({"total": 1, "synced": 1, "failed": 0, "errors": [], "documents": [],
                      "settled": [ids[0]], "bytes": 300});
    let save = Save { progress: None, checkpoint: Some(kept.to_string()) };
    rig.engine.save(held[0].ticket, &save).await.unwrap();
    let mut tx = rig.db.begin().await.unwrap();
    documents::claim_in(&mut tx, &ids[1..], job, lease).await.unwrap();
    tx.commit().await.unwrap();
    rig.engine.finish(&[(held[0].ticket, Outcome::Release)]).await.unwrap();
    rig.app.start_worker();
    assert_eq!(rig.report(job).await.synced, 1, "{}", rig.logs());
    let row = rig.db.read_one(&HELD, args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("held").unwrap(), 0);
}

/// C-23, D-9: a run that takes long comes forward in steps, which whoever looks can see; what is
/// told to be there is there.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_shows_how_many_have_arrived() {
    let rig = Rig::start(Access::Plain, &[("RELAIS_NAS_BANDWIDTH_KIB", "120")]).await;
    let all: Vec<_> = (0..6).map(|n| (format!("{n}.pdf"), content(n, 400_000))).collect();
    let ids = rig.documents(&all).await;
    let job = rig.put(TransferToNas::default()).await;
    let mut seen = BTreeSet::new();
    until("it has ended", async || {
        let row = rig.engine.get(job).await.unwrap().unwrap();
        let report = Report::of(&row);
        assert!(report.synced + report.failed <= 6 && report.total <= 6, "{report:?}");
        seen.insert(report.synced);
        row.state.is_final()
    })
    .await;
    assert!(seen.len() >= 3 && seen.contains(&6), "{seen:?}\n{}", rig.logs());
    rig.assert_marks_are_true(&ids).await;
}

/// A transfer whose document another one is sending waits: it takes no other document meanwhile only
/// to give it back, and goes on when its own is free.
#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_that_waits_takes_nothing() {
    static TABLE: Sql = Sql::both("CREATE TABLE taken (job TEXT)");
    static WATCH: Sql = Sql::both(
        "CREATE TRIGGER watch AFTER UPDATE OF transfert_job ON documents \
         WHEN NEW.transfert_job IS NOT NULL BEGIN INSERT INTO taken VALUES (NEW.transfert_job); END",
    );
    static TAKEN: Sql = Sql::both("SELECT COUNT(*) AS taken FROM taken WHERE job = $1");
    let rig = Rig::start(Access::Plain, &[]).await;
    let all = ["own.pdf", "other.pdf"].map(|name| (name.to_owned(), content(1, 300)));
    let ids = rig.documents(&all).await;
    let (sender, hold) = (uuid::Uuid::now_v7(), std::time::Duration::from_secs(600));
    let mut tx = rig.db.begin().await.unwrap();
    documents::claim_in(&mut tx, &ids[..1], sender, hold).await.unwrap();
    documents::request_in(&mut tx, ids[1], &Viewer::Everybody).await.unwrap();
    tx.execute(&TABLE, args![]).await.unwrap();
    tx.execute(&WATCH, args![]).await.unwrap();
    tx.commit().await.unwrap();
    let job = rig.put_single(ids[0]).await;
    until("it runs", async || rig.engine.get(job).await.unwrap().unwrap().state == State::Running)
        .await;
    // Two tries of the connection take longer than it needs to look for the documents of others.
    for _ in 0..2 {
        let tried = rig.engine.enqueue(&[TestNas {}.into_new()]).await.unwrap()[0].id;
        assert_eq!(rig.end(tried).await.state, State::Done);
    }
    let row = rig.db.read_one(&TAKEN, args![job]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("taken").unwrap(), 0);
    let mut tx = rig.db.begin().await.unwrap();
    documents::release_in(&mut tx, sender).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(rig.report(job).await.synced, 1);
    assert!(rig.get(ids[1]).await.synced_to_nas, "it travelled along");
}
