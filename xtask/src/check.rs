//! The steps of `cargo xtask check`, in the order in which they fail soonest.

use crate::{chaos, install, policy};
use anyhow::{Context as _, bail};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

type Step = fn() -> anyhow::Result<()>;

/// Runs every step; the first that fails ends the run and is named.
pub(crate) fn check() -> anyhow::Result<()> {
    let steps: [(&str, Step); 7] = [
        ("tools", install::install),
        ("format", check_format),
        ("clippy", clippy),
        ("docs", docs),
        ("tests", tests),
        ("chaos", chaos::quick),
        ("dependency policy", policy::check),
    ];
    let mut report = String::new();
    for (name, step) in steps {
        println!("==> {name}");
        let start = Instant::now();
        let result = step();
        let seconds = start.elapsed().as_secs_f64();
        report.push_str(&format!("{name:<18} {seconds:7.1} s\n"));
        if let Err(error) = result {
            print!("{report}");
            return Err(error.context(format!("`{name}` failed")));
        }
    }
    print!("==> all passed\n{report}");
    Ok(())
}

/// Formats everything.
pub(crate) fn format() -> anyhow::Result<()> {
    run(cargo().args(["fmt", "--all"]))?;
    run(rustfmt()?.args(hidden_modules()?))
}

fn check_format() -> anyhow::Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(rustfmt()?.arg("--check").args(hidden_modules()?))
}

fn clippy() -> anyhow::Result<()> {
    run(cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--locked",
        "--",
        "-D",
        "warnings",
    ]))
}

/// Private items too: most of the comments that refer to code are on them.
fn docs() -> anyhow::Result<()> {
    let mut doc = cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]);
    run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Most tests wait for processes, timers and disks: one more at a time than there are cores.
fn tests() -> anyhow::Result<()> {
    let mut test = cargo();
    test.args(["test", "--workspace", "--locked"]);
    if std::env::var_os("RUST_TEST_THREADS").is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        test.env("RUST_TEST_THREADS", (cores + 1).to_string());
    }
    run(&mut test)
}

/// Modules that a macro declares: `cargo fmt` does not see them.
fn hidden_modules() -> anyhow::Result<Vec<PathBuf>> {
    let dir = root().join("jobs/src/kinds");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// `rustfmt` with the edition of the workspace, which `cargo fmt` would have passed on.
fn rustfmt() -> anyhow::Result<Command> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))?;
    let edition = manifest.lines().find_map(|line| line.strip_prefix("edition = "));
    let edition = edition.context("Cargo.toml names an edition")?.trim_matches('"');
    let mut command = Command::new(std::env::var_os("RUSTFMT").unwrap_or_else(|| "rustfmt".into()));
    command.current_dir(root()).args(["--edition", edition]);
    Ok(command)
}

/// The cargo that runs us, at the root of the workspace.
pub(crate) fn cargo() -> Command {
    let program: OsString = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask/ has a parent")
}

/// Runs a command with our outputs.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not start"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
