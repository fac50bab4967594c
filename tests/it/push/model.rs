//! Random batches against a plain model of a site (I-1, I-9 … I-13, I-19): every answer is what the
//! model says, in the end the record is too, and both databases answer alike (I-32).
//!
//! `RELAIS_TEST_CASES=500` runs more of them than the default.

mod commands;
mod site;

use super::{Site, books, outcomes};
use crate::model::asked;
use commands::{Command, history};
use db::{Sql, args};
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use site::Model;
use std::collections::BTreeSet;
use tests::stores::Deployment;

#[test]
fn random_batches_agree_with_the_model_on_both_databases() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let chosen = [Deployment::Embedded, Deployment::Postgres];
    let chosen: Vec<_> = chosen.into_iter().filter(|deployment| deployment.is_chosen()).collect();
    let config = Config {
        cases: u32::try_from(asked("RELAIS_TEST_CASES", 12)).expect("a few"),
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&history(), |commands| {
        runtime.block_on(async {
            for deployment in &chosen {
                play(*deployment, &commands).await;
            }
            Ok(())
        })
    });
    result.unwrap_or_else(|error| panic!("{error}"));
}

async fn play(deployment: Deployment, commands: &[Command]) {
    let site = Site::open(deployment).await;
    let mut model = Model::default();
    let mut sent: Vec<(Value, String)> = Vec::new();
    for command in commands {
        if let Some((body, first)) = command.again.and_then(|back| sent.iter().rev().nth(back)) {
            // What was answered once is answered again, and nothing happens.
            let before = books(&site.db, site.id).await;
            assert_eq!(site.post(body).await.text, *first, "{deployment:?}: {command:?}");
            assert_eq!(books(&site.db, site.id).await, before);
            continue;
        }
        let body = command.body(&model);
        let expected = model.push(command, &body);
        let answer = site.post(&body).await;
        assert_eq!(outcomes(&answer), expected.outcomes, "{deployment:?}: {body}");
        let told = (answer.status, answer.json()["status"].as_str().unwrap().to_owned());
        assert_eq!(told, (expected.code, expected.status.to_owned()), "{deployment:?}: {body}");
        sent.push((body, answer.text));
    }
    compare(&site, &model).await;
    site.close().await;
}

/// The record is the model's.
async fn compare(site: &Site, model: &Model) {
    static ROWS: Sql = Sql::both(
        "SELECT 'ticket' AS kind, id, version, deleted_at IS NOT NULL AS deleted, numero AS text, \
         (SELECT COUNT(*) FROM entity_versions v WHERE v.site_id = t.site_id \
         AND v.entity_type = 'ticket' AND v.entity_id = t.id) AS kept \
         FROM tickets t WHERE site_id = $1 UNION ALL \
         SELECT 'reception_line', id, version, deleted_at IS NOT NULL, designation, \
         (SELECT COUNT(*) FROM entity_versions v WHERE v.site_id = l.site_id \
         AND v.entity_type = 'reception_line' AND v.entity_id = l.id) \
         FROM lignes_reception l WHERE site_id = $1",
    );
    let mut found = BTreeSet::new();
    for row in site.db.read(&ROWS, args![site.id]).await.unwrap() {
        let (version, kept): (i64, i64) = (row.get("version").unwrap(), row.get("kept").unwrap());
        assert_eq!(version, kept, "every version is kept");
        let id: uuid::Uuid = row.get("id").unwrap();
        found.insert((
            row.get::<String>("kind").unwrap(),
            id.as_u128(),
            version,
            row.get::<bool>("deleted").unwrap(),
            row.get::<String>("text").unwrap(),
        ));
    }
    assert_eq!(found, model.rows());
    let listed = site.get("/api/v1/sync/conflicts?status=open&limit=500").await.json();
    let open: BTreeSet<_> = listed["conflicts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|conflict| {
            let id: uuid::Uuid = conflict["entity_id"].as_str().unwrap().parse().unwrap();
            (conflict["entity_type"].as_str().unwrap().to_owned(), id.as_u128())
        })
        .collect();
    assert_eq!(open, model.open());
}
