//! `cargo xtask chaos`: builds the harness as the tests' own build does, so that nothing heavy is
//! compiled twice, and runs it. The switches that turn protections off are compiled in on demand.

use crate::check::{cargo, root, run};
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs the harness with these arguments.
pub(crate) fn chaos(args: &[&str]) -> anyhow::Result<()> {
    let program = build(args.iter().any(|arg| arg.starts_with("--mutat")))?;
    run(Command::new(program).args(args).current_dir(root()))
}

/// The form that is part of `check`.
pub(crate) fn quick() -> anyhow::Result<()> {
    chaos(&["--quick"])
}

fn build(with_mutations: bool) -> anyhow::Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--workspace", "--bin", "chaos", "--locked"]);
    build.arg("--message-format=json-render-diagnostics");
    if with_mutations {
        build.args(["--features", "tests/mutations"]);
    }
    let built = build.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !built.status.success() {
        bail!("{build:?}: {}", built.status);
    }
    let lines = String::from_utf8_lossy(&built.stdout).into_owned();
    let mut programs = lines.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let is_ours = message["target"]["name"] == "chaos";
        is_ours.then(|| message["executable"].as_str().map(PathBuf::from)).flatten()
    });
    programs.next_back().context("cargo names the program that it built")
}
