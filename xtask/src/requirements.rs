//! `cargo xtask requirements`: writes which test shows which requirement.

mod table;

use crate::check::root;
use anyhow::bail;
use std::collections::BTreeMap;
use std::path::Path;

/// Writes the page even if something is wrong with it: it shows where.
pub(crate) fn write() -> anyhow::Result<()> {
    let root = root();
    let mut files = BTreeMap::new();
    for folder in ["tests", "api", "app", "db", "jobs", "queue", "records", "scheduler", "worker"] {
        read(root, Path::new(folder), &mut files)?;
    }
    files.insert(table::TEXTS.to_owned(), std::fs::read_to_string(root.join(table::TEXTS))?);
    let (page, wrong) =
        table::page(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    std::fs::write(root.join(table::PAGE), page)?;
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(())
}

/// The Rust files of a folder, by their path from the root.
fn read(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(root.join(folder))? {
        let path = folder.join(entry?.file_name());
        if root.join(&path).is_dir() {
            read(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(root.join(&path))?;
            files.insert(path.display().to_string(), text);
        }
    }
    Ok(())
}
