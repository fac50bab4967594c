//! What it means when ssh or rsync fail: what they say decides, their exit code only if they say
//! nothing that is known. The same wrong key ends as 255 or as 12, at random.

use super::texts;
use crate::Failure;

/// What is wrong, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The name has no address.
    NameNotFound,
    /// Nobody listens.
    Refused,
    /// No answer in time.
    Timeout,
    /// No way there.
    Unreachable,
    /// The connection broke.
    Lost,
    /// The key is not accepted.
    Auth,
    /// Nobody has said yet which host key is right.
    HostKeyUnknown,
    /// The host key is not the one that was trusted: somebody else may be answering.
    HostKeyChanged,
    /// The key file is not there, or cannot be read.
    KeyFile,
    /// Others can read the key file, so that ssh does not use it.
    KeyMode,
    /// The key has a passphrase, and nobody is there to type it.
    KeyPassphrase,
    /// What is in the key file is no private key.
    KeyFormat,
    /// There is no rsync on the server.
    NoRsync,
    /// The user's shell prints text.
    NoisyShell,
    /// The folder takes no files.
    ReadOnly,
    /// The folder is not there.
    MissingPath,
    /// No room is left.
    DiskFull,
    /// The server lets one in at a time, as `rrsync` does without `-no-lock`.
    Busy,
    /// The server forbids an option.
    OptionRefused,
    /// rsync here is too old.
    LocalRsync,
    /// A program here does not start.
    Local,
    /// None of these.
    Other,
}

impl Code {
    /// The word for programs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NameNotFound => "name_not_found",
            Self::Refused => "refused",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
            Self::Lost => "connection_lost",
            Self::Auth => "auth",
            Self::HostKeyUnknown => "host_key_unknown",
            Self::HostKeyChanged => "host_key_changed",
            Self::KeyFile => "key_file",
            Self::KeyMode => "key_mode",
            Self::KeyPassphrase => "key_passphrase",
            Self::KeyFormat => "key_format",
            Self::NoRsync => "no_rsync",
            Self::NoisyShell => "noisy_shell",
            Self::ReadOnly => "read_only",
            Self::MissingPath => "missing_path",
            Self::DiskFull => "disk_full",
            Self::Busy => "busy",
            Self::OptionRefused => "option_refused",
            Self::LocalRsync => "local_rsync",
            Self::Local => "local",
            Self::Other => "other",
        }
    }

    /// What our own words for it are; `None` if those of ssh are better.
    fn text(self) -> Option<&'static str> {
        Some(match self {
            Self::HostKeyUnknown => texts::UNKNOWN_KEY,
            Self::HostKeyChanged => texts::CHANGED_KEY,
            Self::NoRsync => texts::NO_RSYNC,
            Self::NoisyShell => texts::NOISY,
            Self::ReadOnly => texts::READ_ONLY,
            Self::MissingPath => texts::NO_PATH,
            Self::DiskFull => texts::DISK_FULL,
            Self::Busy => texts::BUSY,
            Self::OptionRefused => texts::REFUSED,
            _ => return None,
        })
    }
}

/// Why nothing can be sent to the server now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", texts::failed(detail))]
pub struct Error {
    /// What is wrong.
    pub code: Code,
    /// In words, without the user's name or the key's path.
    pub detail: String,
}

/// What somebody said, and what it means. The first that fits decides.
const SAID: &[(&str, Code)] = &[
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", Code::HostKeyChanged),
    ("host key is known for", Code::HostKeyUnknown),
    ("Host key verification failed", Code::HostKeyUnknown),
    ("Permission denied (publickey", Code::Auth),
    ("Permission denied (password", Code::Auth),
    ("Permission denied (keyboard-interactive", Code::Auth),
    ("Permission denied (gssapi", Code::Auth),
    ("Permission denied (hostbased", Code::Auth),
    ("Too many authentication failures", Code::Auth),
    ("Could not resolve hostname", Code::NameNotFound),
    ("Connection refused", Code::Refused),
    ("No space left on device", Code::DiskFull),
    ("Disk quota exceeded", Code::DiskFull),
    ("is your shell clean", Code::NoisyShell),
    ("Another instance of rrsync is already accessing", Code::Busy),
    ("has been disabled on this server", Code::OptionRefused),
    ("rsync: not found", Code::NoRsync),
    ("rsync: command not found", Code::NoRsync),
    ("command not found", Code::NoRsync),
    ("Read-only file system", Code::ReadOnly),
    ("No route to host", Code::Unreachable),
    ("Network is unreachable", Code::Unreachable),
    ("timed out", Code::Timeout),
    ("Timeout, server", Code::Timeout),
    ("timeout in data send/receive", Code::Timeout),
];

/// rsync's own codes, for when it says nothing that is known.
fn by_exit(code: Option<i32>) -> Code {
    match code {
        Some(2) => Code::NoisyShell,
        Some(30 | 35) => Code::Timeout,
        Some(127) => Code::NoRsync,
        Some(10 | 12 | 255) | None => Code::Lost,
        _ => Code::Other,
    }
}

impl Error {
    /// With words that are shown as they are.
    pub(super) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }

    /// Judges a run that failed; `secrets` are words that nobody is to read.
    pub(super) fn of(exit: Option<i32>, stderr: &str, secrets: &[String]) -> Self {
        let said = SAID.iter().find(|(words, _)| stderr.contains(words));
        let (line, code) = match said {
            Some((words, code)) => (stderr.lines().find(|line| line.contains(words)), *code),
            None => receiver(stderr).unwrap_or((first(stderr), by_exit(exit))),
        };
        let line = line.map(|line| cleaned(line, secrets)).filter(|line| !line.is_empty());
        let detail = match (code.text(), line) {
            (Some(text), _) => text.to_owned(),
            (None, Some(line)) => line,
            (None, None) => exit.map_or_else(|| "signal".to_owned(), |exit| format!("code {exit}")),
        };
        Self { code, detail }
    }

    /// Whether it may pass by itself.
    pub fn is_transient(&self) -> bool {
        use Code::{Busy, DiskFull, Lost, NameNotFound, Refused, Timeout, Unreachable};
        matches!(self.code, NameNotFound | Refused | Timeout | Unreachable | Lost | DiskFull | Busy)
    }
}

/// What the other side says about its folder; about a file here, the file's own outcome tells.
fn receiver(stderr: &str) -> Option<(Option<&str>, Code)> {
    let is_theirs = |line: &&str| {
        let theirs =
            ["[Receiver]", "[receiver]", "[generator]", "mkstemp", "mkdir", "change_dir#3"];
        theirs.iter().any(|word| line.contains(word))
    };
    let meaning = |line: &str| match line {
        _ if line.contains("Permission denied (13)") => Some(Code::ReadOnly),
        _ if line.contains("No such file or directory (2)") => Some(Code::MissingPath),
        _ if line.contains("Not a directory (20)") => Some(Code::MissingPath),
        _ => None,
    };
    stderr.lines().filter(is_theirs).find_map(|line| Some((Some(line), meaning(line)?)))
}

fn first(stderr: &str) -> Option<&str> {
    let mut lines = stderr.lines().map(str::trim);
    lines.find(|line| !line.is_empty() && !line.starts_with("Warning:"))
}

/// A line as people may read it: without `user@host:` before it, secrets and control characters.
fn cleaned(line: &str, secrets: &[String]) -> String {
    let mut line = line.trim().to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        line = line.replace(secret.as_str(), "…");
    }
    // `…host: Permission denied (publickey).`
    if let Some((before, after)) = line.split_once(": ")
        && before.starts_with('…')
        && !before.contains(' ')
    {
        line = after.to_owned();
    }
    let line = line.trim_end_matches('.').replace(char::is_control, " ");
    line.chars().take(300).collect()
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error.is_transient() {
            true => Self::transient(error),
            false => Self::permanent(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, Error};

    fn of(exit: i32, stderr: &str) -> (Code, String) {
        let secrets = ["nastest@".to_owned(), "/keys/id_relais".to_owned()];
        let error = Error::of(Some(exit), stderr, &secrets);
        (error.code, error.to_string())
    }

    /// R-001-20.
    #[test]
    fn a_wrong_key_reads_as_the_contract_has_it_whatever_the_exit_code() {
        let said = "Warning: Identity file /keys/id_relais not accessible: No such file.\n\
                    nastest@127.0.0.1: Permission denied (publickey).\n\
                    rsync: connection unexpectedly closed (0 bytes received so far) [sender]\n";
        for exit in [255, 12] {
            let expected = "Échec de connexion : Permission denied (publickey)".to_owned();
            assert_eq!(of(exit, said), (Code::Auth, expected));
        }
    }

    #[test]
    fn what_is_said_counts_before_the_exit_code() {
        for (exit, said, code) in [
            (255, "ssh: connect to host 10.0.0.9 port 22: Connection refused", Code::Refused),
            (255, "ssh: connect to host 10.0.0.9 port 22: Connection timed out", Code::Timeout),
            (255, "Could not resolve hostname n: Name or service not known", Code::NameNotFound),
            (255, "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", Code::HostKeyChanged),
            (255, "No ED25519 host key is known for relais-nas and", Code::HostKeyUnknown),
            (11, "rsync: [receiver] write failed: No space left on device (28)", Code::DiskFull),
            (12, "rsync error: option -s has been disabled on this server.", Code::OptionRefused),
            (127, "sh: 1: rsync: not found", Code::NoRsync),
            (2, "protocol version mismatch -- is your shell clean?", Code::NoisyShell),
            (23, "rsync: [receiver] mkstemp \"/x\" failed: Permission denied (13)", Code::ReadOnly),
            (
                11,
                "[Receiver] mkdir \"/x/.\" failed: No such file or directory (2)",
                Code::MissingPath,
            ),
            (30, "", Code::Timeout),
            (12, "rsync: connection unexpectedly closed", Code::Lost),
            (23, "rsync: [sender] open \"/x\" failed: Permission denied (13)", Code::Other),
        ] {
            assert_eq!(of(exit, said).0, code, "{said}");
        }
    }

    #[test]
    fn neither_user_nor_key_is_told() {
        let (_, text) = of(255, "Load key \"/keys/id_relais\": error in libcrypto\u{7}");
        assert_eq!(text, "Échec de connexion : Load key \"…\": error in libcrypto ");
    }
}
