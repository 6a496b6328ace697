//! Values made from schemas, and spoilt ones.

use std::collections::BTreeMap;

use counterfoil_domain::ids::OperationId;
use serde_json::{Map, Value, json};

use super::{Call, operations::Operation};

/// Makes calls, always the same ones for a seed.
pub struct Maker<'a> {
    document: &'a Value,
    state: u64,
    /// Ids that exist, so that calls meet something.
    ids: Vec<String>,
    /// Texts that exist.
    words: Vec<String>,
    /// Fields of what was answered, by collection and name: `/v1/templates` and `id`.
    known: BTreeMap<(String, String), Vec<String>>,
    keys: u64,
    seed: u64,
}

/// Deepest value.
const DEEP: usize = 6;
/// Most ids and words that are learnt.
const LEARNT: usize = 200;

impl<'a> Maker<'a> {
    pub fn new(document: &'a Value, seed: u64, ids: Vec<String>) -> Self {
        let words = [
            "M1",
            "demo",
            "s-01",
            "000000000000000000",
            "00000001",
            "13800000000",
            "CNY",
        ];
        Self {
            document,
            state: seed,
            ids,
            words: words.map(str::to_owned).into(),
            known: BTreeMap::new(),
            keys: 0,
            seed,
        }
    }

    /// Ids that exist.
    pub fn known_ids(&self) -> Vec<String> {
        self.ids.clone()
    }

    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(n.max(1)).unwrap()).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.below(at + 1);
            list.swap(at, other);
        }
    }

    /// Remembers ids and texts of an answer.
    pub fn learn(&mut self, operation: &Operation, body: &[u8]) {
        let Ok(value) = serde_json::from_slice::<Value>(body) else {
            return;
        };
        self.learn_value(&value);
        let things = value["items"].as_array().into_iter().flatten().chain([&value]);
        for (name, field) in things.filter_map(Value::as_object).flatten() {
            let text = match field {
                Value::String(text) => text.clone(),
                Value::Number(number) => number.to_string(),
                _ => continue,
            };
            let place = (collection(&operation.path), name.clone());
            remember(self.known.entry(place).or_default(), &text);
        }
    }

    fn learn_value(&mut self, value: &Value) {
        match value {
            Value::Object(fields) => fields.values().for_each(|value| self.learn_value(value)),
            Value::Array(items) => items.iter().take(5).for_each(|value| self.learn_value(value)),
            Value::String(text) if uuid::Uuid::parse_str(text).is_ok() => remember(&mut self.ids, text),
            Value::String(text) if text.len() < 40 => remember(&mut self.words, text),
            _ => {}
        }
    }

    /// A call as the document wants it.
    pub fn call(&mut self, operation: &Operation, token: Option<String>) -> Call {
        let path = self.path(operation, false);
        let body = operation.body.as_ref().map(|schema| {
            let value = self.value(schema, 0);
            serde_json::to_vec(&value).unwrap()
        });
        Call {
            method: operation.method.clone(),
            path,
            token,
            key: self.key(operation),
            body,
        }
    }

    /// A call with something in it that nobody should send.
    pub fn spoilt(&mut self, operation: &Operation, token: Option<String>) -> Call {
        let in_path = operation.body.is_none() || self.one_in(4);
        let path = self.path(operation, in_path);
        let body = operation.body.as_ref().map(|schema| {
            let mut value = self.value(schema, 0);
            for _ in 0..=self.below(2) {
                self.spoil(&mut value);
            }
            let mut text = serde_json::to_vec(&value).unwrap();
            if self.one_in(12) {
                text.truncate(self.below(text.len()));
            }
            if self.one_in(12) {
                let at = self.below(text.len());
                if let Some(byte) = text.get_mut(at) {
                    *byte = u8::try_from(self.below(256)).unwrap();
                }
            }
            text
        });
        Call {
            method: operation.method.clone(),
            path,
            token,
            key: self.key(operation),
            body,
        }
    }

    fn key(&mut self, operation: &Operation) -> Option<String> {
        self.keys += 1;
        operation.needs_key().then(|| format!("{}-{}", self.seed, self.keys))
    }

    fn path(&mut self, operation: &Operation, spoilt: bool) -> String {
        let mut path = operation.path.clone();
        let mut query = Vec::new();
        for parameter in &operation.parameters {
            let name = parameter["name"].as_str().unwrap();
            let place = (collection(&operation.path), name.to_owned());
            let known = self.known.get(&place).cloned().unwrap_or_default();
            let value = if spoilt && self.one_in(2) {
                self.hostile()
            } else if parameter["in"] == "path" && !known.is_empty() && !self.one_in(4) {
                // What came last is most likely to be still there.
                let late = known.len().saturating_sub(4);
                Value::String(self.pick(&known[late..]))
            } else {
                self.value(&parameter["schema"], 0)
            };
            let text = match value {
                Value::String(text) => text,
                other => other.to_string(),
            };
            match parameter["in"].as_str().unwrap() {
                "path" => {
                    let text = if text.is_empty() {
                        "-".to_owned()
                    } else {
                        escaped(&text)
                    };
                    path = path.replace(&format!("{{{name}}}"), &text);
                }
                "query" if parameter["required"] == true || self.one_in(3) => {
                    query.push(format!("{}={}", escaped(name), escaped(&text)));
                }
                _ => {}
            }
        }
        if spoilt && self.one_in(4) {
            query.push("surprise=1".to_owned());
        }
        if query.is_empty() {
            path
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    fn resolve<'s>(&self, schema: &'s Value) -> &'s Value
    where
        'a: 's,
    {
        let mut schema = schema;
        while let Some(name) = schema["$ref"].as_str() {
            schema = &self.document["components"]["schemas"][name.rsplit('/').next().unwrap()];
        }
        schema
    }

    /// A value that the schema describes.
    fn value(&mut self, schema: &Value, depth: usize) -> Value {
        let schema = &self.resolve(schema).clone();
        for several in ["oneOf", "anyOf"] {
            if let Some(these) = schema[several].as_array() {
                let chosen = self.pick(these);
                return self.value(&chosen, depth);
            }
        }
        if let Some(these) = schema["allOf"].as_array() {
            let mut all = Map::new();
            for one in these {
                if let Value::Object(fields) = self.value(one, depth) {
                    all.extend(fields);
                }
            }
            return Value::Object(all);
        }
        if let Some(words) = schema["enum"].as_array() {
            return self.pick(words);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        let kind = match &schema["type"] {
            Value::Array(several) => self.pick(several),
            one => one.clone(),
        };
        match kind.as_str() {
            Some("object") => self.object(schema, depth),
            Some("array") => {
                let least = usize::try_from(schema["minItems"].as_u64().unwrap_or(0)).unwrap();
                let many = if depth > DEEP { 0 } else { self.below(4) };
                (0..many.max(least))
                    .map(|_| self.value(&schema["items"], depth + 1))
                    .collect()
            }
            Some("string") => Value::String(self.text(schema)),
            Some("integer") => json!(self.integer(schema)),
            Some("number") => json!(self.integer(schema)),
            Some("boolean") => json!(self.one_in(2)),
            Some("null") => Value::Null,
            _ => json!({ "anything": self.below(10) }),
        }
    }

    fn object(&mut self, schema: &Value, depth: usize) -> Value {
        let required: Vec<&str> = schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut object = Map::new();
        for (name, field) in schema["properties"].as_object().into_iter().flatten() {
            if required.contains(&name.as_str()) || (depth < DEEP && self.one_in(5)) {
                object.insert(name.clone(), self.value(field, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn text(&mut self, schema: &Value) -> String {
        if schema["format"] == "uuid" {
            return if self.one_in(8) {
                OperationId::new(1, [7; 10]).to_string()
            } else {
                let ids = self.ids.clone();
                self.pick(&ids)
            };
        }
        let (least, most) = (
            schema["minLength"].as_u64().unwrap_or(0),
            schema["maxLength"].as_u64().unwrap_or(40),
        );
        let words = self.words.clone();
        let word = match self.below(3) {
            0 => self.pick(&words),
            1 => self
                .pick(&["豆浆", "Größe", "a b", "https://shop.example/x", "👩‍👩‍👧"])
                .to_owned(),
            _ => "x".repeat(usize::try_from(least.max(most.min(20)).min(200)).unwrap()),
        };
        let mut text: String = word.chars().take(usize::try_from(most).unwrap()).collect();
        while u64::try_from(text.chars().count()).unwrap() < least {
            text.push('x');
        }
        text
    }

    fn integer(&mut self, schema: &Value) -> i64 {
        let least = schema["minimum"].as_i64().unwrap_or(0);
        let most = schema["maximum"].as_i64().unwrap_or(i64::MAX);
        match self.below(12) {
            0 => least,
            // The whole range, where there is one that is said.
            1 if schema["maximum"].is_number() => most,
            _ => least.saturating_add(i64::try_from(self.below(100)).unwrap()).min(most),
        }
    }

    /// Replaces, adds or removes something anywhere in the value.
    fn spoil(&mut self, value: &mut Value) {
        let here = self.one_in(4);
        match value {
            Value::Object(fields) if !here && !fields.is_empty() => {
                let names: Vec<String> = fields.keys().cloned().collect();
                let name = self.pick(&names);
                match self.below(8) {
                    0 => drop(fields.remove(&name)),
                    1 => drop(fields.insert("surprise".to_owned(), json!(1))),
                    _ => self.spoil(fields.get_mut(&name).unwrap()),
                }
            }
            Value::Array(items) if !here && !items.is_empty() => {
                let at = self.below(items.len());
                if self.one_in(6) {
                    let copy = items[at].clone();
                    items.extend(std::iter::repeat_n(copy, 300));
                } else {
                    self.spoil(&mut items[at]);
                }
            }
            other => *other = self.hostile(),
        }
    }

    fn hostile(&mut self) -> Value {
        match self.below(20) {
            0 => Value::Null,
            1 => json!(-1),
            2 => json!(0),
            3 => json!(i64::MAX),
            4 => json!(i64::MIN),
            5 => json!(u64::MAX),
            6 => json!(1.5),
            7 => json!(1e308),
            8 => json!(true),
            9 => json!(""),
            10 => json!("x".repeat(10_000)),
            11 => json!("\u{0}"),
            12 => json!("' OR 1=1; DROP TABLE coupons; --"),
            13 => json!("\u{202e}\u{feff}\u{ffff}\u{7f}\r\n\t"),
            14 => json!("../../etc/passwd"),
            15 => json!([]),
            16 => json!({}),
            17 => json!([[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]),
            18 => json!("00000000-0000-0000-0000-000000000000"),
            _ => json!("253402300800000"),
        }
    }
}

/// `/v1/templates` of `/v1/templates/{id}/retire`.
fn collection(path: &str) -> String {
    path.split('/').take(3).collect::<Vec<_>>().join("/")
}

fn remember(list: &mut Vec<String>, text: &str) {
    if !list.iter().any(|known| known == text) {
        if list.len() >= LEARNT {
            list.remove(0);
        }
        list.push(text.to_owned());
    }
}

/// Percent-encoded, every byte that is not plain.
fn escaped(text: &str) -> String {
    text.bytes()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect()
}
