//! Stores, clerks and members as a counter needs to know them.

use serde::{Deserialize, Serialize};
use strum::VariantArray;

use crate::{
    ids::{ClerkId, MemberId, StoreId},
    time::{MINUTE, Millis},
};

/// Fewest digits of a PIN.
pub const PIN_MIN_DIGITS: usize = 6;
/// Most digits of a PIN.
pub const PIN_MAX_DIGITS: usize = 12;
/// Wrong PINs in a row until the clerk is locked.
pub const PIN_TRIES: u32 = 5;
/// How long a clerk stays locked after [`PIN_TRIES`] wrong PINs.
pub const PIN_LOCK: Millis = 15 * MINUTE;
/// A member's changes are sent to this many stores at most: those where they were seen last.
pub const MEMBER_STORES: usize = 8;

/// One shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Store {
    /// Its id.
    pub id: StoreId,
    /// The short code people use, unique within the tenant.
    pub code: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// IANA time zone of its business day.
    pub time_zone: String,
}

/// What a person at a store may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Role {
    /// Looks up, redeems, hands over.
    Clerk,
    /// Also voids, and sees stock and exceptions.
    Manager,
}

impl Role {
    /// Whether this role may approve what undoes or lets pass: a void, a return, the end of a guess limit.
    pub fn may_approve(self) -> bool {
        self == Self::Manager
    }
}

/// What a person of head office may do.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    strum::IntoStaticStr,
    strum::EnumString,
    strum::VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OperatorRole {
    /// Everything.
    Admin,
    /// Templates, grants, cases.
    Operator,
    /// Packing and handing over.
    Warehouse,
    /// Looks, changes nothing.
    Auditor,
}

impl OperatorRole {
    /// All of them.
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// A person with a PIN at one store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clerk {
    /// Their id.
    pub id: ClerkId,
    /// Where they work.
    pub store: StoreId,
    /// Name as shown on the sign-in screen.
    pub name: String,
    /// Clerk or manager.
    pub role: Role,
    /// PHC string of the PIN (argon2id), so that signing in works without a line.
    pub pin_hash: String,
    /// False when they left.
    pub active: bool,
}

/// Whether a PIN has an acceptable form: digits only, 6 to 12 of them.
pub fn pin_is_well_formed(pin: &str) -> bool {
    (PIN_MIN_DIGITS..=PIN_MAX_DIGITS).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit())
}

/// A customer with coupons and points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Their id.
    pub id: MemberId,
    /// Membership number, unique within the tenant.
    pub number: String,
    /// Name.
    pub name: String,
    /// Phone number.
    pub phone: String,
    /// Where they were seen, latest first, at most [`MEMBER_STORES`].
    pub recent_stores: Vec<StoreId>,
}

impl Member {
    /// The list of recent stores once they were seen at `store`; `None` when nothing changes.
    ///
    /// A store that is in the list already stays where it is: the order only matters when the list is full, and a
    /// write for every visit would cost more than it is worth.
    pub fn seen_at(&self, store: StoreId) -> Option<Vec<StoreId>> {
        if self.recent_stores.contains(&store) {
            return None;
        }
        let mut stores = vec![store];
        stores.extend(self.recent_stores.iter().copied().take(MEMBER_STORES - 1));
        Some(stores)
    }
}

/// A phone number for the clerk's eyes: first three and last four digits.
pub fn mask_phone(phone: &str) -> String {
    let digits: Vec<char> = phone.chars().collect();
    if digits.len() < 8 {
        return "*".repeat(digits.len());
    }
    let head: String = digits.iter().take(3).collect();
    let tail: String = digits.iter().skip(digits.len() - 4).collect();
    format!("{head}{}{tail}", "*".repeat(digits.len() - 7))
}

/// A name for the clerk's eyes: the first character, the rest masked.
pub fn mask_name(name: &str) -> String {
    let mut chars = name.chars();
    match chars.next() {
        Some(first) => format!("{first}{}", "*".repeat(chars.count().clamp(1, 2))),
        None => String::new(),
    }
}
