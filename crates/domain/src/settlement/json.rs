//! JSON as it stands in the document, and a reader that knows where it is. Unlike `serde_json::Value` it keeps a field
//! that is there twice, so that this can be refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::InputError;
use crate::text::without_mark;

pub(super) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// An integer beyond 64 bits with a sign.
    Huge,
    Fraction,
    Text(String),
    List(Vec<Json>),
    Fields(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole document.
    pub(super) fn parse(text: &[u8]) -> Result<Self, InputError> {
        serde_json::from_slice(without_mark(text)).map_err(|error| {
            InputError::new(
                "malformed",
                "$".to_owned(),
                format!("expected a JSON document: {error}"),
            )
        })
    }

    fn describe(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Huge => "an integer of more than 64 bits".to_owned(),
            Self::Fraction => "a number with a fraction or an exponent".to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::List(_) => "a list".to_owned(),
            Self::Fields(_) => "an object".to_owned(),
        }
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(Json::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(i64::try_from(value).map_or(Json::Huge, Json::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Json, E> {
        // serde_json hands over integers beyond 64 bits as these.
        Ok(if value.fract() == 0.0 && value.abs() >= 9.2e18 {
            Json::Huge
        } else {
            Json::Fraction
        })
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = access.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = access.next_entry()? {
            fields.push(field);
        }
        Ok(Json::Fields(fields))
    }
}

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) json: &'a Json,
    place: &'a Place<'a>,
}

/// A path, told from its end, so that it costs nothing until an error needs it.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("$"),
            Self::Field(parent, name) => {
                let plain = !name.is_empty()
                    && !name.starts_with(|c: char| c.is_ascii_digit())
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
                if plain {
                    write!(f, "{parent}.{name}")
                } else {
                    write!(f, "{parent}[{name:?}]")
                }
            }
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

impl<'a> At<'a> {
    pub(super) fn root(json: &'a Json) -> Self {
        Self {
            json,
            place: &Place::Root,
        }
    }

    pub(super) fn error(&self, code: &'static str, expected: &str) -> InputError {
        let found = self.json.describe();
        InputError::new(
            code,
            self.place.to_string(),
            format!("expected {expected}, found {found}"),
        )
    }

    pub(super) fn text(&self) -> Result<String, InputError> {
        match self.json {
            Json::Text(text) => Ok(text.clone()),
            _ => Err(self.error("wrong_type", "a string")),
        }
    }

    pub(super) fn integer(&self) -> Result<i64, InputError> {
        match self.json {
            Json::Integer(value) => Ok(*value),
            Json::Huge => Err(self.error("out_of_range", "an integer that fits 64 bits")),
            _ => Err(self.error("wrong_type", "an integer")),
        }
    }

    /// One of some words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, InputError> {
        let names: Vec<_> = words.iter().map(|(name, _)| *name).collect();
        let expected = format!("one of {}", names.join(", "));
        let Json::Text(text) = self.json else {
            return Err(self.error("wrong_type", &expected));
        };
        let found = words.iter().find(|(name, _)| name == text);
        found
            .map(|(_, value)| *value)
            .ok_or_else(|| self.error("unknown_value", &expected))
    }

    /// Reads every item of a list.
    pub(super) fn list<T>(&self, read: impl Fn(At<'_>) -> Result<T, InputError>) -> Result<Vec<T>, InputError> {
        let Json::List(items) = self.json else {
            return Err(self.error("wrong_type", "a list"));
        };
        let items = items.iter().enumerate();
        items
            .map(|(i, json)| {
                read(At {
                    json,
                    place: &Place::Item(self.place, i),
                })
            })
            .collect()
    }

    /// An object none of whose fields is there twice.
    pub(super) fn object(&self) -> Result<Object<'a>, InputError> {
        let Json::Fields(fields) = self.json else {
            return Err(self.error("wrong_type", "an object"));
        };
        let mut seen = std::collections::HashSet::new();
        for (name, _) in fields {
            if !seen.insert(name) {
                let path = Place::Field(self.place, name).to_string();
                let message = "expected a field once, found it again".to_owned();
                return Err(InputError::new("repeated_field", path, message));
            }
        }
        Ok(Object {
            fields,
            place: self.place,
        })
    }
}

pub(super) struct Object<'a> {
    fields: &'a [(String, Json)],
    place: &'a Place<'a>,
}

impl Object<'_> {
    /// Refuses every other field.
    pub(super) fn allow(&self, allowed: &[&str]) -> Result<(), InputError> {
        match self.fields.iter().find(|(name, _)| !allowed.contains(&name.as_str())) {
            None => Ok(()),
            Some((name, _)) => {
                let path = Place::Field(self.place, name).to_string();
                let message = format!("expected only {}, found an unknown field", allowed.join(", "));
                Err(InputError::new("unknown_field", path, message))
            }
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.fields.iter().any(|(found, _)| found == name)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Reads a field that may be absent.
    pub(super) fn maybe<T>(
        &self,
        name: &str,
        read: impl FnOnce(At<'_>) -> Result<T, InputError>,
    ) -> Result<Option<T>, InputError> {
        let field = self.fields.iter().find(|(found, _)| found == name);
        let Some((_, json)) = field else {
            return Ok(None);
        };
        let place = &Place::Field(self.place, name);
        read(At { json, place }).map(Some)
    }

    /// Reads a field that must be there.
    pub(super) fn need<T>(
        &self,
        name: &str,
        read: impl FnOnce(At<'_>) -> Result<T, InputError>,
    ) -> Result<T, InputError> {
        self.maybe(name, read)?.ok_or_else(|| {
            let path = Place::Field(self.place, name).to_string();
            InputError::new("missing_field", path, "expected this field, found nothing".to_owned())
        })
    }

    pub(super) fn error(&self, code: &'static str, message: &str) -> InputError {
        InputError::new(code, self.place.to_string(), message.to_owned())
    }
}
