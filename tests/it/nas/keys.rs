//! The NAS routes go through the pipeline of all contracts: keys and load (D-11, D-18).

use super::{ANNE, BORIS, Case, documents, read, report};
use serde_json::json;
use tests::app::Answer;
use tests::stores::Deployment;
use tests::wait::until;
use uuid::Uuid;

impl Case {
    async fn post_with_key(&self, path: &str, who: &str, key: &str) -> Answer {
        let request = self.request("POST", path, who).header("Idempotency-Key", key);
        read(request.header("Prefer", "wait=20")).await
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// D-11, I-2: a run that is asked for again with its key is answered again, whatever has come
/// since, and somebody else's key is another one.
pub(crate) async fn a_run_with_a_key_is_answered_again(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let nothing = case.post_with_key("/api/v1/sync/run", ANNE, "run-0001").await;
    assert_eq!((nothing.status, &nothing.json()["total"]), (200, &json!(0)));
    case.seed(documents(1..=2, None)).await;
    let again = case.post_with_key("/api/v1/sync/run", ANNE, "run-0001").await;
    assert!(is_replayed(&again) && again.text == nothing.text, "{}", again.text);
    let outcomes = [(1, None), (2, Some("Fichier source introuvable"))];
    let works = async || {
        let job = case.take("nas").await;
        case.end(&job, &report(&outcomes)).await;
    };
    let run = case.post_with_key("/api/v1/sync/run", ANNE, "run-0002");
    let (first, ()) = tokio::join!(run, works());
    assert_eq!((first.status, &first.json()["failed"]), (200, &json!(1)), "{}", first.text);
    let again = case.post_with_key("/api/v1/sync/run", ANNE, "run-0002").await;
    assert!(is_replayed(&again) && again.text == first.text, "{}", again.text);
    let run = case.post_with_key("/api/v1/sync/run", BORIS, "run-0002");
    let (other, ()) = tokio::join!(run, works());
    assert!(other.status == 200 && !is_replayed(&other), "{}", other.text);
}

/// D-11: a key belongs to one document; what is not there takes none.
pub(crate) async fn a_key_belongs_to_one_document(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(42..=43, None)).await;
    let missing = case.post_with_key("/api/v1/sync/document/7", ANNE, "document-1").await;
    assert_eq!(missing.status, 404, "{}", missing.text);
    let works = async || {
        let job = case.take("nas").await;
        case.end(&job, &report(&[(42, None)])).await;
    };
    let one = case.post_with_key("/api/v1/sync/document/42", ANNE, "document-1");
    let (first, ()) = tokio::join!(one, works());
    let sent = json!({"success": true, "message": "Synchronisé vers 192.168.1.100"});
    assert_eq!((first.status, first.json()), (200, sent));
    let again = case.post_with_key("/api/v1/sync/document/42", ANNE, "document-1").await;
    assert!(is_replayed(&again) && again.text == first.text, "{}", again.text);
    let other = case.post_with_key("/api/v1/sync/document/43", ANNE, "document-1").await;
    assert_eq!((other.status, &other.json()["code"]), (422, &json!("IDEMPOTENCY_KEY_REUSED")));
}

/// D-11: a cancelled transfer has an answer, and the request that is sent again gets no other.
pub(crate) async fn a_cancelled_transfer_is_the_answer_for_its_key(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.seed(documents(42..=42, None)).await;
    let why = "Synchronisation annulée";
    let run = json!({"total": 1, "synced": 0, "failed": 0, "errors": [why]});
    let one = json!({"success": false, "message": why});
    for (path, expected) in [("/api/v1/sync/run", run), ("/api/v1/sync/document/42", one)] {
        let request = case.request("POST", path, ANNE).header("Idempotency-Key", "annulee-1");
        let begun = read(request.header("Prefer", "respond-async")).await;
        assert_eq!(begun.status, 202, "{}", begun.text);
        case.cancel(job_of(&begun)).await;
        let told = case.post_with_key(path, ANNE, "annulee-1").await;
        assert_eq!((told.status, told.json()), (200, expected));
        let again = case.post_with_key(path, ANNE, "annulee-1").await;
        assert!(is_replayed(&again) && again.text == told.text, "{}", again.text);
    }
}

/// The same of a test; whoever asked first has gone meanwhile.
pub(crate) async fn a_cancelled_test_is_the_answer_for_its_key(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let test = || case.post_with_key("/api/v1/sync/test", ANNE, "test-0001");
    let job = tokio::select! {
        job = case.take("nas_test") => job,
        answer = test() => panic!("{}", answer.text),
    };
    case.cancel(job.ticket.id).await;
    case.obey(&job).await;
    let expected = json!({"success": false, "message": "Échec de connexion : test interrompu"});
    let told = test().await;
    assert_eq!((told.status, told.json()), (200, expected));
    assert!(is_replayed(&told), "{:?}", told.headers);
}

fn job_of(answer: &Answer) -> Uuid {
    let job = answer.json()["job"].as_str().unwrap().to_owned();
    job.rsplit('/').next().unwrap().parse().unwrap()
}

/// D-18: more than can be worked off is refused before it is taken, with `Retry-After`; a known key
/// is let in.
pub(crate) async fn a_full_queue_takes_no_more_documents(deployment: Deployment) {
    let limits = [
        ("RELAIS_LIMITS_CONTRACT_QUEUE_DEPTH", "1"),
        ("RELAIS_LIMITS_UNFINISHED_PER_PRINCIPAL", "1000"),
    ];
    let case = Case::open(deployment, &[&limits[..], &super::NAS].concat()).await;
    case.seed(documents(1..=3, None)).await;
    let put = async |id: i64, key: &str| {
        let path = format!("/api/v1/sync/document/{id}");
        let request = case.request("POST", &path, ANNE).header("Prefer", "wait=0");
        read(request.header("Idempotency-Key", key)).await
    };
    assert_eq!(put(1, "document-1").await.status, 202);
    // The figures are a second old at the most.
    let mut tries = 0;
    until("it is refused", async || {
        tries += 1;
        put(2, &format!("autre-{tries:04}")).await.status != 202
    })
    .await;
    let refused = put(3, "document-3").await;
    let body = refused.json();
    assert_eq!((refused.status, &body["code"]), (503, &json!("QUEUE_OVERLOADED")), "{body}");
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(body["success"], false, "{body}");
    assert_eq!(case.post("/api/v1/sync/run", ANNE).await.status, 503);
    let known = put(1, "document-1").await;
    assert!(known.status == 202 && is_replayed(&known), "{}", known.text);
    let shown = case.get("/api/v1/documents/3", ANNE).await.json();
    assert_eq!(shown["demande_le"], json!(null), "what was refused was not noted: {shown}");
}
