//! The API's own description, and the page that renders it without help from elsewhere.

use super::api;
use serde_json::Value;
use std::collections::BTreeSet;
use tests::app::TestApp;
use tests::stores::Deployment;

async fn text(app: &TestApp, path: &str) -> (String, String) {
    let answer = app.http().get(app.url(0, path)).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    let policy = answer.headers().get("content-security-policy");
    let policy = policy.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    (answer.text().await.unwrap(), policy)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_lists_every_route_and_its_page_needs_nobody_else() {
    let app = api(Deployment::Embedded, &[]).await;
    let (description, _) = text(&app, "/openapi.json").await;
    let description: Value = serde_json::from_str(&description).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1."));
    let paths = description["paths"].as_object().unwrap();
    let listed: BTreeSet<_> = paths
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().keys().map(move |m| format!("{m} {path}"))
        })
        .collect();
    let expected = [
        "delete /api/v1/jobs/{id}",
        "get /api/v1/jobs",
        "get /api/v1/jobs/{id}",
        "get /api/v1/jobs/{id}/logs",
        "get /api/v1/jobs/{id}/why",
        "get /api/v1/schedules",
        "get /api/v1/schedules/{name}/ticks",
        "get /livez",
        "get /metrics",
        "get /openapi.json",
        "get /readyz",
        "post /api/v1/jobs",
        "post /api/v1/jobs/bulk",
        "post /api/v1/jobs/{id}",
        "post /api/v1/jobs/{id}/cancel",
        "post /api/v1/jobs/{id}/retry",
        "post /api/v1/schedules",
        "post /api/v1/sync/conflicts/{id}/resolve",
        "post /api/v1/sync/push",
        "post /api/v2/simple/ventes/sync",
        "post /api/v2/simple/ventes/sync/",
    ];
    let missing: Vec<_> = expected.iter().filter(|route| !listed.contains(**route)).collect();
    assert!(missing.is_empty(), "{missing:?} of {listed:?}");
    let mut ids = BTreeSet::new();
    for item in paths.values().flat_map(|item| item.as_object().unwrap().values()) {
        let id = item["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "{id} names two operations");
    }
    let all = description.to_string();
    for reference in all.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }

    let (page, policy) = text(&app, "/docs/").await;
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
    let mut assets: Vec<_> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|attribute| {
            page.split(attribute).skip(1).map(|rest| rest.split('"').next().unwrap())
        })
        .collect();
    assets.retain(|asset| !asset.starts_with("data:"));
    assert!(assets.len() >= 3, "{page}");
    for asset in assets {
        assert!(!asset.contains("//"), "{asset} comes from elsewhere");
        let path = if asset.starts_with('/') { asset.to_owned() } else { format!("/docs/{asset}") };
        text(&app, &path).await;
    }
    assert!(!page.contains("<script>"), "the policy forbids inline scripts: {page}");
    let (start, _) = text(&app, "/docs/swagger-initializer.js").await;
    assert!(start.contains("/openapi.json") && !start.contains("http"), "{start}");
    // The short address leads to the page.
    text(&app, "/docs").await;
}
