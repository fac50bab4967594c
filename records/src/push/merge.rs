//! The three-way merge of one entity (D-42). Pure.

use super::content::Content;
use super::decide::Verdict;
use super::members::data_of;
use super::strategy::Rule;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What the two sides make of `base` together; `None` if a person has to say so. Of a member that
/// both changed, each to something else, the newer side counts.
pub(super) fn merge(
    base: &Content,
    server: &Content,
    client: &Content,
    rule: &Rule,
    server_is_newer: bool,
) -> Option<Verdict> {
    let [base, ours, theirs] = [base, server, client].map(members);
    let mut merged = Map::new();
    for (name, was) in base {
        let (ours, theirs) = (ours.get(&name)?, theirs.get(&name)?);
        let kept = match (*ours != was, *theirs != was) {
            (false, _) => theirs,
            (true, false) => ours,
            (true, true) if ours == theirs => ours,
            (true, true) if rule.manual_fields.contains(&name) => return None,
            (true, true) if server_is_newer => ours,
            (true, true) => theirs,
        };
        merged.insert(name, kept.clone());
    }
    let text = serde_json::to_string(&merged).ok()?;
    let raw: &RawValue = serde_json::from_str(&text).ok()?;
    // Members that are allowed one by one may not be together: then it is for a person.
    let merged = data_of(server.kind(), raw).ok()?;
    Some(match merged {
        merged if merged == *server => Verdict::Server,
        merged if merged == *client => Verdict::Client,
        merged => Verdict::Merge(merged),
    })
}

/// The same if the client deletes, which changes every member.
pub(super) fn delete(
    base: &Content,
    server: &Content,
    rule: &Rule,
    server_is_newer: bool,
) -> Option<Verdict> {
    let changed = base.differing(server);
    if changed.iter().any(|name| rule.manual_fields.contains(name)) {
        return None;
    }
    Some(if changed.is_empty() || !server_is_newer { Verdict::Client } else { Verdict::Server })
}

fn members(content: &Content) -> Map<String, Value> {
    match serde_json::to_value(content) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}
