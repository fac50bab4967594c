//! What the tests start: found, or installed on Debian when allowed, or named exactly.
//!
//! Nothing is started here, and nothing that is found is touched: a second run needs no network.

use crate::check::{cargo, root, run};
use anyhow::bail;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// A program (any of these names), or a library of mono's, and the Debian package that has it.
struct Need {
    programs: &'static [&'static str],
    package: &'static str,
}

const NEEDS: &[Need] = &[
    Need { programs: &["redis-server"], package: "redis-server" },
    Need { programs: &["initdb"], package: "postgresql" },
    Need { programs: &["rsync"], package: "rsync" },
    Need { programs: &["ssh"], package: "openssh-client" },
    Need { programs: &["sshd"], package: "openssh-server" },
    Need { programs: &["rclone"], package: "rclone" },
    Need { programs: &["chromium", "chromium-browser", "google-chrome"], package: "chromium" },
    Need { programs: &["curl"], package: "curl" },
    Need { programs: &["faketime"], package: "faketime" },
    Need { programs: &["ip"], package: "iproute2" },
    Need { programs: &["iptables"], package: "iptables" },
    Need { programs: &["mcs"], package: "mono-mcs" },
    Need { programs: &["mono"], package: "mono-runtime" },
    Need { programs: &["System.Net.Http.dll"], package: "libmono-system-net-http4.0-cil" },
    Need {
        programs: &["System.Runtime.Serialization.dll"],
        package: "libmono-system-runtime-serialization4.0-cil",
    },
    Need { programs: &["node"], package: "nodejs" },
    Need { programs: &["tsc"], package: "node-typescript" },
];

/// Keeps packages from starting the servers they bring: the tests start their own, and a server on
/// a standard port is in nobody's interest. Removed again whatever happens.
const INSTALL: &str = r#"
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' HUP INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "$@"
"#;

/// Makes sure that everything is there.
pub(crate) fn install() -> anyhow::Result<()> {
    for component in ["fmt", "clippy"] {
        if !succeeds(cargo().args([component, "--version"])) {
            bail!("`cargo {component}` is missing: `rustup component add rustfmt clippy`");
        }
    }
    let missing = missing();
    if missing.is_empty() {
        println!("all {} programs are here", NEEDS.len());
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let command = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    let is_root = output(Command::new("id").arg("-u")).as_deref() == Some("0");
    let has_sudo = || succeeds(Command::new("sudo").args(["-n", "true"]));
    if find(&["apt-get"]).is_none() || !(is_root || has_sudo()) {
        let programs: Vec<&str> = missing.iter().map(|need| need.programs[0]).collect();
        bail!(
            "missing: {}. On Debian, as root: `apt-get update && {command}`. \
             Elsewhere, install these programs so that they are in PATH.",
            programs.join(", ")
        );
    }
    println!("{command}");
    let mut shell = if is_root { Command::new("sh") } else { Command::new("sudo") };
    if !is_root {
        shell.args(["-n", "sh"]);
    }
    run(shell.args(["-c", INSTALL, "install"]).args(&packages).stdin(Stdio::null()))?;
    let still = self::missing();
    if let Some(need) = still.first() {
        bail!("`{}` was installed, but has no `{}`", need.package, need.programs[0]);
    }
    Ok(())
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| find(need.programs).is_none()).collect()
}

/// Where a program is: in `PATH`, or where Debian keeps what is not meant for everybody, or mono's
/// libraries.
fn find(programs: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs: Vec<PathBuf> = std::env::split_paths(&path).collect();
    dirs.extend(["/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/lib/mono/4.5"].map(PathBuf::from));
    let postgres = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    dirs.extend(postgres.map(|version| version.path().join("bin")));
    let files = dirs.iter().flat_map(|dir| programs.iter().map(move |name| dir.join(name)));
    files.into_iter().find(|file| file.is_file())
}

fn succeeds(command: &mut Command) -> bool {
    let command = command.current_dir(root()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
