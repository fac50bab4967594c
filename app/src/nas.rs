//! `relais nas`: whom the file server is trusted to be, and whether it can be reached.

use crate::commands::Ended;
use crate::escape::escaped_lines;
use crate::settings::{Settings, user};
use crate::store::{self, Patience};
use crate::terminal;
use clap::{Args, Subcommand};
use jobs::connectors::nas::{HostKey, Nas, Target};
use jobs::kinds::test_nas::trusted_keys;
use serde_json::json;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Try the connection from end to end, and say what to do if it fails
    Test {
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Show the file server's host keys, and trust them once somebody has compared them
    Trust(Trust),
}

#[derive(Debug, Args)]
pub(crate) struct Trust {
    /// Trust what the server shows without asking: only on a network that nobody else reaches
    #[arg(long)]
    yes: bool,
    /// Trust the key with this fingerprint, and no other
    #[arg(long, value_name = "SHA256:…", value_parser = fingerprint)]
    fingerprint: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn fingerprint(text: &str) -> Result<String, String> {
    let digest = text.strip_prefix("SHA256:").unwrap_or_default().trim_end_matches('=');
    let is_digit = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    match digest.len() == 43 && digest.chars().all(is_digit) {
        true => Ok(format!("SHA256:{digest}")),
        false => Err("`SHA256:` and 43 letters and digits, as `ssh-keygen -l` shows it".to_owned()),
    }
}

pub(crate) async fn run(command: &Command, settings: &Settings) -> anyhow::Result<Ended> {
    let nas = settings.nas.server();
    match command {
        Command::Test { json } => {
            let db = store::open_record(settings, Patience::None).await?;
            let keys = trusted_keys(&db, &nas).await?;
            db.close().await;
            let found = nas.diagnose(&keys).await;
            found.log();
            let advice = found.advice();
            terminal::print(&match json {
                true => json!({"success": found.success, "message": found.message,
                               "code": found.code, "advice": advice})
                .to_string(),
                false if found.success => escaped_lines(&found.message),
                false => format!(
                    "{}\n  code: {}\n  to do: {advice}",
                    escaped_lines(&found.message),
                    found.code
                ),
            })?;
            Ok(if found.success { Ended::Well } else { Ended::Badly })
        }
        Command::Trust(wish) => match nas.target() {
            Some(target) => trust(wish, settings, &nas, target).await,
            None => {
                terminal::complain("nas.host, nas.user and nas.path are not set");
                Ok(Ended::Usage)
            }
        },
    }
}

async fn trust(
    wish: &Trust,
    settings: &Settings,
    nas: &Nas,
    target: &Target,
) -> anyhow::Result<Ended> {
    let offered = match nas.offered_keys().await {
        Ok(offered) => offered,
        Err(error) => {
            terminal::complain(&escaped_lines(&error.to_string()));
            return Ok(Ended::Badly);
        }
    };
    let db = store::open_record(settings, Patience::None).await?;
    let before = records::nas::keys(&db, &target.host, target.port).await?;
    let is_known = |key: &HostKey| before.iter().any(|known| known.line == key.line);
    let has_changed = !before.is_empty() && !offered.iter().any(is_known);
    if !wish.json {
        show(target, &offered, has_changed)?;
    }
    let keys = match agreed(wish, offered, has_changed) {
        Ok(keys) => keys,
        Err(ended) => {
            db.close().await;
            return Ok(ended);
        }
    };
    let lines: Vec<(String, String)> =
        keys.iter().map(|key| (key.line.clone(), key.fingerprint.clone())).collect();
    let by = format!("cli:{}", user());
    let mut tx = db.begin().await?;
    records::nas::trust_in(&mut tx, &target.host, target.port, &lines, &by).await?;
    tx.commit().await?;
    db.close().await;
    terminal::print(&match wish.json {
        true => json!({"host": target.host, "port": target.port, "trusted": keys}).to_string(),
        false => format!("trusted: {} of {}", keys.len(), target.host),
    })?;
    Ok(Ended::Well)
}

fn show(target: &Target, offered: &[HostKey], has_changed: bool) -> anyhow::Result<()> {
    terminal::print(&format!("{} port {} shows:", target.host, target.port))?;
    for key in offered {
        terminal::print(&format!("  {:8} {}", key.algorithm, key.fingerprint))?;
    }
    if has_changed {
        terminal::print(
            "None of these is trusted, but others are: the server was set up anew, or \
                         somebody else is answering.",
        )?;
    }
    Ok(())
}

/// The keys that somebody has agreed to.
fn agreed(wish: &Trust, offered: Vec<HostKey>, has_changed: bool) -> Result<Vec<HostKey>, Ended> {
    if let Some(wished) = &wish.fingerprint {
        let keys: Vec<HostKey> =
            offered.into_iter().filter(|key| key.fingerprint == *wished).collect();
        if keys.is_empty() {
            terminal::complain("the server shows no key with that fingerprint; nothing is trusted");
            return Err(Ended::Badly);
        }
        return Ok(keys);
    }
    let question = match has_changed {
        true => "Trust these keys instead of those from before",
        false => "Trust these keys",
    };
    match wish.yes || terminal::confirm(question).ok_or_else(not_asked)? {
        true => Ok(offered),
        false => Err(Ended::Badly),
    }
}

fn not_asked() -> Ended {
    terminal::complain(
        "nobody is there to compare: give --fingerprint, or --yes where nobody else can answer",
    );
    Ended::Usage
}
