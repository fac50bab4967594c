//! A key file that ssh cannot use is no key that the file server refuses: each door says which of
//! the two it is, and none where the file lies.

use super::{Rig, content};
use jobs::kinds::TransferToNas;
use tests::app::Process;
use tests::sshd::{Access, lock_key};
use tests::stores::Deployment;

const KEY: &str = "anne.5f0c9a7e1d2b4c6f8a9b0c1d2e3f4a5b";
const TOLD: &str = "Échec de connexion : clé protégée par une phrase secrète (ssh-keygen -p)";

/// R-001-5, R-001-17, R-001-20, R-001-25, S-41.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_with_a_passphrase_is_told_at_each_door_and_nowhere_where_it_is() {
    let mut rig = Rig::idle(Deployment::Embedded.fresh().await, Access::Plain, &[]).await;
    let locked = rig.nas.copy_of_key("passphrase", 0o600);
    lock_key(&locked, "secret");
    rig.set("RELAIS_NAS_KEY_FILE", locked.to_str().unwrap());
    let keys = [serde_json::json!({"cle": KEY, "nom": "Anne", "portees": ["nas"]})];
    rig.app.seed(&serde_json::json!({ "cles_api": keys })).await;
    rig.app.start_api().await;
    rig.app.start_worker();

    let test = rig.app.http().post(rig.app.url(0, "/api/v1/sync/test"));
    let answer = test.header("X-API-Key", KEY).send().await.unwrap().text().await.unwrap();
    let found: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(found, serde_json::json!({"success": false, "message": TOLD}));

    let mut test = Process::spawn(&["nas", "test"], &rig.app.env, rig.app.dir());
    let status = test.wait(super::PATIENCE).await.and_then(|status| status.code());
    let said = test.log();
    assert_eq!(status, Some(3), "{said}");
    for words in [TOLD, "code: key_passphrase", "ssh-keygen -p"] {
        assert!(said.contains(words), "{said}");
    }

    let id = rig.document("a.pdf", &content(1, 500)).await;
    let job = rig.put(TransferToNas::default()).await;
    let report = rig.report(job).await;
    assert_eq!(report.errors, [format!("Document {id}: {TOLD}")]);

    let logs = [rig.app.workers[0].log(), rig.app.apis[0].log()].concat();
    let told = [answer, said, rig.lines(job).await, logs].concat();
    for secret in [locked.to_str().unwrap(), &format!("{}@", rig.nas.user())] {
        assert!(!told.contains(secret), "{told}");
    }
}
