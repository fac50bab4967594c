//! The one place that prints to standard output and standard error on purpose, and asks; logs go
//! through `tracing` instead.

use std::io::{self, IsTerminal, Write};

/// Prints a text and a line end; a reader that has gone (`relais jobs list | head`) is no error.
pub(crate) fn print(text: &str) -> io::Result<()> {
    print_on(text).map(|_| ())
}

/// The same; whether there is still a reader.
pub(crate) fn print_on(text: &str) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        result => result.map(|()| true),
    }
}

/// Says why the process ends, before or after there is a log.
pub(crate) fn complain(text: &str) {
    note(&format!("relais: {text}"));
}

/// Says something beside the output.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Asks whether to go on; `None` if nobody is there to answer.
pub(crate) fn confirm(question: &str) -> Option<bool> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    let mut err = io::stderr().lock();
    write!(err, "{question}. Go on? [y/N] ").and_then(|()| err.flush()).ok()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// A progress bar on standard error, where that is a terminal; gone when dropped.
pub(crate) struct Bar {
    what: &'static str,
    done: usize,
    total: usize,
    is_shown: bool,
}

impl Bar {
    pub(crate) fn new(what: &'static str, total: usize) -> Self {
        let bar = Self { what, done: 0, total, is_shown: io::stderr().is_terminal() };
        bar.draw();
        bar
    }

    pub(crate) fn advance(&mut self, by: usize) {
        self.done += by;
        self.draw();
    }

    fn draw(&self) {
        if self.is_shown {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r{}", self.line()).and_then(|()| err.flush());
        }
    }

    fn line(&self) -> String {
        const WIDTH: usize = 30;
        let full = (self.done * WIDTH).checked_div(self.total).unwrap_or(WIDTH).min(WIDTH);
        let bar = format!("{}{}", "#".repeat(full), ".".repeat(WIDTH - full));
        format!("[{bar}] {} of {} {}", self.done, self.total, self.what)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_shown {
            let blank = " ".repeat(self.line().len());
            let _ = write!(io::stderr().lock(), "\r{blank}\r");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bar;

    #[test]
    fn a_bar_fills_and_never_overflows() {
        let line = |done, total| Bar { what: "deleted", done, total, is_shown: false }.line();
        assert!(line(0, 10).starts_with("[......") && line(0, 10).ends_with("] 0 of 10 deleted"));
        assert!(line(5, 10).starts_with(&format!("[{}.", "#".repeat(15))), "{}", line(5, 10));
        for full in [line(10, 10), line(11, 10), line(0, 0)] {
            assert!(full.starts_with(&format!("[{}]", "#".repeat(30))), "{full}");
        }
    }
}
