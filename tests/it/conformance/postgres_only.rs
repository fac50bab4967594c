//! What only a database server can do: restart under open engines.

use super::gather::{at_once, whole_or_not_there};
use super::stage::{QUEUE, Stage, done, finish, job, put, take, take_one, until};
use db::{Sql, args};
use queue::{Filter, NewJob, Page, State};
use std::time::Duration;
use tests::stores::{Deployment, Postgres, signal};

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_postgres_is_found_again_and_nothing_is_lost() {
    if !Deployment::Postgres.is_chosen() {
        return;
    }
    let server = Postgres::start_private().await;
    let mut stores = Deployment::Embedded.fresh().await;
    stores.database_url = server.fresh_database().await;
    let stage = Stage::on(stores).await;
    let elsewhere = stage.another().await;
    let before = put(&stage, job()).await;
    for kill in [false, true] {
        if kill {
            server.kill9();
            assert!(stage.enqueue(&[job()]).await.is_err_and(|error| error.is_transient()));
            server.start().await;
        } else {
            server.restart_immediate().await;
        }
        let again = job();
        until("it takes jobs again", async || {
            stage.enqueue(std::slice::from_ref(&again)).await.is_ok()
        })
        .await;
        // The connection that listens has come back as well.
        let mut there = elsewhere.ready(QUEUE);
        until("it is heard again", async || {
            there.mark_unchanged();
            put(&stage, job()).await;
            let soon = Duration::from_millis(500);
            tokio::time::timeout(soon, there.changed()).await.is_ok()
        })
        .await;
    }
    let first = take_one(&elsewhere).await;
    assert_eq!(first.ticket.id, before);
    finish(&elsewhere, first.ticket, done()).await;
    let stats = stage.stats().await.unwrap();
    let waiting = usize::try_from(stats[0].ready).unwrap();
    assert!(waiting >= 4, "{stats:?}");
    take(&elsewhere, waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_fails_calls_at_once_for_the_moment_and_leaves_none_half_in() {
    if !Deployment::Postgres.is_chosen() {
        return;
    }
    let server = Postgres::start_private().await;
    let mut stores = Deployment::Embedded.fresh().await;
    stores.database_url = server.fresh_database().await;
    stores.acquire = Duration::from_millis(200);
    let stage = Stage::on(stores).await;
    let mut calls = Vec::new();
    let mut accepted = Vec::new();
    // The server dies somewhere in the middle of the second round, and is gone in the third.
    for round in 0..3 {
        let these: Vec<_> = (0..64).map(|_| vec![job(), job()]).collect();
        let (answers, ()) = tokio::join!(at_once(&stage, &these), async {
            if round == 1 {
                tokio::time::sleep(Duration::from_millis(1)).await;
                server.kill9();
            }
        });
        for (jobs, answer) in these.iter().zip(&answers) {
            match answer {
                Ok(_) => accepted.extend(jobs.iter().map(|job| job.id)),
                Err(error) => assert!(round > 0 && error.is_transient(), "{error:?}"),
            }
        }
        assert!(round < 2 || answers.iter().all(Result::is_err));
        calls.extend(these);
    }
    server.start().await;
    until("it takes jobs again", async || stage.enqueue(&[job()]).await.is_ok()).await;
    whole_or_not_there(&stage, &calls).await;
    for id in accepted {
        assert!(stage.get(id).await.unwrap().is_some());
    }
    stage.close().await;
}

/// A claim waits for no disk. A server that dies may have forgotten it, and gives the job to somebody
/// else: its first holder, which still runs, is nobody then.
#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_a_killed_server_forgot_gives_its_holder_no_right() {
    static WRITER: Sql =
        Sql::both("SELECT pid::bigint FROM pg_stat_activity WHERE backend_type = 'walwriter'");
    if !Deployment::Postgres.is_chosen() {
        return;
    }
    let server = Postgres::start_private().await;
    let mut stores = Deployment::Embedded.fresh().await;
    stores.database_url = server.fresh_database().await;
    let stage = Stage::on(stores).await;
    let id = put(&stage, job()).await;
    let writer = stage.db().read_one(&WRITER, args![]).await.unwrap().unwrap();
    let writer = u32::try_from(writer.get::<i64>("pid").unwrap()).unwrap();
    assert!(signal(writer, "STOP"));
    let forgotten = take_one(&stage).await;
    server.kill9();
    assert!(signal(writer, "KILL"));
    server.start().await;
    until("it answers again", async || stage.ping().await.is_ok()).await;
    let row = stage.get(id).await.unwrap().unwrap();
    assert_eq!((row.state, row.attempt), (State::Ready, 0), "the claim was on the disk");
    let holder = take_one(&stage).await;
    assert_eq!(holder.ticket.id, id);
    let late = stage.finish(&[(forgotten.ticket, done())]).await.unwrap();
    assert!(late.is_empty(), "{late:?} was not held");
    finish(&stage, holder.ticket, done()).await;
    stage.close().await;
}

/// A process frozen in a transaction would keep its locks, and jobs, from everybody else.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_stands_still_in_a_transaction_is_ended_and_may_try_again() {
    static LIMIT: Sql = Sql::both(
        "SELECT current_setting('idle_in_transaction_session_timeout') AS said, pg_backend_pid()::bigint AS pid",
    );
    static SHORTER: Sql = Sql::both("SET LOCAL idle_in_transaction_session_timeout = '50ms'");
    static ALIVE: Sql = Sql::both("SELECT pid FROM pg_stat_activity WHERE pid = $1::bigint");
    let Some(stage) = Stage::open(Deployment::Postgres).await else { return };
    let mut tx = stage.db().begin().await.unwrap();
    let row = tx.row(&LIMIT, args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<String>("said").unwrap(), "15s");
    tx.execute(&SHORTER, args![]).await.unwrap();
    let pid = row.get::<i64>("pid").unwrap();
    until("the session is ended", async || {
        stage.db().read_one(&ALIVE, args![pid]).await.unwrap().is_none()
    })
    .await;
    let error = tx.execute(&LIMIT, args![]).await.unwrap_err();
    assert!(error.is_transient(), "{error:?}");
    drop(tx);
    stage.close().await;
}

/// Promise 13 by the server's own counters: what is read for a page, the figures or a reason
/// does not grow with the record.
#[tokio::test(flavor = "multi_thread")]
async fn reading_touches_as_many_rows_in_a_large_record_as_in_a_small_one() {
    static TOUCHED: Sql = Sql::both(
        "SELECT CAST(seq_tup_read AS bigint) AS walked, CAST(idx_tup_fetch AS bigint) AS fetched \
         FROM pg_stat_user_tables WHERE relname = 'jobs'",
    );
    static ANALYZE: Sql = Sql::both("ANALYZE");
    async fn grow(stage: &Stage, thousands: usize) {
        for _ in 0..thousands {
            let about = vec![("a".to_owned(), thousands.to_string())];
            let jobs: Vec<NewJob> = (0..1_000)
                .map(|_| NewJob { attributes: about.clone(), principal: Some("p".into()), ..job() })
                .collect();
            stage.enqueue(&jobs).await.unwrap();
            let held = take(stage, 1_000).await;
            let ends: Vec<_> = held.iter().map(|job| (job.ticket, done())).collect();
            stage.finish(&ends).await.unwrap();
        }
    }
    let Some(stage) = Stage::open(Deployment::Postgres).await else { return };
    // A session tells what it counted when it ends, at the latest.
    let counted = async || {
        let db = stage.another().await;
        let row = db.db().read_one(&TOUCHED, args![]).await.unwrap().unwrap();
        db.db().close().await;
        (row.get::<i64>("walked").unwrap(), row.get::<i64>("fetched").unwrap())
    };
    let some = |text: &str| Some(text.to_owned());
    let filters = [
        Filter::default(),
        Filter { state: Some(State::Done), ..Filter::default() },
        Filter { kind: some("test"), ..Filter::default() },
        Filter { queue: some(QUEUE), ..Filter::default() },
        Filter { principal: some("p"), ..Filter::default() },
        Filter { attribute: Some(("a".into(), "6".into())), ..Filter::default() },
    ];
    let mut fetched = Vec::new();
    for done_thousands in [6, 12] {
        grow(&stage, done_thousands).await;
        stage.db().execute(&ANALYZE, args![]).await.unwrap();
        let before = counted().await;
        let reader = stage.another().await;
        for filter in &filters {
            let page = Page { limit: 10, before: None };
            assert_eq!(reader.list(filter, &page).await.unwrap().rows.len(), 10, "{filter:?}");
        }
        reader.workers().await.unwrap();
        reader.stats().await.unwrap();
        reader.db().close().await;
        let after = counted().await;
        assert_eq!(after.0 - before.0, 0, "rows walked without an index");
        fetched.push(after.1 - before.1);
    }
    assert!(fetched[1] < fetched[0] + 1_000, "{fetched:?} rows fetched");
    stage.close().await;
}

/// Each request asks how many jobs of its principal are unfinished: never by going through all that
/// it ever had.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_unfinished_is_not_counted_among_all_jobs_of_a_principal() {
    static SCANS: Sql = Sql::both(
        "SELECT indexrelname::text AS index, idx_scan AS scans FROM pg_stat_user_indexes \
         WHERE indexrelname IN ('jobs_of_principal', 'jobs_unfinished') ORDER BY 1",
    );
    let Some(stage) = Stage::open(Deployment::Postgres).await else { return };
    let asker = stage.another().await;
    let mine = || NewJob { principal: Some("p".into()), ..job() };
    for _ in 0..10 {
        let jobs: Vec<_> = (0..50).map(|_| mine()).collect();
        stage.enqueue(&jobs).await.unwrap();
        let ends: Vec<_> =
            take(&stage, 50).await.iter().map(|held| (held.ticket, done())).collect();
        stage.finish(&ends).await.unwrap();
        assert_eq!(asker.unfinished("p", 20).await.unwrap(), 0);
    }
    // A session tells what it counted when it ends, at the latest.
    asker.db().close().await;
    let reader = stage.another().await;
    let rows = reader.db().read(&SCANS, args![]).await.unwrap();
    let scans = rows.iter().map(|row| row.get::<i64>("scans").unwrap());
    assert_eq!(scans.collect::<Vec<_>>(), [0, 10]);
    reader.db().close().await;
    stage.close().await;
}
