//! Lists in pages: by key, so that a page costs the same wherever it is and nothing is skipped or seen twice.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use counterfoil_protocol::problem::{Code, FieldError, Problem};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{ApiError, input::has_nul};

/// Rows in a page where nobody says how many.
const DEFAULT: u32 = 50;
/// Most rows in a page.
pub const MOST: u32 = 200;
/// Longest opaque key.
const KEY_CHARACTERS: usize = 512;

/// One page of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// What to give as `after` for the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Which page is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging<K> {
    /// The last key of the page before.
    pub after: Option<K>,
    limit: u32,
}

impl<K: Serialize + DeserializeOwned> Paging<K> {
    /// Reads the parameters `after` and `limit`.
    ///
    /// # Errors
    /// `malformed` when one of them is not acceptable.
    pub fn read(after: Option<&str>, limit: Option<u32>) -> Result<Self, ApiError> {
        let limit = limit.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            return Err(malformed("limit", "out_of_range", format!("from 1 to {MOST}")));
        }
        let after = after
            .map(|key| {
                decode(key).ok_or_else(|| malformed("after", "malformed", "as `next` of the page before".to_owned()))
            })
            .transpose()?;
        Ok(Self { after, limit })
    }

    /// How many rows to read: one more than wanted tells whether there is a next page.
    pub fn rows(&self) -> i64 {
        i64::from(self.limit) + 1
    }

    /// Makes the page of the rows that were read.
    pub fn page<T>(&self, mut items: Vec<T>, key: impl FnOnce(&T) -> K) -> Page<T> {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next = items.last().filter(|_| more).map(|last| encode(&key(last)));
        Page { items, next }
    }
}

fn malformed(field: &str, code: &str, message: String) -> ApiError {
    Problem {
        errors: vec![FieldError {
            field: field.to_owned(),
            code: code.to_owned(),
            message,
        }],
        ..Problem::new(Code::Malformed)
    }
    .into()
}

fn encode<K: Serialize>(key: &K) -> String {
    // Keys are ids, numbers and texts: they always write.
    BASE64_URL_SAFE_NO_PAD.encode(serde_json::to_vec(key).unwrap_or_default())
}

fn decode<K: DeserializeOwned>(key: &str) -> Option<K> {
    if key.len() > KEY_CHARACTERS {
        return None;
    }
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(key).ok()?;
    if has_nul(&bytes) {
        return None;
    }
    serde_json::from_slice(&bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other() {
        let first = Paging::<i64>::read(None, Some(2)).unwrap();
        assert_eq!(first.rows(), 3);
        let page = first.page(vec![1, 2, 3], |n| *n);
        assert_eq!(page.items, [1, 2]);
        let second = Paging::<i64>::read(page.next.as_deref(), None).unwrap();
        assert_eq!(second.after, Some(2));
        assert_eq!(second.page(vec![3], |n| *n).next, None);
    }

    #[test]
    fn a_foreign_key_is_refused() {
        for after in ["", "%%%", "bm9uc2Vuc2U", &"A".repeat(1_000)] {
            assert!(Paging::<i64>::read(Some(after), None).is_err(), "{after}");
        }
        for limit in [0, 201, u32::MAX] {
            assert!(Paging::<i64>::read(None, Some(limit)).is_err(), "{limit}");
        }
    }
}
