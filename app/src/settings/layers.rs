//! Where each setting was said last: defaults, file, `.env`, environment, flags, in that order.
//!
//! Pure: the text of every source is handed in, so that a table of tests covers the rules.

use super::problem::{Problem, near};
use std::collections::BTreeMap;
use std::fmt;
use toml::{Table, Value};

/// The compiled-in defaults; their keys are all the keys there are.
const DEFAULTS: &str = include_str!("../../../config.default.toml");

/// Names of the sources' documents and of common practice, beside `RELAIS_<SECTION>_<KEY>`.
const SHORT_NAMES: [(&str, &str); 10] = [
    ("DATABASE_URL", "database.url"),
    ("REDIS_URL", "redis.url"),
    ("DEVICE_AUTH", "sales.device_auth"),
    ("INVOICE_TZ", "sales.invoice_timezone"),
    ("STOCK_POLICY", "sales.stock_policy"),
    ("NAS_HOST", "nas.host"),
    ("NAS_USER", "nas.user"),
    ("NAS_PATH", "nas.path"),
    ("NAS_API_PUBLIC", "nas.public"),
    ("UPLOADS_DIR", "nas.uploads_dir"),
];

/// The variable that names the file; not a setting itself.
pub(super) const CONFIG: &str = "RELAIS_CONFIG";

/// Kubernetes announces a service called `relais` by variables that begin like this.
const ANNOUNCED: [&str; 2] = ["RELAIS_SERVICE_", "RELAIS_PORT"];

const SCHEDULE_FIELDS: [&str; 9] = [
    "cron",
    "kind",
    "timezone",
    "payload",
    "on_gap",
    "on_fold",
    "missed",
    "missed_limit",
    "overlap",
];

/// A file's name and what it holds, or why it cannot be read.
#[derive(Debug, Clone)]
pub(crate) struct Text {
    pub(crate) name: String,
    pub(crate) content: Result<String, String>,
}

/// Everything settings are made of, as it was found.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) file: Option<Text>,
    pub(crate) dot_env: Option<Text>,
    pub(crate) environment: Vec<(String, String)>,
    /// Flag, key, value.
    pub(crate) flags: Vec<(&'static str, &'static str, String)>,
}

/// What said a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File(String),
    DotEnv(String),
    Environment(String),
    Flag(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("the compiled-in defaults"),
            Self::File(name) => f.write_str(name),
            Self::DotEnv(name) => write!(f, "{name} in .env"),
            Self::Environment(name) => write!(f, "{name} in the environment"),
            Self::Flag(name) => f.write_str(name),
        }
    }
}

/// A value and what said it.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Found {
    /// Whether the value is text because its source knows nothing else.
    pub(super) fn is_untyped(&self) -> bool {
        !matches!(self.origin, Origin::Default | Origin::File(_))
    }
}

/// All settings by dotted key, with what went wrong while collecting them.
#[derive(Debug)]
pub(super) struct Layers {
    pub(super) found: BTreeMap<String, Found>,
    pub(super) defaults: BTreeMap<String, Value>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    pub(super) fn collect(sources: &Sources) -> Self {
        let table: Table = DEFAULTS.parse().expect("the compiled-in defaults are TOML");
        let mut defaults = BTreeMap::new();
        flatten("", table, &mut defaults);
        let found = defaults
            .iter()
            .map(|(key, value)| {
                (key.clone(), Found { value: value.clone(), origin: Origin::Default })
            })
            .collect();
        let mut layers = Self { found, defaults, problems: Vec::new() };
        if let Some(file) = &sources.file {
            layers.add_file(file);
        }
        if let Some(dot_env) = &sources.dot_env {
            let variables = layers.read_dot_env(dot_env);
            layers.add_variables(&variables, Origin::DotEnv);
        }
        layers.add_variables(&sources.environment, Origin::Environment);
        for (flag, key, value) in &sources.flags {
            layers.set((*key).to_owned(), Value::String(value.clone()), Origin::Flag(flag));
        }
        layers
    }

    fn set(&mut self, key: String, value: Value, origin: Origin) {
        self.found.insert(key, Found { value, origin });
    }

    fn add_file(&mut self, file: &Text) {
        let unreadable = |why| Problem::Unreadable { origin: file.name.clone(), why };
        let text = match &file.content {
            Ok(text) => text,
            Err(why) => return self.problems.push(unreadable(why.clone())),
        };
        let table: Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                // The error's own text quotes the line, which may hold a password.
                let why = format!("line {}: {}", line_of(text, &error), error.message());
                return self.problems.push(unreadable(why));
            }
        };
        let sections = self.sections();
        let (known, unknown): (Table, Table) =
            table.into_iter().partition(|(name, _)| sections.contains(name));
        for name in unknown.keys() {
            self.unknown(name, &file.name, near(name, sections.iter().map(String::as_str)));
        }
        let mut keys = BTreeMap::new();
        flatten("", known, &mut keys);
        for (key, value) in keys {
            if self.defaults.contains_key(&key) || is_schedule_field(&key) {
                self.set(key, value, Origin::File(file.name.clone()));
            } else {
                let near = near(&key, self.defaults.keys().map(String::as_str));
                self.unknown(&key, &file.name, near);
            }
        }
    }

    fn read_dot_env(&mut self, file: &Text) -> Vec<(String, String)> {
        let problem = |why: String| Problem::Unreadable { origin: file.name.clone(), why };
        let text = match &file.content {
            Ok(text) => text,
            Err(why) => {
                self.problems.push(problem(why.clone()));
                return Vec::new();
            }
        };
        let mut variables = Vec::new();
        for item in dotenvy::from_read_iter(text.as_bytes()) {
            match item {
                Ok(variable) => variables.push(variable),
                // The line is named by its number, not quoted: it may hold a password.
                Err(dotenvy::Error::LineParse(line, _)) => {
                    let number = text.lines().position(|l| l.trim() == line.trim());
                    let at = number.map_or_else(String::new, |n| format!("line {}: ", n + 1));
                    self.problems.push(problem(format!("{at}not of the form NAME=value")));
                }
                Err(_) => {
                    self.problems.push(problem("not text".to_owned()));
                    break;
                }
            }
        }
        variables
    }

    /// Short names first, so that the long name wins where both are set.
    fn add_variables(&mut self, variables: &[(String, String)], origin: fn(String) -> Origin) {
        let names: BTreeMap<String, String> = self
            .defaults
            .keys()
            .filter(|key| !key.starts_with("schedule."))
            .map(|key| (format!("RELAIS_{}", key.to_uppercase().replace('.', "_")), key.clone()))
            .collect();
        let set = || variables.iter().filter(|(_, value)| !value.is_empty());
        for (name, value) in set() {
            if let Some((_, key)) = SHORT_NAMES.iter().find(|(short, _)| short == name) {
                self.set((*key).to_owned(), Value::String(value.clone()), origin(name.clone()));
            }
        }
        for (name, value) in set().filter(|(name, _)| name.starts_with("RELAIS_")) {
            if let Some(key) = names.get(name) {
                self.set(key.clone(), Value::String(value.clone()), origin(name.clone()));
            } else if name.starts_with("RELAIS_SCHEDULE_") {
                let why = format!("`{name}`: schedules are set in a file, not by a variable");
                self.problems.push(Problem::Conflict(why));
            } else if name != CONFIG && !ANNOUNCED.iter().any(|start| name.starts_with(start)) {
                let source = match origin(name.clone()) {
                    Origin::DotEnv(_) => ".env",
                    _ => "the environment",
                };
                self.unknown(name, source, near(name, names.keys().map(String::as_str)));
            }
        }
    }

    fn unknown(&mut self, name: &str, origin: &str, near: Option<String>) {
        let (name, origin) = (name.escape_debug().to_string(), origin.to_owned());
        self.problems.push(Problem::Unknown { name, origin, near });
    }

    fn sections(&self) -> Vec<String> {
        let mut sections: Vec<String> = self
            .defaults
            .keys()
            .filter_map(|key| Some(key.split_once('.')?.0.to_owned()))
            .collect();
        sections.dedup();
        sections
    }
}

/// Dotted keys of a table; a schedule's payload stays whole.
fn flatten(prefix: &str, table: Table, into: &mut BTreeMap<String, Value>) {
    for (name, value) in table {
        let key = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
        match value {
            Value::Table(inner) if !(is_schedule_field(&key)) => flatten(&key, inner, into),
            value => {
                into.insert(key, value);
            }
        }
    }
}

fn is_schedule_field(key: &str) -> bool {
    let mut parts = key.split('.');
    parts.next() == Some("schedule")
        && parts.next().is_some()
        && parts.next().is_some_and(|field| SCHEDULE_FIELDS.contains(&field))
        && parts.next().is_none()
}

fn line_of(text: &str, error: &toml::de::Error) -> usize {
    let start = error.span().map_or(0, |span| span.start);
    text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1
}
