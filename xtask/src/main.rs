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
        ["requirements"] => requirements::write(),
        ["chaos", ref args @ ..] => chaos::chaos(args),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        _ => bail!("no such command: {}\n\n{HELP}", args.join(" ")),
    }
}
