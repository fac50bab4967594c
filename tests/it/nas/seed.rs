//! Documents of a seed file.

use super::{ANNE, Case};
use records::documents::{Sent, files::content, mark_synced_in};
use serde_json::{Value, json};
use tests::stores::Deployment;

impl Case {
    /// Seeds what must be refused; the errors.
    async fn refused(&self, documents: Value) -> String {
        let seed = json!({ "documents": documents }).to_string();
        let uploads = self.uploads();
        let refused = records::seed::load_with(self.db(), &seed, Some(&uploads)).await;
        refused.unwrap_err().to_string()
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let path = self.uploads().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    async fn shown(&self, id: i64) -> Value {
        let shown = self.get(&format!("/api/v1/documents/{id}"), ANNE).await;
        assert_eq!(shown.status, 200, "{}", shown.text);
        shown.json()
    }
}

/// R-001-25: the source's own error needs a document without a file.
pub(crate) async fn a_missing_file_is_seeded_and_found_later(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let document = json!([{"id": 42, "fichier": "facture-42.jpg", "nom_original": "Facture 42",
        "proprietaire": "anne"}]);
    case.seed(document.clone()).await;
    let missing = case.shown(42).await;
    for (member, value) in [
        ("nom_original", json!("Facture 42")),
        ("nom_nas", json!("facture-42.jpg")),
        ("proprietaire", json!("anne")),
        ("taille", Value::Null),
        ("sha256", Value::Null),
    ] {
        assert_eq!(missing[member], value, "{member}");
    }
    case.put("facture-42.jpg", b"one");
    case.seed(document.clone()).await;
    let there = case.shown(42).await;
    let held = content(&case.uploads(), "facture-42.jpg").unwrap().unwrap();
    assert_eq!((&there["taille"], &there["sha256"]), (&json!(3), &json!(held.sha256)));
    let mut tx = case.db().begin().await.unwrap();
    let sent = [Sent { id: 42, sha256: held.sha256, taille: 3 }];
    assert_eq!(mark_synced_in(&mut tx, &sent).await.unwrap(), [42]);
    tx.commit().await.unwrap();
    // Twice changes nothing.
    let before = case.shown(42).await;
    case.seed(document.clone()).await;
    assert_eq!(case.shown(42).await, before);
    assert_eq!(before["synced_to_nas"], true);
    // A file that has gone is still the one that was sent; another one is to be sent again.
    std::fs::remove_file(case.uploads().join("facture-42.jpg")).unwrap();
    case.seed(document.clone()).await;
    assert_eq!(case.shown(42).await, before);
    case.put("facture-42.jpg", b"two");
    case.seed(document).await;
    let changed = case.shown(42).await;
    assert_eq!(changed["synced_to_nas"], false);
    assert_ne!(changed["sha256"], before["sha256"]);
    assert_eq!(case.status(ANNE).await["pending"], 1);
}

/// S-22: every error at once, with its place, and nothing is loaded.
pub(crate) async fn a_seed_is_checked_as_a_whole(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    case.put("secret/key", b"x");
    std::os::unix::fs::symlink("/etc/passwd", case.uploads().join("link")).unwrap();
    std::os::unix::fs::symlink("/etc", case.uploads().join("folder")).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(case.uploads().join("pipe")).status();
    assert!(pipe.unwrap().success());
    let paths = [
        "../x",
        "/etc/passwd",
        "a/../b",
        "-e sh x",
        "a\nb",
        "",
        "link",
        "folder/passwd",
        "pipe",
        "secret",
        ".recus/x",
    ];
    let documents: Vec<_> = paths
        .iter()
        .enumerate()
        .map(|(index, path)| json!({"id": index + 1, "fichier": path, "nom_original": "a"}))
        .collect();
    let errors = case.refused(json!(documents)).await;
    for index in 0..paths.len() {
        assert!(errors.contains(&format!("documents[{index}].fichier: ")), "{index}: {errors}");
    }
    let errors = case
        .refused(json!([
            {"id": 1, "fichier": "a.jpg", "proprietaire": "nobody-knows"},
            {"id": 1, "fichier": "b.jpg"},
            {"id": 3, "fichier": "a.jpg"},
            {"id": 1_u64 << 53, "fichier": "c.jpg"},
            {"id": 5, "fichier": "d.jpg", "synced_to_nas": true},
            {"fichier": 7},
        ]))
        .await;
    for place in [
        "[0].proprietaire",
        "[1].id",
        "[2].fichier",
        "[3].id",
        "[4].synced_to_nas",
        "[5].id",
        "[5].fichier",
    ] {
        assert!(errors.contains(&format!("documents{place}: ")), "{place}: {errors}");
    }
    assert_eq!(case.status(ANNE).await["total_documents"], 0);
    // Names that look dangerous and are not.
    let names =
        ["a b;rm", "$(touch x)", "été.pdf", " blank ", "...", "--x".trim_start_matches('-')];
    let documents: Vec<_> = names
        .iter()
        .enumerate()
        .map(|(index, name)| json!({"id": index + 1, "fichier": name, "nom_original": "a"}))
        .collect();
    case.seed(json!(documents)).await;
    assert_eq!(case.shown(4).await["nom_nas"], " blank ");
}

/// C-24: the destination is flat, and may not tell `A` from `a`.
pub(crate) async fn names_at_the_destination_are_unique(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    let documents = json!([
        {"id": 1, "fichier": "2023/facture.pdf"}, {"id": 2, "fichier": "2024/facture.pdf"},
        {"id": 3, "fichier": "FACTURE.PDF"}, {"id": 4, "fichier": "autre.pdf"},
    ]);
    case.seed(documents.clone()).await;
    let names = async || {
        let mut names = Vec::new();
        for id in 1..=4 {
            names.push(case.shown(id).await["nom_nas"].as_str().unwrap().to_owned());
        }
        names
    };
    let expected = ["facture.pdf", "2_facture.pdf", "3_FACTURE.PDF", "autre.pdf"];
    assert_eq!(names().await, expected);
    case.seed(documents).await;
    assert_eq!(names().await, expected);
    let errors = case.refused(json!([{"id": 9, "fichier": "autre.pdf"}])).await;
    assert!(errors.contains("documents[0].fichier: document 4 has this file"), "{errors}");
}

/// Ids that a seed gives are never given again.
pub(crate) async fn given_ids_never_meet_counted_ones(deployment: Deployment) {
    let case = Case::with_nas(deployment).await;
    assert_eq!(case.upload(ANNE, "a.jpg", b"x").await["id"], 1);
    case.seed(json!([{"id": 2, "fichier": "b.jpg"}, {"id": 42, "fichier": "c.jpg"}])).await;
    assert_eq!(case.upload(ANNE, "a.jpg", b"x").await["id"], 43);
    case.seed(json!([{"id": 7, "fichier": "d.jpg"}])).await;
    assert_eq!(case.upload(ANNE, "a.jpg", b"x").await["id"], 44);
}
