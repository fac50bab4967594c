//! Reads a seed file, and says everything that is wrong with it, each with its path.

mod fields;

use super::SeedError;
use crate::documents::{original_name, stored_path};
use crate::json::{View, too_deep, view};
use crate::keys::{KEYS_PER_SITE, PUSH, SCOPES, is_id};
use fields::Fields;
use rust_decimal::Decimal;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::hash::Hash;

/// A seed file whose own contents are right if no error was told. Rows keep their place in the
/// file, because rows with errors are left out.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) shops: Vec<Placed<Shop>>,
    pub(super) terminals: Vec<Placed<Till>>,
    pub(super) articles: Vec<Placed<Article>>,
    pub(super) sites: Vec<Placed<Site>>,
    pub(super) keys: Vec<Placed<Key>>,
    pub(super) documents: Vec<Placed<Document>>,
}

#[derive(Debug)]
pub(super) struct Placed<T> {
    pub(super) index: usize,
    pub(super) row: T,
}

#[derive(Debug)]
pub(super) struct Shop {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) zone: String,
}

#[derive(Debug)]
pub(super) struct Till {
    pub(super) serial: String,
    pub(super) name: String,
    pub(super) shop_id: Option<i64>,
    pub(super) active: bool,
    /// Of its device key.
    pub(super) key: Option<Vec<u8>>,
}

#[derive(Debug)]
pub(super) struct Article {
    pub(super) id: i64,
    pub(super) shop_id: i64,
    pub(super) name: String,
    pub(super) code: Option<String>,
    pub(super) price: Decimal,
    pub(super) stock: i64,
    pub(super) active: bool,
}

#[derive(Debug)]
pub(super) struct Site {
    pub(super) id: i64,
    pub(super) name: String,
    /// Its keys as they were written, with their places.
    keys: Vec<(String, String)>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) hash: Vec<u8>,
    pub(super) name: String,
    pub(super) scopes: Vec<String>,
    pub(super) site_id: Option<i64>,
}

#[derive(Debug)]
pub(super) struct Document {
    pub(super) id: i64,
    /// Below the uploads folder.
    pub(super) path: String,
    pub(super) name: String,
    pub(super) owner: Option<String>,
}

impl File {
    /// Reads what can be read; `errors` says what cannot.
    pub(super) fn read(json: &str, errors: &mut Vec<String>) -> Result<Self, SeedError> {
        let raw: &RawValue = serde_json::from_str(json).map_err(SeedError::Syntax)?;
        let mut file = Self::default();
        let View::Object(members) = view(raw) else {
            errors.push("the seed: an object is expected".to_owned());
            return Ok(file);
        };
        if too_deep(json.as_bytes(), 32) {
            errors.push("the seed: nests deeper than 32 levels".to_owned());
            return Ok(file);
        }
        let mut top = Fields::new(String::new(), members, errors);
        let shops = top.list("boutiques");
        let terminals = top.list("terminaux");
        let articles = top.list("articles");
        let sites = top.list("sites");
        let keys = top.list("cles_api");
        let documents = top.list("documents");
        top.refuse_others();
        file.shops = rows("boutiques", shops, errors, shop);
        file.terminals = rows("terminaux", terminals, errors, till);
        file.articles = rows("articles", articles, errors, article);
        file.sites = rows("sites", sites, errors, site);
        file.keys = rows("cles_api", keys, errors, key);
        file.documents = rows("documents", documents, errors, document);
        refuse_twice(("boutiques", "id"), &file.shops, errors, |shop| shop.id);
        refuse_twice(("terminaux", "numero_serie"), &file.terminals, errors, |till| {
            till.serial.clone()
        });
        refuse_twice(("articles", "id"), &file.articles, errors, |article| article.id);
        refuse_twice(("sites", "id"), &file.sites, errors, |site| site.id);
        refuse_twice(("cles_api", "cle"), &file.keys, errors, |key| key.id.clone());
        file.add_site_keys(errors);
        refuse_twice(("documents", "id"), &file.documents, errors, |document| document.id);
        refuse_twice(("documents", "fichier"), &file.documents, errors, |document| {
            document.path.clone()
        });
        Ok(file)
    }

    /// The keys of sites are rows like any others.
    fn add_site_keys(&mut self, errors: &mut Vec<String>) {
        let mut seen: Vec<String> = self.keys.iter().map(|key| key.row.id.clone()).collect();
        for Placed { index, row: site } in &self.sites {
            for (place, whole) in &site.keys {
                let place = format!("sites[{index}].{place}");
                let Some(id) = public_half(whole) else {
                    errors.push(format!("{place}: {KEY_EXPECTED}"));
                    continue;
                };
                if seen.iter().any(|before| before == id) {
                    errors.push(format!("{place}: another key has the same id"));
                }
                seen.push(id.to_owned());
                let key = Key {
                    id: id.to_owned(),
                    hash: crate::digest::sha256(whole),
                    name: site.name.clone(),
                    scopes: vec![PUSH.to_owned()],
                    site_id: Some(site.id),
                };
                self.keys.push(Placed { index: *index, row: key });
            }
        }
    }
}

fn rows<T>(
    table: &str,
    raws: Vec<&RawValue>,
    errors: &mut Vec<String>,
    read: fn(&mut Fields<'_, '_>) -> Option<T>,
) -> Vec<Placed<T>> {
    let mut rows = Vec::with_capacity(raws.len());
    for (index, raw) in raws.into_iter().enumerate() {
        let place = format!("{table}[{index}]");
        let View::Object(members) = view(raw) else {
            errors.push(format!("{place}: an object is expected"));
            continue;
        };
        let mut fields = Fields::new(format!("{place}."), members, errors);
        let row = read(&mut fields);
        fields.refuse_others();
        rows.extend(row.map(|row| Placed { index, row }));
    }
    rows
}

// Each field is read before any is judged missing, so that every error is told.

fn shop(fields: &mut Fields<'_, '_>) -> Option<Shop> {
    let (id, name) = (fields.id("id"), fields.text("nom"));
    let zone = fields.optional_text("fuseau");
    if let Some(Some(zone)) = &zone
        && zone.parse::<chrono_tz::Tz>().is_err()
    {
        fields.error("fuseau", "an IANA time zone is expected, such as `Africa/Kinshasa`");
    }
    Some(Shop { id: id?, name: name?, zone: zone?.unwrap_or_else(|| "UTC".to_owned()) })
}

fn till(fields: &mut Fields<'_, '_>) -> Option<Till> {
    let (serial, name) = (fields.text("numero_serie"), fields.text("nom"));
    let is_header = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic());
    if serial.as_ref().is_some_and(|serial| !is_header(serial)) {
        fields.error("numero_serie", "visible ASCII without spaces is expected: it is a header");
    }
    let (shop_id, active) = (fields.optional_id("boutique_id"), fields.flag("actif"));
    let key = fields.optional_text("cle");
    if let Some(Some(key)) = &key
        && (key.len() < SHORT_SECRET || !is_header(key))
    {
        fields.error("cle", "at least 16 visible ASCII characters without spaces: it is a header");
    }
    let key = key?.map(|key| crate::digest::sha256(&key));
    Some(Till { serial: serial?, name: name?, shop_id: shop_id?, active: active?, key })
}

fn article(fields: &mut Fields<'_, '_>) -> Option<Article> {
    let (id, shop_id) = (fields.id("id"), fields.id("boutique_id"));
    let (name, code) = (fields.text("nom"), fields.optional_text("code"));
    let (price, stock) = (fields.money("prix_vente"), fields.quantity("stock"));
    let active = fields.flag("actif");
    Some(Article {
        id: id?,
        shop_id: shop_id?,
        name: name?,
        code: code?,
        price: price?,
        stock: stock?,
        active: active?,
    })
}

/// A secret that is shorter than this can be guessed; it is taken all the same, with a warning.
const SHORT_SECRET: usize = 16;

/// The key itself is never repeated in an error.
fn key(fields: &mut Fields<'_, '_>) -> Option<Key> {
    let (whole, name) = (fields.text("cle"), fields.text("nom"));
    let scopes = fields.words("portees", &SCOPES);
    let whole = whole?;
    let Some(id) = public_half(&whole) else {
        fields.error("cle", KEY_EXPECTED);
        return None;
    };
    let (id, hash) = (id.to_owned(), crate::digest::sha256(&whole));
    Some(Key { id, hash, name: name?, scopes: scopes?, site_id: None })
}

const KEY_EXPECTED: &str = "`<id>.<secret>` is expected: an id of letters, digits, `-` and `_`, \
                            a secret of visible characters";

/// The id of a whole key, if it is one.
fn public_half(whole: &str) -> Option<&str> {
    let is_secret = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic());
    let (id, secret) = whole.split_once('.')?;
    if !is_id(id) || !is_secret(secret) {
        return None;
    }
    if whole.len() - id.len() <= SHORT_SECRET {
        tracing::warn!(key.id = %id, "the secret of this key is short enough to be guessed");
    }
    Some(id)
}

fn site(fields: &mut Fields<'_, '_>) -> Option<Site> {
    let (id, name) = (fields.id("id"), fields.text("nom"));
    let raws = fields.list("cles_api");
    if raws.len() > KEYS_PER_SITE {
        fields.error("cles_api", &format!("at most {KEYS_PER_SITE} keys are expected"));
    }
    let mut keys = Vec::with_capacity(raws.len());
    for (index, raw) in raws.into_iter().enumerate() {
        let place = format!("cles_api[{index}]");
        match view(raw) {
            View::Text(whole) => keys.push((place, whole)),
            _ => fields.error(&place, KEY_EXPECTED),
        }
    }
    Some(Site { id: id?, name: name?, keys })
}

/// Beyond this a client may not read an integer exactly.
const MAX_DOCUMENT_ID: i64 = (1 << 53) - 1;

fn document(fields: &mut Fields<'_, '_>) -> Option<Document> {
    let (id, path) = (fields.id("id"), fields.exact_text("fichier"));
    let (name, owner) =
        (fields.optional_text("nom_original"), fields.optional_text("proprietaire"));
    let (id, path, name, owner) = (id?, path?, name?, owner?);
    if id > MAX_DOCUMENT_ID {
        fields.error("id", &format!("at most {MAX_DOCUMENT_ID}"));
    }
    if let Err(wrong) = stored_path(&path) {
        fields.error("fichier", wrong);
    }
    let name = name.unwrap_or_else(|| path.rsplit('/').next().unwrap_or(&path).to_owned());
    let name = original_name(&name).map_err(|wrong| fields.error("nom_original", wrong)).ok()?;
    Some(Document { id, path, name, owner })
}

fn refuse_twice<T, K: Hash + Eq>(
    (table, field): (&str, &str),
    rows: &[Placed<T>],
    errors: &mut Vec<String>,
    key: impl Fn(&T) -> K,
) {
    let mut seen = HashMap::new();
    for Placed { index, row } in rows {
        if let Some(first) = seen.insert(key(row), *index) {
            errors.push(format!("{table}[{index}].{field}: the same as in {table}[{first}]"));
        }
    }
}

#[cfg(test)]
mod tests;
