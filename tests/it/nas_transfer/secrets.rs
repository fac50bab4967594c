//! S-41: neither the key's place nor the user is told where the contract does not tell it.

use super::{Rig, content, until};
use jobs::Job;
use jobs::kinds::{TestNas, TransferToNas};
use queue::{Filter, Page};
use tests::app::Process;
use tests::sshd::Access;
use tests::stores::is_root;

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

const KEY: &str = "canary.7d1f0b6a93c84e52b1d07a6ec39f4482";

/// S-41, R-001-16, I-29: with everything logged, through every door of the contract, while a
/// document travels the way that shows most (R-001-31: user, host and path, as the source has it)
/// and when all goes wrong.
#[tokio::test(flavor = "multi_thread")]
async fn with_everything_logged_no_secret_is_told() {
    let env = [("RELAIS_LOG_FILTER", "trace"), ("RELAIS_NAS_BANDWIDTH_KIB", "300")];
    let mut rig = Rig::start(Access::Plain, &env).await;
    let keys = [serde_json::json!({"cle": KEY, "nom": "Canary", "portees": ["nas", "admin"]})];
    rig.app.seed(&serde_json::json!({ "cles_api": keys })).await;
    rig.app.start_api().await;
    let key_file = rig.nas.key(Access::Plain);
    let private = std::fs::read_to_string(&key_file).unwrap();
    let mut canaries = vec![
        key_file.display().to_string(),
        KEY.split_once('.').unwrap().1.to_owned(),
        private.lines().nth(1).unwrap().to_owned(),
    ];
    let mut told = String::new();
    let ask = async |rig: &Rig, method: &str, path: &str| {
        let request = rig.app.http().request(method.parse().unwrap(), rig.app.url(0, path));
        let response = request.header("X-API-Key", KEY).send().await.unwrap();
        format!("{path} {} {:?}\n", response.status(), response.headers().clone())
            + &response.text().await.unwrap()
    };
    let id = rig.document("a.bin", &content(1, 900_000)).await;
    let single = format!("/api/v1/sync/document/{id}");
    let mut looks = 0;
    let looking = async {
        loop {
            for canary in &canaries {
                assert_eq!(arguments_with(canary), [""; 0], "{canary}");
            }
            looks += usize::from(arguments_with("-avz").iter().any(|line| line.contains("a.bin")));
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        answer = ask(&rig, "POST", &single) => told.push_str(&answer),
        () = looking => {}
    }
    assert!(looks > 2 && told.contains("Synchronis"), "{looks} {told}");
    // As root whoever signs in has a name that is nobody else's.
    canaries.extend(is_root().then(|| rig.nas.user().to_owned()));
    rig.nas.change_host_key();
    for (method, path) in [
        ("GET", "/api/v1/sync/status"),
        ("GET", "/api/v1/sync/config"),
        ("POST", "/api/v1/sync/test"),
        ("POST", "/api/v1/sync/run"),
        ("POST", single.as_str()),
        ("GET", "/api/v1/jobs?limit=100"),
        ("GET", "/api/v1/documents"),
        ("GET", "/metrics"),
    ] {
        told.push_str(&ask(&rig, method, path).await);
    }
    let listed = rig.engine.list(&Filter::default(), &Page { limit: 100, before: None }).await;
    let rows = listed.unwrap().rows;
    assert!(rows.len() >= 3, "{rows:?}");
    for row in rows {
        told.push_str(&format!("{row:?}\n{}", rig.lines(row.id).await));
        let id = row.id.to_string();
        for args in [&["jobs", "show"][..], &["jobs", "why"], &["jobs", "show", "--json"]] {
            let args = [args, &[id.as_str()]].concat();
            let mut shown = Process::spawn(&args, &rig.app.env, rig.app.dir());
            shown.wait(super::PATIENCE).await;
            told.push_str(&shown.log());
        }
    }
    for log in [rig.app.workers[0].log(), rig.app.apis[0].log()] {
        // What there is below is silent so far.
        assert!(log.contains("\"level\":\"DEBUG\""), "everything is logged");
        told.push_str(&log);
    }
    for canary in canaries {
        let line = told.lines().find(|line| line.contains(&canary));
        assert_eq!(line, None, "{canary}");
    }
}
