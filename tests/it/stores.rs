//! The private servers themselves: they start, survive a kill and leave nothing.

use db::{Db, Sql, args};
use sqlx::{Connection as _, PgConnection};
use std::path::Path;
use std::time::Duration;
use tests::stores::{Deployment, Postgres, Redis, postgres, redis};

async fn migrations_of(url: &str) -> i64 {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations");
    count.fetch_one(&mut connection).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_database_is_migrated_and_its_own() {
    let (one, two) =
        (postgres().await.fresh_database().await, postgres().await.fresh_database().await);
    assert_ne!(one, two);
    assert!(migrations_of(&one).await > 0);
    let settings =
        db::Settings { url: two.parse().unwrap(), connections: 2, acquire: Duration::from_secs(5) };
    let db = Db::open(&settings).await.unwrap();
    db.migrate().await.unwrap();
    postgres().await.drop_database(&one).await;
    assert!(PgConnection::connect(&one).await.is_err());
    db.ping().await.unwrap();
}

/// A client that goes away ends its request at any moment: what the next one writes is kept.
#[tokio::test(flavor = "multi_thread")]
async fn a_beginning_that_is_given_up_leaves_no_transaction() {
    static WRITE: Sql = Sql::both("INSERT INTO queues (name) VALUES ($1)");
    let url = postgres().await.fresh_database().await;
    let settings =
        db::Settings { url: url.parse().unwrap(), connections: 1, acquire: Duration::from_secs(5) };
    let db = Db::open(&settings).await.unwrap();
    let mut other = PgConnection::connect(&url).await.unwrap();
    for round in 0..200 {
        // From before the connection is there until after the transaction has begun.
        let mut beginning = Box::pin(db.begin());
        for _ in 0..round {
            if futures::poll!(&mut beginning).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(beginning);
        let name = format!("given-up-{round}");
        db.execute(&WRITE, args![&name]).await.unwrap();
        let kept = sqlx::query_scalar("SELECT count(*) FROM queues WHERE name = $1").bind(&name);
        let kept: i64 = kept.fetch_one(&mut other).await.unwrap();
        assert_eq!(kept, 1, "given up after {round} looks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_comes_back_with_what_was_committed() {
    let server = Postgres::start_private().await;
    let url = server.fresh_database().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)")
        .execute(&mut connection)
        .await
        .unwrap();
    server.kill9();
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut connection).await.is_err());
    server.start().await;
    server.restart_immediate().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    let kept: i32 =
        sqlx::query_scalar("SELECT n FROM kept").fetch_one(&mut connection).await.unwrap();
    assert_eq!(kept, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_comes_back_on_the_same_port() {
    let (plain, kept) = (Redis::start_private().await, Redis::start_append_only().await);
    for (server, expected) in [(&plain, None), (&kept, Some(7))] {
        let client = redis::Client::open(server.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let () = redis::cmd("SET").arg("n").arg(7).query_async(&mut connection).await.unwrap();
        server.kill9();
        server.start().await;
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let n: Option<i32> = redis::cmd("GET").arg("n").query_async(&mut connection).await.unwrap();
        assert_eq!(n, expected);
        server.flush();
        let n: Option<i32> = redis::cmd("GET").arg("n").query_async(&mut connection).await.unwrap();
        assert_eq!(n, None);
    }
    assert_ne!(redis().await.fresh_prefix(), redis().await.fresh_prefix());
}

const HOLD: &str = "RELAIS_TEST_HOLD";

/// Not a test by itself: what [`everything_ends_with_a_killed_test_process`] kills.
#[tokio::test(flavor = "multi_thread")]
async fn starts_servers_and_waits_to_be_killed() {
    let Some(hold) = std::env::var_os(HOLD) else { return };
    let (postgres, redis) = (Postgres::start_private().await, Redis::start_private().await);
    let dir = tests::guardian::scratch_dir("held");
    let embedded = Deployment::Embedded.fresh().await;
    let _rings = embedded.engine().await;
    let file = embedded.database_url.strip_prefix("sqlite://").unwrap();
    let sockets = queue::sockets_of(file.as_ref()).unwrap();
    let folders = [dir.display().to_string(), sockets.display().to_string()];
    let lines = [&[postgres.url("postgres"), redis.port().to_string()][..], &folders].concat();
    std::fs::write(&hold, lines.join("\n") + "\n").unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_ends_with_a_killed_test_process() {
    let file = tests::guardian::scratch_dir("killed").join("servers");
    let mut held = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stores::starts_servers_and_waits_to_be_killed"])
        .env(HOLD, &file)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let minute = Duration::from_secs(60);
    let read = || std::fs::read_to_string(&file).unwrap_or_default();
    tests::stores::until("both servers run", minute, || read().lines().count() == 4);
    let text = read();
    let [url, port, folders @ ..] = &text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert!(folders.iter().all(|folder| Path::new(folder).exists()), "{text}");
    assert!(PgConnection::connect(url).await.is_ok());
    held.kill().unwrap();
    held.wait().unwrap();
    let port: u16 = port.parse().unwrap();
    tests::stores::until("redis-server is gone", minute, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    });
    tests::stores::until("the folders are gone", minute, || {
        !folders.iter().any(|folder| Path::new(folder).exists())
    });
    let port: u16 = url.rsplit(':').next().unwrap().split('/').next().unwrap().parse().unwrap();
    tests::stores::until("PostgreSQL is gone", minute, || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    });
}
