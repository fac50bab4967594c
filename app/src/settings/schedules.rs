//! The schedules of the settings: every `[schedule.<name>]` table.

use super::reader::Reader;
use jobs::Catalog;
use queue::schedule::{Definition, Fold, Gap, Missed, Overlap};
use toml::Value;

/// Every schedule that is switched on; notes each that cannot be run.
pub(super) fn read(from: &mut Reader, catalog: &Catalog) -> Vec<Definition> {
    let names = from.schedules();
    names.iter().filter_map(|name| read_one(from, catalog, name)).collect()
}

fn read_one(from: &mut Reader, catalog: &Catalog, name: &str) -> Option<Definition> {
    if !queue::schedule::is_name(name) {
        let shown = name.escape_debug();
        from.conflict(format!(
            "`schedule.{shown}`: a name has 1 to 64 lower-case letters, digits, _ and -"
        ));
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
    let mut definition = Definition::new(name, &cron, &zone, &kind, &payload);
    policies(from, &mut definition)?;
    if cron.is_empty() {
        return None;
    }
    if let Err(error) = definition.check() {
        let origin = from.origin(&key("cron"));
        from.conflict(format!("`schedule.{name}` (from {origin}): {error}"));
        return None;
    }
    Some(definition)
}

/// What a schedule may say beyond its time.
fn policies(from: &mut Reader, into: &mut Definition) -> Option<()> {
    macro_rules! word {
        ($field:ident, $type:ident) => {
            if let Some(word) =
                text(from, &into.name, stringify!($field), Some("")).filter(|w| !w.is_empty())
            {
                let Some(value) = $type::parse(&word) else {
                    let key = format!("schedule.{}.{}", into.name, stringify!($field));
                    from.wrong(&key, $type::WORDS.join(", "));
                    return None;
                };
                into.$field = value;
            }
        };
    }
    word!(on_gap, Gap);
    word!(on_fold, Fold);
    word!(missed, Missed);
    word!(overlap, Overlap);
    let key = format!("schedule.{}.missed_limit", into.name);
    match from.optional(&key).map(Value::as_integer) {
        None => {}
        Some(number) => match number.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => into.missed_limit = number,
            None => {
                from.wrong(&key, "a whole number from 1 to 1000");
                return None;
            }
        },
    }
    Some(())
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
