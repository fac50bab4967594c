//! Promise 13, asked of the planner: no reading statement walks the whole table of jobs.

use super::{act, claim, crew, finish, insert, list, prune, read, reap, stats, why};
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
        ("promote", &reap::PROMOTE, 1),
        ("lost", &reap::LOST, 1),
        ("claim", &claim::SCAN, 6),
        ("heads", &claim::HEADS, 2),
        ("unblock", &finish::UNBLOCK, 1),
        ("unblock one", &finish::UNBLOCK_ONE, 1),
        ("unfinished", &read::UNFINISHED, 2),
        ("put in", &insert::INSERT_LANES, 1),
    ]);
    let mut bad = Vec::new();
    for (name, sql, values) in all {
        let lines = plan(&db, sql, values).await;
        let walks = |line: &String| line.starts_with("SCAN") && !line.contains(" USING ");
        // A whole index of jobs in one state is walked only in its own order, to a limit.
        // Nor are all jobs of a state, for those few of them that have a narrow index.
        let all_of_a_state = |line: &String| line.ends_with("jobs_waiting (state=?)");
        let sorts = |line: &String| line.contains("TEMP B-TREE FOR ORDER BY");
        let is_wide = lines.iter().any(all_of_a_state) && name != "stats";
        // Nor is everything that a lane or a principal ever had, to find what is alive.
        let history = |line: &String| line.contains("jobs_of_");
        let walks_history = ["unfinished", "put in"].contains(&name) && lines.iter().any(history);
        let is_bad = lines.iter().any(|line| of_jobs(line) && walks(line) || sorts(line));
        if (is_bad || is_wide || walks_history) && name != "attribute" {
            bad.push(format!("{name}: {lines:#?}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    db.close().await;
    let _ = std::fs::remove_dir_all(dir);
}

/// Whether the line is about the table of jobs, by whatever name, not about a part already read.
fn of_jobs(line: &str) -> bool {
    ["jobs", "me", "ahead", "head"].iter().any(|table| line == format!("SCAN {table}"))
}
