//! What rsync prints: versions, progress, and one line per file.

/// The mark before each file's line, so that nothing else is taken for one.
pub(super) const FORMAT: &str = "--out-format=R|%i|%l|%n";

/// A line about one file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// It is there with this content, whatever else of it differs.
    pub(super) is_same: bool,
    pub(super) name: String,
}

/// Reads a line about a file; what is no regular file is left out.
pub(super) fn item(line: &str) -> Option<Item> {
    let (what, rest) = line.strip_prefix("R|")?.split_once('|')?;
    let (_, name) = rest.split_once('|')?;
    let mut marks = what.bytes();
    let (change, kind) = (marks.next()?, marks.next()?);
    (kind == b'f').then(|| Item { is_same: change == b'.', name: unescaped(name) })
}

/// Bytes that have gone through so far, of a line such as `  1,234,567  12%  1.20MB/s …`; the
/// separators are those of the locale.
pub(super) fn progress(line: &str) -> Option<u64> {
    let (number, rest) = line.trim_start().split_once(' ')?;
    if !rest.trim_start().split(' ').next()?.ends_with('%') {
        return None;
    }
    let digits: String = number.chars().filter(|c| !",.'\u{a0}\u{202f}".contains(*c)).collect();
    digits.parse().ok()
}

/// How many files rsync says it has sent.
pub(super) fn transferred(line: &str) -> Option<u64> {
    number(line.strip_prefix("Number of regular files transferred: ")?)
}

/// How many bytes it had to send, because the other side did not have them.
pub(super) fn literal(line: &str) -> Option<u64> {
    number(line.strip_prefix("Literal data: ")?.strip_suffix(" bytes")?)
}

/// How many bytes a run that tells no more has sent, of `sent 1,234 bytes  received 35 bytes  …`.
pub(super) fn sent(line: &str) -> Option<u64> {
    number(line.strip_prefix("sent ")?.split_once(" bytes  received ")?.0)
}

fn number(text: &str) -> Option<u64> {
    text.replace([',', '.'], "").trim().parse().ok()
}

/// Of `rsync  version 3.5.0  protocol version 32`; a program that only looks like rsync has none.
pub(super) fn version(text: &str) -> Option<(u32, u32, u32)> {
    let version = text.lines().next()?.strip_prefix("rsync  version ")?;
    let version = version.trim_start_matches('v').split(' ').next()?;
    let mut parts = version.split('.').map(|part| {
        let digits = part.chars().take_while(char::is_ascii_digit).collect::<String>();
        digits.parse().unwrap_or(0)
    });
    Some((parts.next()?, parts.next()?, parts.next().unwrap_or(0)))
}

/// rsync writes a byte that it does not want to print as `\#` and three octal digits.
fn unescaped(name: &str) -> String {
    let mut bytes = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((before, after)) = rest.split_once("\\#") {
        bytes.extend_from_slice(before.as_bytes());
        let octal = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(b"\\#"),
        }
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{item, literal, progress, sent, transferred, version};

    #[test]
    fn lines_of_files_are_read_whatever_the_name() {
        let read = |line: &str| item(line).map(|item| (item.is_same, item.name));
        assert_eq!(read("R|<f+++++++++|20000|a b|c"), Some((false, "a b|c".to_owned())));
        assert_eq!(read("R|<fc........|20000|x\\#012y"), Some((false, "x\ny".to_owned())));
        assert_eq!(read("R|.f         |3|\\#134#012"), Some((true, "\\#012".to_owned())));
        assert_eq!(read("R|.f..t......|3|é\\#"), Some((true, "é\\#".to_owned())));
        assert_eq!(read("R|.d         |3|./"), None);
        assert_eq!(read("Number of files: 3"), None);
    }

    #[test]
    fn progress_is_read_in_any_locale() {
        assert_eq!(
            progress("     30,000,000 100%   17.42MB/s    0:00:01 (xfr#1)"),
            Some(30_000_000)
        );
        assert_eq!(progress("  30\u{202f}000 10% 1"), Some(30_000));
        assert_eq!(progress("sent 12 bytes  received 35 bytes"), None);
        assert_eq!(progress("12 Monkeys.avi"), None);
    }

    #[test]
    fn versions_and_counts() {
        assert_eq!(version("rsync  version 3.2.7  protocol version 31\n"), Some((3, 2, 7)));
        assert_eq!(version("rsync  version v3.5.0dev  protocol"), Some((3, 5, 0)));
        assert_eq!(version("openrsync: protocol version 29"), None);
        assert_eq!(transferred("Number of regular files transferred: 2,000"), Some(2_000));
        assert_eq!(literal("Literal data: 47,150,000 bytes"), Some(47_150_000));
        assert_eq!(sent("sent 47,150,312 bytes  received 35 bytes  31,433 b/s"), Some(47_150_312));
        assert_eq!(sent("sent bytes received.pdf"), None);
    }
}
