//! The only reader of the environment, `.env` and the settings file.

use super::layers::{CONFIG, Sources, Text};
use std::path::Path;

/// The file that is read when none is named.
const USUAL_FILE: &str = "relais.toml";

/// Collects what this process was given; `config` is the value of `--config`.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(crate) fn gather(
    config: Option<&Path>,
    flags: Vec<(&'static str, &'static str, String)>,
) -> Sources {
    let environment: Vec<(String, String)> = std::env::vars_os()
        .map(|(name, value)| {
            (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
        })
        .collect();
    let dot_env = Path::new(".env");
    let dot_env = dot_env.exists().then(|| read(dot_env));
    let file = config
        .map(|path| path.display().to_string())
        .or_else(|| named(&environment))
        .or_else(|| named(&in_dot_env(dot_env.as_ref())));
    let file = match file {
        Some(named) => Some(read(Path::new(&named))),
        None => Path::new(USUAL_FILE).exists().then(|| read(Path::new(USUAL_FILE))),
    };
    Sources { file, dot_env, environment, flags }
}

fn named(variables: &[(String, String)]) -> Option<String> {
    let set = variables.iter().find(|(name, value)| name == CONFIG && !value.is_empty());
    set.map(|(_, value)| value.clone())
}

fn in_dot_env(file: Option<&Text>) -> Vec<(String, String)> {
    let text = file.and_then(|file| file.content.as_ref().ok());
    let text = text.map(String::as_str).unwrap_or_default();
    // What cannot be read is reported when the layers are collected.
    dotenvy::from_read_iter(text.as_bytes()).filter_map(Result::ok).collect()
}

fn read(path: &Path) -> Text {
    let content = std::fs::read_to_string(path).map_err(|error| error.to_string());
    Text { name: path.display().to_string(), content }
}

/// Who runs this process, by the environment's word: for the record of what people did.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
pub(crate) fn user() -> String {
    let named = ["SUDO_USER", "USER", "LOGNAME"].into_iter().filter_map(|n| std::env::var(n).ok());
    let name = named.map(|name| name.trim().to_owned()).find(|name| !name.is_empty());
    name.unwrap_or_else(|| "unknown".to_owned()).chars().take(100).collect()
}
