//! The decision about one entity (D-40, D-41). Pure: a function of the server's row, the item and
//! the instant that counts for it, so that the same item twice is the same as once (I-19).

use super::item::Item;
use super::stored::Stored;
use chrono::{DateTime, Utc};

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Conflict {
    /// Stored and sent.
    pub(super) kind: &'static str,
    /// Who is right by the strategy; nobody if people must say so.
    pub(super) winner: Option<Winner>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Winner {
    Server,
    Client,
}

/// The change of a closed ticket.
pub(super) const TICKET_CLOSED: &str = "ticket-closed";

pub(super) fn decide(server: Option<&Stored>, item: &Item, effective: DateTime<Utc>) -> Decision {
    let conflict = |kind, winner| Decision::Conflict(Conflict { kind, winner });
    let Some(server) = server else {
        return match (item.base_version, &item.content) {
            // An insert would bring back what this server has lost or never had.
            (Some(1..), _) => conflict("missing_base", None),
            (_, Some(_)) => Decision::Create,
            (_, None) => Decision::Unchanged,
        };
    };
    let knows_the_version = item.base_version == Some(server.version);
    let Some(content) = &item.content else {
        return match () {
            () if server.deleted => Decision::Unchanged,
            () if server.content.is_closed_ticket() => conflict(TICKET_CLOSED, None),
            () if knows_the_version => Decision::Delete,
            () => contest(server, item, effective, "delete_vs_update", Decision::Delete),
        };
    };
    if server.deleted {
        return match knows_the_version {
            true => Decision::Update,
            false => conflict("update_vs_delete", Some(Winner::Server)),
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
    contest(server, item, effective, kind, Decision::Update)
}

/// The last writer wins; of equal times the client is the last (D-41).
fn contest(
    server: &Stored,
    item: &Item,
    effective: DateTime<Utc>,
    kind: &'static str,
    otherwise: Decision,
) -> Decision {
    let winner = match server.updated_at > effective {
        true => Winner::Server,
        false => Winner::Client,
    };
    match (item.base_version, winner) {
        // Without a version only times tell, and these do not contradict.
        (None, Winner::Client) => otherwise,
        _ => Decision::Conflict(Conflict { kind, winner: Some(winner) }),
    }
}

#[cfg(test)]
mod tests {
    use super::{Conflict, Decision, Winner, decide};
    use crate::push::content::{Content, Kind, Ticket};
    use crate::push::item::Item;
    use crate::push::stored::Stored;
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
        let clash = |kind, winner| Decision::Conflict(Conflict { kind, winner });
        let (server, client) = (Some(Winner::Server), Some(Winner::Client));
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
            ("live", other, Some(2), -9, clash("version_mismatch", server)),
            ("live", other, Some(2), 0, clash("version_mismatch", client)),
            ("live", other, Some(0), 9, clash("version_mismatch", client)),
            ("live", other, None, -9, clash("stale_update", server)),
            ("live", other, None, 0, Update),
            ("live", other, None, 9, Update),
            ("live", None, Some(3), -9, Delete),
            ("live", None, Some(2), -9, clash("delete_vs_update", server)),
            ("live", None, Some(2), 9, clash("delete_vs_update", client)),
            ("live", None, None, -9, clash("delete_vs_update", server)),
            ("live", None, None, 0, Delete),
            ("deleted", None, None, 9, Unchanged),
            ("deleted", None, Some(1), -9, Unchanged),
            ("deleted", same, Some(3), -9, Update),
            ("deleted", same, None, 9, clash("update_vs_delete", server)),
            ("deleted", other, Some(2), 9, clash("update_vs_delete", server)),
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
            let found =
                decide((state != "none").then_some(&row), &item, at + TimeDelta::seconds(later));
            assert_eq!(found, expected, "{state} {wish:?} {base:?} {later}");
        }
    }
}
