//! JSON from outside, looked at one level at a time, with every number still as it was written.
//!
//! Nothing here goes through `f64` or drops a repeated member, and nothing recurses without a
//! bound: [`too_deep`] is asked first.

mod canonical;
mod depth;

pub(crate) use canonical::canonical;
pub(crate) use depth::too_deep;

use serde::Deserializer;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// One JSON value; what is inside it has not been looked at.
#[derive(Debug)]
pub(crate) enum View<'a> {
    Null,
    Bool(bool),
    /// The number's own text.
    Number(&'a str),
    Text(String),
    List(Vec<&'a RawValue>),
    /// Members in order; a name may be there twice.
    Object(Vec<(String, &'a RawValue)>),
    /// Valid as JSON, but no Unicode text: half a surrogate pair.
    Unreadable,
}

/// Looks at one level of `raw`.
pub(crate) fn view(raw: &RawValue) -> View<'_> {
    let text = raw.get().trim_ascii();
    match text.as_bytes().first() {
        Some(b'n') => View::Null,
        Some(b't') => View::Bool(true),
        Some(b'f') => View::Bool(false),
        Some(b'"') => serde_json::from_str(text).map_or(View::Unreadable, View::Text),
        Some(b'[') => serde_json::from_str(text).map_or(View::Unreadable, View::List),
        Some(b'{') => {
            let mut reader = serde_json::Deserializer::from_str(text);
            reader.deserialize_map(Members).map_or(View::Unreadable, View::Object)
        }
        _ => View::Number(text),
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Why a text is no list of at most so many elements.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoList {
    Syntax,
    TooMany,
}

/// The elements of a JSON array, each as it was written; stops at the first one too many.
pub(crate) fn list(text: &str, max: usize) -> Result<Vec<Box<RawValue>>, NoList> {
    let mut over = false;
    let mut reader = serde_json::Deserializer::from_str(text);
    let elements = reader.deserialize_seq(Elements { max, over: &mut over });
    match elements {
        Ok(elements) => reader.end().map(|()| elements).map_err(|_| NoList::Syntax),
        Err(_) if over => Err(NoList::TooMany),
        Err(_) => Err(NoList::Syntax),
    }
}

struct Elements<'o> {
    max: usize,
    over: &'o mut bool,
}

impl<'de> Visitor<'de> for Elements<'_> {
    type Value = Vec<Box<RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == self.max {
                *self.over = true;
                return Err(A::Error::custom("too many elements"));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}
