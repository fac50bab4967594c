//! Rules of single files: how long they are, how they open, what they may not hold.

use super::tree::Tree;
use std::collections::BTreeSet;

const SOURCE_LINES: usize = 400;
const TEST_LINES: usize = 500;

pub(crate) fn sizes(tree: &Tree) -> Vec<String> {
    let files = tree.iter().filter(|(path, _)| path.ends_with(".rs"));
    let long = files.filter_map(|(path, text)| {
        let limit = if path.starts_with("tests/") { TEST_LINES } else { SOURCE_LINES };
        let lines = text.lines().count();
        (lines > limit).then(|| format!("{path} has {lines} lines, {limit} are allowed"))
    });
    long.collect()
}

pub(crate) fn openings(tree: &Tree) -> Vec<String> {
    let files = tree.iter().filter(|(path, _)| path.ends_with(".rs"));
    let silent = files.filter(|(_, text)| !text.starts_with("//! "));
    silent.map(|(path, _)| format!("{path} does not open with `//!`")).collect()
}

pub(crate) fn leftovers(tree: &Tree) -> Vec<String> {
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];
    let mut breaches = Vec::new();
    for (path, text) in tree.iter() {
        for (index, line) in text.lines().enumerate() {
            let mut parts = line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            if let Some(word) = parts.find(|part| words.contains(part)) {
                breaches.push(format!("{path}:{}: {word}", index + 1));
            }
        }
    }
    breaches
}

/// The defaults are the reference: a comment stands right above each key.
pub(crate) fn settings(tree: &Tree) -> Vec<String> {
    let path = "config.default.toml";
    let mut breaches = Vec::new();
    let mut above = "";
    for (index, line) in tree.get(path).unwrap_or_default().lines().enumerate() {
        let is_key = line.contains('=') && !line.starts_with(['#', ' ', '[', ']']);
        if is_key && !above.starts_with('#') {
            breaches.push(format!("{path}:{}: `{line}` has no comment", index + 1));
        }
        above = line;
    }
    breaches
}

pub(crate) fn migrations(tree: &Tree) -> Vec<String> {
    let names = |folder: &str| -> BTreeSet<&str> {
        let files = tree.iter().filter(|(path, _)| path.ends_with(".sql"));
        files.filter_map(|(path, _)| path.strip_prefix(folder)).collect()
    };
    let (sqlite, postgres) = (names("migrations/sqlite/"), names("migrations/postgres/"));
    let mut breaches: Vec<String> = sqlite
        .symmetric_difference(&postgres)
        .map(|name| format!("{name} is on one side only"))
        .collect();
    for (index, name) in sqlite.iter().enumerate() {
        let number = name.split_once('_').and_then(|(number, _)| number.parse().ok());
        if number != Some(index + 1) || name.find('_') != Some(4) {
            breaches.push(format!("{name} is not number {:04}", index + 1));
        }
    }
    breaches
}
