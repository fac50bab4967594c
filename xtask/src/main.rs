//! The checks of the workspace, for a machine that has nothing but cargo.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a command line tool reads its environment and prints"
)]

mod chaos;
mod check;
mod install;
mod policy;
mod requirements;

use anyhow::bail;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

const HELP: &str = "\
Usage: cargo xtask <COMMAND>

Commands:
  check    Install what the tests need, then format, clippy, docs, tests, chaos, dependency policy
  install  Only the first of these: find or install the servers that the tests start
  fmt      Format everything, job kinds included
  policy   Only the dependency policy
  requirements
           Write docs/requirements.md: which test shows which requirement
  chaos    Only the chaos harness: [--quick|--full] [--seed S] [--recipe R-1,...]
           [--deployment NAMES] [--jobs N] [--kills N] [--mutate NAME | --mutations]";

fn main() -> ExitCode {
    let Err(error) = run() else { return ExitCode::SUCCESS };
    eprintln!("error: {error:#}");
    ExitCode::FAILURE
}

fn run() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["check"] => check::check(),
        ["install"] => install::install(),
        ["fmt"] => check::format(),
        ["policy"] => policy::check(),
        ["requirements"] => write_requirements(),
        ["chaos", ref args @ ..] => chaos::chaos(args),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => bail!("no such command: {}\n\n{HELP}", args.join(" ")),
    }
}

/// Writes the page even if something is wrong with it: it shows where.
fn write_requirements() -> anyhow::Result<()> {
    let root = check::root();
    let mut files = BTreeMap::new();
    for folder in ["tests/it", "api", "app", "db", "jobs", "queue", "records", "scheduler", "worker"] {
        read(root, Path::new(folder), &mut files)?;
    }
    files.insert(requirements::TEXTS.to_owned(), std::fs::read_to_string(root.join(requirements::TEXTS))?);
    let (page, wrong) =
        requirements::page(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    std::fs::write(root.join(requirements::PAGE), page)?;
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// The Rust files of a folder, by their path from the root.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let path = folder.join(entry?.file_name());
        if root.join(&path).is_dir() {
            read(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root.join(&path))?;
            files.insert(path.display().to_string(), text);
        }
    }
    Ok(())
}
