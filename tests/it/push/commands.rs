//! Sites and their keys as an operator makes them (D-30, S-7).

use super::{batch, line, outcomes, post};
use crate::roles::ask;
use serde_json::{Value, json};
use tests::app::TestApp;
use tests::stores::Deployment;
use uuid::Uuid;

/// R-000-5, D-30, S-7: shown once, hashed, two live ones for a change, revoked at once.
pub(super) async fn a_key_is_made_shown_once_changed_and_revoked(deployment: Deployment) {
    let mut app = TestApp::on(deployment.fresh().await, &[]);
    app.start_api().await;
    app.start_worker();
    app.seed(&json!({"sites": [{"id": 1, "nom": "Entrepôt"}]})).await;
    let made = ask(&app, &["keys", "create", "--site", "1", "--name", "Serveur"]);
    assert_eq!(made.code, Some(0), "{made:?}");
    let old = made.out.trim().to_owned();
    let (id, secret) = old.split_once('.').expect("id and secret");
    assert!(id.starts_with("rk_") && secret.len() == 64, "{old}");
    let new: Value =
        serde_json::from_str(&ask(&app, &["keys", "create", "--site", "1", "--json"]).out).unwrap();
    assert_eq!((&new["site_id"], &new["scopes"]), (&json!(1), &json!(["sync:push"])));
    let third = ask(&app, &["keys", "create", "--site", "1"]);
    assert_eq!((third.code, third.out.as_str()), (Some(4), ""), "{third:?}");
    assert_eq!(ask(&app, &["keys", "create", "--site", "9"]).code, Some(3));
    for wrong in [
        &["create"][..],
        &["create", "--scope", "x"],
        &["create", "--site", "1", "--scope", "nas"],
        &["create", "--scope", "sync:push"],
    ] {
        assert_eq!(ask(&app, &[&["keys"], wrong].concat()).code, Some(2), "{wrong:?}");
    }
    let listed = ask(&app, &["keys", "list"]);
    assert!(listed.out.contains(id) && listed.out.contains("Serveur"), "{listed:?}");
    let json = ask(&app, &["keys", "list", "--json"]).out;
    assert!(!json.contains(secret) && !listed.out.contains(secret));
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap().as_array().map(Vec::len), Some(2));
    // The job of one key is seen by the other: it is the site's.
    let a = Uuid::now_v7();
    let push = |number: i64| batch("atomic", &[line(a, number, None, &number.to_string())]);
    let first = push(1);
    assert_eq!(outcomes(&post(&app, &old, "wait=20", &first).await), ["created 1"]);
    let new = new["key"].as_str().unwrap();
    let again = post(&app, new, "wait=20", &first).await;
    assert_eq!(outcomes(&again), ["created 1"]);
    assert_eq!(ask(&app, &["keys", "revoke", id]).code, Some(0));
    assert_eq!(post(&app, &old, "", &push(2)).await.status, 401);
    assert_eq!(outcomes(&post(&app, new, "wait=20", &push(2)).await), ["updated 2"]);
    assert_eq!(ask(&app, &["keys", "revoke", "rk_absent"]).code, Some(3));
    assert_eq!(ask(&app, &["keys", "revoke", &old]).code, Some(2), "a secret is no name");
    assert_eq!(ask(&app, &["keys", "create", "--site", "1"]).code, Some(0), "there is room again");
    let program =
        ask(&app, &["keys", "create", "--scope", "jobs:read", "--scope", "nas", "--expires", "1"]);
    let jobs = super::get(&app, program.out.trim(), "/api/v1/jobs").await;
    assert_eq!((program.code, jobs.status), (Some(0), 200), "{program:?}");
}

/// D-30: `relais seed` knows sites; every error has its path.
pub(super) async fn sites_are_seeded_with_their_keys(deployment: Deployment) {
    let app = TestApp::on(deployment.fresh().await, &[]);
    let db = app.stores.db().await;
    let load = async |text: Value| match records::seed::load(&db, &text.to_string()).await {
        Ok(report) => report.to_string(),
        Err(records::seed::SeedError::Invalid(errors)) => errors.join("\n"),
        Err(error) => panic!("{error}"),
    };
    let site = |keys: &[&str]| json!({"sites": [{"id": 1, "nom": "Un", "cles_api": keys}]});
    for (keys, expected) in [
        (&["sans-point"][..], "sites[0].cles_api[0]: `<id>.<secret>` is expected"),
        (
            &["a.xxxxxxxxxxxxxxxxxxxx", "a.yyyyyyyyyyyyyyyyyyyy"],
            "sites[0].cles_api[1]: another key has the same id",
        ),
        (
            &["a.xxxxxxxxxxxxxxxxxxxx", "b.xxxxxxxxxxxxxxxxxxxx", "c.xxxxxxxxxxxxxxxxxxxx"],
            "sites[0].cles_api: at most 2",
        ),
    ] {
        let told = load(site(keys)).await;
        assert!(told.starts_with(expected), "{told}");
        assert!(!told.contains("xxxxxxxxxx"), "no secret in {told}");
    }
    let unknown = json!({"sites": [{"id": 1, "nom": "Un", "ville": "x"}]});
    assert_eq!(load(unknown).await, "sites[0].ville: unknown member");
    let good = site(&["a.xxxxxxxxxxxxxxxxxxxx", "b.xxxxxxxxxxxxxxxxxxxx"]);
    for _ in 0..2 {
        assert!(load(good.clone()).await.contains("1 sites, 2 cles_api"));
    }
    let found = records::keys::find(&db, "a.xxxxxxxxxxxxxxxxxxxx").await.unwrap().unwrap();
    assert_eq!((found.site_id, found.portees), (Some(1), vec!["sync:push".to_owned()]));
    let third = load(site(&["c.xxxxxxxxxxxxxxxxxxxx"])).await;
    assert!(third.contains("more than 2 live keys"), "{third}");
    let moved =
        json!({"sites": [{"id": 2, "nom": "Deux", "cles_api": ["a.xxxxxxxxxxxxxxxxxxxx"]}]});
    let moved = load(moved).await;
    assert!(moved.contains("another site's"), "{moved}");
    db.close().await;
}
