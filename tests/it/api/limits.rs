//! How much one caller may ask: requests per minute, guesses at serial numbers, unfinished jobs.

use super::raw::{Reply, SYNC, Way, request, sales, sales_with, send};
use super::{NEIGHBOUR, SERIAL, api, api_on, sale};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tests::app::TestApp;
use tests::stores::{Deployment, Redis};

const AT_ONCE: Duration = Duration::from_secs(2);

/// An empty batch: counted, answered at once, and no job.
async fn ask(app: &TestApp, api: usize, serial: &str) -> Reply {
    send(app.address(api), &sales(serial, b"[]"), Way::Whole).await.unwrap()
}

fn assert_limited(reply: &Reply, limit: &str) {
    assert_eq!((reply.status, reply.code().as_str()), (429, "RATE_LIMIT_EXCEEDED"));
    assert_eq!(reply.json()["error"], "Rate limit exceeded");
    let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
    let reset = reply.header("ratelimit").unwrap().rsplit_once("t=").unwrap().1;
    let reset: u64 = reset.parse().unwrap();
    // D-18: a few seconds of jitter.
    assert!((1..=60).contains(&reset) && (reset..reset + 5).contains(&wait), "{reset} {wait}");
    assert_eq!(reply.header("x-ratelimit-limit"), Some(limit));
    assert_eq!(reply.header("x-ratelimit-remaining"), Some("0"));
    assert_eq!(reply.header("ratelimit-policy"), Some(&*format!("\"default\";q={limit};w=60")));
    assert_eq!(reply.header("ratelimit"), Some(&*format!("\"default\";r=0;t={reset}")));
    assert_eq!(reply.header("vary"), Some("Prefer"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_101st_request_of_a_minute_is_refused_whatever_it_claims_about_its_address() {
    let app = api(Deployment::Embedded, &[]).await;
    for number in 1..=100_u32 {
        let from = [("X-Forwarded-For", &*format!("203.0.113.{number}")), ("X-Real-IP", "::1")];
        let reply =
            send(app.address(0), &sales_with(SERIAL, &from, b"[]"), Way::Whole).await.unwrap();
        assert_eq!(reply.status, 400, "request {number}: {}", reply.text());
        assert_eq!(reply.header("x-ratelimit-limit"), Some("100"));
        let remaining = (100 - number).to_string();
        assert_eq!(reply.header("x-ratelimit-remaining"), Some(remaining.as_str()));
    }
    assert_limited(&ask(&app, 0, SERIAL).await, "100");
    let elsewhere = [("X-Forwarded-For", "198.51.100.7"), ("Forwarded", "for=198.51.100.7")];
    let spoofed = sales_with(SERIAL, &elsewhere, b"[]");
    assert_limited(&send(app.address(0), &spoofed, Way::Whole).await.unwrap(), "100");
    let without_slash = format!("POST {}", SYNC.trim_end_matches('/'));
    let same_route = request(&without_slash, &[("X-Device-Serial", SERIAL)], b"[]");
    assert_limited(&send(app.address(0), &same_route, Way::Whole).await.unwrap(), "100");
    // C-40: the other terminals behind the same address have their own hundred.
    let neighbour = ask(&app, 0, NEIGHBOUR).await;
    assert_eq!((neighbour.status, neighbour.header("x-ratelimit-remaining")), (400, Some("99")));
}

#[tokio::test(flavor = "multi_thread")]
async fn serial_numbers_can_be_guessed_twenty_times_a_minute_and_no_terminal_suffers() {
    let app = api(Deployment::Embedded, &[]).await;
    let guess = async |number: u32| {
        let (serial, from) = (format!("guess-{number}"), format!("203.0.113.{number}"));
        let bytes = sales_with(&serial, &[("X-Forwarded-For", &from)], b"[]");
        send(app.address(0), &bytes, Way::Whole).await.unwrap()
    };
    for number in 1..=20 {
        assert_eq!(guess(number).await.status, 404, "guess {number}");
    }
    assert_limited(&guess(21).await, "20");
    // The other door to the same question is shut as well.
    let job = format!("GET /api/v1/jobs/{}", uuid::Uuid::now_v7());
    let guess = request(&job, &[("X-Device-Serial", "guess-22")], b"");
    assert_eq!(send(app.address(0), &guess, Way::Whole).await.unwrap().status, 429);
    assert_eq!(ask(&app, 0, SERIAL).await.status, 400, "a terminal behind the same address");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_share_one_limit_through_redis_and_keep_their_own_without_it() {
    let redis = Redis::start_private().await;
    let mut stores = Deployment::Distributed.fresh().await;
    stores.redis_url = Some(redis.url());
    let mut app = api_on(stores, &[("RELAIS_LIMITS_REQUESTS_PER_MINUTE", "30")]).await;
    app.start_api().await;
    let count = async |serial: &str| {
        let mut statuses = BTreeMap::new();
        for number in 0..80 {
            *statuses.entry(ask(&app, number % 2, serial).await.status).or_insert(0) += 1;
        }
        statuses
    };
    assert_eq!(count(SERIAL).await, BTreeMap::from([(400, 30), (429, 50)]), "shared");
    redis.kill9();
    assert_eq!(count(NEIGHBOUR).await, BTreeMap::from([(400, 60), (429, 20)]), "30 in each");
    // Coming back does not need a restart: what Redis counts is shared again.
    redis.start().await;
    let began = Instant::now();
    loop {
        let first = ask(&app, 0, "till-3").await;
        let second = ask(&app, 1, "till-3").await;
        let left = |reply: &Reply| reply.header("x-ratelimit-remaining").unwrap().to_owned();
        let (first, second) = (left(&first), left(&second));
        if first.parse::<u32>().unwrap() == second.parse::<u32>().unwrap() + 1 {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "never shared again");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_unfinished_requests_are_enough_until_some_are_finished() {
    let mut app = api(Deployment::Postgres, &[]).await;
    let queue = async |serial: &str, number: usize| {
        let body = sale(&format!("{serial}-{number}")).to_string();
        let bytes = sales_with(serial, &[("Prefer", "respond-async")], body.as_bytes());
        send(app.address(0), &bytes, Way::Whole).await.unwrap()
    };
    // At once, so that none is admitted past the limit while another is on its way.
    let answers = futures::future::join_all((0..25).map(|number| queue(SERIAL, number))).await;
    let with = |status| answers.iter().filter(|reply| reply.status == status).collect::<Vec<_>>();
    assert_eq!((with(202).len(), with(429).len()), (20, 5));
    for refused in with(429) {
        assert_eq!(refused.code(), "TOO_MANY_PENDING");
        assert!(refused.header("retry-after").is_some() && refused.took < AT_ONCE * 2);
    }
    assert_eq!(queue(NEIGHBOUR, 0).await.status, 202, "another terminal has its own twenty");
    app.start_worker();
    let began = Instant::now();
    let released = loop {
        let body = sale("RELEASED").to_string();
        let reply =
            send(app.address(0), &sales(SERIAL, body.as_bytes()), Way::Whole).await.unwrap();
        if reply.status != 429 {
            break reply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "never released");
    };
    assert_eq!(released.status, 201, "{}", released.text());
}
