//! The decision about one entity (D-40, D-41). Pure: a function of the server's row, the version that
//! the client started from, the item, the strategy and the instant that counts for it, so that the
//! same item twice is the same as once (I-19).

use super::content::Content;
use super::item::Item;
use super::merge;
use super::stored::Stored;
use super::strategy::{Rule, Strategy};
use chrono::{DateTime, Utc};

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Create,
    /// Also brings a deleted one back, if the client knows that it was deleted.
    Update,
    Delete,
    /// The server holds it already, or never did and need not.
    Unchanged,
    Conflict(Conflict),
}

/// Both sides have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Conflict {
    /// Stored and sent.
    pub(super) kind: &'static str,
    /// What the strategy says; `None` if people must say so.
    pub(super) verdict: Option<Verdict>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Server,
    Client,
    Merge(Content),
}

impl Verdict {
    /// Stored and sent.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Merge(_) => "merge",
        }
    }
}

/// The change of a closed ticket: whatever the strategy, it stays as it is.
pub(super) const TICKET_CLOSED: &str = "ticket-closed";

/// Decides about `item`, which counts as changed at `effective`; `base` is what the entity held in
/// the item's `base_version`, if that is another one than the server's and still kept.
pub(super) fn decide(
    server: Option<&Stored>,
    base: Option<&Content>,
    item: &Item,
    rule: &Rule,
    effective: DateTime<Utc>,
) -> Decision {
    let conflict = |kind, verdict| Decision::Conflict(Conflict { kind, verdict });
    let Some(server) = server else {
        return match (item.base_version, &item.content) {
            // An insert would bring back what this server has lost or never had.
            (Some(1..), _) => conflict("missing_base", None),
            (_, Some(_)) => Decision::Create,
            (_, None) => Decision::Unchanged,
        };
    };
    let knows_the_version = item.base_version == Some(server.version);
    let contest =
        Contest { server, base, item, rule, server_is_newer: server.updated_at > effective };
    let Some(content) = &item.content else {
        return match () {
            () if server.deleted => Decision::Unchanged,
            () if server.content.is_closed_ticket() => conflict(TICKET_CLOSED, None),
            () if knows_the_version => Decision::Delete,
            () => contest.between("delete_vs_update", Decision::Delete),
        };
    };
    if server.deleted {
        return match knows_the_version {
            true => Decision::Update,
            false => conflict("update_vs_delete", contest.after_delete()),
        };
    }
    if *content == server.content {
        return Decision::Unchanged;
    }
    if server.content.is_closed_ticket() {
        return conflict(TICKET_CLOSED, None);
    }
    if knows_the_version {
        return Decision::Update;
    }
    let kind = if item.base_version.is_some() { "version_mismatch" } else { "stale_update" };
    contest.between(kind, Decision::Update)
}

/// Two sides of which the client did not know the other one.
struct Contest<'a> {
    server: &'a Stored,
    base: Option<&'a Content>,
    item: &'a Item,
    rule: &'a Rule,
    server_is_newer: bool,
}

impl Contest<'_> {
    fn between(&self, kind: &'static str, otherwise: Decision) -> Decision {
        // Without a version only times tell, and these do not contradict.
        if self.item.base_version.is_none() && !self.server_is_newer {
            return otherwise;
        }
        Decision::Conflict(Conflict { kind, verdict: self.verdict() })
    }

    fn verdict(&self) -> Option<Verdict> {
        match self.rule.strategy {
            // Of equal times the client is the last (D-41).
            Strategy::Lww if self.server_is_newer => Some(Verdict::Server),
            Strategy::Lww => Some(Verdict::Client),
            Strategy::ServerWins => Some(Verdict::Server),
            Strategy::ClientWins => Some(Verdict::Client),
            Strategy::Manual => None,
            Strategy::FieldMerge => {
                let (base, server) = (self.base?, &self.server.content);
                match &self.item.content {
                    Some(client) => {
                        merge::merge(base, server, client, self.rule, self.server_is_newer)
                    }
                    None => merge::delete(base, server, self.rule, self.server_is_newer),
                }
            }
        }
    }

    /// A tombstone has no members to merge, and it wins by default (D-41).
    fn after_delete(&self) -> Option<Verdict> {
        match self.rule.strategy {
            Strategy::Manual => None,
            Strategy::ClientWins => Some(Verdict::Client),
            Strategy::Lww | Strategy::ServerWins | Strategy::FieldMerge => Some(Verdict::Server),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Conflict, Decision, Verdict, decide};
    use crate::push::content::{Content, Kind, Ticket};
    use crate::push::item::Item;
    use crate::push::stored::Stored;
    use crate::push::strategy::{Rule, Strategy};
    use chrono::{DateTime, TimeDelta, Utc};
    use uuid::Uuid;

    fn ticket(numero: &str, closed: bool) -> Content {
        let at: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().expect("an instant");
        Content::Ticket(Ticket {
            numero: numero.to_owned(),
            statut: if closed { "ferme" } else { "ouvert" },
            ouvert_le: at,
            ferme_le: closed.then_some(at),
            commentaire: None,
        })
    }

    /// D-40, D-41, I-19
    #[test]
    fn every_meeting_of_two_sides_is_decided() {
        use Decision::{Create, Delete, Unchanged, Update};
        let at: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().expect("an instant");
        let (same, other) = (Some("A"), Some("B"));
        let clash = |kind, verdict| Decision::Conflict(Conflict { kind, verdict });
        let (server, client) = (|| Some(Verdict::Server), || Some(Verdict::Client));
        // The server's row: version 3, "A", changed at 0. (state, wish, base, seconds later, …)
        for (state, wish, base, later, expected) in [
            ("none", same, None, 0, Create),
            ("none", same, Some(0), 0, Create),
            ("none", same, Some(1), 0, clash("missing_base", None)),
            ("none", None, None, 0, Unchanged),
            ("none", None, Some(2), 0, clash("missing_base", None)),
            ("live", same, None, -9, Unchanged),
            ("live", same, Some(1), 9, Unchanged),
            ("live", other, Some(3), -9, Update),
            ("live", other, Some(2), -9, clash("version_mismatch", server())),
            ("live", other, Some(2), 0, clash("version_mismatch", client())),
            ("live", other, Some(0), 9, clash("version_mismatch", client())),
            ("live", other, None, -9, clash("stale_update", server())),
            ("live", other, None, 0, Update),
            ("live", other, None, 9, Update),
            ("live", None, Some(3), -9, Delete),
            ("live", None, Some(2), -9, clash("delete_vs_update", server())),
            ("live", None, Some(2), 9, clash("delete_vs_update", client())),
            ("live", None, None, -9, clash("delete_vs_update", server())),
            ("live", None, None, 0, Delete),
            ("deleted", None, None, 9, Unchanged),
            ("deleted", None, Some(1), -9, Unchanged),
            ("deleted", same, Some(3), -9, Update),
            ("deleted", same, None, 9, clash("update_vs_delete", server())),
            ("deleted", other, Some(2), 9, clash("update_vs_delete", server())),
            ("closed", same, None, 9, Unchanged),
            ("closed", other, Some(3), 9, clash("ticket-closed", None)),
            ("closed", None, Some(3), 9, clash("ticket-closed", None)),
        ] {
            let closed = state == "closed";
            let row = Stored {
                version: 3,
                updated_at: at,
                deleted: state == "deleted",
                content: ticket("A", closed),
            };
            let item = Item {
                kind: Kind::Ticket,
                id: Uuid::nil(),
                content: wish.map(|numero| ticket(numero, closed)),
                updated_at: at,
                base_version: base,
            };
            let server = (state != "none").then_some(&row);
            let effective = at + TimeDelta::seconds(later);
            let found = decide(server, None, &item, &Rule::default(), effective);
            assert_eq!(found, expected, "{state} {wish:?} {base:?} {later}");
        }
    }

    fn commented(numero: &str, comment: &str) -> Content {
        let Content::Ticket(ticket) = ticket(numero, false) else { unreachable!() };
        Content::Ticket(Ticket { commentaire: Some(comment.to_owned()), ..ticket })
    }

    /// D-40, D-41, D-42, I-19: the client started from version 1, "A" with the comment "a"; the
    /// server's row is version 3, changed at 0.
    #[test]
    fn every_strategy_decides_as_its_name_says() {
        use Strategy::{ClientWins, FieldMerge, Lww, Manual, ServerWins};
        let at: DateTime<Utc> = "2026-11-20T10:00:00Z".parse().expect("an instant");
        let (server, client) = (|| Some(Verdict::Server), || Some(Verdict::Client));
        let merge = |numero, comment| Some(Verdict::Merge(commented(numero, comment)));
        let (live, dead) = ("live", "deleted");
        // (strategy, the server's row, the client's, seconds later, verdict); None deletes.
        let table = [
            (Lww, (live, "B", "a"), Some(("A", "c")), -9, server()),
            (Lww, (live, "B", "a"), Some(("A", "c")), 9, client()),
            (ServerWins, (live, "B", "a"), Some(("A", "c")), 9, server()),
            (ClientWins, (live, "B", "a"), Some(("A", "c")), -9, client()),
            (Manual, (live, "B", "a"), Some(("A", "c")), 9, None),
            (ServerWins, (live, "B", "a"), None, 9, server()),
            (ClientWins, (live, "B", "a"), None, -9, client()),
            (Manual, (live, "B", "a"), None, 9, None),
            (Lww, (dead, "B", "a"), Some(("A", "c")), 9, server()),
            (ServerWins, (dead, "B", "a"), Some(("A", "c")), 9, server()),
            (ClientWins, (dead, "B", "a"), Some(("A", "c")), -9, client()),
            (FieldMerge, (dead, "B", "a"), Some(("A", "c")), 9, server()),
            (Manual, (dead, "B", "a"), Some(("A", "c")), 9, None),
            // Disjoint members merge, whoever was later.
            (FieldMerge, (live, "B", "a"), Some(("A", "c")), -9, merge("B", "c")),
            (FieldMerge, (live, "B", "a"), Some(("A", "c")), 9, merge("B", "c")),
            // What only one side changed, or both alike, is no merge.
            (FieldMerge, (live, "A", "s"), Some(("B", "s")), -9, client()),
            (FieldMerge, (live, "B", "s"), Some(("B", "a")), 9, server()),
            (FieldMerge, (live, "B", "a"), Some(("A", "a")), 9, server()),
            // The same member: the later one, and the other member all the same.
            (FieldMerge, (live, "B", "a"), Some(("C", "c")), -9, merge("B", "c")),
            (FieldMerge, (live, "B", "a"), Some(("C", "c")), 0, client()),
            // The comment is for people.
            (FieldMerge, (live, "A", "s"), Some(("A", "c")), 9, None),
            (FieldMerge, (live, "B", "s"), Some(("C", "c")), 9, None),
            (FieldMerge, (live, "B", "a"), None, 9, client()),
            (FieldMerge, (live, "B", "a"), None, -9, server()),
            (FieldMerge, (live, "A", "a"), None, -9, client()),
            (FieldMerge, (live, "A", "s"), None, 9, None),
        ];
        let base = commented("A", "a");
        for (strategy, (state, numero, comment), wish, later, expected) in table {
            let rule = Rule { strategy, manual_fields: vec!["commentaire".to_owned()] };
            let content = commented(numero, comment);
            let row = Stored { version: 3, updated_at: at, deleted: state == dead, content };
            let content = wish.map(|(numero, comment)| commented(numero, comment));
            let (kind, id, updated_at) = (Kind::Ticket, Uuid::nil(), at);
            let item = Item { kind, id, content, updated_at, base_version: Some(1) };
            let effective = at + TimeDelta::seconds(later);
            let of = |row: &Stored, base| decide(Some(row), base, &item, &rule, effective);
            let case = format!("{strategy:?} {state} {numero} {comment} {wish:?} {later}");
            let found = match of(&row, Some(&base)) {
                Decision::Conflict(conflict) => conflict.verdict,
                other => panic!("{case}: {other:?}"),
            };
            assert_eq!(found, expected, "{case}");
            // Without its base there is nothing to merge.
            if strategy == FieldMerge && state == live {
                let alone = of(&row, None);
                assert!(
                    matches!(alone, Decision::Conflict(Conflict { verdict: None, .. })),
                    "{case}"
                );
            }
            // Once more, it changes nothing more.
            if let Some(Verdict::Merge(merged)) = found {
                let updated_at = at.max(effective);
                let now = Stored { version: 4, updated_at, deleted: false, content: merged };
                let again = of(&now, Some(&base));
                let is_same = matches!(
                    again,
                    Decision::Conflict(Conflict { verdict: Some(Verdict::Server), .. })
                );
                assert!(is_same, "{case}: {again:?}");
            }
            // A closed ticket stays as it is.
            let closed = Stored { content: ticket("A", true), deleted: false, ..row };
            let found = of(&closed, Some(&base));
            let open = Conflict { kind: "ticket-closed", verdict: None };
            assert_eq!(found, Decision::Conflict(open), "{case}");
        }
    }
}
