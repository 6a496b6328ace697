//! The document of a quote as `/openapi.json` describes it. Its reader is the contract's, in `domain::settlement`; the test
//! `described` holds the two to the same fields.

use utoipa::ToSchema;

use crate::coupons::templates::http::{RuleForm, ScopeForm, StackingForm};

/// A basket, its coupons and points. Money is in minor units.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Basket)]
#[expect(dead_code, reason = "only described")]
pub(super) struct BasketForm {
    /// ISO 4217 code of the amounts.
    #[schema(example = "CNY")]
    currency: String,
    /// When, RFC 3339 with an offset.
    #[schema(example = "2026-11-11T12:00:00+08:00")]
    at: String,
    /// Code of the store.
    store: Option<String>,
    /// Whose basket it is.
    member: Option<String>,
    /// At most 500.
    #[schema(example = json!([]), max_items = 500)]
    lines: Vec<LineForm>,
    /// At most 30.
    #[schema(max_items = 30)]
    coupons: Option<Vec<CouponForm>>,
    /// Absent = none are used.
    points: Option<PointsForm>,
    /// Absent = as each field says.
    policy: Option<PolicyForm>,
    /// Absent = `best`.
    select: Option<SelectForm>,
}

/// A line of a basket.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BasketLine)]
#[expect(dead_code, reason = "only described")]
struct LineForm {
    /// Its name in the answer.
    id: String,
    sku: String,
    category: Option<String>,
    merchant: Option<String>,
    #[schema(minimum = 0)]
    unit_price: i64,
    #[schema(minimum = 1)]
    quantity: i64,
}

/// A coupon of a basket.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BasketCoupon, example = json!({ "id": "c1", "status": "available", "rule": { "kind": "amount_off", "amount": 1_000 } }))]
#[expect(dead_code, reason = "only described")]
struct CouponForm {
    /// Its name in the answer.
    id: String,
    /// Whose it is; absent = anybody's.
    member: Option<String>,
    status: StatusForm,
    /// RFC 3339; absent = open.
    valid_from: Option<String>,
    /// RFC 3339, the first instant after its validity; absent = open.
    valid_until: Option<String>,
    rule: RuleForm,
    /// Codes of the stores where it may be used; absent = everywhere.
    stores: Option<Vec<String>>,
    /// Absent = one of each kind.
    stacking: Option<StackingForm>,
    /// Absent = every line; not with an `item_voucher`.
    scope: Option<ScopeForm>,
}

/// How a coupon stands.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CouponStatus)]
#[expect(dead_code, reason = "only described")]
enum StatusForm {
    Available,
    Frozen,
    Redeemed,
    Expired,
}

/// Points that are to be used.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BasketPoints)]
#[expect(dead_code, reason = "only described")]
struct PointsForm {
    #[schema(minimum = 0)]
    r#use: i64,
    #[schema(minimum = 0)]
    available: i64,
    #[schema(minimum = 1)]
    minor_per_point: i64,
    /// Basis points of what the coupons left to pay; absent = 10,000.
    #[schema(minimum = 0, maximum = 10_000)]
    max_share_bp: Option<i64>,
}

/// In which order and how coupons are applied.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BasketPolicy)]
#[expect(dead_code, reason = "only described")]
struct PolicyForm {
    /// The phases, each at most once.
    order: Option<Vec<PhaseForm>>,
    /// Of percentages; absent = `half_up`.
    rounding: Option<RoundingForm>,
    /// What at least is left to pay; absent = 0.
    #[schema(minimum = 0)]
    min_payable: Option<i64>,
}

/// A phase; `every_off` runs in `threshold_off`.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Phase)]
#[expect(dead_code, reason = "only described")]
enum PhaseForm {
    ItemVoucher,
    ThresholdOff,
    PercentOff,
    AmountOff,
}

/// How a percentage is rounded.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Rounding)]
#[expect(dead_code, reason = "only described")]
enum RoundingForm {
    HalfUp,
    Down,
}

/// `best`, or the ids of the coupons that are to be applied.
#[derive(ToSchema)]
#[serde(untagged)]
#[schema(as = Selection)]
#[expect(dead_code, reason = "only described")]
enum SelectForm {
    /// The best of all permitted combinations.
    Best(BestForm),
    /// These, in this order where they exclude each other.
    Listed(Vec<String>),
}

/// The word for it.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Best)]
#[expect(dead_code, reason = "only described")]
enum BestForm {
    Best,
}
