//! What a local server sends at random: few ids, few contents and few times, so that they meet.

use super::site::Model;
use crate::push::{at, batch, delete};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

/// One batch, or one of the last ones again.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) atomic: bool,
    pub(super) abort: bool,
    pub(super) items: Vec<Pick>,
    pub(super) again: Option<usize>,
    /// The first answer is not waited for.
    pub(super) lost: bool,
    /// The program dies at this place while it is at this batch.
    pub(super) death: Option<&'static str>,
}

/// Where the program may die; `entity` is the first one of the batch.
const PLACES: &[&str] = &[
    "accept",
    "enqueue",
    "accepted",
    "claim",
    "claimed",
    "entity",
    "commit",
    "committed",
    "publish",
    "answer",
];

#[derive(Debug, Clone)]
pub(super) struct Pick {
    pub(super) entity: Entity,
    /// `None` deletes.
    pub(super) content: Option<Content>,
    pub(super) time: i64,
    pub(super) base: Base,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entity {
    Ticket(u128),
    Line(u128),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) text: u8,
    /// Of a ticket.
    pub(super) closed: bool,
    /// Of a line: its ticket, if it has one.
    pub(super) ticket: Option<u128>,
}

/// What the client takes for the server's version, as the model is when it sends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Base {
    Unknown,
    Current,
    Before,
    Ahead,
}

pub(super) fn history() -> impl Strategy<Value = Vec<Command>> {
    vec(command(), 1..14)
}

fn command() -> impl Strategy<Value = Command> {
    let again = prop_oneof![5 => Just(None), 1 => (0_usize..3).prop_map(Some)];
    let mode = (any::<bool>(), prop::bool::weighted(0.2));
    let lost = prop::bool::weighted(0.2);
    let death = prop_oneof![7 => Just(None), 1 => prop::sample::select(PLACES).prop_map(Some)];
    (mode, vec(pick(), 1..6), again, lost, death).prop_map(
        |((atomic, abort), items, again, lost, death)| Command {
            atomic,
            abort,
            items,
            again,
            lost,
            death,
        },
    )
}

fn pick() -> impl Strategy<Value = Pick> {
    let entity = prop_oneof![
        1 => (1_u128..4).prop_map(Entity::Ticket),
        2 => (1_u128..6).prop_map(Entity::Line),
    ];
    let ticket = prop_oneof![1 => Just(None), 2 => (1_u128..4).prop_map(Some)];
    let content = (0_u8..3, prop::bool::weighted(0.2), ticket)
        .prop_map(|(text, closed, ticket)| Content { text, closed, ticket });
    let base = prop_oneof![
        4 => Just(Base::Unknown),
        2 => Just(Base::Current),
        1 => Just(Base::Before),
        1 => Just(Base::Ahead),
    ];
    (entity, prop::option::weighted(0.8, content), 0_i64..6, base).prop_map(
        |(entity, content, time, base)| {
            let content = content.map(|content| match entity {
                Entity::Ticket(_) => Content { ticket: None, ..content },
                Entity::Line(_) => Content { closed: false, ..content },
            });
            Pick { entity, content, time, base }
        },
    )
}

impl Entity {
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::Ticket(_) => "ticket",
            Self::Line(_) => "reception_line",
        }
    }

    pub(super) fn number(self) -> u128 {
        match self {
            Self::Ticket(number) | Self::Line(number) => number,
        }
    }
}

impl Command {
    pub(super) fn body(&self, model: &Model) -> Value {
        let entities: Vec<_> = self.items.iter().map(|pick| pick.json(model)).collect();
        let mut body = batch(if self.atomic { "atomic" } else { "per_entity" }, &entities);
        if self.abort {
            body["on_conflict"] = json!("abort");
        }
        body
    }
}

impl Pick {
    fn json(&self, model: &Model) -> Value {
        let id = Uuid::from_u128(self.entity.number());
        let mut entity = delete(self.entity.kind(), id, self.time);
        entity["base_version"] = match (self.base, model.version(self.entity)) {
            (Base::Unknown, _) => json!(null),
            (Base::Current, version) => json!(version),
            (Base::Before, version) => json!((version - 1).max(0)),
            (Base::Ahead, version) => json!(version + 2),
        };
        let Some(content) = self.content else { return entity };
        entity["op"] = json!("upsert");
        let text = format!("texte {}", content.text);
        entity["data"] = match self.entity {
            Entity::Ticket(_) => {
                let (word, end) =
                    if content.closed { ("ferme", Some(at(9))) } else { ("ouvert", None) };
                json!({"numero": text, "statut": word, "ouvert_le": at(0), "ferme_le": end})
            }
            Entity::Line(_) => json!({
                "ticket_id": content.ticket.map(Uuid::from_u128), "article_code": "A",
                "designation": text, "quantite": "1", "unite": "kg", "recu_le": at(0),
            }),
        };
        entity
    }
}
