//! Promise 13, asked of the planner: no reading statement walks the whole table of jobs.

use super::{act, crew, list, prune, reap, stats, why};
use db::{DatabaseUrl, Db, Dialect, Settings, Sql, Value};
use std::time::Duration;

/// What SQLite says it will do.
async fn plan(db: &Db, sql: &'static Sql, values: usize) -> Vec<String> {
    let text = format!("EXPLAIN QUERY PLAN {}", sql.text(Dialect::Sqlite));
    // A statement lives as long as its process.
    let asked: &'static str = Box::leak(text.into_boxed_str());
    let asked: &'static Sql = Box::leak(Box::new(Sql::both(asked)));
    let values = (0..values).map(|_| Value::from(0_i64)).collect();
    let rows = db.read(asked, values).await.expect("a plan");
    rows.iter().map(|row| row.get("detail").expect("a line")).collect()
}

#[tokio::test]
async fn no_read_walks_the_table_of_jobs() {
    let dir = std::env::temp_dir().join(format!("relais-plans-{}", uuid::Uuid::new_v4()));
    std::fs::create_dir_all(&dir).expect("a directory");
    let file = dir.join("relais.db").display().to_string();
    let url: DatabaseUrl = format!("sqlite://{file}").parse().expect("a url");
    let settings = Settings { url, connections: 2, acquire: Duration::from_secs(5) };
    let db = Db::open(&settings).await.expect("it opens");
    db.migrate().await.expect("it migrates");
    let mut all = list::statements();
    all.extend([
        ("cancels", &act::ANY_CANCEL, 0),
        ("cancels of", &act::CANCELS_OF, 1),
        ("held", &crew::HELD, 0),
        ("stats", &stats::STATS, 0),
        ("lane head", &why::LANE_HEAD, 2),
        ("lane ahead", &why::LANE_AHEAD, 2),
        ("turn", &why::TURN, 1),
        ("next due", &reap::NEXT_DUE, 0),
        ("look", &reap::LOOK, 0),
        ("expiring", &reap::EXPIRING, 1),
        ("prune", &prune::PRUNE, 3),
    ]);
    for (name, sql, values) in all {
        let lines = plan(&db, sql, values).await;
        let walks = lines.iter().any(|line| {
            let is_bare = line.starts_with("SCAN") && !line.contains(" USING ");
            let of_jobs = ["jobs", "me", "ahead", "head", "held"];
            is_bare && of_jobs.iter().any(|table| line == &format!("SCAN {table}"))
        });
        assert!(!walks, "{name}: {lines:#?}");
        // Walking the primary key is what `list` without a filter does, bounded by its limit.
        let sorts = lines.iter().any(|line| line.contains("TEMP B-TREE FOR ORDER BY"));
        assert!(!sorts || name == "attribute" || name == "stats", "{name} sorts: {lines:#?}");
    }
    db.close().await;
    let _ = std::fs::remove_dir_all(dir);
}
