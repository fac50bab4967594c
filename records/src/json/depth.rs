//! How deeply a text nests, found before any parser recurses into it.

/// Whether brackets nest deeper than `max`. Reads each byte once and stops at the first bracket
/// too many; what is inside strings does not count. The text need not be valid.
pub(crate) fn too_deep(text: &[u8], max: usize) -> bool {
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'[' | b'{' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[test]
    fn only_brackets_outside_strings_count() {
        let nested = |n: usize| [vec![b'['; n], vec![b']'; n]].concat();
        for (text, expected) in [
            (nested(32), false),
            (nested(33), true),
            (nested(100_000), true),
            (vec![b'['; 10_000_000], true),
            (br#"["[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]"#.to_vec(), false),
            (br#"["\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["]"#.to_vec(), false),
            (br#"["\\",[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["#.to_vec(), true),
            (b"]]]]}}}}[".to_vec(), false),
            (Vec::new(), false),
        ] {
            assert_eq!(
                too_deep(&text, 32),
                expected,
                "{}",
                String::from_utf8_lossy(&text[..text.len().min(50)])
            );
        }
    }
}
