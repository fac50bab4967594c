//! What a terminal sent in one request: every sale as it was written, and the limits of a batch.
//!
//! A batch is refused only as a whole and only for its outer shape; what is wrong with one sale
//! is that sale's answer.

use super::sale::normal_number;
use crate::digest::sha256_hex;
use crate::json::{self, NoList, View, canonical, too_deep, view};
use serde_json::value::RawValue;

/// Sales in one batch, at the most (D-19).
pub const MAX_SALES: usize = 1_000;
/// Lines in one sale, at the most (D-19).
pub const MAX_LINES: usize = 500;
/// Levels of brackets, at the most (D-19); a well-formed batch has four.
pub const MAX_DEPTH: usize = 32;

/// Sales of one request, in order.
#[derive(Debug)]
pub struct Batch {
    sales: Vec<Box<RawValue>>,
    unnumbered: bool,
}

/// Why a body is no batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    #[error("the body is not a JSON array")]
    NotAnArray,
    #[error("the batch is empty")]
    Empty,
    #[error("the batch has more than {max} sales")]
    TooManySales { max: usize },
    #[error("a sale has more than {max} lines")]
    TooManyLines { max: usize },
    #[error("the batch nests deeper than {max} levels")]
    TooDeep { max: usize },
}

impl Batch {
    /// Reads a body in one pass per level; a hostile one is refused at its first excess. A byte
    /// order mark before the array is ignored, as RFC 8259 (8.1) allows: some tills' encoders
    /// write one, and refusing it would keep their sales from ever arriving.
    pub fn parse(body: &[u8]) -> Result<Self, BatchError> {
        let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
        if body.trim_ascii_start().first() != Some(&b'[') {
            return Err(BatchError::NotAnArray);
        }
        if too_deep(body, MAX_DEPTH) {
            return Err(BatchError::TooDeep { max: MAX_DEPTH });
        }
        let text = std::str::from_utf8(body).map_err(|_| BatchError::NotAnArray)?;
        let sales = json::list(text, MAX_SALES).map_err(|error| match error {
            NoList::Syntax => BatchError::NotAnArray,
            NoList::TooMany => BatchError::TooManySales { max: MAX_SALES },
        })?;
        if sales.is_empty() {
            return Err(BatchError::Empty);
        }
        let shapes: Vec<_> = sales.iter().map(|sale| Shape::of(sale)).collect();
        if shapes.iter().any(|shape| shape.lines > MAX_LINES) {
            return Err(BatchError::TooManyLines { max: MAX_LINES });
        }
        let unnumbered = shapes.iter().any(|shape| !shape.numbered);
        Ok(Self { sales, unnumbered })
    }

    /// How many sales there are.
    pub fn len(&self) -> usize {
        self.sales.len()
    }

    /// Never: a batch has at least one sale.
    pub fn is_empty(&self) -> bool {
        self.sales.is_empty()
    }

    /// Whether a sale asks for a generated number, and so has no key of its own (D-13).
    pub fn has_unnumbered(&self) -> bool {
        self.unnumbered
    }

    /// SHA-256 of the canonical JSON, in hexadecimal: equal for batches that differ only in
    /// whitespace, order of members or escapes.
    pub fn fingerprint(&self) -> String {
        let sales: Vec<_> = self.sales.iter().map(|sale| canonical(sale)).collect();
        sha256_hex(&format!("[{}]", sales.join(",")))
    }

    /// The sales, each exactly as it was written.
    pub fn into_sales(self) -> Vec<Box<RawValue>> {
        self.sales
    }
}

/// What must be known of a sale before the batch is accepted.
struct Shape {
    lines: usize,
    numbered: bool,
}

impl Shape {
    fn of(sale: &RawValue) -> Self {
        let View::Object(members) = view(sale) else { return Self { lines: 0, numbered: true } };
        let mut shape = Self { lines: 0, numbered: false };
        for (name, raw) in members {
            match (name.as_str(), view(raw)) {
                ("lignes", View::List(lines)) => shape.lines = shape.lines.max(lines.len()),
                ("numero_facture", View::Text(text)) => {
                    shape.numbered = normal_number(&text).is_some();
                }
                _ => {}
            }
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::{Batch, BatchError, MAX_LINES, MAX_SALES};
    use proptest::prelude::*;
    use std::time::{Duration, Instant};

    fn error(body: &[u8]) -> Option<BatchError> {
        Batch::parse(body).err()
    }

    #[test]
    fn only_a_json_array_is_a_batch() {
        for body in [
            &b""[..],
            b"  ",
            b"{}",
            b"null",
            b"1",
            b"\"x\"",
            b"[",
            b"[1",
            b"[1,]",
            b"[1]x",
            b"[1] [2]",
            b"[1]\0",
            b"[\"\0\"]",
            b"[\"\n\"]",
            b"[\"\xff\"]",
            b"[\"\xed\xa0\x80\"]",
            b"[01]",
            b"['a']",
            b"[{\"a\":1 \"b\":2}]",
            b"[{\"a\"}]",
            b"[NaN]",
            b"// x\n[1]",
            b"\xef\xbb\xbf",
            b"\xef\xbb\xbf\xef\xbb\xbf[1]",
            b" \xef\xbb\xbf[1]",
            b"[\xef\xbb\xbf1]",
            b"\xff\xfe[\x001\x00]\x00",
        ] {
            assert_eq!(
                error(body),
                Some(BatchError::NotAnArray),
                "{}",
                String::from_utf8_lossy(body)
            );
        }
        assert_eq!(error(b" [ ] "), Some(BatchError::Empty));
        assert_eq!(error(b"\xef\xbb\xbf[1]"), None);
        assert_eq!(error(b" [1,\"x\",null,{}] \r\n"), None);
    }

    #[test]
    fn limits_are_exact() {
        let sales = |n: usize| format!("[{}]", vec!["{}"; n].join(","));
        let lines = |n: usize| format!(r#"[{{"lignes":[{}]}}]"#, vec!["1"; n].join(","));
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(error(sales(MAX_SALES).as_bytes()), None);
        assert_eq!(
            error(sales(MAX_SALES + 1).as_bytes()),
            Some(BatchError::TooManySales { max: 1_000 })
        );
        assert_eq!(error(lines(MAX_LINES).as_bytes()), None);
        assert_eq!(
            error(lines(MAX_LINES + 1).as_bytes()),
            Some(BatchError::TooManyLines { max: 500 })
        );
        assert_eq!(error(deep(32).as_bytes()), None);
        assert_eq!(error(deep(33).as_bytes()), Some(BatchError::TooDeep { max: 32 }));
    }

    #[test]
    fn hostile_bodies_are_answered_at_once() {
        let start = Instant::now();
        let members = format!("[{{{}\"b\":1}}]", "\"a\":1,".repeat(300_000));
        for body in [vec![b'['; 10_000_000], [vec![b'['; 100_000], vec![b']'; 100_000]].concat()] {
            assert_eq!(error(&body), Some(BatchError::TooDeep { max: 32 }));
        }
        let zeros = format!("[{}0]", "0,".repeat(1_000_000));
        assert_eq!(error(zeros.as_bytes()), Some(BatchError::TooManySales { max: 1_000 }));
        assert_eq!(error(members.as_bytes()), None);
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    }

    #[test]
    fn sales_stay_as_they_were_written() {
        let batch = Batch::parse(br#"[ {"a" : 1.0,"a":"\u0000"} , 1e400 ]"#).expect("a batch");
        let sales: Vec<_> = batch.into_sales().iter().map(|sale| sale.get().to_owned()).collect();
        assert_eq!(sales, [r#"{"a" : 1.0,"a":"\u0000"}"#, "1e400"]);
    }

    #[test]
    fn a_sale_without_number_is_noticed() {
        for (body, expected) in [
            (r#"[{"numero_facture":"A"}]"#, false),
            (r#"[{"numero_facture":"A"},{"numero_facture":" "}]"#, true),
            (r#"[{"numero_facture":null}]"#, true),
            (r"[{}]", true),
            (r#"[{"numero_facture":"A"},1]"#, false),
        ] {
            let batch = Batch::parse(body.as_bytes()).expect("a batch");
            assert_eq!(batch.has_unnumbered(), expected, "{body}");
        }
    }

    #[test]
    fn a_fingerprint_ignores_spelling_and_nothing_else() {
        let of = |body: &str| Batch::parse(body.as_bytes()).expect("a batch").fingerprint();
        let one = of(r#"[{"a":1,"b":[2,3]}]"#);
        assert_eq!(of("[ { \"b\":[2 ,3],\n\"\\u0061\":1} ]"), one);
        assert_eq!(one.len(), 64);
        for other in
            [r#"[{"a":1,"b":[3,2]}]"#, r#"[{"a":1,"b":[2,3]},{}]"#, r#"[{"a":"1","b":[2,3]}]"#]
        {
            assert_ne!(of(other), one, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Batch::parse(&body).map(|batch| batch.fingerprint());
        }

        #[test]
        fn no_json_like_body_makes_it_panic(body in r#"\[([\[\]{}:,"\\ 0-9a-f]|"lignes"|\\u){0,60}\]"#) {
            let _ = Batch::parse(body.as_bytes()).map(|batch| batch.fingerprint());
        }
    }
}
