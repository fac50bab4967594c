//! What only a database server can do: restart under open engines.

use super::stage::{QUEUE, Stage, done, finish, job, put, take, take_one, until};
use std::time::Duration;
use tests::stores::{Deployment, Postgres};

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
