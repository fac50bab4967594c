//! The arguments of ssh and rsync. What nobody is to see, the user and the key, is in a file
//! that ssh reads: other users of a machine can read arguments.

use super::session::Dir;
use super::{Nas, Target, output};
use std::path::Path;
use std::time::Duration;

/// What the server is called in arguments and in the file of host keys.
pub(super) const ALIAS: &str = "relais-nas";
/// What was sent of a file when the connection broke waits in here for the next try.
pub(super) const PARTIAL: &str = records::documents::PARTS;
/// A document that is sent by itself can be taken up again where it stopped from this size on;
/// below it has the source's options alone.
const RESUMABLE: u64 = 16 * 1_024 * 1_024;
/// Of many, those from this size on; others are sent anew.
const RESUMABLE_OF_MANY: u64 = 1_024 * 1_024;

/// Whether documents of which the largest has `size` bytes need the folder of parts.
pub(super) fn keeps_parts(size: u64, single: bool) -> bool {
    size >= if single { RESUMABLE } else { RESUMABLE_OF_MANY }
}

/// `rrsync` of rsync 3.5 hands the folder on as a link to it, which rsync takes for none unless
/// something follows; a plain rsync does not make a folder that has something behind it.
fn partial_dir(nas: &Nas) -> String {
    let behind = if nas.is_restricted() { "/." } else { "" };
    format!("--partial-dir={PARTIAL}{behind}")
}

/// What ssh reads instead of arguments and of everybody's configuration (S-23).
pub(super) fn ssh_config(nas: &Nas, target: &Target, dir: &Dir) -> String {
    let mut config = format!(
        "Host *\n HostName {host}\n User {user}\n Port {port}\n HostKeyAlias {ALIAS}\n \
         UserKnownHostsFile {known}\n GlobalKnownHostsFile /dev/null\n StrictHostKeyChecking yes\n \
         UpdateHostKeys no\n CheckHostIP no\n BatchMode yes\n PasswordAuthentication no\n \
         KbdInteractiveAuthentication no\n IdentitiesOnly yes\n IdentityAgent none\n \
         ForwardAgent no\n ForwardX11 no\n ClearAllForwardings yes\n PermitLocalCommand no\n \
         ProxyCommand none\n CanonicalizeHostname no\n RequestTTY no\n LogLevel ERROR\n \
         ServerAliveInterval 10\n ServerAliveCountMax 3\n ControlPath {socket}\n",
        host = target.host,
        user = target.user,
        port = target.port,
        known = dir.known_hosts().display(),
        socket = dir.socket().display(),
    );
    if let Some(key) = &nas.settings().key_file {
        let key = key.display().to_string().replace('%', "%%");
        config.push_str(&format!(" IdentityFile \"{key}\"\n"));
    }
    config
}

/// The connection that all runs of a session share.
pub(super) fn master(dir: &Dir, connect: Duration) -> Vec<String> {
    let connect = format!("ConnectTimeout={}", connect.as_secs());
    let config = dir.config().display().to_string();
    let args = ["-F", &config, "-o", "BatchMode=yes", "-o", &connect, "-o", "ControlMaster=yes"];
    args.into_iter().chain(["-N", "-T", ALIAS]).map(str::to_owned).collect()
}

/// Asks the master something: `check`, `exit`.
pub(super) fn ask(dir: &Dir, what: &str) -> Vec<String> {
    let config = dir.config().display().to_string();
    ["-F", &config, "-O", what, ALIAS].map(str::to_owned).to_vec()
}

/// R-001-31, and the file that pins everything else.
fn remote_shell(nas: &Nas, dir: &Dir) -> String {
    let (ssh, config) = (&nas.settings().ssh, dir.config());
    format!("{ssh} -o BatchMode=yes -o ConnectTimeout=30 -F {}", config.display())
}

/// With a dot at its end: rsync would make a folder that is not there, as when a volume is not
/// mounted, but it cannot make this one.
fn target_folder(target: &Target) -> String {
    format!("{ALIAS}:{}/.", target.path)
}

/// How a run of many treats what it finds there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look {
    /// Same size and time: the same file.
    Quick,
    /// Reads both.
    Content,
    /// Reads both, and only tells.
    Prove,
    /// Makes folders.
    Folder,
}

/// One run for every file of the list.
pub(super) fn many(nas: &Nas, target: &Target, dir: &Dir, from: &Path, look: Look) -> Vec<String> {
    let mut args = vec!["-rt", "-8", "--no-links", "--no-devices", "--no-specials", "--from0"];
    if !nas.is_restricted() {
        args.push("--secluded-args");
    }
    match look {
        Look::Quick | Look::Folder => {}
        Look::Content => args.push("--checksum"),
        Look::Prove => args.extend(["--checksum", "--dry-run", "-ii"]),
    }
    let partial = partial_dir(nas);
    if matches!(look, Look::Quick | Look::Content) {
        args.extend([&partial, "--info=progress2,name0", "--stats"]);
        args.extend(nas.settings().fsync.then_some("--fsync"));
    }
    args.extend(["--timeout=120", "--no-inc-recursive", "--outbuf=L", "--no-human-readable"]);
    args.push(output::FORMAT);
    let mut args: Vec<String> = args.into_iter().map(str::to_owned).collect();
    args.extend(bandwidth(nas));
    args.push(format!("--files-from={}", dir.list().display()));
    args.extend(["-e".to_owned(), remote_shell(nas, dir), "--".to_owned()]);
    args.extend([format!("{}/", from.display()), target_folder(target)]);
    args
}

/// One document as the source sends it (R-001-31, R-001-32): its options, and `--` before the
/// operands. A large one can be taken up again.
pub(super) fn single(
    nas: &Nas,
    target: &Target,
    dir: &Dir,
    from: &Path,
    name: &str,
    size: u64,
) -> Vec<String> {
    let mut args = vec!["-avz".to_owned(), "--progress".to_owned()];
    if keeps_parts(size, true) {
        args.push(partial_dir(nas));
    }
    args.extend(bandwidth(nas));
    args.extend(["-e".to_owned(), remote_shell(nas, dir), "--".to_owned()]);
    let host = match target.host.contains(':') {
        true => format!("[{}]", target.host),
        false => target.host.clone(),
    };
    args.push(from.join(name).display().to_string());
    args.push(format!("{}@{host}:{}/{name}", target.user, target.path));
    args
}

fn bandwidth(nas: &Nas) -> Option<String> {
    let cap = nas.settings().bandwidth;
    (cap > 0).then(|| format!("--bwlimit={cap}"))
}
