//! Tries the connection from end to end: signs in, sends a small file and reads it back.

use super::{Code, Error, Nas, Outcome, Session, Source, texts};
use crate::connectors::nas::Meter;
use records::documents::PROBE;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;

/// R-001-21: by the clock on the wall, whatever hangs.
const LIMIT: Duration = Duration::from_secs(15);
/// Longer than [`LIMIT`], so that there is one text for a server that says nothing.
const CONNECT: Duration = Duration::from_secs(20);
/// How long somebody else may be in the way.
const BUSY: Duration = Duration::from_secs(8);

/// What a try found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Whether documents could be sent now.
    pub success: bool,
    /// Exactly what the contract says (R-001-18 to R-001-21).
    pub message: String,
    /// For programs: `ok`, `not_configured`, or a [`Code`]'s word.
    pub code: String,
}

impl Nas {
    /// Tries the connection with the host keys that are trusted; nothing is left running.
    pub async fn diagnose(self: &Arc<Self>, keys: &[String]) -> Diagnosis {
        if self.target().is_none() {
            return Diagnosis::failed("not_configured", texts::NOT_CONFIGURED.to_owned());
        }
        match tokio::time::timeout(LIMIT, self.probe(keys)).await {
            Ok(Ok(())) => Diagnosis {
                success: true,
                message: texts::SUCCESS.to_owned(),
                code: "ok".to_owned(),
            },
            Ok(Err(error)) => Diagnosis::failed(error.code.as_str(), error.to_string()),
            Err(_) => Diagnosis::failed(Code::Timeout.as_str(), texts::TIMEOUT.to_owned()),
        }
    }

    async fn probe(self: &Arc<Self>, keys: &[String]) -> Result<(), Error> {
        let session = Session::open(self, keys, CONNECT).await?;
        // Never twice the same, or nothing would be sent.
        let text = format!("relais {:032x}\n", rand::random::<u128>());
        let stage = session.stage_text(PROBE, text).await?;
        let session = session.with_patience(BUSY);
        let delivery = session.deliver(&stage, false, &Meter::default()).await?;
        session.close().await;
        match delivery.outcomes.into_iter().next() {
            Some((_, Outcome::There { .. })) => Ok(()),
            Some((_, Outcome::Missing(why))) => Err(Error::new(Code::Other, why)),
            _ => Err(Error::new(Code::Other, texts::NOT_THERE)),
        }
    }
}

impl Session {
    async fn stage_text(&self, name: &str, text: String) -> Result<Arc<super::Stage>, Error> {
        let folder = self.dir.folder();
        self.dir.write(&folder.join(name), text.as_bytes()).map_err(super::session::local)?;
        let source = Source { id: 0, stored: name.to_owned(), name: name.to_owned(), sha256: None };
        self.stage_from(folder.to_owned(), vec![source]).await
    }
}

impl Diagnosis {
    fn failed(code: &str, message: String) -> Self {
        Self { success: false, message, code: code.to_owned() }
    }

    /// Tells whoever reads logs; somebody else answering in the server's place is an alert.
    pub fn log(&self) {
        let code = self.code.as_str();
        match code {
            "ok" => tracing::info!(nas.code = code, "the file server answers"),
            "host_key_changed" => alert_changed_key(),
            _ => tracing::warn!(nas.code = code, "{}", self.message),
        }
    }

    /// What an operator does about it.
    pub fn advice(&self) -> &'static str {
        match self.code.as_str() {
            "ok" => "nothing to do",
            "not_configured" => {
                "set nas.host, nas.user and nas.path (NAS_HOST, NAS_USER, NAS_PATH)"
            }
            "name_not_found" => "correct nas.host, or the name server",
            "refused" => "start ssh on the NAS, or correct nas.port",
            "timeout" => "look whether the NAS runs, and whether a firewall drops the connection",
            "unreachable" => "look at the network between this machine and the NAS",
            "connection_lost" => "look at the log of ssh on the NAS",
            "auth" => "put the public key into ~/.ssh/authorized_keys of nas.user on the NAS",
            "host_key_unknown" => {
                "run `relais nas trust` and compare the fingerprint with the NAS's"
            }
            "host_key_changed" => {
                "find out why: only if the NAS was set up anew, run `relais nas trust`"
            }
            "key_file" => "let nas.key_file name a private key that this account can read",
            "key_mode" => "let nobody but its owner read nas.key_file: chmod 600",
            "key_passphrase" => {
                "take the passphrase from the key with ssh-keygen -p, or make a key without one"
            }
            "key_format" => "let nas.key_file name a private key, not the one that ends in .pub",
            "no_rsync" => "install rsync on the NAS, or switch its rsync service on",
            "noisy_shell" => "let the start-up files of nas.user's shell on the NAS print nothing",
            "read_only" => "give nas.user the right to write to nas.path",
            "missing_path" => "make the folder nas.path on the NAS, or mount its volume",
            "disk_full" => "free space on the NAS; what waits is sent then",
            "busy" => "wait for the transfer that runs, or add -no-lock to rrsync on the NAS",
            "option_refused" => "let the NAS's rrsync be the one of rsync 3.2.4 or newer",
            "local_rsync" | "local" => "install ssh and rsync 3.2.4 or newer on this machine",
            _ => "read the message",
        }
    }
}

/// The hard stop of S-23.
pub(crate) fn alert_changed_key() {
    tracing::error!(
        alert = "nas_host_key_changed",
        "the file server shows another host key than the one that is trusted: nothing is sent \
         until somebody has found out why"
    );
}
