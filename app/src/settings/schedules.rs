//! The schedules of the settings: every `[schedule.<name>]` table.

use super::reader::Reader;
use jobs::Catalog;
use scheduler::Schedule;
use toml::Value;

/// Every schedule that is switched on; notes each that cannot be run.
pub(super) fn read(from: &mut Reader, catalog: &Catalog) -> Vec<Schedule> {
    let names = from.schedules();
    names.iter().filter_map(|name| read_one(from, catalog, name)).collect()
}

fn read_one(from: &mut Reader, catalog: &Catalog, name: &str) -> Option<Schedule> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !(1..=64).contains(&name.len()) || !name.chars().all(is_name) {
        let shown = name.escape_debug();
        from.conflict(format!("`schedule.{shown}`: a name has lower-case letters, digits and _"));
        return None;
    }
    let cron = text(from, name, "cron", None)?;
    let kind = text(from, name, "kind", None)?;
    let zone = text(from, name, "timezone", Some("UTC"))?;
    let key = |field: &str| format!("schedule.{name}.{field}");
    let payload = from.optional(&key("payload")).map_or_else(|| "{}".to_owned(), json);
    match catalog.get(&kind) {
        Err(_) => {
            let known: Vec<_> = catalog.iter().map(|kind| kind.name).collect();
            from.wrong(&key("kind"), known.join(", "));
        }
        Ok(known) => {
            if let Err(error) = known.new_job(&payload) {
                let allowed = format!("a payload of `{kind}` ({error})");
                from.wrong_or_absent(&key("payload"), &key("kind"), allowed);
            }
        }
    }
    if cron.is_empty() {
        return None;
    }
    match Schedule::new(name, &kind, &payload, &cron, &zone) {
        Ok(schedule) => Some(schedule),
        Err(error) => {
            from.conflict(format!(
                "`schedule.{name}` (from {}): {error}",
                from.origin(&key("cron"))
            ));
            None
        }
    }
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
