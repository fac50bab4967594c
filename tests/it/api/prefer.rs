//! What a client may prefer about waiting (D-7), and the 202 that follows (D-9).

use super::{SERIAL, api, sale};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tests::app::{Answer, TestApp};
use tests::stores::Deployment;

async fn send(app: &TestApp, number: &str, prefer: &[&str]) -> (Answer, Duration) {
    let mut request =
        app.http().post(app.url(0, super::raw::SYNC)).header("X-Device-Serial", SERIAL);
    for value in prefer {
        request = request.header("Prefer", *value);
    }
    let began = Instant::now();
    let response = request.json(&sale(number)).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer { status, headers, text: response.text().await.unwrap() };
    assert_eq!(header(&answer, "vary"), Some("Prefer"));
    (answer, began.elapsed())
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_waits_as_long_as_it_prefers_and_a_202_claims_nothing() {
    let env = [("RELAIS_API_WAIT_SECONDS", "2"), ("RELAIS_LIMITS_UNFINISHED_PER_PRINCIPAL", "100")];
    let mut app = api(Deployment::Embedded, &env).await;
    // Without a worker every answer is a 202, and its time is the wait.
    for (number, (prefer, seconds, applied)) in [
        (&["wait=0"][..], 0, Some("wait=0")),
        (&["wait=1"], 1, Some("wait=1")),
        (&["respond-async"], 0, Some("respond-async")),
        (&["respond-async, wait=1"], 1, Some("respond-async, wait=1")),
        (&["wait=1", "respond-async"], 1, Some("respond-async, wait=1")),
        (&[], 2, None),
        (&["wait=soon; =,,"], 2, None),
        (&["wait=-1"], 2, None),
    ]
    .into_iter()
    .enumerate()
    {
        let (answer, took) = send(&app, &format!("W-{number}"), prefer).await;
        assert_eq!(answer.status, 202, "{prefer:?}: {}", answer.text);
        assert_eq!(header(&answer, "preference-applied"), applied, "{prefer:?}");
        let wait = Duration::from_secs(seconds);
        let is_as_long = took >= wait && took < wait + Duration::from_millis(900);
        assert!(is_as_long, "{prefer:?}: {took:?}");
        assert_eq!(header(&answer, "retry-after"), Some("2"));
        let location = header(&answer, "location").unwrap();
        let expected = json!({
            "success": false,
            "message": "Synchronisation en cours: 1 vente(s) en attente de traitement",
            "boutique_id": 2, "boutique_nom": "Ma Boutique", "terminal": SERIAL,
            "statistiques": {"total_envoyees": 1, "reussies": 0, "erreurs": 0},
            "ventes_creees": [], "ventes_erreurs": null, "statut": "EN_COURS", "job": location,
        });
        assert_eq!(answer.json(), expected);
        let job = app.http().get(app.url(0, location)).header("X-Device-Serial", SERIAL);
        let job = job.send().await.unwrap();
        assert_eq!(job.status(), 200, "{location} does not resolve");
        let job: Value = job.json().await.unwrap();
        assert_eq!((&job["done"], job.get("response")), (&json!(false), None), "{job}");
    }
    app.start_worker();
    for (number, (prefer, applied)) in
        [(&["wait=20"][..], Some("wait=20")), (&["respond-async, wait=20"], Some("wait=20"))]
            .into_iter()
            .enumerate()
    {
        let (answer, _) = send(&app, &format!("D-{number}"), prefer).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!(header(&answer, "preference-applied"), applied);
        assert_eq!((header(&answer, "location"), header(&answer, "retry-after")), (None, None));
    }
}
