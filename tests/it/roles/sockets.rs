//! The sockets by which processes of one SQLite file ring each other: what a killed one leaves is
//! removed by those that come after it or are there still.

use super::{PATIENCE, until};
use std::path::Path;
use tests::app::TestApp;
use tests::stores::Deployment;

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sockets_of_killed_processes_go_and_their_folder_with_the_last_process() {
    let mut app = TestApp::on(Deployment::Embedded.fresh().await, &[]);
    let file = app.stores.database_url.strip_prefix("sqlite://").unwrap().to_owned();
    let folder = queue::sockets_of(Path::new(&file)).unwrap();
    app.start_worker();
    until("it has a socket", async || names(&folder).len() == 1).await;
    let dead = names(&folder);
    app.workers[0].kill9();
    assert_eq!(names(&folder), dead);
    app.start_worker();
    until("the next one has its own", async || {
        names(&folder).iter().any(|name| !dead.contains(name))
    })
    .await;
    until("the dead one's is gone", async || names(&folder).len() == 1).await;

    app.start_worker();
    until("both have theirs", async || names(&folder).len() == 2).await;
    app.workers[1].kill9();
    app.workers[2].terminate();
    assert!(app.workers[2].wait(PATIENCE).await.is_some());
    assert!(!folder.exists(), "{:?}", names(&folder));
}
