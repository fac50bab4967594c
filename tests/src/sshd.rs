//! A file server: a real `sshd` with a real `rsync` behind it, on a free loopback port, with host
//! and client keys of its own.
//!
//! As root, whoever signs in is a user with a plain shell, made once per machine: root's own
//! start-up files may print or be slow. Otherwise it is whoever runs the tests.

use crate::app::Process;
use crate::guardian::scratch_dir;
use crate::stores::{find_program, free_port, is_root, missing, quiet, signal, until};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);
const USER: &str = "nastest";

/// Which key a client has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// A shell.
    Plain,
    /// `rrsync -wo` and nothing else; its root is the server's folder.
    Restricted,
    /// None.
    Wrong,
}

/// A running file server.
#[derive(Debug)]
pub struct Sshd {
    dir: PathBuf,
    port: u16,
    user: String,
    process: Process,
}

impl Sshd {
    /// A fresh one, with an empty folder.
    pub fn start() -> Self {
        let dir = scratch_dir("sshd");
        for (file, kind) in
            [("host", "ed25519"), ("plain", "ed25519"), ("restricted", "ed25519"), ("wrong", "rsa")]
        {
            keygen(&dir.join(file), kind);
        }
        let nas = dir.join("nas");
        std::fs::create_dir(&nas).expect("a fresh folder");
        let user = user();
        if is_root() {
            chown(&user, &nas);
            // sshd does not start without it.
            std::fs::create_dir_all("/run/sshd").expect("root may make folders");
        }
        let key = |name: &str| std::fs::read_to_string(dir.join(name)).expect("a public key");
        let rrsync = find_program("rrsync", &[]).unwrap_or_else(|| missing("rrsync", "rsync"));
        let (plain, restricted) = (key("plain.pub"), key("restricted.pub"));
        let command = format!("{} -wo {}", rrsync.display(), nas.display());
        let keys = format!("{plain}command=\"{command}\",restrict {restricted}");
        std::fs::write(dir.join("keys"), keys).expect("a fresh folder");
        let port = free_port();
        let process = serve(&dir, port);
        Self { dir, port, user, process }
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The folder that files arrive in.
    pub fn nas(&self) -> PathBuf {
        self.dir.join("nas")
    }

    /// A folder for a test's scripts and keys, readable by whoever signs in.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whoever signs in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// A client's key.
    pub fn key(&self, access: Access) -> PathBuf {
        self.dir.join(match access {
            Access::Plain => "plain",
            Access::Restricted => "restricted",
            Access::Wrong => "wrong",
        })
    }

    /// A copy of the plain client's key, with this mode.
    pub fn copy_of_key(&self, name: &str, mode: u32) -> PathBuf {
        let copy = self.dir.join(name);
        std::fs::copy(self.key(Access::Plain), &copy).expect("a fresh file");
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&copy, mode).expect("it is ours");
        copy
    }

    /// What a client calls the folder.
    pub fn path(&self, access: Access) -> String {
        match access {
            Access::Restricted => "/".to_owned(),
            _ => self.nas().display().to_string(),
        }
    }

    /// Type and key of the host, as a file of known hosts has them.
    pub fn host_key(&self) -> String {
        let key = std::fs::read_to_string(self.dir.join("host.pub")).expect("a public key");
        let words: Vec<&str> = key.split_whitespace().take(2).collect();
        words.join(" ")
    }

    /// A plain ssh that gets in, as a user would write it behind `rsync -e`.
    pub fn ssh(&self) -> String {
        let known = self.dir.join("known");
        let line = format!("[127.0.0.1]:{} {}\n", self.port, self.host_key());
        std::fs::write(&known, line).expect("a fresh folder");
        format!(
            "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=30 -p {} -i {} \
             -o UserKnownHostsFile={} -o StrictHostKeyChecking=yes -o IdentitiesOnly=yes",
            self.port,
            self.key(Access::Plain).display(),
            known.display()
        )
    }

    /// Whether it holds the files of a folder and nothing else, says `rclone`, which reads every
    /// byte through sftp; panics with what differs.
    pub fn assert_holds(&self, folder: &Path) {
        let _ = self.ssh();
        let rclone = find_program("rclone", &[]).unwrap_or_else(|| missing("rclone", "rclone"));
        let remote = format!(
            ":sftp,host=127.0.0.1,port={},user={},key_file={},known_hosts_file={}:{}",
            self.port,
            self.user,
            self.key(Access::Plain).display(),
            self.dir.join("known").display(),
            self.nas().display()
        );
        let mut check = Command::new(rclone);
        check.args(["--config", "/dev/null", "check", "--download", "--checkers", "8"]);
        // Of rsync's own folder and the test's file nothing is ours.
        check.args(["--exclude", ".rsync-partial/**", "--exclude", ".relais-probe"]);
        let checked = check.arg(folder).arg(remote).output().expect("rclone starts");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert!(checked.status.success() && said.contains("0 differences found"), "{said}");
    }

    /// The settings of the product that lead here.
    pub fn env(&self, access: Access, uploads: &Path) -> Vec<(String, String)> {
        [
            ("NAS_HOST", "127.0.0.1".to_owned()),
            ("NAS_USER", self.user.clone()),
            ("NAS_PATH", self.path(access)),
            ("RELAIS_NAS_PORT", self.port.to_string()),
            ("RELAIS_NAS_KEY_FILE", self.key(access).display().to_string()),
            ("UPLOADS_DIR", uploads.display().to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    /// Another client's key, for whom the server runs `command` whatever is asked for.
    pub fn key_with_command(&self, name: &str, command: &str) -> PathBuf {
        use std::io::Write as _;
        let file = self.dir.join(name);
        keygen(&file, "ed25519");
        let key = std::fs::read_to_string(self.dir.join(format!("{name}.pub"))).expect("a key");
        let command = command.replace('"', "\\\"");
        let mut keys = std::fs::File::options().append(true).open(self.dir.join("keys"));
        let keys = keys.as_mut().expect("it was made at the start");
        write!(keys, "command=\"{command}\" {key}").expect("a file of ours");
        file
    }

    /// Kills it, with everybody who is signed in.
    pub fn kill9(&mut self) {
        let all = descendants(self.process.pid());
        self.process.kill9();
        for pid in all {
            signal(pid, "KILL");
        }
    }

    /// Starts it again after a kill.
    pub fn restart(&mut self) {
        self.process = serve(&self.dir, self.port);
    }

    /// Starts it again with another host key.
    pub fn change_host_key(&mut self) {
        self.process.kill9();
        for file in ["host", "host.pub"] {
            std::fs::remove_file(self.dir.join(file)).expect("it was made at the start");
        }
        keygen(&self.dir.join("host"), "ed25519");
        self.restart();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        self.process.log()
    }
}

fn serve(dir: &Path, port: u16) -> Process {
    let sshd = find_program("sshd", &["/usr/sbin".into(), "/usr/local/sbin".into()])
        .unwrap_or_else(|| missing("sshd", "openssh-server"));
    let config = dir.join("config");
    let (host, keys) = (dir.join("host"), dir.join("keys"));
    // The folder of temporary files is everybody's, which StrictModes would not have.
    let text = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nPidFile none\nUsePAM no\n\
         AuthorizedKeysFile {}\nStrictModes no\nPasswordAuthentication no\n\
         KbdInteractiveAuthentication no\nMaxStartups 100:30:200\nMaxSessions 50\nUseDNS no\n\
         PrintMotd no\nSubsystem sftp internal-sftp\n\
         LogLevel VERBOSE\n",
        host.display(),
        keys.display()
    );
    std::fs::write(&config, text).expect("a fresh folder");
    let sshd = sshd.to_str().expect("a plain path").to_owned();
    let config = config.to_str().expect("a plain path");
    let process = Process::spawn_words("sshd", &[&sshd, "-D", "-e", "-f", config], &[], dir);
    until("sshd listens", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    process
}

/// Everything that a process has started, and what that has.
pub fn descendants(pid: u32) -> Vec<u32> {
    let (mut found, mut open) = (Vec::new(), vec![pid]);
    while let Some(pid) = open.pop() {
        let listed = Command::new("pgrep").args(["-P", &pid.to_string()]).output();
        let listed = String::from_utf8_lossy(&listed.expect("`pgrep` is here").stdout).into_owned();
        let children: Vec<u32> = listed.lines().filter_map(|line| line.parse().ok()).collect();
        found.extend(&children);
        open.extend(children);
    }
    found
}

fn user() -> String {
    if !is_root() {
        let name = Command::new("id").arg("-un").output().expect("`id` is everywhere");
        return String::from_utf8_lossy(&name.stdout).trim().to_owned();
    }
    let mut add = Command::new("useradd");
    add.args(["--system", "--no-create-home", "--home-dir", "/tmp", "--shell", "/bin/sh", USER]);
    // Another run may have made it, or is making it now.
    let _ = quiet(add).status();
    let mut unlock = Command::new("usermod");
    unlock.args(["-p", "*", USER]);
    until("the user is there", PATIENCE, || {
        let mut id = Command::new("id");
        id.arg(USER);
        quiet(id).status().is_ok_and(|status| status.success())
    });
    let _ = quiet(unlock).status();
    USER.to_owned()
}

fn keygen(file: &Path, kind: &str) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-t", kind, "-N", "", "-C", "", "-f"]).arg(file);
    assert!(quiet(keygen).status().is_ok_and(|status| status.success()), "{}", file.display());
}

/// Puts a passphrase on a key.
pub fn lock_key(file: &Path, passphrase: &str) {
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-p", "-P", "", "-N", passphrase, "-f"]).arg(file);
    assert!(quiet(keygen).status().is_ok_and(|status| status.success()), "{}", file.display());
}

/// Gives a folder or file to whoever signs in.
pub fn chown(user: &str, path: &Path) {
    let mut chown = Command::new("chown");
    chown.arg(user).arg(path);
    assert!(quiet(chown).status().is_ok_and(|status| status.success()), "{}", path.display());
}

/// A program in `dir` that notes its arguments, one line each time, and becomes the real one.
pub fn recorder(dir: &Path, program: &str) -> (PathBuf, PathBuf) {
    let (script, log) = (dir.join(format!("note-{program}")), dir.join(format!("{program}.args")));
    let real = find_program(program, &[]).unwrap_or_else(|| missing(program, program));
    let text = format!(
        "#!/bin/sh\n[ \"$1\" = --version ] || printf '%s\\n' \"$*\" | tr '\\n' ' ' | sed 's/$/\\n/' >>'{}'\nexec '{}' \"$@\"\n",
        log.display(),
        real.display()
    );
    std::fs::write(&script, text).expect("a fresh folder");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("it is ours");
    (script, log)
}
