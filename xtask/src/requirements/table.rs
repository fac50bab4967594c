//! The table requirement → test, from the comments of the tests themselves.
//!
//! A comment counts if what it stands above is a test, or a case that a macro of tests lists; the
//! head of a file (`//!`) counts for the file. `tests/it/tidy` compiles this file too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use toml::{Table, Value};

/// Where the texts are, and where the table goes.
pub(crate) const TEXTS: &str = "docs/requirements.toml";
pub(crate) const PAGE: &str = "docs/requirements.md";

/// Families in the order of the page.
const FAMILIES: [(&str, &str); 8] = [
    ("R-000", "Source 000: local servers push"),
    ("R-001", "Source 001: documents to the NAS"),
    ("R-002", "Source 002: sales of terminals"),
    ("D", "Decisions of the design"),
    ("I", "Invariants"),
    ("C", "Contradictions of the sources, resolved"),
    ("G", "Figures of reliability"),
    ("S", "Security"),
];
/// Families whose every number has a line in `TEXTS`.
const WITH_TEXTS: [&str; 5] = ["R-000", "R-001", "R-002", "D", "I"];

const HEAD: &str = "\
# Requirements and the tests that show them

Written by `cargo xtask requirements` from `docs/requirements.toml` and from the comments above the
tests: do not edit. There is no column of results, because it could lie: `cargo xtask check` runs
every test named here and fails if one fails. It also fails if this page is out of date, or if a line
has neither a test nor a reason. A test is named by its file in `tests/it` (else by its path) and its
function; the name of a file alone means all of it.
";

/// Family and number of a requirement.
type Id<'a> = (&'a str, u32);
type Found = BTreeMap<(&'static str, u32), BTreeSet<String>>;

/// The page, and what is wrong with what it says. `files` are paths and texts of the workspace.
pub(crate) fn page<'a>(files: impl Iterator<Item = (&'a str, &'a str)>) -> (String, Vec<String>) {
    let files: BTreeMap<&str, &str> = files.collect();
    let found = found(&files);
    let mut wrong = Vec::new();
    let texts = files.get(TEXTS).copied().unwrap_or_default().parse::<Table>();
    let texts = texts.unwrap_or_else(|error| {
        wrong.push(format!("{TEXTS}: {error}"));
        Table::new()
    });
    let known: BTreeMap<Id<'_>, &Value> =
        texts.iter().filter_map(|(name, value)| Some((*ids(name).first()?, value))).collect();
    for id in found.keys().filter(|id| WITH_TEXTS.contains(&id.0) && !known.contains_key(*id)) {
        wrong.push(format!("{TEXTS} does not know {}-{}, which a test names", id.0, id.1));
    }
    let mut page = HEAD.to_owned();
    for (family, title) in FAMILIES {
        let of_family = known.keys().chain(found.keys()).filter(|id| id.0 == family);
        let of_family: BTreeSet<_> = of_family.copied().collect();
        if of_family.is_empty() {
            continue;
        }
        let (column, line) =
            if WITH_TEXTS.contains(&family) { (" in short |", "---|") } else { ("", "") };
        // Writing to a string cannot fail.
        let _ = write!(page, "\n## {title}\n\n| requirement |{column} tests |\n|---|{line}---|\n");
        for id in of_family {
            let (text, reason) = known.get(&id).map_or(("", ""), |value| words(value));
            let tests = found.get(&id).map(shown).unwrap_or_default();
            let tests = match (tests.is_empty(), reason) {
                (false, _) => tests.join("<br>"),
                (true, "") => {
                    wrong.push(format!("{}-{} has neither a test nor a reason", id.0, id.1));
                    String::new()
                }
                (true, reason) => format!("none: {reason}"),
            };
            let text = if column.is_empty() { String::new() } else { format!(" {text} |") };
            let _ = writeln!(page, "| {}-{} |{text} {tests} |", id.0, id.1);
        }
    }
    (page, wrong)
}

/// Without files of which single tests are there.
fn shown(tests: &BTreeSet<String>) -> Vec<&str> {
    let is_single =
        |test: &String| tests.iter().any(|other| other.starts_with(&format!("{test} ")));
    tests.iter().filter(|test| !is_single(test)).map(String::as_str).collect()
}

/// Text and reason of a line of `TEXTS`.
fn words(value: &Value) -> (&str, &str) {
    let member = |name| value.get(name).and_then(Value::as_str).unwrap_or_default();
    value.as_str().map_or_else(|| (member("text"), member("reason")), |text| (text, ""))
}

/// Which tests name which requirement.
fn found(files: &BTreeMap<&str, &str>) -> Found {
    let mut found = Found::new();
    let sources = files.iter().filter(|(path, _)| path.ends_with(".rs"));
    for (path, text) in sources.filter(|(path, _)| !path.starts_with("xtask/")) {
        let inside = path.strip_prefix("tests/it/");
        let place = inside.unwrap_or(path).trim_end_matches(".rs").trim_end_matches("/mod");
        let (mut head, mut comment, mut is_test) = (String::new(), String::new(), false);
        let mut has_cases = path.ends_with("/mod.rs");
        for line in text.lines().map(str::trim) {
            if let Some(words) = line.strip_prefix("//!") {
                head = format!("{head} {words}");
            } else if let Some(words) = line.strip_prefix("///") {
                comment = format!("{comment} {words}");
            } else if line.starts_with("#[") {
                is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
            } else {
                if let Some(name) = function(line)
                    && (is_test || (inside.is_some() && is_case(files, path, text, name)))
                {
                    has_cases = true;
                    note(&mut found, &comment, &format!("`{place}` {name}"));
                }
                (comment, is_test) = (String::new(), false);
            }
        }
        if inside.is_some() && has_cases {
            note(&mut found, &head, &format!("`{place}`"));
        }
    }
    found
}

fn note(found: &mut Found, comment: &str, test: &str) {
    for id in ids(comment) {
        found.entry(id).or_default().insert(test.to_owned());
    }
}

/// The name of the function that begins in this line.
fn function(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_head = before.split_whitespace().all(|word| word == "async" || word.starts_with("pub"));
    is_head.then(|| after.split(['(', '<']).next().unwrap_or(after))
}

/// Whether a macro's list has this function: that of its folder (`module::name,`), or one of its
/// own file, whose tests call it.
fn is_case(files: &BTreeMap<&str, &str>, path: &str, text: &str, name: &str) -> bool {
    let (folder, file) = path.rsplit_once('/').unwrap_or_default();
    let line = format!("{}::{name},", file.trim_end_matches(".rs"));
    let list = files.get(format!("{folder}/mod.rs").as_str()).copied().unwrap_or_default();
    let own = text.split_once("macro_rules!").map_or("", |(_, after)| after);
    let own = own.split("\n}\n").next().unwrap_or_default();
    list.lines().any(|listed| listed.trim() == line) || own.contains(&format!(" {name}("))
}

/// Every requirement that a text names, with all between the ends of `R-001-6 to R-001-9`,
/// `R-001-6 … R-001-9` and `R-001-6..9`.
fn ids(text: &str) -> Vec<(&'static str, u32)> {
    let mut ids: Vec<(&'static str, u32)> = Vec::new();
    let (mut rest, mut before, mut is_range) = (text, ' ', false);
    while let Some(first) = rest.chars().next() {
        let is_start = !before.is_alphanumeric() && before != '-';
        if let Some((family, number, after)) = is_start.then(|| id(rest)).flatten() {
            match ids.last() {
                Some(&(same, from)) if is_range && same == family => {
                    ids.extend((from + 1..=number).map(|number| (family, number)));
                }
                _ => ids.push((family, number)),
            }
            let bare = after.strip_prefix("..").and_then(digits);
            rest = bare.map_or(after, |(last, after)| {
                ids.extend((number + 1..=last).map(|number| (family, number)));
                after
            });
            is_range = [" to ", " … ", ".."].iter().any(|sign| rest.starts_with(sign));
            before = '0';
        } else {
            // Between the ends of a range stands nothing but its sign.
            is_range &= " to….".contains(first);
            before = first;
            rest = &rest[first.len_utf8()..];
        }
    }
    ids
}

/// The requirement with which a text begins.
fn id(text: &str) -> Option<(&'static str, u32, &str)> {
    FAMILIES.iter().find_map(|(family, _)| {
        let (number, after) = digits(text.strip_prefix(family)?.strip_prefix('-')?)?;
        Some((*family, number, after))
    })
}

fn digits(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}
