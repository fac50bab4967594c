//! `[push]`: who is right when a local server and this one have both changed an entity.

use super::reader::Reader;
use records::push::{Kind, Rule, Strategies, Strategy};

pub(super) fn read(from: &mut Reader) -> Strategies {
    Strategies { ticket: rule(from, Kind::Ticket), reception_line: rule(from, Kind::ReceptionLine) }
}

fn rule(from: &mut Reader, kind: Kind) -> Rule {
    let word = kind.as_str();
    Rule {
        strategy: from.parsed(&format!("push.{word}_strategy"), strategy),
        manual_fields: from
            .parsed(&format!("push.{word}_manual_fields"), |text| fields(kind, text)),
    }
}

fn strategy(text: &str) -> Result<Strategy, String> {
    let allowed = || Strategy::ALL.map(Strategy::as_str).join(", ");
    Strategy::parse(text).ok_or_else(allowed)
}

/// Names of members, separated by commas; none for the empty text.
fn fields(kind: Kind, text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| match kind.members().contains(&name) {
            true => Ok(name.to_owned()),
            false => Err(format!("some of {}, separated by commas", kind.members().join(", "))),
        })
        .collect()
}
