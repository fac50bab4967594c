//! `cargo xtask chaos`: builds the harness as the tests' own build does, so that nothing heavy is
//! compiled twice, and runs it. The switches that turn protections off are compiled in on demand.

use crate::check::{cargo, run};

/// Runs the harness with these arguments.
pub(crate) fn chaos(args: &[&str]) -> anyhow::Result<()> {
    let mut command = cargo();
    command.args(["run", "--quiet", "--workspace", "--bin", "chaos", "--locked"]);
    if args.iter().any(|arg| arg.starts_with("--mutat")) {
        command.args(["--features", "tests/mutations"]);
    }
    run(command.arg("--").args(args))
}

/// The form that is part of `check`.
pub(crate) fn quick() -> anyhow::Result<()> {
    chaos(&["--quick"])
}
