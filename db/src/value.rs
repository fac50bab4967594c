//! A bound parameter, the same for both databases.
//!
//! SQLite has fewer types: instants are RFC 3339 text in UTC with milliseconds (so that they
//! sort as text), ids are text, money is an integer of hundredths (D-60), lists are JSON.

use chrono::{DateTime, SecondsFormat, Utc};
use rust_decimal::Decimal;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Encode, Postgres, Type, encode::IsNull, error::BoxDynError};
use uuid::Uuid;

/// One parameter. `None` is a NULL of that type.
#[derive(Debug, Clone)]
pub enum Value {
    Bool(Option<bool>),
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Uuid(Option<Uuid>),
    Time(Option<DateTime<Utc>>),
    /// An amount with at most two decimals.
    Money(Option<Decimal>),
    /// JSON text, kept exactly as written (PostgreSQL type `json`, not `jsonb`).
    Json(Option<String>),
    Bools(Vec<Option<bool>>),
    Ints(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Uuids(Vec<Option<Uuid>>),
    Times(Vec<Option<DateTime<Utc>>>),
    Moneys(Vec<Option<Decimal>>),
}

impl Value {
    /// JSON text for a `json` column.
    pub fn json(text: impl Into<String>) -> Self {
        Self::Json(Some(text.into()))
    }
}

macro_rules! from {
    ($($variant:ident, $list:ident: $type:ty;)*) => { $(
        impl From<$type> for Value {
            fn from(value: $type) -> Self { Self::$variant(Some(value)) }
        }
        impl From<Option<$type>> for Value {
            fn from(value: Option<$type>) -> Self { Self::$variant(value) }
        }
        impl From<Vec<$type>> for Value {
            fn from(values: Vec<$type>) -> Self {
                Self::$list(values.into_iter().map(Some).collect())
            }
        }
        impl From<Vec<Option<$type>>> for Value {
            fn from(values: Vec<Option<$type>>) -> Self { Self::$list(values) }
        }
    )* };
}

from! {
    Bool, Bools: bool;
    Int, Ints: i64;
    Text, Texts: String;
    Uuid, Uuids: Uuid;
    Time, Times: DateTime<Utc>;
    Money, Moneys: Decimal;
}

impl From<Vec<u8>> for Value {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(Some(value))
    }
}

impl From<Option<Vec<u8>>> for Value {
    fn from(value: Option<Vec<u8>>) -> Self {
        Self::Bytes(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(Some(value.to_owned()))
    }
}

impl From<Option<&str>> for Value {
    fn from(value: Option<&str>) -> Self {
        Self::Text(value.map(str::to_owned))
    }
}

impl From<&String> for Value {
    fn from(value: &String) -> Self {
        Self::Text(Some(value.clone()))
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

/// How SQLite keeps an instant: `2026-11-20T18:04:54.123Z`, always 24 characters.
pub fn instant_text(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::Millis, true)
}

pub(crate) fn postgres(values: Vec<Value>) -> Result<PgArguments, sqlx::Error> {
    let mut arguments = PgArguments::default();
    for value in values {
        match value {
            Value::Bool(v) => arguments.add(v),
            Value::Int(v) => arguments.add(v),
            Value::Text(v) => arguments.add(v),
            Value::Bytes(v) => arguments.add(v),
            Value::Uuid(v) => arguments.add(v),
            Value::Time(v) => arguments.add(v),
            Value::Money(v) => arguments.add(v),
            Value::Json(v) => arguments.add(v.map(JsonText)),
            Value::Bools(v) => arguments.add(v),
            Value::Ints(v) => arguments.add(v),
            Value::Texts(v) => arguments.add(v),
            Value::Uuids(v) => arguments.add(v),
            Value::Times(v) => arguments.add(v),
            Value::Moneys(v) => arguments.add(v),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

pub(crate) fn sqlite(values: Vec<Value>) -> Result<SqliteArguments, sqlx::Error> {
    let mut arguments = SqliteArguments::default();
    for value in values {
        match value {
            Value::Bool(v) => arguments.add(v),
            Value::Int(v) => arguments.add(v),
            Value::Text(v) | Value::Json(v) => arguments.add(v),
            Value::Bytes(v) => arguments.add(v),
            Value::Uuid(v) => arguments.add(v.map(|id| id.to_string())),
            Value::Time(v) => arguments.add(v.map(instant_text)),
            Value::Money(v) => arguments.add(v.map(hundredths).transpose()?),
            Value::Bools(v) => arguments.add(list(v, |b| Ok(b.to_string()))?),
            Value::Ints(v) => arguments.add(list(v, |n| Ok(n.to_string()))?),
            Value::Texts(v) => arguments.add(list(v, |text| Ok(quoted(&text)))?),
            Value::Uuids(v) => arguments.add(list(v, |id| Ok(format!("\"{id}\"")))?),
            Value::Times(v) => arguments.add(list(v, |t| Ok(quoted(&instant_text(t))))?),
            Value::Moneys(v) => arguments.add(list(v, |m| Ok(hundredths(m)?.to_string()))?),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(arguments)
}

/// Exact, or an error: rounding money is never right here (D-60).
fn hundredths(amount: Decimal) -> Result<i64, sqlx::Error> {
    let scaled = amount
        .checked_mul(Decimal::ONE_HUNDRED)
        .filter(|scaled| scaled.fract().is_zero())
        .and_then(|scaled| i64::try_from(scaled.trunc()).ok());
    scaled.ok_or_else(|| {
        sqlx::Error::Encode(format!("`{amount}` is not an amount of hundredths").into())
    })
}

fn list<T>(
    values: Vec<Option<T>>,
    print: impl Fn(T) -> Result<String, sqlx::Error>,
) -> Result<String, sqlx::Error> {
    let mut text = String::from("[");
    for (index, value) in values.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        match value {
            Some(value) => text.push_str(&print(value)?),
            None => text.push_str("null"),
        }
    }
    text.push(']');
    Ok(text)
}

fn quoted(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 2);
    result.push('"');
    for character in text.chars() {
        match character {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            c if c < ' ' => result.push_str(&format!("\\u{:04x}", c as u32)),
            c => result.push(c),
        }
    }
    result.push('"');
    result
}

/// JSON that PostgreSQL stores as text: `jsonb` would refuse `\u0000` and rewrite numbers.
struct JsonText(String);

impl Type<Postgres> for JsonText {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_name("json")
    }
}

impl Encode<'_, Postgres> for JsonText {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        <&str as Encode<'_, Postgres>>::encode(self.0.as_str(), buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::{Decimal, hundredths, list, quoted};

    #[test]
    fn money_becomes_hundredths_or_an_error() {
        assert_eq!(hundredths(Decimal::new(4_000_000, 2)).ok(), Some(4_000_000));
        assert_eq!(hundredths(Decimal::new(5, 0)).ok(), Some(500));
        assert!(hundredths(Decimal::new(1, 3)).is_err());
        assert!(hundredths(Decimal::MAX).is_err());
    }

    #[test]
    fn a_list_of_text_is_valid_json() {
        let text = list(vec![Some("a\"b\\\n".to_owned()), None], |t| Ok(quoted(&t)));
        assert_eq!(text.ok().as_deref(), Some(r#"["a\"b\\\u000a",null]"#));
    }
}
