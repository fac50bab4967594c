//! A full disk under SQLite: refused, not lost, and over as soon as there is room (G-26).

use super::{PATIENCE, SERIAL, sales, shop, until};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tests::app::{Process, TestApp};
use tests::guardian::scratch_dir;
use tests::stores::{Deployment, free_port};

/// Mounts a small file system that only this process and its children see, then becomes relais:
/// it goes with the process.
const SMALL_DISK: &str = r#"mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec "$@""#;

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
    let place = mount.to_str().unwrap();
    // An unprivileged user is root in a name space of its own.
    let through = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", SMALL_DISK, "sh", place];
    let mut up = Process::spawn_through(&through, &["up", "--demo", "--bind", &bind], &env, &stores.dir);
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
    let many = serde_json::to_string(&stock()).unwrap();
    let seeded = super::relais_reading(
        &stores.dir,
        &[("DATABASE_URL", &format!("sqlite://{}", filler.with_file_name("relais.db").display()))],
        &["seed", "-"],
        &many,
    );
    assert_eq!(seeded.code, Some(0), "{seeded:?}");

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
        assert!([201, 202, 503].contains(&answer.status), "{} {}", answer.status, answer.text);
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
    let url = format!("sqlite://{}", filler.with_file_name("relais.db").display());
    let settings = db::Settings { url: url.parse().unwrap(), connections: 2, acquire: PATIENCE };
    let db = db::Db::open(&settings).await.unwrap();
    static BOOKED: db::Sql = db::Sql::both("SELECT numero_facture FROM ventes");
    until("everything accepted is booked", async || {
        let rows = db.read(&BOOKED, db::args![]).await.unwrap();
        let booked: Vec<String> =
            rows.iter().map(|row| row.get("numero_facture").unwrap()).collect();
        accepted.iter().all(|number| booked.contains(number))
    })
    .await;
    let checked = records::ventes::stock::check(&db, 0, 100).await.unwrap();
    assert!(checked.differences.is_empty(), "{checked:?}");
    db.close().await;
    up.terminate();
    let status = up.wait(PATIENCE).await;
    assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", up.log());
}

/// The demo's stock of ten would be sold out.
fn stock() -> serde_json::Value {
    let mut shop = shop();
    shop["articles"][0]["id"] = 6.into();
    shop
}

/// Takes all the room there is; returns how much that was.
fn fill(file: &std::path::Path) -> usize {
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
