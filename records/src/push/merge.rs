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

#[cfg(test)]
mod tests {
    use crate::push::content::{Content, Kind, Ticket};
    use crate::push::decide::{Conflict, Decision, Verdict, decide};
    use crate::push::item::Item;
    use crate::push::stored::Stored;
    use crate::push::strategy::{Rule, Strategy};
    use chrono::{DateTime, TimeDelta, Utc};
    use proptest::prelude::{Strategy as _, any, prop, prop_assert_eq, proptest};

    fn content() -> impl proptest::strategy::Strategy<Value = Content> {
        (0_u8..3, 0_u8..3).prop_map(|(numero, comment)| {
            Content::Ticket(Ticket {
                numero: numero.to_string(),
                statut: "ouvert",
                ouvert_le: DateTime::UNIX_EPOCH,
                ferme_le: None,
                commentaire: (comment > 0).then(|| comment.to_string()),
            })
        })
    }

    /// The row after the decision.
    fn follow(
        server: &Stored,
        base: &Content,
        item: &Item,
        rule: &Rule,
        at: DateTime<Utc>,
    ) -> Stored {
        let content = match decide(Some(server), Some(base), item, rule, at) {
            Decision::Conflict(Conflict { verdict: Some(Verdict::Merge(content)), .. }) => {
                Some(content)
            }
            Decision::Conflict(Conflict { verdict: Some(Verdict::Client), .. })
            | Decision::Update
            | Decision::Delete => item.content.clone(),
            _ => return server.clone(),
        };
        let deleted = content.is_none();
        Stored {
            version: server.version + 1,
            updated_at: server.updated_at.max(at),
            deleted,
            content: content.unwrap_or_else(|| server.content.clone()),
        }
    }

    proptest! {
        /// I-19, D-42: under every strategy an item that comes twice does what it does once.
        #[test]
        fn twice_is_once(
            base in content(),
            server in content(),
            client in prop::option::weighted(0.8, content()),
            (deleted, later) in (prop::bool::weighted(0.2), -2_i64..3),
            (strategy, is_manual) in (0_usize..5, any::<bool>()),
        ) {
            let now: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().expect("an instant");
            let at = now + TimeDelta::seconds(later);
            let manual_fields = is_manual.then(|| "numero".to_owned()).into_iter().collect();
            let rule = Rule { strategy: Strategy::ALL[strategy], manual_fields };
            let server = Stored { version: 3, updated_at: now, deleted, content: server };
            let (kind, id) = (Kind::Ticket, uuid::Uuid::nil());
            let item = Item { kind, id, content: client, updated_at: at, base_version: Some(1) };
            let once = follow(&server, &base, &item, &rule, at);
            let twice = follow(&once, &base, &item, &rule, at);
            prop_assert_eq!(twice, once);
        }
    }
}
