//! S-23: a host key is trusted by its fingerprint, kept, and a change is a hard stop.

use super::{Rig, content};
use std::process::Command;
use std::time::Duration;
use tests::app::Process;
use tests::sshd::{Access, Sshd};
use tests::stores::Deployment;

async fn relais(rig: &Rig, args: &[&str]) -> (Option<i32>, String) {
    let mut process = Process::spawn(args, &rig.app.env, rig.app.dir());
    let status = process.wait(Duration::from_secs(30)).await;
    (status.and_then(|status| status.code()), process.log())
}

fn fingerprint(nas: &Sshd) -> String {
    let shown = Command::new("ssh-keygen").args(["-lf"]).arg(nas.dir().join("host.pub")).output();
    let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
    shown.split(' ').nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_key_stops_everything_until_somebody_trusts_it() {
    let stores = Deployment::Embedded.fresh().await;
    let mut rig = Rig::on(stores, Access::Plain, &[]).await;
    let id = rig.document("a.pdf", &content(1, 500)).await;
    let (code, said) = relais(&rig, &["nas", "test", "--json"]).await;
    assert_eq!(code, Some(0), "{said}");
    rig.nas.change_host_key();
    let (code, said) = relais(&rig, &["nas", "test"]).await;
    assert!(code == Some(3) && said.contains("host_key_changed"), "{said}");
    let report = rig.run().await;
    assert_eq!((report.synced, report.failed), (0, 1));
    assert!(report.errors[0].contains("la clé d'hôte a changé"), "{report:?}");
    assert!(rig.app.workers[0].log().contains("nas_host_key_changed"));
    assert!(!rig.get(id).await.synced_to_nas && !rig.on_nas("a.pdf").exists());
    // Nobody there to compare, and then a wrong fingerprint: nothing is trusted.
    assert_eq!(relais(&rig, &["nas", "trust"]).await.0, Some(2));
    let wrong = format!("SHA256:{}", "A".repeat(43));
    let (code, said) = relais(&rig, &["nas", "trust", "--fingerprint", &wrong]).await;
    assert_eq!(code, Some(3), "{said}");
    assert_eq!(relais(&rig, &["nas", "trust", "--fingerprint", "x"]).await.0, Some(2));
    assert_eq!(rig.run().await.failed, 1);
    let right = fingerprint(&rig.nas);
    let (code, said) = relais(&rig, &["nas", "trust", "--fingerprint", &right]).await;
    assert!(code == Some(0) && said.contains(&right), "{said}");
    assert_eq!(relais(&rig, &["nas", "test"]).await.0, Some(0));
    assert_eq!(rig.run().await.synced, 1, "{}", rig.logs());
}

/// Without the file server's settings there is nothing to trust; that is wrong usage.
#[tokio::test(flavor = "multi_thread")]
async fn a_file_server_that_is_not_configured_is_said_so() {
    let mut rig = Rig::idle(Deployment::Embedded.fresh().await, Access::Plain, &[]).await;
    rig.app.env.retain(|(name, _)| name != "NAS_USER");
    assert_eq!(relais(&rig, &["nas", "trust", "--yes"]).await.0, Some(2));
    let (code, said) = relais(&rig, &["nas", "test"]).await;
    assert!(
        code == Some(3) && said.contains("Définissez NAS_HOST, NAS_USER et NAS_PATH"),
        "{said}"
    );
}
