//! Rows to values and back. Enums are stored as the names serde gives them; tests freeze those spellings.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;

use super::{Result, StoreError};

/// Typed access to a row's columns, the same for both databases.
pub(super) trait Columns {
    fn text(&self, name: &str) -> Result<String>;
    fn text_opt(&self, name: &str) -> Result<Option<String>>;
    fn int(&self, name: &str) -> Result<i64>;
    fn int_opt(&self, name: &str) -> Result<Option<i64>>;
    fn bytes(&self, name: &str) -> Result<Vec<u8>>;

    /// A column that holds a parsed name or id.
    fn parsed<T: std::str::FromStr>(&self, name: &str, what: &'static str) -> Result<T> {
        parse(&self.text(name)?, what)
    }

    /// A column that holds an enum's name.
    fn one_of<T: DeserializeOwned>(&self, name: &str, what: &'static str) -> Result<T> {
        named(&self.text(name)?, what)
    }

    fn parsed_opt<T: std::str::FromStr>(&self, name: &str, what: &'static str) -> Result<Option<T>> {
        self.text_opt(name)?.map(|text| parse(&text, what)).transpose()
    }

    fn one_of_opt<T: DeserializeOwned>(&self, name: &str, what: &'static str) -> Result<Option<T>> {
        self.text_opt(name)?.map(|text| named(&text, what)).transpose()
    }

    /// A column that holds JSON.
    fn json<T: DeserializeOwned>(&self, name: &str, what: &'static str) -> Result<T> {
        from_json(&self.text(name)?, what)
    }

    fn json_opt<T: DeserializeOwned>(&self, name: &str, what: &'static str) -> Result<Option<T>> {
        self.text_opt(name)?.map(|text| from_json(&text, what)).transpose()
    }

    fn time(&self, name: &str) -> Result<Timestamp> {
        time(self.int(name)?)
    }

    fn time_opt(&self, name: &str) -> Result<Option<Timestamp>> {
        self.int_opt(name)?.map(time).transpose()
    }
}

macro_rules! columns {
    ($row:ty) => {
        impl Columns for $row {
            fn text(&self, name: &str) -> Result<String> {
                Ok(self.try_get(name)?)
            }
            fn text_opt(&self, name: &str) -> Result<Option<String>> {
                Ok(self.try_get(name)?)
            }
            fn int(&self, name: &str) -> Result<i64> {
                Ok(self.try_get(name)?)
            }
            fn int_opt(&self, name: &str) -> Result<Option<i64>> {
                Ok(self.try_get(name)?)
            }
            fn bytes(&self, name: &str) -> Result<Vec<u8>> {
                Ok(self.try_get(name)?)
            }
        }
    };
}

columns!(sqlx::sqlite::SqliteRow);
columns!(sqlx::postgres::PgRow);

/// An enum's stored name.
pub(super) fn name_of<T: Serialize>(value: &T) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => name,
        other => unreachable!("a plain enum serialises to its name, not to {other:?}"),
    }
}

/// A value as stored JSON.
pub(super) fn to_json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("domain values have string keys and finite numbers")
}

/// `,a,b,`: predecessors in the shape that a guard compares `,state,` against.
pub(super) fn guard<T: Serialize>(states: &[T]) -> String {
    states.iter().fold(String::from(","), |text, state| text + &name_of(state) + ",")
}

pub(super) fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

fn named<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(text.to_owned())).map_err(|_| corrupt(text, what))
}

fn from_json<T: DeserializeOwned>(text: &str, what: &'static str) -> Result<T> {
    serde_json::from_str(text).map_err(|_| corrupt(text, what))
}

pub(super) fn parse<T: std::str::FromStr>(text: &str, what: &'static str) -> Result<T> {
    text.parse().map_err(|_| corrupt(text, what))
}

fn time(millis: i64) -> Result<Timestamp> {
    Timestamp::from_millisecond(millis).map_err(|_| corrupt(&millis.to_string(), "time"))
}

fn corrupt(value: &str, what: &'static str) -> StoreError {
    StoreError::Corrupt { what, value: value.chars().take(100).collect() }
}
