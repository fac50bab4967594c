//! What arrives, and what is told about what does not.

use super::{Rig, content, runs, sending};
use jobs::kinds::TransferToNas;
use std::os::unix::fs::symlink;
use std::process::Command;
use tests::sshd::{Access, recorder};
use tests::stores::Stores;

/// Names that a shell, a terminal or an option parser would make something of (C3).
const HOSTILE: [&str; 12] = [
    "a b;rm",
    "$(touch PWN1)",
    "`touch PWN2`",
    "a'b\"c",
    "*?[x]",
    "#comment",
    ";comment",
    "host:file",
    "~root",
    "é€😀.pdf",
    "& | > PWN3",
    " leading and trailing ",
];

/// R-001-22, R-001-24 to R-001-26, R-001-34, C-23: all that is pending, on every deployment; one that fails
/// stops no other, and a second run finds nothing left to do.
pub(crate) async fn pending_documents_arrive_and_are_marked(stores: Stores) {
    let rig = Rig::on(stores, Access::Plain, &[]).await;
    let all: Vec<_> = (0..40).map(|n| (format!("doc-{n}.pdf"), content(n, 2_000))).collect();
    let ids = rig.documents(&all).await;
    std::fs::remove_file(rig.uploads.join("doc-7.pdf")).unwrap();
    let report = rig.run().await;
    assert_eq!((report.total, report.synced, report.failed), (40, 39, 1), "{}", rig.logs());
    assert_eq!(report.errors, [format!("Document {}: Fichier source introuvable", ids[7])]);
    assert_eq!(report.documents.len(), 40);
    rig.assert_marks_are_true(&ids).await;
    assert!(!rig.get(ids[7]).await.synced_to_nas);
    for (n, (name, bytes)) in all.iter().enumerate().filter(|(n, _)| *n != 7) {
        assert!(rig.get(ids[n]).await.synced_to_nas, "{name}");
        assert_eq!(std::fs::read(rig.on_nas(name)).unwrap(), *bytes, "{name}");
    }
    std::fs::write(rig.uploads.join("doc-7.pdf"), &all[7].1).unwrap();
    let report = rig.run().await;
    assert_eq!((report.total, report.synced), (1, 1));
    assert_eq!(rig.run().await.total, 0);
}

/// R-001-29, R-001-31 to R-001-33: one document travels with the source's options, `--` before the
/// operands, to `{NAS_PATH}/{name}`; asked for again it is sent again (C-27).
#[tokio::test(flavor = "multi_thread")]
async fn one_document_is_sent_as_the_source_sends_it() {
    let dir = tests::guardian::scratch_dir("note");
    let (rsync, log) = recorder(&dir, "rsync");
    let rig = Rig::start(Access::Plain, &[("RELAIS_NAS_RSYNC", rsync.to_str().unwrap())]).await;
    let id = rig.document("document.jpg", b"abc").await;
    let job = rig.put_single(id).await;
    let report = rig.report(job).await;
    assert_eq!((report.total, report.synced), (1, 1), "{}", rig.logs());
    let run = runs(&log).remove(0);
    let start = "-avz --progress -e ssh -o BatchMode=yes -o ConnectTimeout=30 ";
    assert!(run.starts_with(start), "{run}");
    let end = format!(
        "/document.jpg {}@127.0.0.1:{}/document.jpg",
        rig.nas.user(),
        rig.nas.nas().display()
    );
    assert!(run.trim_end().ends_with(&end) && run.contains(" -- "), "{run}");
    let first = rig.get(id).await.synced_at;
    let job = rig.put_single(id).await;
    assert_eq!(rig.report(job).await.synced, 1);
    assert!(rig.get(id).await.synced_at > first);
    assert_eq!(std::fs::read(rig.on_nas("document.jpg")).unwrap(), b"abc");
    // `-a` keeps the date.
    let date = |path| std::fs::metadata(path).unwrap().modified().unwrap();
    assert_eq!(date(rig.on_nas("document.jpg")), date(rig.uploads.join("document.jpg")));
}

/// C3, S-22, S-23: names are only names, for a shell and behind `rrsync`.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_arrive_or_are_refused_and_nothing_runs() {
    for access in [Access::Plain, Access::Restricted] {
        let rig = Rig::start(access, &[]).await;
        let long = format!("{}.pdf", "l".repeat(251));
        let names = HOSTILE.iter().map(|name| (*name).to_owned()).chain([long]);
        let good: Vec<_> = names.enumerate().map(|(n, name)| (name, content(n, 500))).collect();
        let bad = ["-e sh x", "new\nline", "tab\tbell\u{7}", "back\\slash", "\\#012"]
            .map(|name| (name.to_owned(), vec![1]));
        let (fine, refused) = (rig.documents(&good).await, rig.documents(&bad).await);
        let report = rig.run().await;
        assert_eq!(report.synced, fine.len() as u64, "{report:?}\n{}", rig.logs());
        assert_eq!(report.failed, 5);
        for (name, bytes) in &good {
            let there = std::fs::read(rig.on_nas(name));
            assert_eq!(there.ok().as_ref(), Some(bytes), "{name} {access:?}");
        }
        for id in refused {
            assert!(!rig.get(id).await.synced_to_nas);
        }
        // One by one their names are arguments.
        let mut jobs = Vec::new();
        for id in &fine {
            jobs.push(
                rig.put(TransferToNas {
                    documents: Some(vec![*id]),
                    single: true,
                    ..Default::default()
                })
                .await,
            );
        }
        for job in jobs {
            let report = rig.report(job).await;
            assert_eq!(report.synced, 1, "{report:?}\n{}", rig.logs());
        }
        // Where either side would have run something.
        for place in ["/", "/tmp"].map(std::path::Path::new).into_iter().chain([&*rig.uploads]) {
            let names = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().file_name());
            assert!(!names.into_iter().any(|name| name.to_string_lossy().starts_with("PWN")));
        }
        assert_eq!(rig.arrived(), good.len());
    }
}

/// C7, C10, S-22: links, pipes and folders in the uploads folder are not sent, whatever they point
/// to, and stop no other document.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_regular_file_fails_alone() {
    let rig = Rig::start(Access::Restricted, &[]).await;
    let all: Vec<_> = (0..500).map(|n| (format!("{n}.txt"), content(n, 100))).collect();
    let ids = rig.documents(&all).await;
    let path = |n: usize| rig.uploads.join(format!("{n}.txt"));
    for n in 1..4 {
        std::fs::remove_file(path(n)).unwrap();
    }
    symlink("/etc/passwd", path(1)).unwrap();
    assert!(Command::new("mkfifo").arg(path(2)).status().unwrap().success());
    std::fs::create_dir(path(3)).unwrap();
    let report = rig.run().await;
    assert_eq!((report.synced, report.failed), (497, 3), "{:?}\n{}", report.errors, rig.logs());
    for (n, id) in ids.iter().enumerate().take(4).skip(1) {
        assert!(!rig.get(*id).await.synced_to_nas);
        assert!(!rig.on_nas(&format!("{n}.txt")).exists());
        let why = "Fichier source refusé (ni lien ni fichier spécial)";
        assert!(report.errors.contains(&format!("Document {id}: {why}")));
    }
    rig.assert_marks_are_true(&ids).await;
}

/// C5, C10: a bit that flipped over there, with size and time kept, is found by reading and
/// repaired, by one and by many.
#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_on_the_file_server_is_found_and_repaired() {
    let dir = tests::guardian::scratch_dir("note");
    let (rsync, log) = recorder(&dir, "rsync");
    let env = [("RELAIS_NAS_RSYNC", rsync.to_str().unwrap())];
    for access in [Access::Plain, Access::Restricted] {
        let rig = Rig::start(access, &env).await;
        let ids = rig
            .documents(&[("a".into(), content(1, 9_000)), ("b".into(), content(2, 9_000))])
            .await;
        assert_eq!(rig.run().await.synced, 2, "{}", rig.logs());
        for single in [false, true] {
            let place = rig.on_nas("a");
            let time = std::fs::metadata(&place).unwrap().modified().unwrap();
            let mut bytes = std::fs::read(&place).unwrap();
            bytes[4_500] ^= 1;
            std::fs::write(&place, bytes).unwrap();
            std::fs::File::options().write(true).open(&place).unwrap().set_modified(time).unwrap();
            let before = sending(&log);
            let documents = Some(if single { vec![ids[0]] } else { ids.clone() });
            let job = rig.put(TransferToNas { documents, single, ..Default::default() }).await;
            assert_eq!(rig.report(job).await.failed, 0, "{}", rig.logs());
            rig.assert_marks_are_true(&ids).await;
            assert_eq!(sending(&log) - before, 2, "once by time and size, once by content");
        }
    }
}

/// C10, I-25: a file that is not the one that was recorded is not marked, also if it has the same
/// length.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_recorded_one_is_not_marked() {
    let rig = Rig::start(Access::Restricted, &[]).await;
    let ids = rig.documents(&[("a".into(), content(1, 500)), ("b".into(), content(2, 500))]).await;
    std::fs::write(rig.uploads.join("a"), content(3, 500)).unwrap();
    let report = rig.run().await;
    assert_eq!((report.synced, report.failed), (1, 1), "{}", rig.logs());
    assert_eq!(report.errors, [format!("Document {}: Fichier source modifié", ids[0])]);
    assert!(!rig.get(ids[0]).await.synced_to_nas);
    assert!(!rig.on_nas("a").exists(), "it was not even sent");
    // Nor does it take the place of the real one over there.
    std::fs::write(rig.uploads.join("b"), content(3, 500)).unwrap();
    let report = rig.report(rig.put_single(ids[1]).await).await;
    assert_eq!(report.errors, [format!("Document {}: Fichier source modifié", ids[1])]);
    assert_eq!(std::fs::read(rig.on_nas("b")).unwrap(), content(2, 500));
    assert!(rig.get(ids[1]).await.synced_to_nas);
    rig.assert_marks_are_true(&ids).await;
}
