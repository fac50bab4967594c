//! S-41: neither the key's place nor the user is told where the contract does not tell it.

use super::{Rig, content, until};
use jobs::Job;
use jobs::kinds::{TestNas, TransferToNas};
use queue::{Filter, Page};
use tests::sshd::Access;

/// Arguments of every process on this machine that mention a text.
fn arguments_with(text: &str) -> Vec<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| {
        let line = std::fs::read(process.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        line.contains(text).then_some(line)
    });
    lines.collect()
}

/// Looked at while documents travel, and afterwards in whatever was kept.
#[tokio::test(flavor = "multi_thread")]
async fn neither_key_nor_user_is_in_arguments_logs_or_jobs() {
    let mut rig = Rig::start(Access::Plain, &[("RELAIS_NAS_BANDWIDTH_KIB", "500")]).await;
    let key = rig.nas.key(Access::Plain).display().to_string();
    let user_at = format!("{}@", rig.nas.user());
    rig.document("a.bin", &content(1, 600_000)).await;
    let job = rig.put(TransferToNas::default()).await;
    let mut looks = 0;
    until("it is sent", async || {
        assert_eq!(arguments_with(&key), [""; 0]);
        let mine = arguments_with("/relais-nas-");
        looks += usize::from(mine.iter().any(|line| line.contains("--files-from")));
        rig.engine.get(job).await.unwrap().unwrap().state.is_final()
    })
    .await;
    assert!(looks > 2, "rsync was looked at");
    assert_eq!(rig.report(job).await.synced, 1);
    // Failures are talkative.
    rig.nas.change_host_key();
    let failed = rig.put(TransferToNas { documents: Some(vec![1]), ..Default::default() }).await;
    assert_eq!(rig.report(failed).await.failed, 1);
    let test = rig.engine.enqueue(&[TestNas {}.into_new()]).await.unwrap()[0].id;
    rig.end(test).await;
    let listed = rig.engine.list(&Filter::default(), &Page { limit: 100, before: None }).await;
    let mut kept = format!("{:?}", listed.unwrap().rows);
    for id in [job, failed, test] {
        kept.push_str(&format!("{:?}", rig.engine.logs(id, None, 1_000).await.unwrap()));
    }
    kept.push_str(&rig.app.workers[0].log());
    assert!(!kept.contains(&key) && !kept.contains(&user_at), "{kept}");
}
