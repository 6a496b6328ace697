//! Whether the document describes every field that the server takes, and no other. The server is asked: it names the
//! fields it knows when it meets one that it does not.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Call, Office, operations::Operation};

/// Nobody's field.
const STRANGE: &str = "~";

/// Something that was found wrong.
pub type Findings = Vec<String>;

pub struct Fields<'o> {
    pub office: &'o Office,
    pub token: Option<String>,
    pub operation: &'o Operation,
    pub found: Findings,
    /// Objects that were asked about.
    pub objects: usize,
}

/// From a value to the body that it is a part of.
type Around<'a> = &'a (dyn Fn(Value) -> Value + Sync);

impl Fields<'_> {
    /// Asks about an object, and about those in it.
    pub async fn compare(&mut self, schema: &Value, around: Around<'_>, place: &str) {
        let schema = resolved(&self.office.document, schema);
        for several in ["oneOf", "anyOf", "allOf"] {
            for one in schema[several].as_array().into_iter().flatten() {
                Box::pin(self.compare(one, around, place)).await;
            }
        }
        if schema["items"].is_object() {
            let list = |value: Value| around(json!([value]));
            Box::pin(self.compare(&schema["items"], &list, &format!("{place}[]"))).await;
        }
        let is_object = schema["type"] == "object"
            || schema["type"]
                .as_array()
                .is_some_and(|all| all.contains(&json!("object")));
        if !is_object {
            return;
        }
        self.objects += 1;
        let none = Map::new();
        let fields = schema["properties"].as_object().unwrap_or(&none);
        let described: BTreeSet<String> = fields.keys().cloned().collect();
        let mut probe = given(&self.office.document, schema);
        probe.insert(STRANGE.to_owned(), json!(1));
        match self.known(around(Value::Object(probe))).await {
            Err(answer) => self.found.push(format!(
                "{}, {place}: it takes a field that it does not know: {answer}",
                self.operation.name()
            )),
            // The word that says of which kind it is is read before the rest, and then not named.
            Ok(known) if known != described && known != without_word(&self.office.document, fields) => {
                let of = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
                    one.difference(other).cloned().collect::<Vec<_>>()
                };
                self.found.push(format!(
                    "{}, {place}: not described {:?}, not taken {:?}",
                    self.operation.name(),
                    of(&known, &described),
                    of(&described, &known)
                ));
            }
            Ok(_) => {}
        }
        for (name, field) in fields {
            let beside = given(&self.office.document, schema);
            let inside = |value: Value| {
                let mut object = beside.clone();
                object.insert(name.clone(), value);
                around(Value::Object(object))
            };
            Box::pin(self.compare(field, &inside, &format!("{place}.{name}"))).await;
        }
    }

    /// The fields that the server knows where the strange one is.
    async fn known(&self, body: Value) -> Result<BTreeSet<String>, String> {
        let mut path = self.operation.path.clone();
        for (name, value) in [
            ("{id}", self.office.chain.template.to_string()),
            ("{version}", "1".to_owned()),
            ("{number}", "M1".to_owned()),
            ("{sku}", "A".to_owned()),
        ] {
            path = path.replace(name, &value);
        }
        assert!(!path.contains('{'), "{path}");
        let call = Call {
            method: self.operation.method.clone(),
            path,
            token: self.token.clone(),
            key: self
                .operation
                .needs_key()
                .then(|| hex::encode(crate::common::random10())),
            body: Some(body.to_string().into_bytes()),
        };
        let answer = self.office.send(&call).await;
        let problem: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let errors = problem["errors"].as_array().into_iter().flatten();
        let mut said = errors.map(|error| &error["message"]).chain([&problem["detail"]]);
        said.find_map(|said| fields_of(said.as_str()?))
            .ok_or_else(|| format!("{} {problem}", call.said()))
    }
}

/// The fields that a refusal names: serde's, or that of the reader of quotes.
fn fields_of(message: &str) -> Option<BTreeSet<String>> {
    if let Some((_, rest)) = message.split_once(&format!("unknown field `{STRANGE}`, ")) {
        if rest.starts_with("there are no fields") {
            return Some(BTreeSet::new());
        }
        // What is in backquotes, every second piece.
        return Some(rest.split('`').skip(1).step_by(2).map(str::to_owned).collect());
    }
    let (_, rest) = message.split_once("expected only ")?;
    let (list, _) = rest.split_once(", found an unknown field")?;
    Some(list.split(", ").map(str::to_owned).collect())
}

/// The fields but for the word that says of which kind an object is.
fn without_word(document: &Value, fields: &Map<String, Value>) -> BTreeSet<String> {
    let is_word = |field: &Value| {
        resolved(document, field)["enum"]
            .as_array()
            .is_some_and(|words| words.len() == 1)
    };
    let others = fields.iter().filter(|(_, field)| !is_word(field));
    others.map(|(name, _)| name.clone()).collect()
}

/// What must stand beside a field for it to be looked at: the word that says of which kind the object is, and what the
/// document gives an example of.
fn given(document: &Value, schema: &Value) -> Map<String, Value> {
    let example = |schema: &Value| schema.get("example").or(schema["examples"].get(0)).cloned();
    let mut given = match example(schema) {
        Some(Value::Object(whole)) => whole,
        _ => Map::new(),
    };
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let words = resolved(document, field)["enum"].as_array();
        let word = words.filter(|words| words.len() == 1).map(|words| words[0].clone());
        if let Some(value) = word.or(example(field)) {
            given.insert(name.clone(), value);
        }
    }
    given
}

fn resolved<'d>(document: &'d Value, mut schema: &'d Value) -> &'d Value {
    while let Some(name) = schema["$ref"].as_str() {
        schema = &document["components"]["schemas"][name.rsplit('/').next().unwrap()];
    }
    schema
}

#[test]
fn the_words_of_a_refusal_are_understood() {
    let of = |message: &str| fields_of(message).map(|fields| fields.into_iter().collect::<Vec<_>>());
    let names = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(
        of("rule: unknown field `~`, expected one of `a`, `b` at line 1"),
        names(&["a", "b"])
    );
    assert_eq!(of("unknown field `~`, expected `a` or `b`"), names(&["a", "b"]));
    assert_eq!(of("unknown field `~`, there are no fields"), names(&[]));
    assert_eq!(
        of("$.rule.~: expected only kind, amount, found an unknown field"),
        names(&["amount", "kind"])
    );
    assert_eq!(of("missing field `a`"), None);
}
