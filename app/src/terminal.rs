//! The one place that prints to standard output and standard error on purpose; logs go through
//! `tracing` instead.

use std::io::{self, Write};

/// Prints a text and a line end; a reader that has gone (`relais jobs list | head`) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    match writeln!(io::stdout().lock(), "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Says why the process ends, before or after there is a log.
pub(crate) fn complain(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "relais: {text}");
}
