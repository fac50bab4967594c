//! Every French sentence of the sales contract. Those of the source are fixed to the letter
//! (R-002-16, 24 … 27, 43); clients compare them.

use super::money;
use rust_decimal::Decimal;

/// The header that names the terminal (R-002-2).
pub const SERIAL_HEADER: &str = "X-Device-Serial";

// Answers to a whole request.
pub const MISSING_SERIAL: &str = "Numéro de série du terminal requis dans les headers";
pub const INVALID_FORMAT: &str = "Format invalide: un tableau de ventes est attendu";
pub const TERMINAL_NOT_FOUND: &str = "Terminal non trouvé ou inactif";
pub const NO_BOUTIQUE: &str = "Terminal non associé à une boutique";
pub const EMPTY_DATA: &str = "Aucune vente à synchroniser";
pub const INTERNAL_ERROR: &str = "Erreur interne du serveur";
pub const OVERLOADED: &str = "Serveur surchargé, réessayez plus tard";
pub const KEY_REUSED: &str = "Cette clé d'idempotence a déjà servi à une autre requête";
pub const KEY_IN_USE: &str = "La requête portant cette clé d'idempotence est encore en cours";

pub fn too_many_sales(max: usize) -> String {
    format!("Lot trop volumineux: {max} ventes au maximum")
}

pub fn too_many_lines(max: usize) -> String {
    format!("Lot trop volumineux: {max} lignes par vente au maximum")
}

pub fn too_deep(max: usize) -> String {
    format!("Lot trop volumineux: {max} niveaux d'imbrication au maximum")
}

pub fn too_many_bytes(max: usize) -> String {
    format!("Lot trop volumineux: {max} octets au maximum")
}

pub fn synchronised(created: usize) -> String {
    format!("{created} vente(s) synchronisée(s) avec succès")
}

pub fn pending(sent: usize) -> String {
    format!("Synchronisation en cours: {sent} vente(s) en attente de traitement")
}

/// `statut` of an answer whose job has not ended.
pub const PENDING: &str = "EN_COURS";

// What is wrong with a parameter of what terminals may look at.
pub const WRONG_DAY: &str = "une date AAAA-MM-JJ est attendue";
pub const WRONG_PLACE: &str = "la valeur de `suivant` de la page précédente est attendue";
pub const WRONG_FLAG: &str = "true ou false est attendu";

pub fn wrong_limit(max: u32) -> String {
    format!("un entier de 1 à {max} est attendu")
}

// Refusals of one sale.
pub const FOREIGN_SHOP: &str = "Accès refusé: boutique non autorisée";
pub(crate) const INTERNAL_SALE_ERROR: &str = "Erreur interne";
pub(crate) const NOT_A_SALE: &str = "Vente invalide: un objet JSON est attendu";

pub(crate) fn duplicate(number: &str) -> String {
    format!("Vente {number} existe déjà, ignorée")
}

pub(crate) fn number_in_conflict(number: &str) -> String {
    format!("Le numéro {number} est déjà utilisé par une autre vente de cette boutique")
}

pub(crate) fn out_of_stock(article: &str) -> String {
    format!("Stock insuffisant pour {article}")
}

pub(crate) fn unknown_article(id: i64) -> String {
    format!("Article {id} non trouvé dans cette boutique")
}

/// What is wrong is named by its place (`lignes[0].quantite`) and by what is allowed there.
pub(crate) fn expected(place: &str, allowed: &str) -> String {
    format!("Vente invalide: {place}: {allowed}")
}

pub(crate) const ONCE: &str = "présent plusieurs fois, une seule est permise";
pub(crate) const NUMBER: &str =
    "une chaîne de 100 caractères au plus, sans caractère de contrôle, est attendue";
pub(crate) const MODE: &str = "\"CASH\", \"MOBILE_MONEY\" ou \"CARTE\" est attendu";
pub(crate) const PAID: &str = "true ou false est attendu";
pub(crate) const DATE: &str =
    "une date RFC 3339 est attendue, par exemple \"2025-10-29T02:45:00Z\"";
pub(crate) const SHOP: &str = "un entier de 0 à 999999999999999999 est attendu";
pub(crate) const LINES: &str = "un tableau d'au moins une ligne est attendu";
pub(crate) const LINE: &str = "un objet JSON est attendu";
pub(crate) const ARTICLE: &str = SHOP;
pub(crate) const QUANTITY: &str = "un entier de 1 à 1000000000 est attendu";
pub(crate) const PRICE: &str =
    "un montant positif ou nul, de deux décimales au plus et inférieur à 10^16, est attendu";
pub(crate) const TOTAL: &str = "le montant total doit être inférieur à 10^16";

// Log lines (R-002-43).
pub fn log_started(shop: &str, terminal: &str) -> String {
    format!("🔄 Synchronisation ventes pour boutique: {shop} (Terminal: {terminal})")
}

pub fn log_count(sales: usize) -> String {
    format!("📦 Nombre de ventes à synchroniser: {sales}")
}

pub fn log_created(number: &str, amount: Decimal) -> String {
    format!("✅ Vente {number} créée avec succès: {} CDF", money::print_short(amount))
}

pub fn log_duplicate(number: &str) -> String {
    format!("⚠️ {}", duplicate(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// R-002-43
    #[test]
    fn the_log_lines_are_those_of_the_source() {
        assert_eq!(
            log_started("Ma Boutique", "Terminal messie vanza"),
            "🔄 Synchronisation ventes pour boutique: Ma Boutique (Terminal: Terminal messie vanza)"
        );
        assert_eq!(log_count(2), "📦 Nombre de ventes à synchroniser: 2");
        assert_eq!(
            log_created("TEST-001", Decimal::new(4_000_000, 2)),
            "✅ Vente TEST-001 créée avec succès: 40000 CDF"
        );
        assert_eq!(log_duplicate("TEST-002"), "⚠️ Vente TEST-002 existe déjà, ignorée");
    }
}
