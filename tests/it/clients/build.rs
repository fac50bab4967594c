//! The guide's two classes, taken from the page, compiled together with the app of the tests.

use crate::guide::{blocks, file};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use tests::guardian::scratch_dir;

/// One of the guide's classes as a program: `SERVER SERIAL FOLDER` are its arguments.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) name: &'static str,
    /// What starts it.
    pub(super) words: Vec<String>,
}

/// Both, compiled once per process.
pub(super) fn clients() -> &'static [Client; 2] {
    static CLIENTS: OnceLock<[Client; 2]> = OnceLock::new();
    CLIENTS.get_or_init(|| [csharp(), typescript()])
}

/// The only block of a language.
fn class(language: &str) -> String {
    let guide = file("docs/clients.md");
    let found = blocks(&guide, language);
    let [code] = found.as_slice() else { panic!("{} blocks of {language}", found.len()) };
    format!("{code}\n")
}

/// A folder with the tests' part of a client.
fn folder(name: &str, files: &[&str]) -> PathBuf {
    let dir = scratch_dir(name);
    for name in files {
        std::fs::write(dir.join(name), file(&format!("tests/clients/{name}"))).unwrap();
    }
    dir
}

fn compile(program: &str, args: &[&str], dir: &Path) {
    let mut command = Command::new(program);
    let ended = command.args(args).current_dir(dir).output();
    let ended = ended.unwrap_or_else(|error| panic!("`{program}` (cargo xtask install): {error}"));
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{program}: {}", String::from_utf8_lossy(&said));
}

fn path(dir: &Path, name: &str) -> String {
    dir.join(name).to_str().expect("a plain path").to_owned()
}

/// The class is compiled as it stands in the guide, but for the first line: mono's compiler does
/// not know that directive, and the nullable types that it switches off.
fn csharp() -> Client {
    let dir = folder("csharp", &["Host.cs", "SystemTextJson.cs"]);
    let class = class("csharp");
    let class = class.strip_prefix("#nullable disable\n").expect("the directive comes first");
    std::fs::write(dir.join("VenteSyncClient.cs"), class).unwrap();
    let libraries = "-r:System.Net.Http,System.Runtime.Serialization,System.Xml";
    let flags = ["-langversion:latest", "-warn:4", "-warnaserror", "-out:Host.exe", libraries];
    let sources = ["VenteSyncClient.cs", "Host.cs", "SystemTextJson.cs"];
    compile("mcs", &[&flags[..], &sources[..]].concat(), &dir);
    Client { name: "csharp", words: vec!["mono".to_owned(), path(&dir, "Host.exe")] }
}

fn typescript() -> Client {
    let dir = folder("typescript", &["host.ts", "tsconfig.json"]);
    std::fs::write(dir.join("VenteSyncClient.ts"), class("ts")).unwrap();
    compile("tsc", &["--project", "."], &dir);
    Client { name: "typescript", words: vec!["node".to_owned(), path(&dir, "out/host.js")] }
}
