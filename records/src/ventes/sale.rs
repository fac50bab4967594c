//! One sale as a terminal sent it: what it must look like, and the first thing wrong with it.
//!
//! Pure. `null` counts as absent, unknown members are ignored unless they are there twice (S-26),
//! nothing is guessed or rounded.

use super::refusal::Refusal;
use super::{money, texts};
use crate::json::{View, view};
use chrono::{DateTime, Duration, Utc};
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use std::collections::HashSet;
use unicode_normalization::UnicodeNormalization;

const MAX_NUMBER_CHARS: usize = 100;
/// Chosen so that a quantity times a price cannot overflow a decimal.
const MAX_QUANTITY: i64 = 1_000_000_000;
/// RFC 3339 sets no limit to fractions of a second; nothing real is longer.
const MAX_DATE_CHARS: usize = 64;
/// Characters of an unknown member's name that an error repeats.
const MAX_SHOWN_CHARS: usize = 50;

/// A well-formed sale.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sale {
    /// Trimmed and NFC; `None` asks for a generated one.
    pub(crate) number: Option<String>,
    pub(crate) mode: &'static str,
    pub(crate) paid: bool,
    pub(crate) date: Option<SaleDate>,
    pub(crate) lines: Vec<Line>,
}

/// When the terminal says it sold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SaleDate {
    pub(crate) raw: String,
    pub(crate) at: DateTime<Utc>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) article_id: i64,
    pub(crate) quantity: i64,
    /// `None` is the article's own price; zero is a price (C-15).
    pub(crate) price: Option<Decimal>,
}

/// A sale that is not as the contract says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// Its number, if that at least is valid.
    pub(crate) number: Option<String>,
    /// What it sent as number, so that the terminal recognises its sale in the answer.
    pub(crate) sent_number: Option<String>,
    pub(crate) refusal: Refusal,
}

/// Reads a sale sent by a terminal of the shop `shop_id`.
pub(crate) fn parse(raw: &RawValue, shop_id: i64) -> Result<Sale, Box<Malformed>> {
    let View::Object(members) = view(raw) else {
        let refusal = Refusal::invalid(texts::NOT_A_SALE.to_owned());
        return Err(Malformed { number: None, sent_number: None, refusal }.into());
    };
    let members = Members { place: String::new(), members };
    let number = number(&members).map_err(|refusal| {
        let sent = members.find("numero_facture").and_then(|raw| match view(raw) {
            View::Text(text) => Some(text.chars().take(MAX_NUMBER_CHARS).collect()),
            _ => None,
        });
        Box::new(Malformed { number: None, sent_number: sent, refusal })
    })?;
    content(&members, shop_id, number.clone()).map_err(|refusal| {
        Box::new(Malformed { number: number.clone(), sent_number: number, refusal })
    })
}

/// What the sale is, once its number is known.
fn content(members: &Members<'_>, shop_id: i64, number: Option<String>) -> Result<Sale, Refusal> {
    shop(members, shop_id)?;
    members.each_once()?;
    Ok(Sale {
        number,
        mode: mode(members)?,
        paid: paid(members)?,
        date: date(members)?,
        lines: lines(members)?,
    })
}

/// The trimmed, composed number of a sale; empty is absent (D-62).
pub(crate) fn normal_number(text: &str) -> Option<String> {
    let number: String = text.trim().nfc().collect();
    (!number.is_empty()).then_some(number)
}

fn number(members: &Members<'_>) -> Result<Option<String>, Refusal> {
    let number = match members.get("numero_facture")? {
        None => return Ok(None),
        Some(View::Text(text)) => normal_number(&text),
        Some(_) => return Err(members.expected("numero_facture", texts::NUMBER)),
    };
    let too_long = |number: &String| number.chars().nth(MAX_NUMBER_CHARS).is_some();
    if number.as_ref().is_some_and(|number| too_long(number) || number.contains(char::is_control)) {
        return Err(members.expected("numero_facture", texts::NUMBER));
    }
    Ok(number)
}

fn shop(members: &Members<'_>, shop_id: i64) -> Result<(), Refusal> {
    match members.get("boutique_id")? {
        None => Ok(()),
        Some(View::Number(text)) => match money::parse_whole(text) {
            Ok(id) if id == shop_id => Ok(()),
            Ok(_) => Err(Refusal::foreign_shop()),
            Err(_) => Err(members.expected("boutique_id", texts::SHOP)),
        },
        Some(_) => Err(members.expected("boutique_id", texts::SHOP)),
    }
}

fn mode(members: &Members<'_>) -> Result<&'static str, Refusal> {
    const MODES: [&str; 3] = ["CASH", "MOBILE_MONEY", "CARTE"];
    let mode = match members.get("mode_paiement")? {
        None => Some(MODES[0]),
        Some(View::Text(text)) => MODES.into_iter().find(|mode| *mode == text),
        Some(_) => None,
    };
    mode.ok_or_else(|| members.expected("mode_paiement", texts::MODE))
}

fn paid(members: &Members<'_>) -> Result<bool, Refusal> {
    match members.get("paye")? {
        None => Ok(true),
        Some(View::Bool(paid)) => Ok(paid),
        Some(_) => Err(members.expected("paye", texts::PAID)),
    }
}

fn date(members: &Members<'_>) -> Result<Option<SaleDate>, Refusal> {
    let wrong = || members.expected("date_vente", texts::DATE);
    let raw = match members.get("date_vente")? {
        None => return Ok(None),
        Some(View::Text(text)) if text.len() <= MAX_DATE_CHARS => text.trim().to_owned(),
        Some(_) => return Err(wrong()),
    };
    let at = DateTime::parse_from_rfc3339(&raw).map_err(|_| wrong())?;
    // Milliseconds are what both databases keep.
    let at = DateTime::from_timestamp_millis(at.timestamp_millis()).ok_or_else(wrong)?;
    Ok(Some(SaleDate { raw, at }))
}

impl Sale {
    /// The date it is booked under if received at `received`, and whether what the terminal said
    /// was not credible.
    pub(crate) fn booked(&self, received: DateTime<Utc>) -> (DateTime<Utc>, bool) {
        self.date.as_ref().map_or((received, false), |date| date.booked(received))
    }
}

impl SaleDate {
    /// The date a sale received at `received` is booked under, and whether what the terminal said
    /// was not credible: more than 30 minutes ahead or 400 days back (D-23).
    fn booked(&self, received: DateTime<Utc>) -> (DateTime<Utc>, bool) {
        let ahead = self.at - received > Duration::minutes(30);
        let stale = received - self.at > Duration::days(400);
        if ahead || stale { (received, true) } else { (self.at, false) }
    }
}

fn lines(members: &Members<'_>) -> Result<Vec<Line>, Refusal> {
    match members.get("lignes")? {
        Some(View::List(lines)) if !lines.is_empty() => {
            lines.into_iter().enumerate().map(|(index, raw)| line(index, raw)).collect()
        }
        _ => Err(members.expected("lignes", texts::LINES)),
    }
}

fn line(index: usize, raw: &RawValue) -> Result<Line, Refusal> {
    let place = format!("lignes[{index}]");
    let View::Object(members) = view(raw) else {
        return Err(Refusal::invalid(texts::expected(&place, texts::LINE)));
    };
    let members = Members { place: format!("{place}."), members };
    members.each_once()?;
    let article_id = match members.get("article_id")? {
        Some(View::Number(text)) => money::parse_whole(text).ok(),
        _ => None,
    };
    let quantity = match members.get("quantite")? {
        None => Some(1),
        Some(View::Number(text)) => money::parse_whole(text).ok(),
        Some(_) => None,
    };
    let price = match members.get("prix_unitaire")? {
        None => Ok(None),
        Some(View::Number(text)) => money::parse(text).map(Some),
        Some(View::Text(text)) => money::parse(&text).map(Some),
        Some(_) => Err(money::MoneyError::NotANumber),
    };
    Ok(Line {
        article_id: article_id.ok_or_else(|| members.expected("article_id", texts::ARTICLE))?,
        quantity: quantity
            .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
            .ok_or_else(|| members.expected("quantite", texts::QUANTITY))?,
        price: price.map_err(|_| members.expected("prix_unitaire", texts::PRICE))?,
    })
}

/// The members of an object, and where it stands in the sale.
struct Members<'a> {
    place: String,
    members: Vec<(String, &'a RawValue)>,
}

impl<'a> Members<'a> {
    fn find(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, raw)| *raw)
    }

    /// No member may be there twice, known or not: programs differ on which of them counts.
    fn each_once(&self) -> Result<(), Refusal> {
        let mut seen = HashSet::with_capacity(self.members.len());
        let twice = self.members.iter().map(|(name, _)| name).find(|name| !seen.insert(*name));
        let Some(name) = twice else { return Ok(()) };
        let visible = name.chars().filter(|character| !character.is_control());
        let shown: String = visible.take(MAX_SHOWN_CHARS).collect();
        Err(self.expected(&shown, texts::ONCE))
    }

    /// A member that is there once and is not `null`.
    fn get(&self, name: &str) -> Result<Option<View<'a>>, Refusal> {
        let mut found = self.members.iter().filter(|(member, _)| member == name);
        let Some((_, raw)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(self.expected(name, texts::ONCE));
        }
        Ok(match view(raw) {
            View::Null => None,
            value => Some(value),
        })
    }

    fn expected(&self, name: &str, allowed: &str) -> Refusal {
        Refusal::invalid(texts::expected(&format!("{}{name}", self.place), allowed))
    }
}

#[cfg(test)]
mod tests;
