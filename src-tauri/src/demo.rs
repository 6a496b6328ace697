//! What there is to try in the demo: the people, coupons and orders that were made up for it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::problem::{Problem, Result, of_file};
use crate::view::{DemoClerk, DemoHints};

/// Beside the demo's head office.
pub const FILE_NAME: &str = "demo.json";
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// What seeding prints.
#[derive(Debug, Deserialize)]
struct Seeded {
    #[serde(default)]
    clerks: Vec<Clerk>,
    #[serde(default)]
    coupons: Vec<Value>,
    #[serde(default)]
    pickups: Vec<Value>,
    /// Numbers.
    #[serde(default)]
    members: Vec<Value>,
    /// Barcodes.
    #[serde(default)]
    products: Vec<Value>,
}

#[derive(Debug, Deserialize)]
struct Clerk {
    store: String,
    name: String,
    pin: String,
}

/// The hints for one store.
pub fn hints(file: &Path, store: &str) -> Result<DemoHints> {
    let mut text = String::new();
    File::open(file)
        .and_then(|file| file.take(MOST_BYTES).read_to_string(&mut text))
        .map_err(of_file("the demo's hints"))?;
    of_text(&text, store)
}

fn of_text(text: &str, store: &str) -> Result<DemoHints> {
    let seeded: Seeded =
        serde_json::from_str(text).map_err(|error| Problem::internal(format!("the demo's hints: {error}")))?;
    let codes = |list: Vec<Value>| list.iter().filter_map(|value| code(value, store)).collect();
    Ok(DemoHints {
        clerks: seeded
            .clerks
            .into_iter()
            .filter(|clerk| clerk.store == store)
            .map(|clerk| DemoClerk {
                name: clerk.name,
                pin: clerk.pin,
            })
            .collect(),
        coupons: codes(seeded.coupons),
        pickups: codes(seeded.pickups),
        members: codes(seeded.members),
        products: codes(seeded.products),
    })
}

/// A code, or the code among what is said about it, unless it is another store's.
fn code(value: &Value, store: &str) -> Option<String> {
    match value {
        Value::String(code) => Some(code.clone()),
        Value::Object(fields) => {
            let elsewhere = fields
                .get("store")
                .and_then(Value::as_str)
                .is_some_and(|named| named != store);
            if elsewhere {
                return None;
            }
            fields.get("code").and_then(Value::as_str).map(str::to_owned)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_this_store() {
        let text = r#"{"stores": [{"code": "s-01"}],
            "clerks": [{"store": "s-01", "name": "陈雨", "pin": "654321", "role": "clerk"},
                       {"store": "s-02", "name": "Maya", "pin": "123456", "role": "clerk"}],
            "coupons": ["100120260712345678", {"code": "2", "note": "expired"}, 7],
            "pickups": [{"code": "40718826", "store": "s-01"}, {"code": "40718834", "store": "s-02"}]}"#;
        let hints = of_text(text, "s-01").unwrap();
        assert_eq!(hints.clerks.len(), 1);
        assert_eq!(hints.clerks[0].name, "陈雨");
        assert_eq!(hints.coupons, ["100120260712345678", "2"]);
        assert_eq!(hints.pickups, ["40718826"]);
        assert_eq!(of_text("{\"clerks\": 7}", "s-01").unwrap_err().code, "internal");
    }
}
