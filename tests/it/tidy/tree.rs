//! The files of the workspace, as text.

use std::collections::BTreeMap;
use std::path::Path;

/// Path from the root of the workspace → text.
#[derive(Clone)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

const EXTENSIONS: [&str; 7] = ["rs", "toml", "sql", "lua", "md", "html", "css"];

impl Tree {
    /// Everything that is written by hand.
    pub(crate) fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let mut tree = Self { files: BTreeMap::new() };
        tree.read_dir(root, "");
        assert!(tree.files.len() > 50, "only {} files in {}", tree.files.len(), root.display());
        tree
    }

    fn read_dir(&mut self, dir: &Path, prefix: &str) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().unwrap();
            if name.starts_with('.') || name == "target" {
                continue;
            }
            if kind.is_dir() {
                self.read_dir(&entry.path(), &format!("{path}/"));
            } else if EXTENSIONS.iter().any(|extension| name.ends_with(&format!(".{extension}"))) {
                self.files.insert(path, std::fs::read_to_string(entry.path()).unwrap());
            }
        }
    }

    /// The same tree with one file added or replaced.
    pub(crate) fn with(&self, path: &str, text: &str) -> Self {
        let mut tree = self.clone();
        tree.files.insert(path.to_owned(), text.to_owned());
        tree
    }

    pub(crate) fn get(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files of the product: neither tests nor checks.
    pub(crate) fn product(&self) -> impl Iterator<Item = (&str, &str)> {
        let is_ours = |path: &str| !path.starts_with("tests/") && !path.starts_with("xtask/");
        self.iter().filter(move |(path, _)| path.ends_with(".rs") && is_ours(path))
    }

    /// Manifests of the member crates, by the crate's folder.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = (&str, toml::Table)> {
        self.iter().filter_map(|(path, text)| {
            let folder = path.strip_suffix("/Cargo.toml")?;
            Some((folder, text.parse().unwrap_or_else(|error| panic!("{path}: {error}"))))
        })
    }
}

/// Lines of code with their numbers: no comments, and nothing of a unit test at the end.
pub(crate) fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    let lines = lines.take_while(|(_, line)| line.trim() != "#[cfg(test)]");
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}
