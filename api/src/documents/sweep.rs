//! Removes what interrupted uploads and removals left in the uploads folder: at the start of
//! every API process, and every hour.

use super::incoming::{FOLDER, NOTE};
use crate::State;
use records::documents::files::remove;
use records::documents::{known, stored_path};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::time::{Duration, SystemTime};
use tokio::fs;

/// What is younger may belong to a request that is still running.
const AGE: Duration = Duration::from_secs(3_600);

/// Runs until it is aborted.
pub(crate) async fn keep(state: State) {
    let mut rounds = tokio::time::interval(AGE);
    loop {
        rounds.tick().await;
        match sweep(&state).await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "leftovers of uploads were removed"),
            Err(error) => tracing::warn!(%error, "the uploads folder could not be swept"),
        }
    }
}

/// Returns how many leftovers are gone.
async fn sweep(state: &State) -> io::Result<usize> {
    let uploads = &state.settings.nas.uploads;
    let mut entries = match fs::read_dir(uploads.join(FOLDER)).await {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut gone = 0;
    while let Some(entry) = entries.next_entry().await? {
        let is_old = match entry.metadata().await.and_then(|metadata| metadata.modified()) {
            Ok(modified) => age(modified) >= AGE,
            Err(_removed_meanwhile) => false,
        };
        if !is_old {
            continue;
        }
        let is_note = entry.file_name().to_str().is_some_and(|name| name.ends_with(NOTE));
        if is_note && !settle(state, uploads, &entry.path()).await? {
            continue;
        }
        fs::remove_file(entry.path()).await?;
        gone += 1;
    }
    Ok(gone)
}

fn age(modified: SystemTime) -> Duration {
    SystemTime::from(queue::clock::now()).duration_since(modified).unwrap_or_default()
}

/// Removes the file that a note names, unless it belongs to a document; `false` if nobody can say.
async fn settle(state: &State, uploads: &Path, note: &Path) -> io::Result<bool> {
    let stored = fs::read_to_string(note).await?;
    if stored_path(&stored).is_err() {
        return Ok(true);
    }
    match known(state.engine.db(), vec![stored.clone()]).await {
        Err(error) => {
            tracing::warn!(%error, "the record does not say whether a file has a document");
            Ok(false)
        }
        Ok(known) if known.contains(&stored) => Ok(true),
        Ok(_) => remove(uploads, &stored).map(|()| true),
    }
}
