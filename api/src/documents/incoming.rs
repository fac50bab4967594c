//! A file on its way: written and hashed below `.recus` in the uploads folder, and given its
//! name once all of it is on the disk.
//!
//! While a file may be there without its row, or is about to go, a note beside it names it. So
//! whatever moment a process dies at, what it leaves behind is found by the sweep ([`super::sweep`]),
//! which asks the record whether the file belongs to a document.

use crate::error::ApiError;
use records::documents::files::{Content, hex};
use sha2::{Digest, Sha256};
use std::fs::OpenOptions;
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt;
use uuid::Uuid;

/// Below the uploads folder; no document may lie there.
pub(super) const FOLDER: &str = ".recus";
/// What ends the name of a note.
pub(super) const NOTE: &str = "~";

/// A file that is being received; dropped before its end it is removed.
pub(super) struct Incoming {
    uploads: PathBuf,
    stored: String,
    file: File,
    digest: Sha256,
    taille: u64,
    temp: Temp,
}

/// Removes itself.
struct Temp(Option<PathBuf>);

impl Drop for Temp {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(error) = std::fs::remove_file(&path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::warn!(%error, "a file that was not received whole could not be removed");
        }
    }
}

impl Incoming {
    /// Makes an empty file with a name that nobody else has.
    pub(super) async fn begin(uploads: &Path, extension: Option<&str>) -> io::Result<Self> {
        let id = Uuid::now_v7();
        let stored = extension.map_or_else(|| id.to_string(), |end| format!("{id}.{end}"));
        let (uploads, path) = (uploads.to_owned(), uploads.join(FOLDER).join(&stored));
        // In one piece: whoever goes away meanwhile leaves a file that still removes itself.
        let making = tokio::task::spawn_blocking(move || {
            std::fs::create_dir_all(path.parent().unwrap_or(&path))?;
            let mut options = OpenOptions::new();
            let file = options.write(true).create_new(true).mode(0o640).open(&path)?;
            Ok::<_, io::Error>((File::from_std(file), Temp(Some(path))))
        });
        let (file, temp) = making.await.map_err(io::Error::other)??;
        Ok(Self { uploads, stored, file, digest: Sha256::new(), taille: 0, temp })
    }

    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.taille += bytes.len() as u64;
        self.file.write_all(bytes).await
    }

    /// How many bytes have come.
    pub(super) fn taille(&self) -> u64 {
        self.taille
    }

    /// What the file holds, once all of it is on the disk.
    pub(super) async fn complete(mut self) -> io::Result<Complete> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        let taille = i64::try_from(self.taille).unwrap_or(i64::MAX);
        let content = Content { taille, sha256: hex(&self.digest.finalize()) };
        Ok(Complete { uploads: self.uploads, stored: self.stored, content, temp: self.temp })
    }
}

/// A file that came whole; dropped before [`Complete::keep`] it is removed.
pub(super) struct Complete {
    uploads: PathBuf,
    pub(super) stored: String,
    pub(super) content: Content,
    temp: Temp,
}

impl Complete {
    /// Gives the file its name. The note stays until the row is there.
    pub(super) async fn keep(mut self) -> io::Result<Note> {
        let note = Note::write(&self.uploads, &self.stored).await?;
        let Some(temp) = &self.temp.0 else { return Ok(note) };
        fs::rename(temp, self.uploads.join(&self.stored)).await?;
        self.temp.0 = None;
        sync(&self.uploads).await?;
        Ok(note)
    }
}

/// Says that a file may have no row.
pub(super) struct Note(PathBuf);

impl Note {
    pub(super) async fn write(uploads: &Path, stored: &str) -> io::Result<Self> {
        let folder = uploads.join(FOLDER);
        fs::create_dir_all(&folder).await?;
        let path = folder.join(format!("{}{NOTE}", Uuid::now_v7()));
        let mut file = File::create_new(&path).await?;
        file.write_all(stored.as_bytes()).await?;
        file.sync_all().await?;
        sync(&folder).await?;
        Ok(Self(path))
    }

    /// File and row agree.
    pub(super) async fn settled(self) {
        if let Err(error) = fs::remove_file(&self.0).await {
            tracing::warn!(%error, "a note about a document could not be removed; the sweep will");
        }
    }
}

async fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder).await?.sync_all().await
}

/// What a failure of the disk tells a client.
pub(super) fn refusal(error: io::Error) -> ApiError {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            ApiError::NoRoom(error)
        }
        _ => ApiError::Unavailable(Some(error.into())),
    }
}
