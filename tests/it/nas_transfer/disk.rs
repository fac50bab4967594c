//! C6: a full disk over there. It is held, told once, and goes on when there is room.

use super::{Rig, content, sending, until};
use jobs::kinds::TransferToNas;
use queue::State;
use std::process::Command;
use tests::guardian::{Guardian, scratch_dir};
use tests::sshd::{Access, chown, recorder};
use tests::stores::is_root;

/// Needs a small file system, which only root may mount.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_held_and_told_once_and_goes_on_when_there_is_room() {
    if !is_root() {
        return;
    }
    let (rsync, log) = recorder(&scratch_dir("note"), "rsync");
    let rig = Rig::start(Access::Plain, &[("RELAIS_NAS_RSYNC", rsync.to_str().unwrap())]).await;
    let nas = rig.nas.nas();
    let mut mount = Command::new("mount");
    mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&nas);
    assert!(mount.status().unwrap().success());
    let _mounted = Guardian::of_mount(&nas);
    chown(rig.nas.user(), &nas);
    std::fs::write(nas.join("filler"), vec![1; 500_000]).unwrap();
    let all: Vec<_> = (0..3).map(|n| (format!("{n}.bin"), content(n, 200_000))).collect();
    let ids = rig.documents(&all).await;
    let job = rig.put(TransferToNas::default()).await;
    until("it is held", async || {
        rig.engine.get(job).await.unwrap().unwrap().state == State::Scheduled
    })
    .await;
    let why = rig.app.run(&["jobs", "why", &job.to_string()]).await;
    assert!(why.contains("the disk of the NAS is full"), "{why}");
    rig.assert_marks_are_true(&ids).await;
    let marked = rig.get(ids[0]).await.synced_to_nas;
    assert!(marked, "what had room is there and marked: {}", rig.logs());
    // No busy loop: it waits for seconds, then twice as long.
    until("it was tried again", async || sending(&log) >= 2).await;
    assert!(sending(&log) <= 4, "{}", sending(&log));
    let row = rig.engine.get(job).await.unwrap().unwrap();
    assert_eq!((row.state.is_final(), row.progress.is_some()), (false, true));
    std::fs::remove_file(nas.join("filler")).unwrap();
    let report = rig.report(job).await;
    assert_eq!((report.total, report.synced), (3, 3), "{}", rig.logs());
    let told = rig.app.workers[0].log().matches("nas_disk_full").count();
    assert_eq!(told, 1, "{}", rig.logs());
    rig.assert_marks_are_true(&ids).await;
}
