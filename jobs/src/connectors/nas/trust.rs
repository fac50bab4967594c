//! Which host keys a server offers, for somebody to compare and to trust.

use super::process;
use super::{Code, Error, Nas, texts};
use serde::Serialize;
use std::time::Duration;

/// How long a server may take to show its keys.
const LIMIT: Duration = Duration::from_secs(15);

/// A host key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HostKey {
    /// `ED25519`, `RSA`, …
    pub algorithm: String,
    /// `SHA256:…`, as ssh shows it.
    pub fingerprint: String,
    /// Type and key, as a file of known hosts has them.
    pub line: String,
}

impl Nas {
    /// Asks the server for its host keys. They prove nothing until somebody has compared them.
    pub async fn offered_keys(&self) -> Result<Vec<HostKey>, Error> {
        let target = self.target().ok_or_else(|| Error::new(Code::Local, texts::NOT_CONFIGURED))?;
        let port = target.port.to_string();
        let args = ["-T", "10", "-p", &port, "--", &target.host];
        let scan = tokio::time::timeout(LIMIT, process::output("ssh-keyscan", &args, "")).await;
        let scan = scan.unwrap_or_else(|_| Ok(String::new()))?;
        let lines: Vec<String> = scan.lines().filter_map(key).collect();
        if lines.is_empty() {
            return Err(Error::new(Code::Unreachable, texts::NO_KEYS));
        }
        fingerprints(lines).await
    }
}

/// `host type key` without the host; comments are left out.
fn key(line: &str) -> Option<String> {
    let mut words = line.split(' ').filter(|_| !line.starts_with('#'));
    let (_, kind, key) = (words.next()?, words.next()?, words.next()?);
    Some(format!("{kind} {key}"))
}

async fn fingerprints(lines: Vec<String>) -> Result<Vec<HostKey>, Error> {
    let mut keys = Vec::new();
    for line in lines {
        // `256 SHA256:… comment (ED25519)`
        let args = ["-l", "-E", "sha256", "-f", "-"];
        let shown = process::output("ssh-keygen", &args, &format!("{line}\n")).await?;
        let fingerprint = shown.split(' ').nth(1).filter(|word| word.starts_with("SHA256:"));
        let fingerprint = fingerprint.ok_or_else(|| Error::new(Code::Other, texts::NO_KEYS))?;
        let algorithm = shown.rsplit(' ').next().unwrap_or_default().trim();
        let algorithm = algorithm.trim_matches(['(', ')']).to_owned();
        keys.push(HostKey { algorithm, fingerprint: fingerprint.to_owned(), line });
    }
    Ok(keys)
}
