//! Makes text from outside safe to print: it can neither begin a second line nor command a terminal.

use std::borrow::Cow;

/// The text with every control, line-separating and direction-changing character as `\n`, `\r`,
/// `\t` or `\uXXXX`: forms that are valid inside JSON strings too.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            '\n' => safe.push_str("\\n"),
            '\r' => safe.push_str("\\r"),
            '\t' => safe.push_str("\\t"),
            c if is_unsafe(c) => safe.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => safe.push(c),
        }
    }
    Cow::Owned(safe)
}

/// The same for a text that has several lines on purpose; the later ones are indented.
pub(crate) fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n  ")
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn one_line_stays_one_line() {
        let cases = [
            ("Facture n° 12 €", "Facture n° 12 €"),
            ("a\r\nb\tc", "a\\r\\nb\\tc"),
            ("\u{1b}[31mred", "\\u001b[31mred"),
            ("\u{9b}2J\u{0}\u{7f}", "\\u009b2J\\u0000\\u007f"),
            ("a\u{2028}b\u{202e}c", "a\\u2028b\\u202ec"),
        ];
        for (text, expected) in cases {
            assert_eq!(escaped(text), expected);
        }
    }
}
