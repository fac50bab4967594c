//! One run of a program: its lines as they come, its errors, its end.

use super::group::{Group, command};
use super::{Code, Error};
use std::process::Stdio;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt as _};

/// Errors of one run that are kept, from their end: the last ones say why it ended.
const KEPT: usize = 64 * 1_024;
/// A longer line is no line.
const LINE: usize = 64 * 1_024;

/// How a program ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None`: a signal.
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
}

/// Runs a program of the group; `line` gets what it prints, split at line ends and returns.
pub(super) async fn run(
    group: &Group,
    program: &str,
    args: &[String],
    mut line: impl FnMut(&str) + Send,
) -> Result<Ended, Error> {
    let mut command = group.command(program);
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| Error::local(program, &error))?;
    let stdout = child.stdout.take().expect("it was piped");
    let stderr = child.stderr.take().expect("it was piped");
    let (_, errors) = tokio::join!(lines(stdout, &mut line), kept(stderr));
    let status = child.wait().await.map_err(|error| Error::local(program, &error))?;
    Ok(Ended { code: status.code(), stderr: errors })
}

/// What a program prints about a short `input`, outside any group.
pub(super) async fn output(program: &str, args: &[&str], input: &str) -> Result<String, Error> {
    let told = async {
        let mut command = command(program);
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        // One that reads nothing has an end of its own to tell.
        let _ = child.stdin.take().expect("it was piped").write_all(input.as_bytes()).await;
        child.wait_with_output().await
    };
    let output = told.await.map_err(|error| Error::local(program, &error))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

async fn lines(mut from: impl AsyncRead + Unpin, line: &mut (impl FnMut(&str) + Send)) {
    let (mut buffer, mut rest) = (vec![0; 16 * 1_024], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        for byte in &buffer[..read] {
            if matches!(byte, b'\n' | b'\r') {
                line(&String::from_utf8_lossy(&rest));
                rest.clear();
            } else if rest.len() < LINE {
                rest.push(*byte);
            }
        }
    }
    line(&String::from_utf8_lossy(&rest));
}

/// Reads to the end; keeps the last [`KEPT`] bytes.
pub(super) async fn kept(mut from: impl AsyncRead + Unpin) -> String {
    let (mut buffer, mut all) = (vec![0; 4_096], Vec::new());
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        all.extend_from_slice(&buffer[..read]);
        if all.len() > 2 * KEPT {
            all.drain(..all.len() - KEPT);
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

impl Error {
    /// A program that does not start, named as it would name itself: `ssh: No such file …`.
    pub(super) fn local(program: &str, error: &std::io::Error) -> Self {
        // The program's folder is nobody's business.
        let name = program.rsplit('/').next().unwrap_or(program);
        Self::new(Code::Local, format!("{name}: {error}"))
    }
}
