//! What a text setting may be; each rule's error says what is allowed.

use super::Format;
use super::problem::masked;
use db::DatabaseUrl;
use records::ventes::StockPolicy;
use redis::IntoConnectionInfo;
use secrecy::SecretString;
use std::net::SocketAddr;
use std::path::Path;
use tracing_subscriber::EnvFilter;

pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let allowed = "an address and a port, such as 127.0.0.1:8000, 0.0.0.0:8000 or [::1]:8000";
    text.parse().map_err(|_| allowed.to_owned())
}

pub(super) fn database_url(text: &str) -> Result<DatabaseUrl, String> {
    let url: DatabaseUrl = text.parse().map_err(|error: db::UrlError| {
        error.to_string().trim_start_matches("allowed: ").to_owned()
    })?;
    if let Some(file) = url.file() {
        let folder = file.parent().filter(|folder| *folder != Path::new(""));
        if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
            return Err(format!("a file in a folder that exists; `{}` does not", folder.display()));
        }
    }
    Ok(url)
}

/// `None` for the empty text: the database alone.
pub(super) fn redis_url(text: &str) -> Result<Option<SecretString>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let known = ["redis://", "rediss://", "redis+sentinel://"];
    let place = known.iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or_default();
    // Who reads a sentinel URL is the queue; the others are read the way they will be used.
    let is_url = text.starts_with("redis+sentinel://") || text.into_connection_info().is_ok();
    if place.is_empty() || !is_url || masked(text).contains("(not shown)") {
        return Err("`redis://host:6379/0`, `rediss://…`, `redis+sentinel://…` or empty".to_owned());
    }
    Ok(Some(SecretString::from(text)))
}

pub(super) fn prefix(text: &str) -> Result<String, String> {
    if is_plain(text) {
        return Ok(text.to_owned());
    }
    Err("1 to 64 letters, digits and . _ -".to_owned())
}

/// The host's name for the empty text.
pub(super) fn worker_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = host.trim();
        return Ok(if is_plain(host) { host.to_owned() } else { "worker".to_owned() });
    }
    prefix(text).map_err(|_| "at most 64 letters, digits and . _ -".to_owned())
}

pub(super) fn log_format(text: &str) -> Result<Format, String> {
    match text {
        "auto" => Ok(Format::Auto),
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        _ => Err("auto, text or json".to_owned()),
    }
}

pub(super) fn log_filter(text: &str) -> Result<String, String> {
    match EnvFilter::builder().parse(text) {
        Ok(_) if !text.trim().is_empty() => Ok(text.to_owned()),
        _ => Err("error, warn, info, debug, trace, or directives: `info,worker=debug`".to_owned()),
    }
}

pub(super) fn stock_policy(text: &str) -> Result<StockPolicy, String> {
    match text {
        "refuse" => Ok(StockPolicy::Refuse),
        "accept_with_alert" => Ok(StockPolicy::AcceptWithAlert),
        _ => Err("refuse or accept_with_alert".to_owned()),
    }
}

/// Whether terminals must show their device key.
pub(super) fn device_keys(text: &str) -> Result<bool, String> {
    match text {
        "serial" => Ok(false),
        "serial+key" => Ok(true),
        _ => Err("serial or serial+key".to_owned()),
    }
}

pub(super) fn zone(text: &str) -> Result<chrono_tz::Tz, String> {
    let allowed = "a name of the IANA time zone database, such as UTC or Africa/Kinshasa";
    text.parse().map_err(|_| allowed.to_owned())
}

fn is_plain(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}
