//! What people read about the file server, in French; the first four are exact (R-001-18 to 21).

pub(super) const SUCCESS: &str = "Connexion réussie";
/// R-001-19.
pub const NOT_CONFIGURED: &str = "Synchronisation NAS non configurée. Définissez NAS_HOST, NAS_USER et NAS_PATH dans le fichier .env";
pub(super) const TIMEOUT: &str = "Timeout de connexion (15s)";
const PREFIX: &str = "Échec de connexion : ";

/// R-001-25.
pub const MISSING: &str = "Fichier source introuvable";
/// The file is not the one that was recorded, or changed twice while it was being sent.
pub const CHANGED: &str = "Fichier source modifié";
pub(super) const UNREADABLE: &str = "Fichier source illisible";
pub(super) const NOT_REGULAR: &str = "Fichier source refusé (ni lien ni fichier spécial)";
pub(super) const BAD_NAME: &str = "Nom de fichier refusé";
pub(super) const TAKEN_NAME: &str = "Nom de fichier déjà pris sur le NAS";
pub(super) const NOT_THERE: &str = "Le NAS n'a pas le fichier";

pub(super) const OLD_RSYNC: &str = "rsync 3.2.4 ou plus récent est requis sur ce serveur";
pub(super) const NO_RSYNC: &str = "rsync introuvable sur le NAS";
pub(super) const NOISY: &str = "le shell du NAS écrit du texte à l'ouverture de session";
pub(super) const READ_ONLY: &str = "le dossier du NAS n'est pas accessible en écriture";
pub(super) const NO_PATH: &str = "le dossier n'existe pas sur le NAS";
pub(super) const DISK_FULL: &str = "disque plein sur le NAS";
pub(super) const KEY_FILE: &str = "fichier de clé absent ou illisible (nas.key_file)";
pub(super) const KEY_MODE: &str = "fichier de clé lisible par d'autres (chmod 600)";
pub(super) const KEY_PASSPHRASE: &str = "clé protégée par une phrase secrète (ssh-keygen -p)";
pub(super) const KEY_FORMAT: &str = "le fichier de clé ne contient pas de clé privée";
pub(super) const UNKNOWN_KEY: &str = "clé d'hôte inconnue (relais nas trust)";
pub(super) const CHANGED_KEY: &str = "la clé d'hôte a changé (relais nas trust)";
pub(super) const BUSY: &str = "le NAS est occupé par un autre transfert";
pub(super) const REFUSED: &str = "option refusée par le NAS";
pub(super) const NO_KEYS: &str = "le NAS n'a montré aucune clé d'hôte";
pub(super) const TOO_SLOW: &str = "délai dépassé";

/// R-001-20: what failed, after the fixed beginning.
pub(super) fn failed(what: &str) -> String {
    format!("{PREFIX}{what}")
}
