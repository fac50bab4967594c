//! A full disk under SQLite: refused, not lost, and over as soon as there is room (G-26).

use super::{PATIENCE, SERIAL, sales, shop, until};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::app::{Process, TestApp};
use tests::guardian::scratch_dir;
use tests::stores::{Deployment, free_port};

/// Mounts a small file system that only this process and its children see, loads the shop, and
/// becomes relais: the mount goes with the process.
const SMALL_DISK: &str = r#"
mount -t tmpfs -o size=8m tmpfs "$1" && shift && "$1" seed seed.json && exec "$@"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_answered_503_loses_nothing_and_passes() {
    let mount = scratch_dir("disk");
    let stores = Deployment::Embedded.fresh().await;
    // Of the app only the client is used.
    let app = TestApp::on(stores.clone(), &[]);
    let port = free_port();
    let bind = format!("127.0.0.1:{port}");
    let env = [
        ("DATABASE_URL", format!("sqlite://{}", mount.join("relais.db").display())),
        ("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "100000".to_owned()),
    ];
    let env = env.map(|(name, value)| (name.to_owned(), value));
    std::fs::write(stores.dir.join("seed.json"), shop().to_string()).unwrap();
    let place = mount.to_str().unwrap();
    // An unprivileged user is root in a name space of its own; where none may be made, this fails.
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let user: &[&str] = if is_root { &[] } else { &["--user", "--map-root-user"] };
    let shell = ["--mount", "sh", "-c", SMALL_DISK, "sh", place];
    let through = [&["unshare"], user, &shell].concat();
    let mut up = Process::spawn_through(&through, &["up", "--bind", &bind], &env, &stores.dir);
    let base = format!("http://{bind}");
    let ready = async || {
        let answer = app.http().get(format!("{base}/readyz")).send().await;
        answer.is_ok_and(|answer| answer.status() == 200)
    };
    let start = Instant::now();
    while !ready().await {
        assert!(up.is_running() && start.elapsed() < PATIENCE, "{}", up.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // The disk as that process sees it.
    let inside = PathBuf::from(format!("/proc/{}/root", up.pid()));
    let filler = inside.join(mount.strip_prefix("/").unwrap()).join("filler");
    let mut accepted = Vec::new();
    let mut number = 0;
    let mut post = async |accepted: &mut Vec<String>| {
        number += 1;
        let name = format!("D{number}");
        let answer = app.post_sales_to(&base, SERIAL, sales(&name, 1).to_string()).await.unwrap();
        if answer.status == 201 || answer.status == 202 {
            accepted.push(format!("{name}-0"));
        }
        answer
    };
    for _ in 0..5 {
        assert_eq!(post(&mut accepted).await.status, 201);
    }
    let full = fill(&filler);
    assert!(full > 0, "nothing could be filled");
    let mut refused = 0;
    // What the files had reserved goes first.
    let start = Instant::now();
    while refused < 3 {
        assert!(start.elapsed() < PATIENCE, "{} sales on a full disk", accepted.len());
        let asked = Instant::now();
        let answer = post(&mut accepted).await;
        assert!([201, 202, 503].contains(&answer.status), "{answer:?}\n{}", up.log());
        if answer.status == 503 {
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
            assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
            refused += 1;
        } else {
            refused = 0;
        }
    }
    assert!(up.is_running(), "{}", up.log());
    std::fs::remove_file(&filler).unwrap();
    let freed = Instant::now();
    until("sales are accepted again", async || post(&mut accepted).await.status == 201).await;
    assert!(freed.elapsed() < Duration::from_secs(10), "{:?}", freed.elapsed());

    // Whoever was told 201 or 202 is in the books.
    let start = Instant::now();
    loop {
        let lost = not_booked(&filler, &stores.dir, &accepted).await;
        if lost.is_empty() {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "lost: {lost:?}\n{}", up.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    up.terminate();
    let status = up.wait(PATIENCE).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", up.log());
}

/// Which of the sales are not booked; the books must be right in any case. Read from a copy:
/// SQLite would look for the file by its name outside, where there is none.
async fn not_booked(beside: &Path, dir: &Path, accepted: &[String]) -> Vec<String> {
    let copy = dir.join(format!("copy-{}.db", uuid::Uuid::new_v4().simple()));
    for end in ["", "-wal"] {
        let from = beside.with_file_name(format!("relais.db{end}"));
        std::fs::copy(from, format!("{}{end}", copy.display())).unwrap();
    }
    let url = format!("sqlite://{}", copy.display()).parse().unwrap();
    let db = db::Db::open(&db::Settings { url, connections: 2, acquire: PATIENCE }).await.unwrap();
    static BOOKED: db::Sql = db::Sql::both("SELECT numero_facture FROM ventes");
    let rows = db.read(&BOOKED, db::args![]).await.unwrap();
    let booked: Vec<String> = rows.iter().map(|row| row.get("numero_facture").unwrap()).collect();
    let checked = records::ventes::stock::check(&db, 0, 100).await.unwrap();
    assert!(checked.differences.is_empty(), "{checked:?}");
    db.close().await;
    accepted.iter().filter(|number| !booked.contains(number)).cloned().collect()
}

/// Takes all the room there is; returns how much that was.
fn fill(file: &Path) -> usize {
    use std::io::Write as _;
    let mut file = std::fs::File::create(file).unwrap();
    let mut written = 0;
    for size in [65_536, 4_096, 512] {
        while let Ok(more) = file.write(&vec![0; size]) {
            if more == 0 {
                break;
            }
            written += more;
        }
    }
    written
}
