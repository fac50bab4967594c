//! Rules of job kinds: one file, one line, three spellings of one name.

use super::tree::Tree;
use std::collections::BTreeSet;

const FOLDER: &str = "jobs/src/kinds/";

pub(crate) fn listed(tree: &Tree) -> Vec<String> {
    let mut breaches = Vec::new();
    let lines = list(tree.get("jobs/src/kinds.rs").unwrap_or_default());
    if lines.is_empty() {
        breaches.push("jobs/src/kinds.rs lists no kind".to_owned());
    }
    if !lines.is_sorted() {
        breaches.push("jobs/src/kinds.rs is not in order".to_owned());
    }
    let files: BTreeSet<&str> = tree
        .iter()
        .filter_map(|(path, _)| path.strip_prefix(FOLDER)?.strip_suffix(".rs"))
        .filter(|name| !name.contains('/'))
        .collect();
    let modules: BTreeSet<&str> = lines.iter().map(|(module, _)| *module).collect();
    for name in files.symmetric_difference(&modules) {
        breaches.push(format!("{FOLDER}{name}.rs has no line, or the line has no file"));
    }
    for (module, kind) in lines {
        if camel(module) != kind {
            breaches.push(format!("{module}::{kind} should be {module}::{}", camel(module)));
        }
        if ["Job", "Task", "Worker"].iter().any(|suffix| kind.ends_with(suffix)) {
            breaches.push(format!("{kind}: a kind is a verb and an object"));
        }
        let text = tree.get(&format!("{FOLDER}{module}.rs")).unwrap_or_default();
        if !text.contains(&format!("const KIND: &'static str = \"{module}\";")) {
            breaches.push(format!("{FOLDER}{module}.rs does not say KIND = \"{module}\""));
        }
    }
    breaches
}

/// `module` and `Type` of each line of a `kinds! { … }`.
pub(crate) fn list(text: &str) -> Vec<(&str, &str)> {
    let body = text.split("\nkinds! {").nth(1).or_else(|| text.strip_prefix("kinds! {"));
    let body = body.and_then(|body| body.split('}').next()).unwrap_or_default();
    let lines = body.lines().map(|line| line.split("//").next().unwrap_or_default());
    let names = lines.flat_map(|line| line.split(',')).filter_map(|name| name.split_once("::"));
    names.map(|(module, kind)| (module.trim(), kind.trim())).collect()
}

fn camel(name: &str) -> String {
    let words = name.split('_').map(|word| {
        let (first, rest) = word.split_at(1.min(word.len()));
        format!("{}{rest}", first.to_uppercase())
    });
    words.collect()
}
