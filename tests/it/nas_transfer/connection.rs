//! One connection serves transfers that follow each other, and none stays.

use super::{Rig, content};
use tests::sshd::{Access, descendants};
use tests::stores::Deployment;
use tests::wait::until;

const DOCUMENTS: usize = 6;

#[tokio::test(flavor = "multi_thread")]
async fn transfers_in_a_row_share_a_connection_that_ends() {
    if !Deployment::Embedded.is_chosen() {
        return;
    }
    let mut rig = Rig::start(Access::Plain, &[]).await;
    let files = (0..=DOCUMENTS).map(|n| (format!("{n}.bin"), content(n, 1_000)));
    let ids = rig.documents(&files.collect::<Vec<_>>()).await;
    let sign_ins = |rig: &Rig| rig.nas.log().matches("Accepted publickey").count();
    let before = sign_ins(&rig);
    for id in &ids[..DOCUMENTS] {
        let job = rig.put_single(*id).await;
        assert_eq!(rig.report(job).await.synced, 1);
    }
    // Between some of them more than a second may have passed.
    let made = sign_ins(&rig) - before;
    assert!(made < DOCUMENTS, "{made} connections for {DOCUMENTS} documents");
    // One that has broken meanwhile is no trouble of the next.
    rig.nas.kill9();
    rig.nas.restart();
    let job = rig.put_single(ids[DOCUMENTS]).await;
    assert_eq!(rig.report(job).await.synced, 1, "{}", rig.lines(job).await);
    rig.assert_marks_are_true(&ids).await;
    let worker = rig.app.workers[0].pid();
    until("nothing runs any more", async || descendants(worker).is_empty()).await;
}
