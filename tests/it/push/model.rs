//! Random batches against a plain model of a site (I-1 … I-3, I-9 … I-13, I-19, I-20, I-22, I-29, I-31):
//! every answer is what the model says, in the end the record is too, and both databases answer alike
//! (I-32). Answers are lost, batches repeated, and the program dies at any await.
//!
//! Beside each site another one sends the same ids: batches that are good as a whole in the other
//! mode, which has to lead to the same record (I-11, I-20).
//!
//! Seeds are those of `model.rs`: `RELAIS_TEST_CASES=1000` runs more, `RELAIS_TEST_SEED=7` begins with
//! another one.

mod commands;
mod site;

use super::{PUSH, batch, books, outcomes, seed};
use crate::model::on_every_seed;
use crate::model::stage::{Came, Stage};
use crate::sales::read;
use commands::{Command, history};
use db::{Sql, args};
use serde_json::{Value, json};
use site::Model;
use std::collections::BTreeSet;
use tests::app::Answer;

#[test]
fn random_batches_agree_with_the_model_on_both_databases() {
    on_every_seed("push::model", &history(), &async |commands, stages| {
        let mut seen = Vec::new();
        for stage in stages {
            seen.push(play(stage, commands).await);
        }
        assert!(seen.iter().all(|answers| *answers == seen[0]), "I-32: {seen:#?}");
    });
}

/// A local server: its site and key.
struct Site {
    id: i64,
    key: String,
}

/// Both sites' course; what the first one was told, without what is made anew each time.
async fn play(stage: &mut Stage, commands: &[Command]) -> Vec<Vec<String>> {
    let [site, other] =
        [seed(&stage.db).await, seed(&stage.db).await].map(|(id, key)| Site { id, key });
    let mut model = Model::default();
    let mut sent: Vec<(Value, String)> = Vec::new();
    let mut told = Vec::new();
    for command in commands {
        let before = books(&stage.db, site.id).await;
        if let Some((body, first)) = command.again.and_then(|back| sent.iter().rev().nth(back)) {
            // What was answered once is answered again, and nothing happens (I-2).
            assert_eq!(push(stage, &site, command, body, None).await.text, *first, "{command:?}");
            assert_eq!(books(&stage.db, site.id).await, before);
            continue;
        }
        let body = command.body(&model);
        let expected = model.push(command, &body);
        let beside = (&other, turned(command, &body, &expected.outcomes));
        let answer = push(stage, &site, command, &body, Some(beside)).await;
        let deployment = stage.deployment;
        assert_eq!(outcomes(&answer), expected.outcomes, "{deployment:?}: {command:?}");
        let status = answer.json()["status"].as_str().unwrap().to_owned();
        assert_eq!((answer.status, &*status), (expected.code, expected.status), "{command:?}");
        if answer.status == 422 {
            assert_eq!(books(&stage.db, site.id).await, before, "I-10: {command:?}");
        }
        told.push(expected.outcomes);
        sent.push((body, answer.text));
    }
    compare(stage, &site, &model).await;
    let (ours, theirs) = (books(&stage.db, site.id).await, books(&stage.db, other.id).await);
    assert_eq!(ours, theirs, "I-11, I-20: {commands:?}");
    told
}

/// Sends a batch until its answer is complete: the first time it may be lost, or the program die. The
/// other site's batch has its answer by then, too.
async fn push(
    stage: &mut Stage,
    site: &Site,
    command: &Command,
    body: &Value,
    beside: Option<(&Site, Value)>,
) -> Answer {
    let (mut answer, mut aside) = (None, beside.is_none());
    let death = command.death.map(|place| match (place, &body["entities"][0]["id"]) {
        ("entity", Value::String(id)) => format!("entity {id}"),
        _ => place.to_owned(),
    });
    for attempt in 0..5 {
        let (http, url) = (stage.http.clone(), stage.url(PUSH));
        let ask = |site: &Site, body: &Value| {
            let request = http.post(&url).header("X-API-Key", &site.key);
            request.header("Content-Type", "application/json").body(body.to_string())
        };
        let neighbour = async {
            let Some((other, body)) = beside.as_ref().filter(|_| !aside) else { return true };
            let request = ask(other, body).header("Prefer", "wait=20").send().await;
            request.is_ok_and(|answer| matches!(answer.status().as_u16(), 200 | 422))
        };
        let (lost, death) =
            if attempt == 0 { (command.lost, death.as_deref()) } else { (false, None) };
        let (came, done) = stage.send(ask(site, body), lost, death, neighbour).await;
        aside |= done == Some(true);
        match came {
            Came::Whole(found) => {
                assert!(!found.text.contains(&site.key), "I-29: {}", found.text);
                answer = Some(found);
            }
            Came::Pending(found) => assert_eq!(found.json()["results"], json!([]), "I-22"),
            Came::Nothing => {}
        }
        match answer {
            Some(answer) if aside => return answer,
            _ => {}
        }
    }
    panic!("{:?}: never answered: {body}", stage.deployment)
}

/// The batch as the other site sends it, in the other mode if that makes no difference.
fn turned(command: &Command, body: &Value, outcomes: &[String]) -> Value {
    let entities = body["entities"].as_array().unwrap();
    let is_good = |outcome: &String| {
        ["created", "updated", "unchanged", "deleted"].iter().any(|word| outcome.starts_with(word))
    };
    let ids: BTreeSet<_> = command.items.iter().map(|pick| pick.entity).collect();
    let turns = outcomes.iter().all(is_good) && ids.len() == entities.len();
    let mode = if command.atomic != turns { "atomic" } else { "per_entity" };
    let mut other = batch(mode, entities);
    // The same id, of another site's batch.
    other["batch_id"] = body["batch_id"].clone();
    if let Some(abort) = body.get("on_conflict") {
        other["on_conflict"] = abort.clone();
    }
    other
}

/// The record is the model's.
async fn compare(stage: &Stage, site: &Site, model: &Model) {
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
    for row in stage.db.read(&ROWS, args![site.id]).await.unwrap() {
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
    let url = stage.url("/api/v1/sync/conflicts?status=open&limit=500");
    let listed = stage.http.get(url).header("X-API-Key", &site.key).send().await.unwrap();
    let listed = read(listed).await.json();
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
