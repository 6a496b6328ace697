//! What is said of a template, and whether it makes sense: every field that does not is named.

use std::collections::HashSet;

use counterfoil_domain::{
    coupons::OfflinePolicy,
    ids::{StoreId, TenantId},
    settlement::{InputError, Kind, Rule, Scope, Stacking},
    time::Millis,
    transition::LimitCounts,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::{Checked, Validity, Version, Window};
use crate::{
    http::{ApiError, Fields},
    stores,
};

/// The year 9999 ends here.
const LATEST: Millis = 253_402_300_799_999;
const NAME_CHARACTERS: usize = 80;
const WORD_CHARACTERS: usize = 64;
const LOGO_CHARACTERS: usize = 500;
const MOST_WORDS: usize = 1_000;
const MOST_DAYS: i64 = 3_660;
const MOST_MONEY: i64 = 1_000_000_000_000;

/// What is said of a template version.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name_zh": "满100减20", "name_en": "20 off 100", "category": "01", "product_line": "02",
    "rule": { "kind": "threshold_off", "threshold": 10_000, "amount": 2_000 }, "validity": { "days": 30 },
}))]
pub struct Terms {
    /// Chinese name.
    #[schema(min_length = 1, max_length = 80)]
    name_zh: String,
    /// English name.
    #[schema(min_length = 1, max_length = 80)]
    name_en: String,
    /// Address of a picture, `https://...`.
    #[schema(max_length = 500)]
    logo: Option<String>,
    /// Two digits of coupon codes, or words.
    #[schema(min_length = 1, max_length = 64)]
    category: String,
    /// Two digits of coupon codes, or words.
    #[schema(min_length = 1, max_length = 64)]
    product_line: String,
    /// What it takes off.
    #[schema(value_type = super::http::RuleForm)]
    rule: Box<RawValue>,
    /// Which lines it looks at and falls on; absent = every line. A voucher has none.
    #[schema(value_type = Option<super::http::ScopeForm>)]
    scope: Option<Box<RawValue>>,
    /// What it may stand beside; absent = a group named as the kind.
    #[schema(value_type = Option<super::http::StackingForm>)]
    stacking: Option<Box<RawValue>>,
    /// Ids of the stores where it may be used; absent = everywhere.
    #[schema(value_type = Option<Vec<uuid::Uuid>>)]
    stores: Option<Vec<StoreId>>,
    /// How long a coupon is valid.
    validity: Validity,
    /// When it may be claimed or granted; absent = always.
    #[serde(default)]
    #[schema(value_type = Option<Window>)]
    claim: Option<Window>,
    /// Most coupons of one member; absent = no limit.
    #[schema(minimum = 1, maximum = 1_000_000)]
    member_limit: Option<i64>,
    /// What the limit counts; absent = coupons ever taken.
    #[schema(value_type = Option<super::http::LimitForm>)]
    limit_counts: Option<LimitCounts>,
    /// What a counter may do with it when head office can't be asked; absent = nothing.
    #[schema(value_type = Option<super::http::OfflineForm>)]
    offline: Option<OfflinePolicy>,
    /// With `floor_limit`: the largest worth honoured offline, minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000_000i64)]
    floor_limit: Option<i64>,
    /// What one coupon is worth where its rule has no bound, minor units: for limits and losses.
    #[schema(minimum = 0, maximum = 1_000_000_000_000i64)]
    worth_unbounded: Option<i64>,
}

/// Checks the terms; `connection` says whether the stores exist.
pub(super) async fn check(
    connection: &mut AnyConnection,
    tenant: TenantId,
    terms: &Terms,
) -> Result<Checked, ApiError> {
    let mut fields = Fields::default();
    fields.text("name_zh", &terms.name_zh, NAME_CHARACTERS);
    fields.text("name_en", &terms.name_en, NAME_CHARACTERS);
    fields.text("category", &terms.category, WORD_CHARACTERS);
    fields.text("product_line", &terms.product_line, WORD_CHARACTERS);
    if let Some(logo) = &terms.logo {
        fields.text("logo", logo, LOGO_CHARACTERS);
        fields.check(
            logo.starts_with("https://"),
            "logo",
            "malformed",
            "begins with https://",
        );
    }
    let rule = document(&mut fields, "rule", &terms.rule, Rule::from_json);
    let scope = optional(&mut fields, "scope", terms.scope.as_deref(), Scope::from_json);
    let stacking = optional(&mut fields, "stacking", terms.stacking.as_deref(), Stacking::from_json);
    if let Some(rule) = &rule {
        check_rule(&mut fields, rule, terms);
    }
    check_words(&mut fields, &scope, &stacking);
    check_times(&mut fields, &terms.validity, terms.claim.unwrap_or_default());
    if let Some(limit) = terms.member_limit {
        fields.range("member_limit", limit, 1..=1_000_000);
    }
    let offline = terms.offline.unwrap_or(OfflinePolicy::OnlineOnly);
    let least = i64::from(offline == OfflinePolicy::FloorLimit);
    fields.range("floor_limit", terms.floor_limit.unwrap_or(0), least..=MOST_MONEY);
    if let Some(stores) = &terms.stores {
        check_stores(&mut fields, connection, tenant, stores).await?;
    }
    fields.done()?;
    // Without a rule there is an error by now.
    let rule = rule.ok_or_else(ApiError::internal)?;
    Ok(Checked {
        name_zh: terms.name_zh.clone(),
        name_en: terms.name_en.clone(),
        logo: terms.logo.clone(),
        category: terms.category.clone(),
        product_line: terms.product_line.clone(),
        stacking: stacking.unwrap_or_default().named(&rule.kind),
        scope: scope.unwrap_or_default(),
        rule,
        stores: terms.stores.clone(),
        validity: terms.validity,
        claim: terms.claim.unwrap_or_default(),
        member_limit: terms.member_limit,
        limit_counts: terms.limit_counts.unwrap_or(LimitCounts::Taken),
        offline,
        floor_limit: terms.floor_limit.unwrap_or(0),
        worth_unbounded: terms.worth_unbounded.unwrap_or(0),
    })
}

/// A template whose time is over is not published.
pub(super) fn lies_ahead(draft: &Version, now: Millis) -> Result<(), ApiError> {
    let mut fields = Fields::default();
    for (field, until) in [
        ("validity.until", draft.validity.until),
        ("claim.until", draft.claim.until),
    ] {
        fields.check(until.is_none_or(|until| until > now), field, "past", "must lie ahead");
    }
    fields.done()
}

fn document<T>(
    fields: &mut Fields,
    name: &str,
    text: &RawValue,
    read: impl FnOnce(&str) -> Result<T, InputError>,
) -> Option<T> {
    read(text.get())
        .map_err(|error| {
            let place = error.path.strip_prefix('$').unwrap_or(&error.path);
            fields.refuse(format!("{name}{place}"), error.code, error.message);
        })
        .ok()
}

fn optional<T>(
    fields: &mut Fields,
    name: &str,
    text: Option<&RawValue>,
    read: impl FnOnce(&str) -> Result<T, InputError>,
) -> Option<T> {
    document(fields, name, text?, read)
}

fn check_rule(fields: &mut Fields, rule: &Rule, terms: &Terms) {
    let amounts = match &rule.kind {
        Kind::ThresholdOff { threshold, amount, .. } | Kind::EveryOff { threshold, amount, .. } => {
            [("rule.threshold", Some(*threshold)), ("rule.amount", Some(*amount))]
        }
        Kind::PercentOff {
            threshold,
            max_discount,
            ..
        } => [("rule.threshold", *threshold), ("rule.max_discount", *max_discount)],
        Kind::AmountOff { amount } => [("rule.amount", Some(*amount)), ("", None)],
        Kind::ItemVoucher { sku, .. } => {
            fields.text("rule.sku", sku, WORD_CHARACTERS);
            fields.check(
                terms.scope.is_none(),
                "scope",
                "not_allowed",
                "a voucher's lines follow from its sku",
            );
            [("", None), ("", None)]
        }
    };
    for (field, amount) in amounts {
        if let Some(amount) = amount {
            fields.range(field, amount, 0..=MOST_MONEY);
        }
    }
    let unbounded = rule.kind.most_it_costs().is_none();
    fields.range(
        "worth_unbounded",
        terms.worth_unbounded.unwrap_or(0),
        i64::from(unbounded)..=MOST_MONEY,
    );
}

fn check_words(fields: &mut Fields, scope: &Option<Scope>, stacking: &Option<Stacking>) {
    if let Some(scope) = scope {
        let only = scope.only.clone().unwrap_or_default();
        for (name, words) in [
            ("scope.merchants", &only.merchants),
            ("scope.categories", &only.categories),
            ("scope.skus", &only.skus),
            ("scope.except_skus", &scope.except_skus),
        ] {
            fields.check(words.len() <= MOST_WORDS, name, "too_long", "at most 1000 words");
            for (index, word) in words.iter().take(MOST_WORDS).enumerate() {
                fields.text(&format!("{name}[{index}]"), word, WORD_CHARACTERS);
            }
        }
    }
    if let Some(Stacking::Group(Some(group))) = stacking {
        fields.text("stacking.group", group, WORD_CHARACTERS);
    }
}

fn check_times(fields: &mut Fields, validity: &Validity, claim: Window) {
    for (field, time) in [
        ("validity.from", validity.from),
        ("validity.until", validity.until),
        ("claim.from", claim.from),
        ("claim.until", claim.until),
    ] {
        if let Some(time) = time {
            fields.range(field, time, 0..=LATEST);
        }
    }
    match (validity.days, validity.until) {
        (Some(days), None) => {
            fields.range("validity.days", days, 1..=MOST_DAYS);
            fields.check(
                validity.from.is_none(),
                "validity.from",
                "not_allowed",
                "not beside days",
            );
        }
        (None, Some(_)) => {}
        (Some(_), Some(_)) => fields.refuse("validity.days", "not_allowed", "either days or until"),
        (None, None) => fields.refuse("validity", "required", "either days or until"),
    }
    fields.check(
        is_order(validity.from, validity.until),
        "validity.until",
        "out_of_order",
        "later than from",
    );
    fields.check(
        is_order(claim.from, claim.until),
        "claim.until",
        "out_of_order",
        "later than from",
    );
    // A coupon claimed after its validity would be of no use.
    fields.check(
        validity
            .until
            .is_none_or(|end| claim.until.is_none_or(|until| until <= end)),
        "claim.until",
        "out_of_order",
        "not later than validity.until",
    );
}

fn is_order(from: Option<Millis>, until: Option<Millis>) -> bool {
    from.zip(until).is_none_or(|(from, until)| from < until)
}

async fn check_stores(
    fields: &mut Fields,
    connection: &mut AnyConnection,
    tenant: TenantId,
    wanted: &[StoreId],
) -> Result<(), ApiError> {
    if wanted.is_empty() || wanted.len() > MOST_WORDS {
        fields.refuse(
            "stores",
            "out_of_range",
            "1 to 1000 stores; leave it out for everywhere",
        );
        return Ok(());
    }
    let known: HashSet<StoreId> = stores::rows::load_stores(connection, tenant, wanted)
        .await?
        .into_iter()
        .map(|row| row.store.id)
        .collect();
    let mut seen = HashSet::new();
    for (index, store) in wanted.iter().enumerate() {
        let field = format!("stores[{index}]");
        fields.check(known.contains(store), &field, "unknown", "there is no such store");
        fields.check(seen.insert(*store), &field, "repeated", "named before");
    }
    Ok(())
}
