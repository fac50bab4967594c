//! The words of source 001, exact, and those that it left to us.

/// R-001-19, and the `detail` of C-21.
pub const NOT_CONFIGURED_TEST: &str = "Synchronisation NAS non configurée. Définissez NAS_HOST, NAS_USER et NAS_PATH dans le fichier .env";
/// C-21: what `/run` and `/document/{id}` answer without a configuration.
pub const NOT_CONFIGURED_DETAIL: &str = "Synchronisation NAS non configurée";
/// R-001-27, R-001-30.
pub const NOT_CONFIGURED: &str = "NAS non configuré";
/// R-001-30.
pub const UNKNOWN_DOCUMENT: &str = "Document non trouvé";
/// R-001-21.
pub const TEST_TIMEOUT: &str = "Timeout de connexion (15s)";
/// D-9.
pub const PENDING: &str = "Synchronisation en cours";
/// The state of a 202.
pub const PENDING_STATE: &str = "EN_COURS";
/// A path that holds no integer.
pub const BAD_ID: &str = "Identifiant de document invalide : un nombre entier est attendu";
/// A job that ended without an outcome.
pub const INTERRUPTED: &str = "Synchronisation interrompue";
/// A transfer that somebody cancelled.
pub const CANCELLED: &str = "Synchronisation annulée";
/// The test that ended without a diagnosis.
pub const TEST_INTERRUPTED: &str = "Échec de connexion : test interrompu";
/// Without a key, or with a wrong one.
pub const UNAUTHORIZED: &str = "Clé d'API requise dans l'en-tête X-API-Key";
/// With a key that lacks the scope.
pub const FORBIDDEN: &str = "Cette clé d'API n'a pas la portée « nas »";
/// Too many requests in a minute.
pub const RATE_LIMITED: &str = "Trop de requêtes, réessayez plus tard";

/// R-001-29.
pub fn sent_to(host: &str) -> String {
    format!("Synchronisé vers {host}")
}
