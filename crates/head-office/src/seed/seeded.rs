//! What there is when the seed is done, as it is printed.

use serde::Serialize;

/// What there is now, for people and scripts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seeded {
    /// Code of the tenant.
    pub tenant: String,
    /// Its stores.
    pub stores: Vec<SeededStore>,
    /// Who can sign in, with PINs.
    pub clerks: Vec<SeededClerk>,
    /// Some coupons of the first store that can be redeemed now, of each offline policy.
    pub coupons: Vec<SeededCoupon>,
    /// Pickup codes of some orders that wait in the first store.
    pub pickups: Vec<String>,
    /// Some members whose coupons these and others are.
    pub members: Vec<SeededMember>,
    /// Some products.
    pub products: Vec<SeededProduct>,
    /// Texts of signed QR codes, of coupons and then of pickup orders, other ones than above where there are enough.
    pub tokens: Vec<String>,
    /// How much was added now.
    pub added: Added,
    /// Whether nothing had to be added.
    pub already_there: bool,
}

/// How much was added.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Added {
    /// Stores.
    pub stores: u64,
    /// Clerks.
    pub clerks: u64,
    /// Templates.
    pub templates: u64,
    /// Products.
    pub products: u64,
    /// Members.
    pub members: u64,
    /// Coupons.
    pub coupons: u64,
    /// Pickup orders.
    pub pickups: u64,
}

/// A store of the demo.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeededStore {
    /// Its code.
    pub code: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
}

/// Somebody who can sign in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeededClerk {
    /// Code of the store.
    pub store: String,
    /// Name.
    pub name: String,
    /// PIN.
    pub pin: String,
    /// `clerk` or `manager`.
    pub role: String,
}

/// A coupon that can be redeemed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeededCoupon {
    /// Its code.
    pub code: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// `online_only`, `home_store` or `floor_limit`.
    pub offline: String,
}

/// A member who has coupons to use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeededMember {
    /// Number.
    pub code: String,
    /// Name.
    pub name: String,
}

/// A product that is sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SeededProduct {
    /// Barcode.
    pub code: String,
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
}
