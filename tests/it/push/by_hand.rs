//! `relais conflicts`: what an operator sees and decides.

use super::{Site, based, closed, conflict_of, line, outcomes};
use crate::roles::ask;
use serde_json::{Value, json};
use tests::stores::Deployment;
use uuid::Uuid;

/// D-44: the same list, the same decision, as over HTTP; by whom is kept.
pub(super) async fn conflicts_are_listed_and_decided_by_hand(deployment: Deployment) {
    let site = Site::open(deployment).await;
    let number = site.id.to_string();
    let entity = Uuid::now_v7();
    let lost = site.push(&[based(line(entity, 1, None, "1"), 3)]).await;
    assert_eq!(outcomes(&lost), ["conflict missing_base"]);
    let id = conflict_of(&lost);
    let list = |more: &[&str]| {
        let words = [&["conflicts", "list", "--site", &number, "--json"], more].concat();
        let listed = ask(site.app, &words);
        assert_eq!(listed.code, Some(0), "{listed:?}");
        serde_json::from_str::<Value>(&listed.out).unwrap()
    };
    let over_http = site.get("/api/v1/sync/conflicts?status=open").await.json();
    assert_eq!(list(&[]), over_http["conflicts"]);
    let shown = ask(site.app, &["conflicts", "show", &id]);
    assert!(shown.out.contains("missing_base") && shown.out.contains("Tôle"), "{shown:?}");
    for wrong in [&["--keep", "x"][..], &[], &["--keep", "server", "--data", "{}"]] {
        let words = [&["conflicts", "resolve", &id], wrong].concat();
        assert_eq!(ask(site.app, &words).code, Some(2), "{wrong:?}");
    }
    let content = |text: &str| ask(site.app, &["conflicts", "resolve", &id, "--data", text]);
    for wrong in ["{", "[]", r#"{"quantite": "0"}"#] {
        let refused = content(wrong);
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""), "{refused:?}");
    }
    let kept = || ask(site.app, &["conflicts", "resolve", &id, "--keep", "client", "--json"]);
    let decided = kept();
    let json: Value = serde_json::from_str(&decided.out).unwrap_or_else(|_| panic!("{decided:?}"));
    assert_eq!((&json["resolution"], &json["result_rev"]), (&json!("client"), &json!(1)));
    assert!(json["resolved_by"].as_str().unwrap().starts_with("cli:"), "{json}");
    assert_eq!(kept().code, Some(0), "the same decision again is the same");
    assert_eq!(ask(site.app, &["conflicts", "resolve", &id, "--keep", "server"]).code, Some(4));
    assert_eq!((list(&[]), list(&["--status", "all"])[0]["id"].clone()), (json!([]), json!(id)));
    let unknown = Uuid::now_v7().to_string();
    assert_eq!(ask(site.app, &["conflicts", "show", &unknown]).code, Some(3));
    assert_eq!(
        ask(site.app, &["conflicts", "resolve", &unknown, "--keep", "server"]).code,
        Some(3)
    );
    // A closed ticket stays as it is, whoever decides.
    let ticket = Uuid::now_v7();
    let late = [closed(ticket, 1, "T-1"), closed(ticket, 9, "T-2")];
    site.push(&late[..1]).await;
    let id = conflict_of(&site.push(&late[1..]).await);
    assert_eq!(ask(site.app, &["conflicts", "resolve", &id, "--keep", "client"]).code, Some(4));
    site.close().await;
}
