//! Rules of where a thing lives.

use super::tree::{Tree, code};

/// Lines of the product that `is_breach` says yes to, outside the places that begin so.
fn outside(tree: &Tree, places: &[&str], is_breach: impl Fn(&str) -> bool) -> Vec<String> {
    let mut breaches = Vec::new();
    for (path, text) in tree.product() {
        if places.iter().any(|place| path.starts_with(place)) {
            continue;
        }
        for (number, line) in code(text) {
            if is_breach(line) {
                breaches.push(format!("{path}:{number}: {}", line.trim()));
            }
        }
    }
    breaches
}

/// Whether a path through the crate `name` stands in the line; `crate::name::` is another module.
fn names_crate(line: &str, name: &str) -> bool {
    let path = format!("{name}::");
    line.match_indices(&path).any(|(at, _)| {
        let before = &line[..at];
        let is_word = before.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        !is_word && !before.ends_with("crate::") && !before.ends_with("super::")
    })
}

pub(crate) fn sql(tree: &Tree) -> Vec<String> {
    // The doorbell's one statement is `pg_notify`: it reads no row.
    let places = ["queue/src/sql", "queue/src/bell/postgres.rs", "records/src/", "db/src/"];
    outside(tree, &places, |line| {
        let is_update = line.split_once("UPDATE ").is_some_and(|(_, rest)| rest.contains(" SET"));
        is_update || ["SELECT ", "INSERT INTO", "DELETE FROM"].iter().any(|w| line.contains(w))
    })
}

pub(crate) fn sqlx(tree: &Tree) -> Vec<String> {
    // `LISTEN` needs a connection of its own, which `Db` does not hide.
    outside(tree, &["db/", "queue/src/bell/postgres.rs"], |line| names_crate(line, "sqlx"))
}

pub(crate) fn apalis(tree: &Tree) -> Vec<String> {
    let mut breaches = outside(tree, &["worker/src/apalis.rs"], |line| {
        line.contains("apalis_core")
            || line.contains("use apalis")
            || line.contains("apalis::prelude")
    });
    for (folder, manifest) in tree.manifests() {
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        let names = dependencies.into_iter().flat_map(toml::Table::keys);
        if folder != "worker" && names.into_iter().any(|name| name.starts_with("apalis")) {
            breaches.push(format!("{folder}/Cargo.toml names apalis"));
        }
    }
    breaches
}

/// Keys and commands stand beside each other; the composition root may hand a connection on.
pub(crate) fn redis(tree: &Tree) -> Vec<String> {
    let keys = ["queue/src/redis", "api/src/limits"];
    let commands = ["redis::cmd", "redis::pipe", "redis::Script", "Commands", "Pipeline"];
    let mut breaches = outside(tree, &keys, |line| {
        line.contains("redis") && commands.iter().any(|command| line.contains(command))
    });
    let connections = ["queue/src/redis", "api/src/limits", "api/src/lib.rs", "app/src/"];
    breaches.extend(outside(tree, &connections, |line| names_crate(line, "redis")));
    breaches
}

pub(crate) fn environment(tree: &Tree) -> Vec<String> {
    let reads = ["env::var", "env::args", "env::set_var"];
    outside(tree, &["app/"], |line| reads.iter().any(|read| line.contains(read)))
}

pub(crate) fn clock(tree: &Tree) -> Vec<String> {
    let reads = ["Utc::now", "Local::now", "SystemTime::now"];
    outside(tree, &["queue/src/clock.rs"], |line| reads.iter().any(|read| line.contains(read)))
}
