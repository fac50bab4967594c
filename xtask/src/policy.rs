//! The dependency policy: one TLS stack, no second copy of a heavy crate, known licences, one
//! registry. Read from `cargo metadata`, so that it needs no tool and no network.

use crate::check::cargo;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

/// TLS is rustls on aws-lc-rs; a second stack doubles the attack surface and the build.
const BANNED: &[&str] = &["native-tls", "openssl", "openssl-sys", "ring", "apalis-redis"];

/// Crates of which a second version would cost much, or would not even fit the first one's types.
const SINGLE: &[&str] = &[
    "aws-lc-rs",
    "axum",
    "bytes",
    "chrono",
    "http",
    "http-body",
    "hyper",
    "libsqlite3-sys",
    "metrics",
    "redis",
    "reqwest",
    "rust_decimal",
    "rustls",
    "serde",
    "serde_json",
    "sqlx",
    "sqlx-core",
    "tokio",
    "tokio-rustls",
    "tokio-util",
    "tower",
    "tracing",
    "tracing-subscriber",
    "utoipa",
    "uuid",
];

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "OpenSSL",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Lists every breach, then fails if there is one.
pub(crate) fn check() -> anyhow::Result<()> {
    let metadata = stdout(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    let metadata: Value = serde_json::from_slice(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata lists packages")?;
    let built = built()?;
    let is_built = |package: &&Value| {
        let (name, version) = (package["name"].as_str(), package["version"].as_str());
        name.zip(version)
            .is_some_and(|(name, version)| built.contains(&format!("{name} {version}")))
    };
    let packages: Vec<Value> = packages.iter().filter(is_built).cloned().collect();
    let breaches = breaches(&packages);
    for breach in &breaches {
        println!("{breach}");
    }
    println!("{} packages: bans, versions, licences and sources checked", packages.len());
    println!("advisories: NOT CHECKED (no advisory database on this machine)");
    if !breaches.is_empty() {
        bail!("{} breaches of the dependency policy", breaches.len());
    }
    Ok(())
}

/// `name version` of every package that a build on any platform reaches. `Cargo.lock` and
/// `cargo metadata` also name some that no feature turns on.
fn built() -> anyhow::Result<BTreeSet<String>> {
    let args = ["tree", "--workspace", "--locked", "--target", "all", "--prefix", "none"];
    let lines = stdout(cargo().args(args).args(["--edges", "normal,build", "--format", "{p}"]))?;
    let lines = String::from_utf8(lines)?;
    let packages = lines.lines().filter_map(|line| {
        let (name, rest) = line.split_once(" v")?;
        Some(format!("{name} {}", rest.split(' ').next()?))
    });
    Ok(packages.collect())
}

fn stdout(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("{command:?}: {}", output.status);
    }
    Ok(output.stdout)
}

fn breaches(packages: &[Value]) -> Vec<String> {
    let mut breaches = Vec::new();
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for package in packages {
        let text = |member: &str| package[member].as_str();
        let (name, version) = (text("name").unwrap_or("?"), text("version").unwrap_or("?"));
        versions.entry(name).or_default().push(version);
        if BANNED.contains(&name) {
            breaches.push(format!("{name} {version} is banned"));
        }
        // Ours have no source.
        if let Some(source) = text("source")
            && source != REGISTRY
        {
            breaches.push(format!("{name} {version} comes from {source}"));
        }
        match text("license") {
            Some(expression) if is_allowed(expression) => {}
            Some(expression) => breaches.push(format!("{name} {version}: licence {expression}")),
            None => breaches.push(format!("{name} {version} names no licence")),
        }
    }
    for (name, versions) in versions {
        if SINGLE.contains(&name) && versions.len() > 1 {
            breaches.push(format!("{name} is there more than once: {}", versions.join(", ")));
        }
    }
    breaches
}

/// Whether a licence expression can be met with allowed licences alone.
fn is_allowed(expression: &str) -> bool {
    // Old manifests separate alternatives by a slash.
    let expression = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = expression.split_whitespace().collect();
    let mut rest = &words[..];
    any(&mut rest) && rest.is_empty()
}

fn any(rest: &mut &[&str]) -> bool {
    let mut allowed = all(rest);
    while let ["OR", after @ ..] = rest {
        *rest = after;
        allowed |= all(rest);
    }
    allowed
}

fn all(rest: &mut &[&str]) -> bool {
    let mut allowed = one(rest);
    while let ["AND", after @ ..] = rest {
        *rest = after;
        allowed &= one(rest);
    }
    allowed
}

fn one(rest: &mut &[&str]) -> bool {
    match rest {
        ["(", after @ ..] => {
            *rest = after;
            let allowed = any(rest);
            let closed = matches!(rest, [")", ..]);
            *rest = rest.get(1..).unwrap_or_default();
            allowed && closed
        }
        [licence, "WITH", exception, after @ ..] => {
            let name = format!("{licence} WITH {exception}");
            *rest = after;
            LICENCES.contains(&name.as_str())
        }
        [licence, after @ ..] => {
            let allowed = LICENCES.contains(licence);
            *rest = after;
            allowed
        }
        [] => false,
    }
}

#[cfg(test)]
mod tests {
    use super::{REGISTRY, breaches, is_allowed};
    use serde_json::json;

    #[test]
    fn licence_expressions_are_read() {
        let allowed = [
            "MIT",
            "MIT OR Apache-2.0",
            "MIT/Apache-2.0",
            "GPL-3.0 OR MIT",
            "MIT AND ISC",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0",
        ];
        for expression in allowed {
            assert!(is_allowed(expression), "{expression}");
        }
        let refused = [
            "",
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR ISC) AND AGPL-3.0",
            "(MIT",
            "MIT WITH Something",
            "MIT ISC",
        ];
        for expression in refused {
            assert!(!is_allowed(expression), "{expression}");
        }
    }

    #[test]
    fn every_kind_of_breach_is_found() {
        let package = |name: &str, version: &str, source: &str, licence: &str| json!({"name": name, "version": version, "source": source, "license": licence});
        let good = [
            package("tokio", "1.0.0", REGISTRY, "MIT"),
            package("syn", "1.0.0", REGISTRY, "MIT"),
            package("syn", "2.0.0", REGISTRY, "MIT"),
            json!({"name": "ours", "version": "0.1.0", "source": null, "license": "MIT"}),
        ];
        assert_eq!(breaches(&good), Vec::<String>::new());
        let bad = [
            package("openssl", "0.10.0", REGISTRY, "MIT"),
            package("tokio", "1.0.0", REGISTRY, "MIT"),
            package("tokio", "2.0.0", REGISTRY, "MIT"),
            package("a", "1.0.0", "git+https://example.org/a", "MIT"),
            package("b", "1.0.0", REGISTRY, "GPL-3.0-only"),
            json!({"name": "c", "version": "1.0.0", "source": REGISTRY, "license": null}),
        ];
        assert_eq!(breaches(&bad).len(), 5, "{:?}", breaches(&bad));
    }
}
