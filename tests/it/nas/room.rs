//! No room for a document.

use super::{ANNE, FORM, PATIENCE, form, keys, read};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use tests::app::{Process, TestApp};
use tests::guardian::scratch_dir;
use tests::stores::{Deployment, free_port};
use tests::wait::until;

/// Mounts a small file system that only this process and its children see, and becomes relais:
/// the mount goes with the process.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=1m tmpfs "$1" && shift && exec "$@""#;

/// S-30: told clearly, nothing is left, and over as soon as there is room.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_507_and_keeps_nothing() {
    let mount = scratch_dir("uploads");
    // Of the app only the client, the stores and the seed are used.
    let app = TestApp::on(Deployment::Embedded.fresh().await, &[]);
    app.seed(&keys()).await;
    let bind = format!("127.0.0.1:{}", free_port());
    let uploads = ("UPLOADS_DIR".to_owned(), mount.to_str().unwrap().to_owned());
    let env: Vec<_> = app.env.iter().cloned().chain([uploads]).collect();
    // An unprivileged user is root in a name space of its own; where none may be made, this fails.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let shell = ["--mount", "sh", "-c", SMALL_DISK, "sh", mount.to_str().unwrap()];
    let through = [&["unshare"], user, &shell].concat();
    let mut api = Process::spawn_through(&through, &["api", "--bind", &bind], &env, app.dir());
    until("it is ready", async || {
        assert!(api.is_running(), "{}", api.log());
        let answer = app.http().get(format!("http://{bind}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    })
    .await;
    let post = async |bytes: usize| {
        let file = vec![7; bytes];
        let body = form(&[("form-data; name=\"fichier\"; filename=\"a.bin\"", &file)]);
        let request = app.http().post(format!("http://{bind}/api/v1/documents"));
        let request = request.header("X-API-Key", ANNE).header("Content-Type", FORM);
        read(request.timeout(PATIENCE).body(body)).await
    };
    // The disk as that process sees it.
    let inside = PathBuf::from(format!("/proc/{}/root", api.pid()));
    let inside = inside.join(mount.strip_prefix("/").unwrap());
    let files = || {
        let folders = [inside.clone(), inside.join(".recus")];
        let entries = folders.iter().filter_map(|folder| std::fs::read_dir(folder).ok()).flatten();
        entries.filter(|entry| entry.as_ref().unwrap().path().is_file()).count()
    };
    for _ in 0..2 {
        let refused = post(2_000_000).await;
        assert_eq!(refused.status, 507, "{}", refused.text);
        assert_eq!(refused.json()["code"], "INSUFFICIENT_STORAGE", "{}", refused.text);
        assert_eq!(files(), 0);
    }
    assert!(api.log().contains("no room left"), "{}", api.log());
    let kept = post(300_000).await;
    assert_eq!((kept.status, files()), (201, 1), "{}", kept.text);
}
