//! The answers, letter by letter.

use super::{RequestError, completed, pending};
use crate::ventes::{
    BatchError, BatchResult, Boutique, Code, Created, CreatedLine, Refused, SaleOutcome, texts,
};
use rust_decimal::Decimal;

fn shop() -> Boutique {
    Boutique { id: 2, nom: "Ma Boutique".to_owned(), fuseau: "Africa/Kinshasa".to_owned() }
}

fn created(number: &str, replayed: bool) -> SaleOutcome {
    SaleOutcome::Creee(Created {
        numero_facture: number.to_owned(),
        montant_total: "40000.00".to_owned(),
        lignes: vec![CreatedLine::new("Samsung S24", 1, Decimal::from(40_000))],
        rejouee: replayed,
        alertes: Vec::new(),
    })
}

fn refused(number: &str, code: Code, text: String) -> SaleOutcome {
    SaleOutcome::Refusee(Refused { numero_facture: number.to_owned(), erreur: text, code })
}

fn body(outcomes: Vec<SaleOutcome>) -> String {
    // Through the stored form, as the API gets it.
    let stored = serde_json::to_string(&BatchResult { ventes: outcomes }).expect("plain data");
    let result = serde_json::from_str(&stored).expect("what was stored");
    let answer = completed((2, "Ma Boutique"), "Terminal messie vanza", result);
    serde_json::to_string_pretty(&answer).expect("plain data")
}

#[test]
fn success_is_the_body_of_the_source() {
    let expected = r#"{
  "success": true,
  "message": "1 vente(s) synchronisée(s) avec succès",
  "boutique_id": 2,
  "boutique_nom": "Ma Boutique",
  "terminal": "Terminal messie vanza",
  "statistiques": {
    "total_envoyees": 1,
    "reussies": 1,
    "erreurs": 0
  },
  "ventes_creees": [
    {
      "numero_facture": "VENTE-001",
      "montant_total": "40000.00",
      "lignes": [
        {
          "article_nom": "Samsung S24",
          "quantite": 1,
          "prix_unitaire": "40000.00",
          "sous_total": "40000.00"
        }
      ]
    }
  ],
  "ventes_erreurs": null
}"#;
    assert_eq!(body(vec![created("VENTE-001", false)]), expected);
}

#[test]
fn partial_success_counts_only_what_was_created() {
    let answer = body(vec![
        created("VENTE-001", true),
        refused("VENTE-002", Code::OutOfStock, texts::out_of_stock("Article X")),
        refused("VENTE-001", Code::Duplicate, texts::duplicate("VENTE-001")),
    ]);
    let answer: serde_json::Value = serde_json::from_str(&answer).expect("JSON");
    assert_eq!(answer["success"], true);
    assert_eq!(answer["message"], "1 vente(s) synchronisée(s) avec succès");
    assert_eq!(
        answer["statistiques"],
        serde_json::json!({ "total_envoyees": 3, "reussies": 1, "erreurs": 2 })
    );
    assert_eq!(answer["ventes_creees"][0]["rejouee"], true);
    assert_eq!(
        answer["ventes_erreurs"].to_string(),
        serde_json::json!([
            {"index": 2, "numero_facture": "VENTE-002", "erreur": "Stock insuffisant pour Article X",
             "code": "STOCK_INSUFFISANT", "reessayable": true},
            {"index": 3, "numero_facture": "VENTE-001",
             "erreur": "Vente VENTE-001 existe déjà, ignorée", "code": "DUPLICATE",
             "deja_synchronisee": true, "reessayable": false}
        ])
        .to_string()
    );
}

#[test]
fn a_duplicate_is_written_as_designed() {
    let answer = completed(
        (2, "Ma Boutique"),
        "T",
        BatchResult {
            ventes: vec![refused("VENTE-001", Code::Duplicate, texts::duplicate("VENTE-001"))],
        },
    );
    assert_eq!(
        serde_json::to_string(&answer.ventes_erreurs).expect("plain data"),
        r#"[{"index":1,"numero_facture":"VENTE-001","erreur":"Vente VENTE-001 existe déjà, ignorée","code":"DUPLICATE","deja_synchronisee":true,"reessayable":false}]"#
    );
    assert!(!answer.success);
    assert_eq!(answer.message, "0 vente(s) synchronisée(s) avec succès");
    assert!(answer.ventes_creees.is_empty());
}

#[test]
fn pending_has_the_same_shape_and_claims_nothing() {
    let answer = pending(&shop(), "Terminal messie vanza", 2, "/api/v1/jobs/1".to_owned());
    assert_eq!(
        serde_json::to_string(&answer).expect("plain data"),
        r#"{"success":false,"message":"Synchronisation en cours: 2 vente(s) en attente de traitement","boutique_id":2,"boutique_nom":"Ma Boutique","terminal":"Terminal messie vanza","statistiques":{"total_envoyees":2,"reussies":0,"erreurs":0},"ventes_creees":[],"ventes_erreurs":null,"statut":"EN_COURS","job":"/api/v1/jobs/1"}"#
    );
}

#[test]
fn request_errors_are_those_of_the_source() {
    for (error, expected) in [
        (
            RequestError::missing_serial(),
            r#"{"error":"Numéro de série du terminal requis dans les headers","code":"MISSING_SERIAL","header_required":"X-Device-Serial"}"#,
        ),
        (
            BatchError::NotAnArray.into(),
            r#"{"error":"Format invalide: un tableau de ventes est attendu","code":"INVALID_FORMAT"}"#,
        ),
        (
            RequestError::terminal_not_found(),
            r#"{"error":"Terminal non trouvé ou inactif","code":"TERMINAL_NOT_FOUND"}"#,
        ),
        (
            RequestError::no_boutique(),
            r#"{"error":"Terminal non associé à une boutique","code":"NO_BOUTIQUE"}"#,
        ),
        (
            BatchError::Empty.into(),
            r#"{"error":"Aucune vente à synchroniser","code":"EMPTY_DATA"}"#,
        ),
        (
            BatchError::TooManySales { max: 1_000 }.into(),
            r#"{"error":"Lot trop volumineux: 1000 ventes au maximum","code":"BATCH_TOO_LARGE","max":1000}"#,
        ),
        (
            RequestError::internal(),
            r#"{"error":"Erreur interne du serveur","code":"INTERNAL_ERROR"}"#,
        ),
    ] {
        assert_eq!(serde_json::to_string(&error).expect("plain data"), expected);
    }
}
