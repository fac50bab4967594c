//! Promise 13: lists are complete, without gaps and doubles, whatever the filter and meanwhile.

use super::act::later;
use super::stage::{Stage, claim, dead, done, finish, job, put, row, take};
use chrono::{DateTime, Utc};
use queue::{Filter, JobRow, NewJob, Page, State};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use uuid::Uuid;

/// Every page, one after another; the order and the bounds are checked on the way.
async fn all(stage: &Stage, filter: &Filter, limit: usize) -> Vec<Uuid> {
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = stage.list(filter, &Page { limit, before }).await.unwrap();
        assert!(page.rows.len() <= limit, "{} rows on a page of {limit}", page.rows.len());
        ids.extend(page.rows.iter().map(|row| row.id));
        let Some(next) = page.next else { break };
        assert!(before.is_none_or(|before| next < before), "the list goes on");
        before = Some(next);
    }
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first, none twice");
    ids
}

async fn mixed(stage: &Stage) -> Vec<JobRow> {
    let jobs: Vec<NewJob> = (0..60)
        .map(|n: usize| NewJob {
            kind: format!("kind-{}", n % 2),
            queue: if n.is_multiple_of(5) { "other".to_owned() } else { "work".to_owned() },
            principal: (n % 3 == 1).then(|| format!("p{}", n % 2)),
            lane: (n % 7 == 2).then(|| "shop:1".to_owned()),
            attributes: vec![("doc".to_owned(), (n % 4).to_string())],
            run_at: if n % 6 == 5 { later().run_at } else { None },
            ..job()
        })
        .collect();
    for pair in jobs.chunks(2) {
        stage.enqueue(pair).await.unwrap();
    }
    for (number, held) in take(stage, 20).await.into_iter().enumerate() {
        match number % 3 {
            0 => finish(stage, held.ticket, done()).await,
            1 => finish(stage, held.ticket, dead("no")).await,
            _ => {}
        }
    }
    let mut rows = Vec::new();
    for job in &jobs {
        rows.push(row(stage, job.id).await);
    }
    rows
}

pub(crate) async fn every_filter_gives_what_it_says_and_all_of_it(stage: &Stage) {
    let rows = mixed(stage).await;
    let attribute_of = |row: &JobRow| rows.iter().position(|r| r.id == row.id).unwrap() % 4;
    let some = |text: &str| Some(text.to_owned());
    let mut filters = vec![Filter::default()];
    for state in [None].into_iter().chain(State::ALL.map(Some)) {
        let only = Filter { state, ..Filter::default() };
        filters.extend([
            Filter { kind: some("kind-1"), ..only.clone() },
            Filter { queue: some("other"), ..only.clone() },
            Filter { kind: some("kind-0"), queue: some("work"), ..only.clone() },
            Filter { principal: some("p1"), ..only.clone() },
            Filter { lane: some("shop:1"), kind: some("kind-0"), ..only.clone() },
            Filter { attribute: Some(("doc".into(), "3".into())), ..only.clone() },
            Filter {
                attribute: Some(("doc".into(), "1".into())),
                queue: some("work"),
                ..only.clone()
            },
            only,
        ]);
    }
    for filter in filters {
        let wanted: BTreeSet<Uuid> = rows
            .iter()
            .filter(|row| {
                filter.state.is_none_or(|state| state == row.state)
                    && filter.kind.as_ref().is_none_or(|kind| *kind == row.kind)
                    && filter.queue.as_ref().is_none_or(|queue| *queue == row.queue)
                    && filter.lane.as_ref().is_none_or(|lane| Some(lane) == row.lane.as_ref())
                    && (filter.principal.is_none() || filter.principal == row.principal)
                    && filter
                        .attribute
                        .as_ref()
                        .is_none_or(|(_, value)| *value == attribute_of(row).to_string())
            })
            .map(|row| row.id)
            .collect();
        for limit in [3, 50] {
            let got: BTreeSet<Uuid> = all(stage, &filter, limit).await.into_iter().collect();
            assert_eq!(got, wanted, "{filter:?}");
        }
        let found = stage.find(&filter, &Page { limit: 100, before: None }).await.unwrap();
        assert_eq!(found.ids.into_iter().collect::<BTreeSet<_>>(), wanted, "{filter:?}");
    }
}

fn moment(id: Uuid) -> DateTime<Utc> {
    let (seconds, nanos) = id.get_timestamp().unwrap().to_unix();
    DateTime::from_timestamp(i64::try_from(seconds).unwrap(), nanos).unwrap()
}

pub(crate) async fn a_list_between_two_instants_has_what_came_between_them(stage: &Stage) {
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(put(stage, job()).await);
        tokio::time::sleep(std::time::Duration::from_millis(3)).await;
    }
    let filter =
        Filter { since: Some(moment(ids[1])), until: Some(moment(ids[3])), ..Filter::default() };
    for filter in [filter.clone(), Filter { queue: Some("work".to_owned()), ..filter }] {
        assert_eq!(all(stage, &filter, 10).await, [ids[2], ids[1]], "since is in, until is not");
    }
}

pub(crate) async fn pages_have_no_gaps_and_no_doubles_while_jobs_come_and_go(stage: &Stage) {
    let jobs: Vec<NewJob> = (0..150).map(|_| job()).collect();
    stage.enqueue(&jobs).await.unwrap();
    let wanted: BTreeSet<Uuid> = jobs.iter().map(|job| job.id).collect();
    let over = Arc::new(AtomicBool::new(false));
    let other = stage.another().await;
    let busy = {
        let (other, over) = (other.clone(), Arc::clone(&over));
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                other.enqueue(&[job(), job()]).await.unwrap();
                for held in claim(&other, 4).await {
                    finish(&other, held.ticket, done()).await;
                }
            }
        })
    };
    let of_queue = Filter { queue: Some("work".to_owned()), ..Filter::default() };
    let of_kind = Filter { kind: Some("test".to_owned()), ..Filter::default() };
    for filter in [Filter::default(), of_queue, of_kind] {
        for limit in [7, 40] {
            let got: BTreeSet<Uuid> = all(stage, &filter, limit).await.into_iter().collect();
            let missing: Vec<_> = wanted.difference(&got).collect();
            assert!(missing.is_empty(), "{filter:?}: {missing:?}");
        }
    }
    over.store(true, Ordering::Relaxed);
    busy.await.unwrap();
    other.db().close().await;
}

/// A statement looks at 10 000 rows; what lies behind them is on a later page.
pub(crate) async fn what_lies_behind_ten_thousand_others_is_found_on_a_later_page(stage: &Stage) {
    let mine = |kind: &str| NewJob {
        kind: kind.to_owned(),
        principal: Some("p".to_owned()),
        attributes: vec![("a".to_owned(), "1".to_owned())],
        ..job()
    };
    let needle = put(stage, mine("needle")).await;
    let hay: Vec<NewJob> = (0..9_999).map(|_| mine("hay")).collect();
    stage.enqueue(&hay).await.unwrap();
    let of = |kind: &str| Filter { kind: Some(kind.to_owned()), ..Filter::default() };
    let leads = [
        Filter { principal: Some("p".to_owned()), ..of("needle") },
        Filter { attribute: Some(("a".to_owned(), "1".to_owned())), ..of("needle") },
        of("needle"),
    ];
    for more in [0, 1, 2] {
        for filter in &leads {
            assert_eq!(all(stage, filter, 5).await, [needle], "{more} more: {filter:?}");
        }
        put(stage, mine("hay")).await;
    }
    let page = Page { limit: 5, before: None };
    let first = stage.list(&leads[0], &page).await.unwrap();
    assert!(first.rows.is_empty() && first.next.is_some(), "it said where it stopped: {first:?}");
}
