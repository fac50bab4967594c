//! Rules of manifests, folders and modules.

use super::tree::Tree;
use std::collections::BTreeSet;
use toml::{Table, Value};

/// Which of our crates a crate may use.
const ARROWS: &[(&str, &[&str])] = &[
    ("db", &[]),
    ("queue", &["db"]),
    ("records", &["db"]),
    ("jobs", &["queue", "records", "db"]),
    ("api", &["jobs", "queue", "records", "db"]),
    ("worker", &["jobs", "queue", "records", "db"]),
    ("scheduler", &["jobs", "queue", "records", "db"]),
    ("app", &["api", "worker", "scheduler", "jobs", "queue", "records", "db"]),
    ("tests", &["api", "worker", "scheduler", "jobs", "queue", "records", "db"]),
    ("xtask", &[]),
];

pub(crate) fn arrows(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (folder, manifest) in tree.manifests() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == folder) else {
            breaches.push(format!("{folder}: a new crate needs its arrows in tidy"));
            continue;
        };
        for (name, _) in dependencies(&manifest) {
            let ours = name == "relais" || ARROWS.iter().any(|(crate_name, _)| *crate_name == name);
            if ours && !allowed.contains(&name.as_str()) {
                breaches.push(format!("{folder} may not depend on {name}"));
            }
        }
    }
    breaches
}

/// One version and one set of lints for all.
pub(crate) fn inherit(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    for (folder, manifest) in tree.manifests() {
        let lints = manifest.get("lints").and_then(|lints| lints.get("workspace"));
        if lints.and_then(Value::as_bool) != Some(true) {
            breaches.push(format!("{folder}/Cargo.toml does not inherit the workspace's lints"));
        }
        for (name, dependency) in dependencies(&manifest) {
            if dependency.get("workspace").and_then(Value::as_bool) != Some(true) {
                breaches.push(format!("{folder}/Cargo.toml: `{name}` is not the workspace's"));
            }
        }
    }
    breaches
}

/// A line of the table in ARCHITECTURE.md for each crate of somebody else's, and no other line.
pub(crate) fn explained(tree: &Tree) -> Vec<String> {
    let manifest: Table = tree.get("Cargo.toml").unwrap().parse().unwrap();
    let listed = manifest["workspace"]["dependencies"].as_table().unwrap();
    let wanted: BTreeSet<&str> = listed
        .iter()
        .filter(|(_, dependency)| dependency.get("path").is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let text = tree.get("ARCHITECTURE.md").unwrap_or_default();
    let table = text.split("## Dependencies").nth(1).unwrap_or_default();
    let table = table.split("\n## ").next().unwrap_or_default();
    let explained: BTreeSet<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once("` | "))
        .filter(|(_, why)| why.trim_end_matches(" |").len() > 10)
        .map(|(name, _)| name)
        .collect();
    let missing = wanted.difference(&explained).map(|name| format!("`{name}` is not explained"));
    let stale = explained.difference(&wanted).map(|name| format!("`{name}` is no dependency"));
    missing.chain(stale).collect()
}

/// The code map of ARCHITECTURE.md names each folder.
pub(crate) fn top_level(tree: &Tree) -> Vec<String> {
    let text = tree.get("ARCHITECTURE.md").unwrap_or_default();
    let folders: BTreeSet<&str> =
        tree.iter().filter_map(|(path, _)| Some(path.split_once('/')?.0)).collect();
    let unknown = folders.into_iter().filter(|folder| !text.contains(&format!("`{folder}/`")));
    unknown.map(|folder| format!("`{folder}/` is not in ARCHITECTURE.md")).collect()
}

/// Follows `mod` lines from each crate's roots; a file that nobody declares is dead text.
pub(crate) fn reachable(tree: &Tree) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for (folder, _) in tree.manifests() {
        let roots = ["src/lib.rs", "src/main.rs", "build.rs", "it/main.rs"];
        let programs =
            tree.iter().filter(|(path, _)| path.starts_with(&format!("{folder}/src/bin/")));
        open.extend(programs.map(|(path, _)| path.to_owned()));
        open.extend(roots.iter().map(|root| format!("{folder}/{root}")));
    }
    let mut seen = BTreeSet::new();
    while let Some(path) = open.pop() {
        let Some(text) = tree.get(&path) else { continue };
        if !seen.insert(path.clone()) {
            continue;
        }
        let dir = match path.strip_suffix(".rs").unwrap().rsplit_once('/').unwrap() {
            (dir, "lib" | "main" | "mod") => dir.to_owned(),
            (dir, name) => format!("{dir}/{name}"),
        };
        for name in declared(text) {
            open.push(format!("{dir}/{name}.rs"));
            open.push(format!("{dir}/{name}/mod.rs"));
        }
    }
    let sources = tree.iter().filter(|(path, _)| path.ends_with(".rs") && path.contains('/'));
    let lost = sources.filter(|(path, _)| !seen.contains(*path));
    lost.map(|(path, _)| format!("{path} is not part of any crate")).collect()
}

/// Modules that a file declares, with `mod` lines or with the list of kinds.
fn declared(text: &str) -> Vec<&str> {
    let listed = super::kinds::list(text).into_iter().map(|(module, _)| module);
    let mods = text.lines().filter_map(|line| {
        let line = line.trim().strip_suffix(';')?;
        let (visibility, name) = line.split_once("mod ")?;
        let is_visibility = visibility.is_empty() || visibility.starts_with("pub");
        is_visibility.then_some(name)
    });
    mods.chain(listed).collect()
}

/// Every dependency of a manifest, whatever section it is in.
fn dependencies(manifest: &Table) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (section, value) in manifest {
        let Some(table) = value.as_table() else { continue };
        if section.ends_with("dependencies") {
            found.extend(table.iter().map(|(name, value)| (name.clone(), value.clone())));
        } else if section == "target" {
            let platforms = table.values().filter_map(Value::as_table);
            found.extend(platforms.flat_map(dependencies));
        }
    }
    found
}
