//! Why ssh cannot use the key file. Of a key that has a passphrase it says nothing at all, and then
//! the server lets nobody in, as with a key that is not on its list.

use super::group::command;
use super::{Code, Error, texts};
use std::fs::{File, metadata};
use std::path::Path;
use std::process::Stdio;

/// What ssh-keygen says about a key, and what it means. The first that fits decides.
const SAID: [(&str, Code, &str); 3] = [
    ("incorrect passphrase", Code::KeyPassphrase, texts::KEY_PASSPHRASE),
    ("bad permissions", Code::KeyMode, texts::KEY_MODE),
    ("Load key", Code::KeyFormat, texts::KEY_FORMAT),
];

/// What is wrong with a private key; `None` if ssh can use it.
pub(super) async fn fault(file: &Path) -> Option<Error> {
    let is_file = metadata(file).is_ok_and(|found| found.is_file());
    let Some(key) = File::open(file).ok().filter(|_| is_file) else {
        return Some(Error::new(Code::KeyFile, texts::KEY_FILE));
    };
    // It reads the key as ssh does, but from its input: others can read arguments (S-23).
    let mut keygen = command("ssh-keygen");
    keygen.args(["-y", "-P", "", "-f", "/dev/stdin"]).stdin(Stdio::from(key));
    let read = keygen.output().await.ok().filter(|read| !read.status.success())?;
    let said = String::from_utf8_lossy(&read.stderr);
    let (_, code, text) = SAID.into_iter().find(|(words, ..)| said.contains(words))?;
    Some(Error::new(code, text))
}
