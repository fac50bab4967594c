//! One text for all spellings of a JSON value: no insignificant whitespace, members in the order
//! of their names, strings escaped one way. Numbers stay as they were written.

use serde_json::value::RawValue;

/// The canonical text of `raw`, whose depth was bounded before ([`super::too_deep`]).
pub(crate) fn canonical(raw: &RawValue) -> String {
    let mut rest = raw.get();
    let mut result = String::with_capacity(rest.len());
    value(&mut rest, &mut result);
    result
}

/// Reads one value from the front of `rest`. The text is known to be valid JSON, so whatever is
/// not a string, a list or an object is a number or a word.
fn value(rest: &mut &str, out: &mut String) {
    *rest = rest.trim_ascii_start();
    match rest.as_bytes().first() {
        Some(b'{') => object(rest, out),
        Some(b'[') => list(rest, out),
        Some(b'"') => out.push_str(&string(rest)),
        _ => {
            let end = rest
                .find(|c: char| matches!(c, ',' | ']' | '}') || c.is_ascii_whitespace())
                .unwrap_or(rest.len());
            out.push_str(take(rest, end));
        }
    }
    *rest = rest.trim_ascii_start();
}

fn list(rest: &mut &str, out: &mut String) {
    out.push('[');
    let mut first = true;
    while next_part(rest, ']') {
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        value(rest, out);
    }
    out.push(']');
}

fn object(rest: &mut &str, out: &mut String) {
    let mut members = Vec::new();
    while next_part(rest, '}') {
        let name = string(rest);
        *rest = rest.trim_ascii_start();
        take(rest, 1);
        let mut member = String::new();
        value(rest, &mut member);
        members.push((name, member));
    }
    // A stable sort: of repeated names the order is significant.
    members.sort_by(|a, b| a.0.cmp(&b.0));
    out.push('{');
    for (index, (name, member)) in members.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push(':');
        out.push_str(member);
    }
    out.push('}');
}

/// Steps over the opening bracket or the comma in front of the next part; false at the `close`.
fn next_part(rest: &mut &str, close: char) -> bool {
    let mark = take(rest, 1);
    *rest = rest.trim_ascii_start();
    if mark.starts_with(close) || rest.is_empty() {
        return false;
    }
    if rest.starts_with(close) {
        take(rest, 1);
        return false;
    }
    true
}

/// Reads a string; spelt anew if it has escapes, unless it is no Unicode text.
fn string(rest: &mut &str) -> String {
    let mut escaped = false;
    let end = rest.bytes().skip(1).position(|byte| {
        let closes = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closes
    });
    let token = take(rest, end.map_or(rest.len(), |end| end + 2));
    if !token.contains('\\') {
        return token.to_owned();
    }
    let text: Result<String, _> = serde_json::from_str(token);
    text.and_then(|text| serde_json::to_string(&text)).unwrap_or_else(|_| token.to_owned())
}

fn take<'a>(rest: &mut &'a str, bytes: usize) -> &'a str {
    let (taken, left) = rest.split_at(bytes.min(rest.len()));
    *rest = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::canonical;
    use serde_json::value::RawValue;

    fn of(text: &str) -> String {
        let raw: &RawValue = serde_json::from_str(text).expect("valid JSON");
        canonical(raw)
    }

    #[test]
    fn one_text_for_all_spellings() {
        for (text, expected) in [
            ("1", "1"),
            (" [ ] ", "[]"),
            (" { } ", "{}"),
            ("[1 , 2.0,\n\"a\" ,null]", r#"[1,2.0,"a",null]"#),
            (r#"{"b" : 1 , "a" : [ {"d":[] ,"c":{ } } ] }"#, r#"{"a":[{"c":{},"d":[]}],"b":1}"#),
            (r#"{"\u0061":"\u00e9\/"}"#, r#"{"a":"é/"}"#),
            (r#"{"a":2,"b":0,"a":1}"#, r#"{"a":2,"a":1,"b":0}"#),
            (r#"["\"],}","\\"]"#, r#"["\"],}","\\"]"#),
            (r#"["\ud800"]"#, r#"["\ud800"]"#),
        ] {
            assert_eq!(of(text), expected, "{text}");
        }
    }

    #[test]
    fn a_canonical_text_is_its_own_canonical_text() {
        let once = of(r#"[{"b":[1,{"z":1,"y":"\n"}],"a":{"k":false}},[],"\u0000"]"#);
        assert_eq!(of(&once), once);
    }
}
