//! `relais bench`: its figures are there, and nothing of it stays.

use super::relais;
use serde_json::Value;
use tests::stores::{Deployment, Stores};

fn run(stores: &Stores, args: &[&str]) -> super::Ended {
    let env = stores.env();
    let env: Vec<(&str, &str)> =
        env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    relais(&stores.dir, &env, args)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_measures_every_step_and_leaves_no_job() {
    for deployment in Deployment::chosen() {
        let stores = deployment.fresh().await;
        let ended = run(&stores, &["bench", "--jobs", "400", "--json"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let found: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!(found["deployment"], deployment.name());
        for rate in ["enqueue_serial", "enqueue_64_in_flight", "enqueue_bulk_1000", "drain"] {
            assert!(found[rate].as_f64().is_some_and(|rate| rate > 1.0), "{rate}: {found}");
        }
        assert_eq!(
            (&found["drained"], &found["idle_latency_ms"]["jobs"]),
            (&520.into(), &100.into())
        );
        let latency = &found["idle_latency_ms"];
        let [p50, max] = ["p50", "max"].map(|name| latency[name].as_f64().unwrap());
        assert!(0.0 < p50 && p50 <= max && max < 60_000.0, "{latency}");
        let jobs = run(&stores, &["jobs", "list", "--json"]);
        assert_eq!(jobs.out.trim(), "[]");
        stores.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bench_keeps_away_from_an_interrupted_one_until_that_is_cleared() {
    let stores = Deployment::Embedded.fresh().await;
    let put_in = run(&stores, &["bench", "enqueue", "bulk", "25", "10"]);
    let put_in: Value = serde_json::from_str(&put_in.out).unwrap();
    assert!(put_in["n"] == 25 && put_in["ns"].as_u64().is_some_and(|ns| ns > 0), "{put_in}");
    let refused = run(&stores, &["bench", "--jobs", "100"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.err.contains("25 unfinished `bench` jobs") && refused.err.contains("--clear"));
    let cleared = run(&stores, &["bench", "--clear"]);
    assert_eq!((cleared.code, cleared.out.trim()), (Some(0), "removed: 25 jobs"));
    let human = run(&stores, &["bench", "--jobs", "100"]);
    assert_eq!(human.code, Some(0), "{human:?}");
    assert!(human.out.contains("embedded deployment") && human.out.contains("jobs/s"), "{human:?}");
}
