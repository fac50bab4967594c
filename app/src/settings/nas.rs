//! The file server of source 001.

use super::reader::Reader;
use super::seconds;
use chrono_tz::Tz;
use jobs::connectors::nas::{self, Window};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Where documents go; each part may be missing, as its contract shows them one by one.
#[derive(Debug)]
pub(crate) struct Nas {
    pub(crate) host: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) public: bool,
    pub(crate) uploads_dir: PathBuf,
    pub(crate) document_bytes: u64,
    pub(crate) owner_bytes: Option<u64>,
    pub(crate) run_wait: Duration,
    port: u16,
    key_file: Option<PathBuf>,
    bandwidth: u32,
    window: Option<Window>,
    max_parallel: u32,
    file_timeout: Duration,
    fsync: bool,
    ssh: String,
    rsync: String,
}

impl Nas {
    /// Whether documents can be copied there.
    pub(crate) fn is_configured(&self) -> bool {
        self.host.is_some() && self.user.is_some() && self.path.is_some()
    }

    /// What sends them.
    pub(crate) fn server(&self) -> Arc<nas::Nas> {
        Arc::new(nas::Nas::new(nas::Settings {
            host: self.host.clone(),
            user: self.user.clone(),
            path: self.path.clone(),
            port: self.port,
            key_file: self.key_file.clone(),
            uploads: self.uploads_dir.clone(),
            run_dir: run_dir(),
            bandwidth: self.bandwidth,
            window: self.window,
            max_parallel: self.max_parallel,
            file_timeout: self.file_timeout,
            fsync: self.fsync,
            ssh: self.ssh.clone(),
            rsync: self.rsync.clone(),
        }))
    }
}

/// A socket's path has about a hundred bytes, and rsync reads it as a word of a text.
fn run_dir() -> PathBuf {
    let dir = std::env::temp_dir();
    let text = dir.to_string_lossy();
    let fits =
        text.len() <= 40 && !text.contains(|c: char| c.is_whitespace() || "\"'%".contains(c));
    if fits && dir.is_absolute() { dir } else { PathBuf::from("/tmp") }
}

pub(super) fn read(from: &mut Reader) -> Nas {
    Nas {
        host: from.parsed("nas.host", host),
        user: from.parsed("nas.user", user),
        path: from.parsed("nas.path", path),
        public: from.flag("nas.public"),
        uploads_dir: from.parsed("nas.uploads_dir", folder),
        document_bytes: from.number("nas.document_bytes", 1_024..=1_099_511_627_776),
        owner_bytes: owner_bytes(from),
        run_wait: seconds(from, "nas.run_wait_seconds", 0, 60),
        port: from.number("nas.port", 1..=65_535),
        key_file: from.parsed("nas.key_file", key_file),
        bandwidth: from.number("nas.bandwidth_kib", 0..=10_000_000),
        window: window(from),
        max_parallel: from.number("nas.max_parallel", 1..=16),
        file_timeout: seconds(from, "nas.file_timeout_seconds", 1, 86_400),
        fsync: from.flag("nas.fsync"),
        ssh: from.parsed("nas.ssh", program),
        rsync: from.parsed("nas.rsync", program),
    }
}

fn owner_bytes(from: &mut Reader) -> Option<u64> {
    let bytes: u64 = from.number("nas.owner_bytes", 0..=1_125_899_906_842_624);
    (bytes > 0).then_some(bytes)
}

/// The hours are read in the zone, so the two are read together.
fn window(from: &mut Reader) -> Option<Window> {
    let zone = from.parsed("nas.window_timezone", |text| {
        text.parse::<Tz>().map_err(|_| "a name such as UTC or Africa/Kinshasa".to_owned())
    });
    from.parsed("nas.window", |text| match text {
        "" => Ok(None),
        text => Window::parse(text, zone)
            .map(Some)
            .ok_or_else(|| "two times of day, such as 22:00-06:00, or empty for always".to_owned()),
    })
}

/// These become arguments of programs and lines of ssh's configuration (S-23): none may begin like
/// an option or hide a second line.
fn host(text: &str) -> Result<Option<String>, String> {
    let is_inner = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    let is_end = |c: char| c.is_ascii_alphanumeric();
    let is_name = text.len() <= 253
        && text.chars().all(is_inner)
        && text.starts_with(is_end)
        && text.ends_with(is_end);
    let fine = is_name || text.parse::<IpAddr>().is_ok();
    optional(text, fine, "a host name or an address, without user, port and brackets")
}

/// `^[a-z_][a-z0-9_-]{0,31}$`: what every system takes for a user's name (S-23).
fn user(text: &str) -> Result<Option<String>, String> {
    let is_start = |c: char| c.is_ascii_lowercase() || c == '_';
    let is_inner = |c: char| is_start(c) || c.is_ascii_digit() || c == '-';
    let fine = text.len() <= 32 && text.starts_with(is_start) && text.chars().all(is_inner);
    optional(text, fine, "1 to 32 small letters, digits, _ and -, a letter or _ first")
}

fn path(text: &str) -> Result<Option<String>, String> {
    let fine = text.starts_with('/')
        && text.len() <= 4_096
        && !text.chars().any(char::is_control)
        && text.split('/').all(|part| part != "..");
    optional(text, fine, "an absolute folder, such as /volume1/factures")
}

/// Made absolute: ssh is not started where we are.
fn key_file(text: &str) -> Result<Option<PathBuf>, String> {
    let fine = !text.chars().any(|c| c.is_control() || c == '"');
    let file = optional(text, fine, "a private key's file, or empty for the account's usual ones")?;
    Ok(file.map(|file| std::path::absolute(&file).unwrap_or_else(|_| PathBuf::from(file))))
}

/// A folder that may not exist yet.
fn folder(text: &str) -> Result<PathBuf, String> {
    let fine = !text.trim().is_empty() && !text.chars().any(char::is_control);
    let path = PathBuf::from(text);
    match fine && (path.is_dir() || !path.exists()) {
        true => Ok(path),
        false => Err("a folder, such as ./data/uploads".to_owned()),
    }
}

fn program(text: &str) -> Result<String, String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "/._+-".contains(c);
    let fine = !text.is_empty() && text.chars().all(is_word) && !text.starts_with('-');
    match fine && (!text.contains('/') || Path::new(text).is_absolute()) {
        true => Ok(text.to_owned()),
        false => Err("a program's name, or its absolute path without blanks".to_owned()),
    }
}

fn optional(text: &str, fine: bool, allowed: &str) -> Result<Option<String>, String> {
    match (text, fine) {
        ("", _) => Ok(None),
        (text, true) => Ok(Some(text.to_owned())),
        _ => Err(allowed.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{host, path, program, user};

    /// S-23.
    #[test]
    fn what_becomes_an_argument_cannot_be_an_option() {
        for good in ["nas", "192.168.1.100", "nas-1.example.org", "::1", "fe80::1"] {
            assert!(host(good).is_ok_and(|host| host.is_some()), "{good}");
        }
        for bad in
            ["-oProxyCommand=x", "-lroot", "a b", "a:b", "a_b", "nas-", ".nas", "a\nb", "a@b"]
        {
            assert!(host(bad).is_err(), "{bad}");
        }
        for good in ["relais", "_", "_nas-2", "nastest", "a".repeat(32).as_str()] {
            assert_eq!(user(good), Ok(Some(good.to_owned())));
        }
        assert_eq!(user(""), Ok(None));
        for bad in ["-l", "a b", "a@b", "a\nUser root", "a\n", "a:b", "a.b", " a", "é"]
            .into_iter()
            .chain(["Relais", "relaiS", "1relais", "relais$", "$", "a".repeat(33).as_str()])
        {
            assert!(user(bad).is_err(), "{bad}");
        }
        for bad in ["x", "-x", "/a/../b", "/a\nb"] {
            assert!(path(bad).is_err(), "{bad}");
        }
        for bad in ["", "-x", "a b", "bin/ssh", "ssh;x", "$(x)"] {
            assert!(program(bad).is_err(), "{bad}");
        }
    }
}
