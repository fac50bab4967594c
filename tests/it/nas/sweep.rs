//! What a crash leaves in the uploads folder is removed, and nothing else.

use super::{ANNE, Case};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};
use tests::stores::Deployment;

/// As old as a leftover.
fn age(path: &Path) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(7_200)).unwrap();
}

/// A crash leaves no row without its file, and no file without its row for long.
pub(crate) async fn what_a_crash_leaves_is_swept_and_nothing_else(deployment: Deployment) {
    let mut case = Case::with_nas(deployment).await;
    case.upload(ANNE, "kept.jpg", b"kept").await;
    let kept = case.files()[0].0.clone();
    let uploads = case.uploads();
    let put = |name: &str, text: &str, is_old: bool| {
        std::fs::write(uploads.join(name), text).unwrap();
        if is_old {
            age(&uploads.join(name));
        }
    };
    // Begun and not finished; renamed and not in the record; in the record after all; still
    // running; somebody's own file, which nothing names; a note that is none of ours.
    put(".recus/cut.jpg", "cut", true);
    put("orphan.jpg", "orphan", true);
    put(".recus/1~", "orphan.jpg", true);
    put(".recus/2~", &kept, true);
    put(".recus/running.jpg", "running", false);
    put("running-too.jpg", "running", true);
    put(".recus/3~", "running-too.jpg", false);
    put("somebodys.jpg", "somebody's", true);
    put("../outside", "outside", true);
    put(".recus/4~", "../outside", true);
    case.app.apis[0].kill9();
    case.app.restart_api(0).await;
    let mut expected =
        [".recus/3~", ".recus/running.jpg", "running-too.jpg", "somebodys.jpg", &kept];
    expected.sort_unstable();
    let start = Instant::now();
    loop {
        let names: Vec<String> = case.files().into_iter().map(|(name, _)| name).collect();
        if names == expected {
            break;
        }
        assert!(start.elapsed() < super::PATIENCE, "{names:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(uploads.join("../outside").exists());
}
