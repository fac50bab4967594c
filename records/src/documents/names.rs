//! Names of documents: what a user calls one, where its file lies, what it is called on the NAS.

use unicode_normalization::UnicodeNormalization;

/// Bytes of one name, as file systems have it.
pub const MAX_NAME: usize = 255;
/// Characters of an extension that is kept.
const MAX_EXTENSION: usize = 16;
/// The product's own files at the destination begin so.
const OURS: &str = ".relais-";
/// The one that a try of the connection sends. It stays: a server that only takes files removes none.
pub const PROBE: &str = ".relais-probe";
/// The folder for parts of files there.
pub const PARTS: &str = ".rsync-partial";

/// A name at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NasName {
    pub name: String,
    /// The same for names that differ only in case: the NAS may take them for one.
    pub folded: String,
}

impl NasName {
    fn of(name: String) -> Self {
        let folded = name.to_lowercase().nfc().collect();
        Self { name, folded }
    }

    /// What the second document of that name is called (C-24).
    #[must_use]
    pub fn with_id(&self, id: i64) -> Self {
        self.behind(&format!("{id}_"))
    }

    /// Whether the product writes there under that name: a document would be overwritten, or be in
    /// the way.
    fn is_ours(&self) -> bool {
        self.folded.starts_with(OURS) || self.folded == PARTS
    }

    fn behind(&self, prefix: &str) -> Self {
        let mut name = self.name.as_str();
        // The end is kept: that is where the extension is.
        while prefix.len() + name.len() > MAX_NAME {
            let first = name.chars().next().map_or(1, char::len_utf8);
            name = &name[first..];
        }
        Self::of(format!("{prefix}{name}"))
    }
}

/// The destination is flat (R-001-33): the last part of the stored path. One of the product's own
/// names is as good as taken, and becomes another (C-24).
pub fn nas_name(stored: &str) -> NasName {
    let name = stored.rsplit('/').next().unwrap_or(stored);
    let name = NasName::of(name.nfc().collect());
    if name.is_ours() { name.behind("_") } else { name }
}

/// What a user calls a document, composed (NFC); the error says what is wrong.
pub fn original_name(name: &str) -> Result<String, &'static str> {
    let name: String = name.nfc().collect();
    match () {
        () if name.trim().is_empty() => Err("a name is expected"),
        () if name.len() > MAX_NAME => Err("at most 255 bytes are allowed"),
        () if name.contains(char::is_control) => Err("no control characters are allowed"),
        () => Ok(name),
    }
}

/// The extension that a server-made name may take from a user's: letters and digits, small.
pub fn extension(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    let is_plain = extension.bytes().all(|b| b.is_ascii_alphanumeric());
    let fits = (1..=MAX_EXTENSION).contains(&extension.len());
    (!stem.is_empty() && is_plain && fits).then(|| extension.to_ascii_lowercase())
}

/// Whether `path` may name a file below the uploads folder; the error says why not.
pub fn stored_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() || path.len() > 1_024 {
        return Err("a path of 1 to 1024 bytes below the uploads folder is expected");
    }
    if path.contains(char::is_control) {
        return Err("no control characters are allowed");
    }
    if path.starts_with('/') || path.contains('\\') {
        return Err("a path below the uploads folder is expected, with `/` between its parts");
    }
    for part in path.split('/') {
        if matches!(part, "" | "." | "..") || part.starts_with('-') {
            return Err("no part of the path may be empty, `.` or `..`, or begin with `-`");
        }
        if part.len() > MAX_NAME {
            return Err("a part of the path has at most 255 bytes");
        }
    }
    // What is on its way lies there.
    if path.starts_with(".recus/") {
        return Err("the folder `.recus` is the server's own");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{extension, nas_name, original_name, stored_path};

    #[test]
    fn a_stored_path_stays_below_the_uploads_folder() {
        for good in ["facture-42.jpg", "2024/01/a b;rm", "$(touch x)", "é.pdf", "..."] {
            assert_eq!(stored_path(good), Ok(()), "{good}");
        }
        let long = "a".repeat(256);
        for bad in ["", "/etc/passwd", "../x", "a/../b", "a//b", "-e sh x", "a/-x", "a\nb", "a\0"]
            .into_iter()
            .chain(["a\\b", ".", "a/", ".recus/x", long.as_str()])
        {
            assert!(stored_path(bad).is_err(), "{bad}");
        }
    }

    /// C-24.
    #[test]
    fn names_that_the_nas_may_take_for_one_fold_to_one() {
        let names = ["A.pdf", "x/a.PDF", "y/a.pdf"].map(|path| nas_name(path).folded);
        assert!(names.iter().all(|name| name == "a.pdf"), "{names:?}");
        assert_eq!(nas_name("cafe\u{301}.pdf").name, "caf\u{e9}.pdf");
        assert_eq!(nas_name("A.pdf").with_id(42).name, "42_A.pdf");
        let long = nas_name(&format!("{}.pdf", "é".repeat(125))).with_id(42).name;
        assert!(long.len() <= 255 && long.starts_with("42_é") && long.ends_with("é.pdf"));
    }

    /// C-24.
    #[test]
    fn a_document_never_has_a_name_that_the_product_writes_at_the_destination() {
        let table = [
            (".relais-probe", "_.relais-probe"),
            ("2024/.Relais-PROBE", "_.Relais-PROBE"),
            (".relais-", "_.relais-"),
            (".RSYNC-partial", "_.RSYNC-partial"),
            // Theirs.
            (".relais", ".relais"),
            ("relais-probe", "relais-probe"),
            (".relais-x/a.pdf", "a.pdf"),
            (".rsync-partial.pdf", ".rsync-partial.pdf"),
        ];
        for (stored, expected) in table {
            let name = nas_name(stored);
            assert_eq!(name.name, expected, "{stored}");
            assert_eq!(name.folded, expected.to_lowercase(), "{stored}");
        }
        // The second one of that name is no longer ours either.
        assert_eq!(nas_name("b/.relais-probe").with_id(42).name, "42__.relais-probe");
        let long = nas_name(&format!(".relais-{}", "a".repeat(247))).name;
        assert!(long.len() == 255 && long.starts_with("_relais-"), "{long}");
    }

    /// S-22.
    #[test]
    fn of_a_users_name_only_a_plain_extension_is_kept() {
        let table = [
            ("a.JPG", Some("jpg")),
            ("a.tar.gz", Some("gz")),
            ("a", None),
            (".env", None),
            ("a.", None),
            ("a.j/../pg", None),
            ("a.é", None),
            ("a.abcdefghijklmnopq", None),
        ];
        for (name, kept) in table {
            assert_eq!(extension(name).as_deref(), kept, "{name}");
        }
        assert_eq!(original_name("cafe\u{301}").as_deref(), Ok("caf\u{e9}"));
        for bad in ["", " ", "a\nb", "a\u{9f}", &"a".repeat(256)] {
            assert!(original_name(bad).is_err(), "{bad}");
        }
    }
}
