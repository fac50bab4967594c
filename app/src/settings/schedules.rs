//! The schedules of the settings: every `[schedule.<name>]` table.

use super::reader::Reader;
use jobs::Catalog;
use toml::Value;

/// One schedule that is switched on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(crate) name: String,
    pub(crate) cron: String,
    pub(crate) timezone: String,
    pub(crate) kind: String,
    /// JSON text that the kind has accepted.
    pub(crate) payload: String,
}

pub(super) fn read(from: &mut Reader, catalog: &Catalog) -> Vec<Schedule> {
    let names = from.schedules();
    names.into_iter().filter_map(|name| read_one(from, catalog, name)).collect()
}

fn read_one(from: &mut Reader, catalog: &Catalog, name: String) -> Option<Schedule> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !(1..=64).contains(&name.len()) || !name.chars().all(is_name) {
        let shown = name.escape_debug();
        from.conflict(format!("`schedule.{shown}`: a name has lower-case letters, digits and _"));
        return None;
    }
    let cron = text(from, &name, "cron", None)?;
    let kind = text(from, &name, "kind", None)?;
    let timezone = text(from, &name, "timezone", Some("UTC"))?;
    let key = format!("schedule.{name}.payload");
    let payload = from.optional(&key).map_or_else(|| "{}".to_owned(), json);
    match catalog.get(&kind) {
        Err(_) => {
            let known: Vec<_> = catalog.iter().map(|kind| kind.name).collect();
            from.wrong(&format!("schedule.{name}.kind"), known.join(", "));
        }
        Ok(known) => {
            if let Err(error) = known.new_job(&payload) {
                let allowed = format!("a payload of `{kind}` ({error})");
                from.wrong_or_absent(&key, &format!("schedule.{name}.kind"), allowed);
            }
        }
    }
    (!cron.is_empty()).then_some(Schedule { name, cron, timezone, kind, payload })
}

fn text(from: &mut Reader, name: &str, field: &str, absent: Option<&str>) -> Option<String> {
    let key = format!("schedule.{name}.{field}");
    match (from.optional(&key), absent) {
        (Some(Value::String(text)), _) => Some(text.clone()),
        (Some(_), _) => {
            from.wrong(&key, "a text in quotes");
            None
        }
        (None, Some(absent)) => Some(absent.to_owned()),
        (None, None) => {
            from.conflict(format!("`{key}` is missing"));
            None
        }
    }
}

fn json(value: &Value) -> String {
    serde_json::to_string(value).expect("TOML that was parsed can be written as JSON")
}
