//! Files of documents, below the uploads folder: opened part by part, through no link, and only
//! regular ones (S-22). What lies there may have been put there by anybody.

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, unlinkat};
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    pub taille: i64,
    /// 64 hexadecimal digits.
    pub sha256: String,
}

/// Opens the file of a document for reading.
///
/// # Errors
/// `NotFound` if there is none; `InvalidInput` if what is there is a link, a pipe or anything else
/// but a regular file, or lies behind a link.
pub fn open(uploads: &Path, stored: &str) -> io::Result<File> {
    let (place, name) = folder_of(uploads, stored)?;
    // A pipe that nobody writes to would keep us waiting.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(openat(&place, name, flags, Mode::empty()).map_err(linked)?);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(not_regular()),
    }
}

/// Removes the file of a document; there may be none.
///
/// # Errors
/// If it lies behind a link, or cannot be removed.
pub fn remove(uploads: &Path, stored: &str) -> io::Result<()> {
    let removed = folder_of(uploads, stored)
        .and_then(|(place, name)| Ok(unlinkat(place, name, AtFlags::empty())?));
    match removed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The folder in which a document's file lies, open, and the file's name there.
fn folder_of<'s>(uploads: &Path, stored: &'s str) -> io::Result<(OwnedFd, &'s str)> {
    super::stored_path(stored).map_err(|wrong| io::Error::new(ErrorKind::InvalidInput, wrong))?;
    let folder = OFlags::DIRECTORY | OFlags::CLOEXEC;
    // Links on the way to the uploads folder are the operator's.
    let mut place = openat(CWD, uploads, folder, Mode::empty())?;
    let (folders, name) = stored.rsplit_once('/').unwrap_or(("", stored));
    for part in folders.split('/').filter(|part| !part.is_empty()) {
        let opened = openat(&place, part, folder | OFlags::NOFOLLOW, Mode::empty());
        place = opened.map_err(linked)?;
    }
    Ok((place, name))
}

/// What the file of a document holds; `None` if there is none. Reads all of it.
///
/// # Errors
/// As [`open`], and if the file cannot be read.
pub fn content(uploads: &Path, stored: &str) -> io::Result<Option<Content>> {
    let mut file = match open(uploads, stored) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut taille = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(Some(Content { taille, sha256: hex(&digest.finalize()) }));
        }
        digest.update(&buffer[..read]);
        taille += i64::try_from(read).unwrap_or_default();
    }
}

/// Small hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a String takes everything");
        hex
    })
}

/// What a link answers when it is not to be followed.
fn linked(error: rustix::io::Errno) -> io::Error {
    use rustix::io::Errno;
    match error {
        Errno::LOOP | Errno::NOTDIR | Errno::NXIO => not_regular(),
        other => other.into(),
    }
}

fn not_regular() -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, "not a regular file")
}

#[cfg(test)]
mod tests {
    use super::{content, open, remove};
    use std::io::ErrorKind;
    use std::os::unix::fs::symlink;

    /// S-22: a link planted in the uploads folder leads nowhere.
    #[test]
    fn only_regular_files_below_the_folder_are_opened() {
        let root = std::env::temp_dir().join(format!("relais-files-{}", uuid::Uuid::new_v4()));
        let uploads = root.join("uploads");
        std::fs::create_dir_all(uploads.join("2024")).expect("a folder");
        std::fs::write(root.join("secret"), "x").expect("a file");
        std::fs::write(uploads.join("2024/a.jpg"), "abc").expect("a file");
        symlink(root.join("secret"), uploads.join("link")).expect("a link");
        symlink(&root, uploads.join("out")).expect("a link");
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let known = content(&uploads, "2024/a.jpg").expect("readable").expect("there");
        assert_eq!((known.taille, known.sha256.as_str()), (3, hash));
        assert_eq!(content(&uploads, "2024/b.jpg").expect("readable"), None);
        for hidden in ["link", "out/secret", "2024", "../secret", "/etc/passwd"] {
            let kind = open(&uploads, hidden).map_err(|error| error.kind()).err();
            assert_eq!(kind, Some(ErrorKind::InvalidInput), "{hidden}");
        }
        assert!(remove(&uploads, "out/secret").is_err() && root.join("secret").exists());
        for _ in 0..2 {
            remove(&uploads, "2024/a.jpg").expect("gone, and gone again");
        }
        std::fs::remove_dir_all(root).expect("it was made here");
    }
}
