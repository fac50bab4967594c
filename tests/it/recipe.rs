//! The recipe of CONTRIBUTING.md is a file that is built and run, not a text about one.

use jobs::{Catalog, Context, Services};
use queue::{Claim, Retention};
use records::ventes::Policy;
use std::path::Path;
use std::time::Duration;
use tests::recipe::measure_record::MeasureRecord;
use tests::stores::Deployment;
use tokio_util::sync::CancellationToken;

#[test]
fn contributing_shows_the_example_that_is_built() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let example = read("tests/src/recipe/measure_record.rs");
    let shown = format!("```rust\n{example}```\n");
    assert!(read("CONTRIBUTING.md").contains(&shown), "copy the file into CONTRIBUTING.md");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_example_runs() {
    let stores = Deployment::Embedded.fresh().await;
    let engine = stores.engine().await;
    let catalog = Catalog::standard().with::<MeasureRecord>();
    let kind = catalog.get("measure_record").unwrap();
    assert!(kind.new_job(r#"{"samples": 3, "unknown": 1}"#).is_err());
    engine.enqueue(&[kind.new_job(r#"{"samples": 3}"#).unwrap()]).await.unwrap();
    let lease = Duration::from_secs(30);
    let claim = Claim { queue: kind.queue.to_owned(), worker: "a".to_owned(), limit: 1, lease };
    let job = engine.claim(&claim).await.unwrap().remove(0);
    let run = kind.parse(&job.payload).unwrap();
    let day = Duration::from_secs(86_400);
    let retention = Retention { done: day, dead: day };
    let sales = Policy { release_after: day, ..Policy::default() };
    let services = Services { engine, sales, nas: std::sync::Arc::default(), retention };
    let cx = Context::new(services, job, CancellationToken::new());
    run(&cx).await.unwrap();
    assert!(cx.take_result().unwrap().starts_with("{\"slowest_ms\":"));
}
