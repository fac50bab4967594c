//! A job is found by what it is about; what is too much is refused before anything is kept.

use super::stage::{Stage, done, finish, job, put, take_one};
use queue::{Error, Filter, NewJob, Page, Retention, State, Unique};
use std::time::Duration;
use uuid::Uuid;

fn about(all: &[(&str, &str)]) -> NewJob {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    NewJob { attributes: all.iter().map(owned).collect(), ..job() }
}

async fn found(stage: &Stage, name: &str, value: &str, state: Option<State>) -> Vec<Uuid> {
    let attribute = Some((name.to_owned(), value.to_owned()));
    let filter = Filter { attribute, state, ..Filter::default() };
    stage.find(&filter, &Page { limit: 50, before: None }).await.unwrap().ids
}

pub(crate) async fn a_job_is_found_by_what_it_is_about(stage: &Stage) {
    let first = put(stage, about(&[("invoice", "F-1"), ("document", "d 7")])).await;
    let second = put(stage, about(&[("invoice", "F-1")])).await;
    put(stage, about(&[("invoice", "F-10"), ("document", "F-1")])).await;
    assert_eq!(found(stage, "invoice", "F-1", None).await, [second, first]);
    assert_eq!(found(stage, "document", "d 7", None).await, [first]);
    assert!(found(stage, "invoice", "F", None).await.is_empty(), "the whole value");
    let held = take_one(stage).await;
    finish(stage, held.ticket, done()).await;
    assert_eq!(found(stage, "invoice", "F-1", Some(State::Done)).await, [first]);
    assert_eq!(found(stage, "invoice", "F-1", Some(State::Ready)).await, [second]);
    let kept = stage.attributes(first).await.unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(kept, [pair("document", "d 7"), pair("invoice", "F-1")]);
    let now = Retention { done: Duration::ZERO, dead: Duration::ZERO };
    super::stage::until("it is removed", async || stage.prune(now, 10).await.unwrap() == 1).await;
    assert_eq!(found(stage, "invoice", "F-1", None).await, [second]);
}

pub(crate) async fn a_superfluous_job_leaves_no_attributes(stage: &Stage) {
    let unique = Unique::WhileAlive("k".to_owned());
    let first = put(stage, NewJob { unique: unique.clone(), ..about(&[("a", "1")]) }).await;
    let same = put(stage, NewJob { unique, ..about(&[("a", "2")]) }).await;
    assert_eq!(first, same);
    assert_eq!(found(stage, "a", "1", None).await, [first]);
    assert!(found(stage, "a", "2", None).await.is_empty());
}

pub(crate) async fn too_many_or_too_long_attributes_are_refused_whole(stage: &Stage) {
    let long = "é".repeat(129);
    let many: Vec<(String, String)> = (0..17).map(|n| (n.to_string(), String::new())).collect();
    let cases = [
        (about(&[("n", &long)]), "the value of attribute `n` has 258 bytes, 256 are allowed"),
        (about(&[(&long, "v")]), "has 258 bytes, 256 are allowed"),
        (about(&[("", "v")]), "an attribute has no name"),
        (about(&[("n", "a\0b")]), "NUL"),
        (NewJob { attributes: many, ..job() }, "the job has 17 attributes, 16 are allowed"),
        (NewJob { lane: Some("a\0b".to_owned()), ..job() }, "the job's lane has a NUL in it"),
    ];
    for (bad, why) in cases {
        let refused = stage.enqueue(&[job(), bad]).await.unwrap_err();
        assert!(matches!(&refused, Error::Invalid(said) if said.contains(why)), "{refused}");
        assert!(!refused.is_transient());
    }
    assert!(super::stage::claim(stage, 10).await.is_empty(), "all or none");
    let most: Vec<(String, String)> =
        (0..16).map(|n| (format!("{n}{}", "x".repeat(254)), "y".repeat(256))).collect();
    let id = put(stage, NewJob { attributes: most.clone(), ..job() }).await;
    assert_eq!(stage.attributes(id).await.unwrap().len(), 16);
}
