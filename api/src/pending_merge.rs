//! Stand-ins with the signatures of what `records` and `jobs` are about to offer. Merging those
//! means deleting this file and pointing its users at them.

use db::{Db, Tx};
use queue::NewJob;

pub(crate) mod texts {
    pub(crate) const MISSING_SERIAL: &str = "Numéro de série du terminal requis dans les headers";
    pub(crate) const TERMINAL_NOT_FOUND: &str = "Terminal non trouvé ou inactif";
    pub(crate) const NO_BOUTIQUE: &str = "Terminal non associé à une boutique";
    pub(crate) const INVALID_FORMAT: &str = "Format invalide: un tableau de ventes est attendu";
    pub(crate) const EMPTY_DATA: &str = "Aucune vente à synchroniser";
    pub(crate) const BATCH_TOO_LARGE: &str = "Lot de ventes trop volumineux";
    pub(crate) const TOO_MANY_PENDING: &str = "Trop de synchronisations en attente";
    pub(crate) const UNAVAILABLE: &str = "Service momentanément indisponible";
    pub(crate) const INTERNAL_ERROR: &str = "Erreur interne du serveur";
}

#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    pub(crate) numero_serie: String,
    pub(crate) nom: String,
    pub(crate) boutique: Option<Boutique>,
}

#[derive(Debug, Clone)]
pub(crate) struct Boutique {
    pub(crate) id: i64,
    pub(crate) nom: String,
}

pub(crate) async fn terminal(db: &Db, serial: &str) -> Result<Option<Terminal>, db::Error> {
    db.ping().await?;
    let boutique = Boutique { id: 2, nom: "Ma Boutique".to_owned() };
    Ok((serial == "0a1badae951f8473" || serial == "sans").then(|| Terminal {
        numero_serie: serial.to_owned(),
        nom: "Terminal messie vanza".to_owned(),
        boutique: (serial != "sans").then_some(boutique),
    }))
}

pub(crate) async fn delivered(_tx: &mut Tx, _job: uuid::Uuid) -> Result<(), db::Error> {
    Ok(())
}

pub(crate) mod keys {
    #[derive(Debug, Clone)]
    pub(crate) struct ApiKey {
        pub(crate) id: String,
        pub(crate) portees: Vec<String>,
    }

    pub(crate) async fn find(db: &super::Db, presented: &str) -> Result<Option<ApiKey>, db::Error> {
        db.ping().await?;
        let (id, _) = presented.split_once(".secret").unwrap_or(("", ""));
        Ok((!id.is_empty()).then(|| ApiKey { id: id.to_owned(), portees: vec![id.to_owned()] }))
    }
}

#[derive(Debug)]
pub(crate) struct Batch(Vec<serde_json::Value>);

#[derive(Debug)]
#[expect(dead_code, reason = "the parser that tells them apart is not merged")]
pub(crate) enum BatchError {
    NotAnArray,
    Empty,
    TooManySales { max: usize },
    TooManyLines { max: usize },
    TooDeep { max: usize },
}

impl Batch {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let sales: Vec<_> = serde_json::from_slice(bytes).map_err(|_| BatchError::NotAnArray)?;
        match sales.len() {
            0 => Err(BatchError::Empty),
            1001.. => Err(BatchError::TooManySales { max: 1000 }),
            _ => Ok(Self(sales)),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn into_job(self, till: &Terminal, boutique: &Boutique) -> NewJob {
        let payload = serde_json::json!({ "terminal": till.numero_serie, "ventes": self.0 });
        NewJob {
            lane: Some(format!("boutique:{}", boutique.id)),
            ..NewJob::new("apply_sales_batch", "records", payload.to_string())
        }
    }
}

pub(crate) mod answer {
    use super::{Boutique, Terminal};
    use serde_json::{Value, json};

    pub(crate) fn complete(till: &Terminal, shop: &Boutique, result: &str) -> Value {
        json!({ "success": true, "boutique_id": shop.id, "boutique_nom": shop.nom, "terminal": till.nom, "resultat": result })
    }

    pub(crate) fn pending(till: &Terminal, shop: &Boutique, sales: usize, job: &str) -> Value {
        json!({
            "success": false,
            "message": format!("Synchronisation en cours: {sales} vente(s) en attente de traitement"),
            "boutique_id": shop.id, "boutique_nom": shop.nom, "terminal": till.nom,
            "statistiques": { "total_envoyees": sales, "reussies": 0, "erreurs": 0 },
            "ventes_creees": [], "ventes_erreurs": null, "statut": "EN_COURS", "job": job,
        })
    }
}
