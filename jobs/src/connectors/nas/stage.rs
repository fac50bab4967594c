//! The documents of one run, under the names they will have on the server: a private folder of
//! links to files that were opened below the uploads folder, never through a link (S-22). Whatever
//! happens to a name in the uploads folder afterwards, what is sent is the file that was opened.

use super::session::make;
use super::texts;
use records::documents::files;
use rustix::fs::{AtFlags, linkat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, ErrorKind, Read as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// A document to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its id.
    pub id: i64,
    /// Its path below the uploads folder.
    pub stored: String,
    /// Its name on the server.
    pub name: String,
    /// The content that is on record, if one is: no other may take its place over there.
    pub sha256: Option<String>,
}

/// A document that can be sent.
#[derive(Debug)]
pub(super) struct Staged {
    pub(super) source: Source,
    pub(super) size: u64,
    /// Whether the file is linked, not copied: then it may still change.
    is_linked: bool,
    identity: Identity,
}

impl Staged {
    /// Whether this content is the one on record; what cannot be read is told of elsewhere.
    pub(super) fn is_recorded(&self, digest: Option<&str>) -> bool {
        match (&self.source.sha256, digest) {
            (Some(recorded), Some(found)) => recorded == found,
            _ => true,
        }
    }
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// The documents of one run; the folder goes when dropped.
#[derive(Debug)]
pub struct Stage {
    uploads: PathBuf,
    dir: PathBuf,
    pub(super) files: Vec<Staged>,
    /// Those that cannot be sent, and why.
    pub refused: Vec<(i64, &'static str)>,
}

impl Stage {
    /// Opens documents below `uploads` and links them in a new folder in `spool`.
    pub(super) fn fill(uploads: &Path, spool: &Path, sources: Vec<Source>) -> io::Result<Self> {
        let dir = spool.join(format!("{:08x}", rand::random::<u32>()));
        make(&dir)?;
        let (files, refused) = (Vec::new(), Vec::new());
        let mut stage = Self { uploads: uploads.to_owned(), dir, files, refused };
        for source in sources {
            let id = source.id;
            match stage.staged(source) {
                Ok(staged) => stage.files.push(staged),
                Err(why) => stage.refused.push((id, why)),
            }
        }
        Ok(stage)
    }

    /// Where it is.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Bytes of all documents that can be sent.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    fn staged(&self, source: Source) -> Result<Staged, &'static str> {
        if !is_fine(&source.name) {
            return Err(texts::BAD_NAME);
        }
        let file = open_below(&self.uploads, &source.stored)?;
        let path = self.dir.join(&source.name);
        let is_linked = match link(&file, &path) {
            Ok(()) => true,
            Err(Errno::EXIST) => return Err(texts::TAKEN_NAME),
            Err(Errno::NAMETOOLONG) => return Err(texts::BAD_NAME),
            Err(_) => {
                copy(file, &path).map_err(|_| texts::UNREADABLE)?;
                false
            }
        };
        let identity = identity(&path).ok_or(texts::UNREADABLE)?;
        Ok(Staged { source, size: identity.size, is_linked, identity })
    }

    /// The SHA-256 of each document, 64 hexadecimal digits; `None` if it cannot be read, or once
    /// nobody waits for them any more.
    pub(super) fn digests(&self, over: &AtomicBool) -> Vec<Option<String>> {
        let digest = |file: &Staged| digest(&self.dir.join(&file.source.name), over).ok();
        self.files.iter().map(digest).collect()
    }

    /// The files that hold what is on record.
    pub(super) fn as_recorded(&self, digests: &[Option<String>]) -> Vec<&Staged> {
        let all = self.files.iter().zip(digests);
        all.filter(|(file, digest)| file.is_recorded(digest.as_deref()))
            .map(|(file, _)| file)
            .collect()
    }

    /// Whether the file is still the one that was opened.
    pub(super) fn is_unchanged(&self, file: &Staged) -> bool {
        let here = identity(&self.dir.join(&file.source.name)) == Some(file.identity);
        let Ok(now) = open_below(&self.uploads, &file.source.stored) else { return false };
        let Ok(now) = now.metadata() else { return false };
        let is_same = (now.dev(), now.ino()) == (file.identity.device, file.identity.inode);
        here && (is_same || !file.is_linked)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// Where a private folder for stages may be: beside the files, so that they can be linked; or where
/// only others may write there, in `run_dir`, and then they are copied. Neither is there yet.
pub(super) fn spools(uploads: &Path, run_dir: &Path) -> [PathBuf; 2] {
    [uploads, run_dir]
        .map(|below| below.join(format!(".relais-nas-{:016x}", rand::random::<u64>())))
}

/// Makes the first of them that can be made.
pub(super) fn made([beside, elsewhere]: [PathBuf; 2]) -> io::Result<PathBuf> {
    make(&beside).map(|()| beside).or_else(|_| make(&elsewhere).map(|()| elsewhere))
}

/// One component, without what a terminal or an option parser would take for its own.
fn is_fine(name: &str) -> bool {
    let is_plain = !name.contains('/') && !name.chars().any(char::is_control);
    (1..=255).contains(&name.len())
        && is_plain
        && !name.starts_with('-')
        && name != "."
        && name != ".."
}

/// Opens a regular file below a folder; no component may be a link.
fn open_below(uploads: &Path, stored: &str) -> Result<File, &'static str> {
    files::open(uploads, stored).map_err(|error| match error.kind() {
        ErrorKind::NotFound => texts::MISSING,
        ErrorKind::InvalidInput => texts::NOT_REGULAR,
        _ => texts::UNREADABLE,
    })
}

/// The open file itself, whatever its name has become.
fn link(file: &File, path: &Path) -> Result<(), Errno> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    linkat(rustix::fs::CWD, open, rustix::fs::CWD, path, AtFlags::SYMLINK_FOLLOW)
}

fn copy(mut from: File, path: &Path) -> io::Result<()> {
    let found = from.metadata()?;
    let mut options = std::fs::OpenOptions::new();
    let mut to = options.write(true).create_new(true).mode(found.mode() & 0o777).open(path)?;
    io::copy(&mut from, &mut to)?;
    to.set_modified(found.modified()?)
}

fn identity(path: &Path) -> Option<Identity> {
    let found = std::fs::symlink_metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    Some(Identity {
        device: found.dev(),
        inode: found.ino(),
        size: found.size(),
        modified: (found.mtime(), found.mtime_nsec()),
        changed: (found.ctime(), found.ctime_nsec()),
    })
}

fn digest(path: &Path, over: &AtomicBool) -> io::Result<String> {
    let (mut file, mut digest) = (File::open(path)?, Sha256::new());
    let mut buffer = vec![0; 128 * 1_024];
    loop {
        match file.read(&mut buffer)? {
            _ if over.load(Ordering::Relaxed) => return Err(ErrorKind::Interrupted.into()),
            0 => break,
            read => digest.update(&buffer[..read]),
        }
    }
    Ok(files::hex(&digest.finalize()))
}
