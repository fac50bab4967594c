//! Processes with another time than this machine's, by libfaketime.

use std::path::PathBuf;

/// Where it is, if it is installed.
pub fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let mut files = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    files.find(|file| file.is_file())
}

/// What makes a process start at `at`, such as `2027-01-31 05:59:45` in UTC; how long something
/// takes stays true.
pub fn starting_at(at: &str) -> Vec<(String, String)> {
    let library = library().expect("`cargo xtask install` has installed faketime");
    let env = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("@{at}")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("TZ", "UTC".to_owned()),
    ];
    env.map(|(name, value)| (name.to_owned(), value)).to_vec()
}
