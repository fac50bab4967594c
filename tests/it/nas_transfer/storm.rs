//! Whoever is killed, at whatever moment.

use super::{Rig, content};
use db::{Sql, args};
use jobs::kinds::TransferToNas;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use std::path::PathBuf;
use std::time::Duration;
use tests::sshd::{Access, descendants};
use tests::stores::{Deployment, signal};
use tests::wait::{until, within};

const COUNT: usize = 300;
const STRIKES: usize = 12;

static HELD: Sql = Sql::both(
    "SELECT COUNT(*) AS held FROM documents WHERE transfert_job IS NOT NULL \
     AND transfert_jusque > {now}",
);

/// Private folders of transfers, here and beside the documents.
fn folders(rig: &Rig, run: &PathBuf) -> Vec<PathBuf> {
    let places = [run, &rig.uploads].map(std::fs::read_dir).into_iter().flatten().flatten();
    let paths = places.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.to_string_lossy().contains("relais-nas-")).collect()
}

/// A process of the worker's, by its program.
fn child(rig: &Rig, program: &str) -> Option<u32> {
    let name = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let all = descendants(rig.app.workers.last().unwrap().pid());
    all.into_iter().find(|pid| name(pid).trim() == program)
}

/// C4, C9, I-25: workers, the file server, rsync and ssh are killed (SIGKILL) at random moments of
/// a transfer. Nothing of a dead worker runs on, no private folder is left, nothing is marked that
/// is not there; and at the end everything is there, and nobody holds a document.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_nothing_is_left_behind_and_everything_arrives() {
    let seed = rand::random();
    let mut random = StdRng::seed_from_u64(seed);
    let env = [("RELAIS_NAS_BANDWIDTH_KIB", "1000")];
    let mut rig = Rig::idle(Deployment::Embedded.fresh().await, Access::Plain, &env).await;
    // Short enough for a socket, and nobody else's.
    let run = PathBuf::from(format!("/tmp/rs-{:08x}", rand::random::<u32>()));
    std::fs::create_dir(&run).unwrap();
    rig.set("TMPDIR", run.to_str().unwrap());
    rig.app.start_worker();
    let all: Vec<_> = (0..COUNT).map(|n| (format!("{n}.bin"), content(n, 20_000))).collect();
    let ids = rig.documents(&all).await;
    let mut job = rig.put(TransferToNas::default()).await;
    for strike in 0..STRIKES {
        if rig.engine.get(job).await.unwrap().unwrap().state.is_final() {
            job = rig.put(TransferToNas::default()).await;
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(20..900))).await;
        match strike % 4 {
            0 => {
                let children = descendants(rig.app.workers.last().unwrap().pid());
                rig.app.workers.last_mut().unwrap().kill9();
                super::cuts::assert_gone(&children, Duration::from_secs(2)).await;
                let left = within(Duration::from_secs(2), async || folders(&rig, &run).is_empty());
                assert!(left.await, "seed {seed}, strike {strike}: {:?}", folders(&rig, &run));
                rig.app.start_worker();
            }
            1 => {
                rig.nas.kill9();
                rig.nas.restart();
            }
            program => {
                let program = if program == 2 { "rsync" } else { "ssh" };
                child(&rig, program).map(|pid| signal(pid, "KILL"));
            }
        }
        rig.assert_marks_are_true(&ids).await;
    }
    rig.engine.wait(job, super::PATIENCE).await.unwrap();
    // What was held by a job that lost three workers is free after a minute.
    let report = within(2 * super::PATIENCE, async || {
        let again = rig.put(TransferToNas::default()).await;
        let row = rig.engine.wait(again, super::PATIENCE).await.unwrap();
        row.is_some_and(|row| row.state == queue::State::Done) && rig.run().await.total == 0
    });
    assert!(report.await, "seed {seed}\n{}", rig.logs());
    rig.assert_marks_are_true(&ids).await;
    rig.nas.assert_holds(&rig.uploads);
    let row = rig.db.read_one(&HELD, args![]).await.unwrap().unwrap();
    assert_eq!(row.get::<i64>("held").unwrap(), 0);
    until("nothing runs", async || child(&rig, "ssh").or(child(&rig, "rsync")).is_none()).await;
    assert!(folders(&rig, &run).is_empty(), "seed {seed}: {:?}", folders(&rig, &run));
    std::fs::remove_dir_all(&run).unwrap();
}
