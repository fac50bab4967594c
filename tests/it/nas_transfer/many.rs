//! C2: many small wishes are few runs.

use super::{Rig, content, sending};
use jobs::Job;
use jobs::kinds::TransferToNas;
use queue::State;
use records::documents::{self, Viewer};
use tests::guardian::scratch_dir;
use tests::sshd::{Access, recorder};
use tests::stores::Deployment;

const COUNT: usize = 2_000;

/// Documents that are asked for one by one travel together; each job knows its own outcome.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_documents_asked_for_one_by_one_are_a_few_runs() {
    let (rsync, log) = recorder(&scratch_dir("note"), "rsync");
    let env = [("RELAIS_NAS_RSYNC", rsync.to_str().unwrap())];
    let stores = Deployment::Embedded.fresh().await;
    let mut rig = Rig::idle(stores, Access::Plain, &env).await;
    let all: Vec<_> = (0..COUNT).map(|n| (format!("{n}.pdf"), content(n, 300))).collect();
    let ids = rig.documents(&all).await;
    let mut tx = rig.db.begin().await.unwrap();
    let mut jobs = Vec::new();
    for id in &ids {
        documents::request_in(&mut tx, *id, &Viewer::Everybody).await.unwrap();
        let job = TransferToNas { documents: Some(vec![*id]), single: true, ..Default::default() };
        jobs.push(rig.engine.enqueue_in(&mut tx, &[job.into_new()]).await.unwrap()[0].id);
    }
    tx.commit().await.unwrap();
    rig.app.start_worker();
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
    assert_eq!(rig.arrived(), COUNT);
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
