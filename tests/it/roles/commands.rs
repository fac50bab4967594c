//! Commands that end: `migrate`, `seed`, `jobs`, and the help of all.

use super::{SERIAL, printed, relais, relais_reading, sales, shop};
use db::{Sql, args};
use serde_json::Value;
use sqlx::Connection as _;
use tests::app::TestApp;
use tests::guardian::scratch_dir;
use tests::stores::{Deployment, postgres};

#[test]
fn every_command_helps_and_names_its_flags() {
    let dir = scratch_dir("help");
    let everywhere = ["--config", "--database-url", "--redis-url", "--log-format", "--log-filter"];
    let commands: [(&[&str], &[&str]); 24] = [
        (
            &[],
            &[
                "up",
                "api",
                "worker",
                "scheduler",
                "migrate",
                "seed",
                "jobs",
                "queues",
                "dead",
                "schedules",
                "bench",
                "Examples:",
            ],
        ),
        (&["up"], &["--demo", "--bind", "127.0.0.1:8000", "--workers", "--queues"]),
        (&["api"], &["--bind"]),
        (&["worker"], &["--workers", "--queues"]),
        (&["scheduler"], &[]),
        (&["migrate"], &[]),
        (&["seed"], &["FILE"]),
        (&["bench"], &["--jobs", "--json", "--clear", "latency", "removes its own"]),
        (&["jobs"], &["list", "show", "why", "tail", "enqueue", "Examples:", "Exit codes:"]),
        (&["jobs", "why"], &["ID", "--json"]),
        (&["jobs", "tail"], &["ID", "--json", "Exit codes:"]),
        (
            &["jobs", "enqueue"],
            &[
                "--queue",
                "--priority",
                "--run-at",
                "--in",
                "--lane",
                "--unique",
                "--attribute",
                "--wait",
            ],
        ),
        (
            &["jobs", "cancel"],
            &["--state", "--kind", "--reason", "--dry-run", "--yes", "Exit codes:"],
        ),
        (&["jobs", "retry"], &["--state", "--attribute", "--since", "--until", "--principal"]),
        (&["jobs", "delete"], &["--state", "--lane", "--limit"]),
        (&["queues"], &["list", "pause", "resume", "Examples:", "Exit codes:"]),
        (&["queues", "pause"], &["QUEUE", "--kind", "--for", "--until", "--reason"]),
        (&["workers"], &["--json"]),
        (&["dead"], &["list", "requeue", "Examples:", "Exit codes:"]),
        (&["dead", "requeue"], &["ID", "--kind", "--reason", "--dry-run", "--yes"]),
        (&["jobs", "list"], &["--state", "--kind", "--queue", "--limit", "--before", "--json"]),
        (&["jobs", "show"], &["ID", "--json"]),
        (&["schedules"], &["list", "show", "preview", "pause", "resume", "trigger", "ticks"]),
        (&["schedules", "pause"], &["NAME", "--until", "--reason", "--json"]),
    ];
    for (command, named) in commands {
        let ended = relais(&dir, &[], &[command, &["--help"]].concat());
        assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""), "{command:?}");
        for name in named.iter().chain(&everywhere) {
            assert!(ended.out.contains(name), "{command:?} does not name {name}\n{}", ended.out);
        }
    }
    let version = relais(&dir, &[], &["--version"]);
    assert!(version.code == Some(0) && version.out.starts_with("relais "), "{version:?}");
    for wrong in [&["jobs", "list", "--state", "lost"][..], &["jobs", "show", "7"], &["sing"]] {
        let ended = relais(&dir, &[], wrong);
        assert_eq!(ended.code, Some(2), "{wrong:?}: {ended:?}");
    }
}

#[test]
fn a_wrong_seed_lists_every_path_and_changes_nothing() {
    let dir = scratch_dir("seed");
    let mut wrong = shop();
    wrong["boutiques"][0]["fuseau"] = "Mars/Olympus".into();
    wrong["terminaux"][0]["boutique_id"] = 99.into();
    wrong["articles"][0]["prix_vente"] = "1.234".into();
    wrong["articles"][0]["couleur"] = "bleu".into();
    std::fs::write(dir.join("wrong.json"), wrong.to_string()).unwrap();
    let ended = relais(&dir, &[], &["seed", "wrong.json"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for path in [
        "boutiques[0].fuseau",
        "terminaux[0].boutique_id",
        "articles[0].prix_vente",
        "articles[0].couleur",
    ] {
        assert!(ended.err.contains(path), "{path} is not told\n{}", ended.err);
    }
    let absent = relais(&dir, &[], &["seed", "absent.json"]);
    assert!(absent.code == Some(1) && absent.err.contains("absent.json cannot be read"));
    // The same file, now right, is all new.
    let text = shop().to_string();
    let loaded = relais_reading(&dir, &[], &["seed", "-"], &text);
    assert_eq!(loaded.code, Some(0), "{loaded:?}");
    assert!(loaded.out.contains("loaded: 1 boutiques, 1 terminaux, 1 articles"), "{loaded:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_seed_leaves_no_row() {
    let stores = Deployment::Embedded.fresh().await;
    let url = stores.database_url.clone();
    let mut wrong = shop();
    wrong["articles"][0]["boutique_id"] = 99.into();
    let ended =
        relais_reading(&stores.dir, &[("DATABASE_URL", &url)], &["seed", "-"], &wrong.to_string());
    assert_eq!(ended.code, Some(1), "{ended:?}");
    static ROWS: Sql = Sql::both(
        "SELECT (SELECT count(*) FROM boutiques) + (SELECT count(*) FROM terminaux) AS n",
    );
    let row = stores.db().await.read_one(&ROWS, args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("n").unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_shown_to_people_and_to_programs() {
    for deployment in Deployment::chosen() {
        let mut app = TestApp::on(deployment.fresh().await, &[("RELAIS_API_WAIT_SECONDS", "1")]);
        app.seed(&shop()).await;
        app.start_api().await;
        let answer = app.post_sales(SERIAL, &sales("J", 2)).await.unwrap();
        assert_eq!(answer.status, 202, "nobody works: {}", answer.text);
        let list = app.run(&["jobs", "list"]).await;
        let mut lines = list.lines();
        let head = lines.next().unwrap();
        assert!(head.starts_with("ID ") && head.contains("STATE"), "{list}");
        let line = lines.next().unwrap();
        assert!(line.contains("apply_sales_batch") && line.contains("ready"), "{list}");
        let id = line.split(' ').next().unwrap();
        let json: Value =
            serde_json::from_str(&app.run(&["jobs", "list", "--json"]).await).unwrap();
        assert_eq!(json.as_array().map(Vec::len), Some(1));
        assert_eq!((&json[0]["id"], &json[0]["state"]), (&id.into(), &"ready".into()));
        let shown = app.run(&["jobs", "show", id]).await;
        assert!(shown.contains("no worker has taken it yet"), "{shown}");
        assert!(shown.contains("boutique:2"), "{shown}");

        let worker = app.start_worker();
        printed(&app.workers[worker], "J-1").await;
        super::until("the job is done", async || {
            let done = app.run(&["jobs", "list", "--state", "done", "--json"]).await;
            serde_json::from_str::<Value>(&done).unwrap().as_array().map(Vec::len) == Some(1)
        })
        .await;
        assert_eq!(app.run(&["jobs", "list", "--state", "dead", "--json"]).await.trim(), "[]");
        let shown: Value =
            serde_json::from_str(&app.run(&["jobs", "show", id, "--json"]).await).unwrap();
        assert_eq!((&shown["state"], &shown["attempt"]), (&"done".into(), &1.into()));
        assert_eq!(shown["payload"]["ventes"][0]["numero_facture"], "J-0");
        assert_eq!(shown["attempts"].as_array().map(Vec::len), Some(0));
        let unknown = "0198c1d2-0000-7000-8000-000000000000";
        let env: Vec<_> = app.env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        let ended = relais(app.dir(), &env, &["jobs", "show", unknown]);
        assert_eq!(ended.code, Some(3));
        assert!(ended.err.contains(&format!("there is no job {unknown}")), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_twice_and_twice_at_once_is_migrating_once() {
    let dir = scratch_dir("migrate");
    let mut urls = vec![format!("sqlite://{}", dir.join("new.db").display())];
    if Deployment::Postgres.is_chosen() {
        urls.push(empty_database().await);
    }
    for url in urls {
        let migrate = || {
            let (dir, url) = (dir.clone(), url.clone());
            tokio::task::spawn_blocking(move || {
                relais(&dir, &[("DATABASE_URL", &url)], &["migrate"])
            })
        };
        let at_once: Vec<_> = (0..4).map(|_| migrate()).collect();
        for ended in at_once {
            let ended = ended.await.unwrap();
            assert_eq!(ended.code, Some(0), "{ended:?}");
        }
        let again = migrate().await.unwrap();
        assert_eq!(again.code, Some(0), "{again:?}");
        assert!(again.out.contains("is up to date"), "{again:?}");
        let listed = relais(&dir, &[("DATABASE_URL", &url)], &["jobs", "list"]);
        assert_eq!(listed.code, Some(0), "{listed:?}");
    }
}

/// S-54: a process of the release before may start anew while an update rolls.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_schema_is_worked_with() {
    static LATER: Sql = Sql::both(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         SELECT 9999, 'later', success, checksum, execution_time FROM _sqlx_migrations \
         WHERE version = 1",
    );
    for deployment in [Deployment::Embedded, Deployment::Postgres] {
        if !deployment.is_chosen() {
            continue;
        }
        let (stores, dir) = (deployment.fresh().await, scratch_dir("newer"));
        let db = stores.db().await;
        db.execute(&LATER, Vec::new()).await.unwrap();
        let url = [("DATABASE_URL", stores.database_url.as_str())];
        let told = relais(&dir, &url, &["migrate"]);
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.err.contains("changed by a newer relais"), "{told:?}");
        let works = relais(&dir, &url, &["jobs", "list"]);
        assert_eq!(works.code, Some(0), "{works:?}");
        db.close().await;
    }
}

/// A database without any table.
async fn empty_database() -> String {
    let url = postgres().await.fresh_database().await;
    let name = format!("empty_{}", uuid::Uuid::new_v4().simple());
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    let statement = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
    sqlx::raw_sql(statement).execute(&mut connection).await.unwrap();
    let (server, rest) = url.rsplit_once('/').unwrap();
    let parameters = rest.split_once('?').map_or("", |(_, parameters)| parameters);
    format!("{server}/{name}?{parameters}")
}
