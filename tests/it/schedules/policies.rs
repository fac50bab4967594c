//! What a schedule says about ticks that come late, too soon or during a rest.

use super::{Running, definition, ledger, outcomes, until, was_made_ago};
use chrono::{TimeDelta, Timelike as _};
use db::{Sql, args};
use queue::schedule::{Definition, Missed, Overlap, Source};
use queue::{State, schedules};
use std::sync::Arc;
use tests::stores::Stores;

/// Ticks every hour, half an hour from now and then: no tick on time disturbs the case.
async fn hourly(db: &db::Db, name: &str) -> Definition {
    let minute = (schedules::look(db).await.unwrap().now + TimeDelta::minutes(30)).minute();
    definition(name, &format!("{minute} * * * *"))
}

pub(super) async fn missed_ticks_are_dealt_with_as_each_schedule_says(stores: Stores) {
    let db = stores.db().await;
    for missed in [Missed::Skip, Missed::Once, Missed::All] {
        let usual = hourly(&db, missed.as_str()).await;
        let wanted = Definition { missed, missed_limit: 3, ..usual };
        schedules::put(&db, &wanted, false).await.unwrap();
        was_made_ago(&db, missed.as_str(), TimeDelta::hours(5)).await;
    }
    let (one, other) = (Running::on(&stores, vec![]).await, Running::on(&stores, vec![]).await);
    until("all are dealt with", async || {
        let mut lines = 0;
        for name in ["skip", "once", "all"] {
            lines += ledger(&db, name).await.len();
        }
        lines >= 6
    })
    .await;
    one.stop().await;
    other.stop().await;
    // Started again, they find nothing more to make up for.
    let again = Running::on(&stores, vec![]).await;
    let marker = definition("marker", "* * * * * *");
    schedules::put(&db, &marker, false).await.unwrap();
    until("it runs", async || !ledger(&db, "marker").await.is_empty()).await;
    again.stop().await;
    assert_eq!(outcomes(&ledger(&db, "skip").await), [("skipped_missed", 4)]);
    assert_eq!(outcomes(&ledger(&db, "once").await), [("coalesced", 4)]);
    let expected = [("skipped_missed", 1), ("enqueued", 0), ("enqueued", 0), ("enqueued", 0)];
    assert_eq!(outcomes(&ledger(&db, "all").await), expected);
    static JOBS: Sql = Sql::both("SELECT id FROM jobs WHERE principal = $1");
    for (name, jobs) in [("skip", 0), ("once", 1), ("all", 3)] {
        let found = db.read(&JOBS, args![format!("schedule:{name}")]).await.unwrap();
        assert_eq!(found.len(), jobs, "{name}");
    }
}

pub(super) async fn a_tick_waits_for_no_unfinished_predecessor(stores: Stores) {
    let db = stores.db().await;
    schedules::put(&db, &definition("skip", "* * * * * *"), false).await.unwrap();
    let allow = Definition { overlap: Overlap::Allow, ..definition("allow", "* * * * * *") };
    schedules::put(&db, &allow, false).await.unwrap();
    let running = Running::on(&stores, vec![]).await;
    until("they tick", async || ledger(&db, "skip").await.len() >= 3).await;
    let skipped = outcomes(&ledger(&db, "skip").await);
    assert_eq!(skipped[..3], [("enqueued", 0), ("skipped_overlap", 0), ("skipped_overlap", 0)]);
    // Once the job has its end, the next tick is put in.
    let engine = stores.engine().await;
    let first = ledger(&db, "skip").await[0].job_id.unwrap();
    let claim = queue::Claim {
        queue: "upkeep".to_owned(),
        worker: "w".to_owned(),
        limit: 100,
        lease: super::PATIENCE,
    };
    until("its job is ended", async || {
        let held = engine.claim(&claim).await.unwrap();
        let ends: Vec<_> = held
            .iter()
            .map(|job| (job.ticket, queue::Outcome::Done { result: None, progress: None }))
            .collect();
        engine.finish(&ends).await.unwrap();
        engine.get(first).await.unwrap().unwrap().state == State::Done
    })
    .await;
    until("the next is put in", async || {
        let lines = ledger(&db, "skip").await;
        lines.iter().filter(|line| line.job_id.is_some()).count() >= 2
    })
    .await;
    running.stop().await;
    let all = outcomes(&ledger(&db, "allow").await);
    assert!(all.iter().all(|line| *line == ("enqueued", 0)), "{all:?}");
}

pub(super) async fn a_rest_is_recorded_and_not_made_up_for(stores: Stores) {
    let db = stores.db().await;
    let often = Definition { overlap: Overlap::Allow, ..definition("x", "* * * * * *") };
    schedules::put(&db, &often, false).await.unwrap();
    assert!(schedules::pause(&db, "x", None, Some("moving house")).await.unwrap());
    let running = Running::on(&stores, vec![]).await;
    until("it rests", async || ledger(&db, "x").await.len() >= 2).await;
    assert!(schedules::resume(&db, "x").await.unwrap());
    let is_put = |line: &queue::schedule::TickRow| line.job_id.is_some();
    until("it goes on", async || ledger(&db, "x").await.iter().any(is_put)).await;
    // A rest with an end ends by itself.
    let now = schedules::look(&db).await.unwrap().now;
    let end = now + TimeDelta::seconds(3);
    assert!(schedules::pause(&db, "x", Some(end), None).await.unwrap());
    let resting = schedules::get(&db, "x").await.unwrap().unwrap();
    assert!(resting.rests_at(now) && resting.next_tick(now).is_some_and(|next| next >= end));
    until("it goes on again", async || {
        ledger(&db, "x").await.iter().any(|line| line.nominal >= end && is_put(line))
    })
    .await;
    running.stop().await;
    let lines = ledger(&db, "x").await;
    for line in lines.iter().filter(|line| line.nominal > resting.updated_at) {
        assert_eq!(is_put(line), line.nominal >= end, "{line:?}, until {end}");
    }
    assert_eq!(lines[0].outcome.as_str(), "skipped_paused");
    assert!(lines.windows(2).all(|two| two[1].nominal - two[0].nominal == TimeDelta::seconds(1)));
}

pub(super) async fn the_configuration_rules_its_own_schedules_only(stores: Stores) {
    let db = stores.db().await;
    schedules::put(&db, &definition("of_api", "0 0 1 1 *"), false).await.unwrap();
    let kept = definition("kept", "0 0 1 1 *");
    let two = [kept.clone(), definition("dropped", "0 0 1 1 *")];
    assert_eq!(schedules::configure(&db, &two).await.unwrap(), [""; 0]);
    assert!(schedules::pause(&db, "kept", None, Some("why")).await.unwrap());
    let before = schedules::get(&db, "kept").await.unwrap().unwrap();
    let again = schedules::put(&db, &kept, true).await.unwrap();
    assert_eq!(again, schedules::Put::OfConfig);
    assert!(schedules::configure(&db, std::slice::from_ref(&kept)).await.unwrap().is_empty());
    let names: Vec<_> = schedules::list(&db, "", 10).await.unwrap();
    let names: Vec<_> = names.iter().map(|each| (&*each.definition.name, each.source)).collect();
    assert_eq!(names, [("kept", Source::Config), ("of_api", Source::Api)]);
    let after = schedules::get(&db, "kept").await.unwrap().unwrap();
    assert_eq!((after.stamp, after.paused), (before.stamp, true), "nothing has changed");
    let other = Definition { cron: "0 1 1 1 *".to_owned(), ..kept };
    schedules::configure(&db, &[other, definition("of_api", "0 0 2 2 *")]).await.unwrap();
    let after = schedules::get(&db, "kept").await.unwrap().unwrap();
    assert_eq!((&*after.definition.cron, after.paused), ("0 1 1 1 *", true));
    assert!(after.since > before.since, "what the old expression missed is not the new one's");
    let taken = schedules::get(&db, "of_api").await.unwrap().unwrap();
    assert_eq!((taken.source, &*taken.definition.cron), (Source::Config, "0 0 2 2 *"));
}

pub(super) async fn the_ledger_is_pruned_but_for_the_last_line(stores: Stores) {
    let db = stores.db().await;
    schedules::put(&db, &definition("rare", "0 0 1 1 *"), false).await.unwrap();
    static OLD: Sql = Sql::both(
        "INSERT INTO ticks (schedule, nominal, outcome, late_ms, at) \
         VALUES ($1, {after $2}, 'enqueued', 0, {now})",
    );
    for name in ["rare", "gone"] {
        for days in [400, 300, 200] {
            db.execute(&OLD, args![name, days * -86_400_000_i64]).await.unwrap();
        }
    }
    assert_eq!(schedules::prune(&db, 2).await.unwrap(), 2, "a step is bounded");
    assert_eq!(schedules::prune(&db, 100).await.unwrap(), 3);
    assert_eq!(ledger(&db, "rare").await.len(), 1, "it says from when on ticks were missed");
    assert_eq!(ledger(&db, "gone").await.len(), 0);
}

/// A kind that only a newer version knows, and a payload that has grown too large.
pub(super) async fn what_cannot_be_run_stops_nothing_else(stores: Stores) {
    let db = stores.db().await;
    let unknown = Definition { kind: "of_tomorrow".to_owned(), ..definition("a", "* * * * * *") };
    let large = Definition {
        payload: format!("{{}}{}", " ".repeat(70_000)),
        ..definition("b", "* * * * * *")
    };
    for wanted in [&unknown, &large, &definition("c", "* * * * * *")] {
        schedules::put(&db, wanted, false).await.unwrap();
    }
    let running = Running::on(&stores, vec![]).await;
    until("the good one ticks", async || ledger(&db, "c").await.len() >= 2).await;
    running.stop().await;
    assert_eq!(ledger(&db, "a").await.len(), 0);
    let engine: Arc<dyn queue::Engine> = stores.engine().await;
    for line in ledger(&db, "c").await {
        if let Some(id) = line.job_id {
            assert!(engine.get(id).await.unwrap().is_some());
        }
    }
}
