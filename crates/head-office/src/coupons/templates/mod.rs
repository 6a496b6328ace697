//! Templates: written as drafts, published for ever, ended for claims and grants. A version that was published does not
//! change; the next one is a new draft.

mod capability;
mod check;
pub mod ending;
pub mod http;
pub mod image;
mod rows;
mod rules;
pub mod table;

pub use capability::CAPABILITY;

pub(crate) use rows::insert;

use counterfoil_domain::{
    coupons::{OfflinePolicy, Template},
    ids::{StoreId, TemplateId},
    settlement::{Rule, Scope, Stacking},
    time::Millis,
    transition::LimitCounts,
    words::Word,
};
use counterfoil_protocol::problem::Code;
use sqlx::AnyConnection;

pub use check::Terms;

use crate::{
    db::DbError,
    deed::Deed,
    feed::{Item, TENANT_FEED},
    http::{ApiError, Operator},
    tenants,
};

/// Where a version stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    serde::Serialize,
    serde::Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
    strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Status {
    /// May still be changed; nobody can claim it.
    Draft,
    /// Never changes; may be claimed and granted within its window.
    Published,
    /// Claims and grants have ended. Coupons already given keep their own validity.
    Retired,
}

/// How long a coupon is valid: fixed dates, or a number of days after the claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Validity {
    /// First instant, UTC ms; absent = at once. Not beside `days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 253402300799999i64)]
    pub from: Option<Millis>,
    /// First instant after it, UTC ms. Not beside `days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 253402300799999i64)]
    pub until: Option<Millis>,
    /// Days after the claim.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 3660)]
    pub days: Option<i64>,
}

/// When a coupon may be claimed or granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// First instant, UTC ms; absent = at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 253402300799999i64)]
    pub from: Option<Millis>,
    /// The template's end: first instant after the window, UTC ms; absent = open. Ends claims and grants only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, maximum = 253402300799999i64)]
    pub until: Option<Millis>,
}

/// What is said of a template version, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Chinese name.
    pub name_zh: String,
    /// English name.
    pub name_en: String,
    /// Address of a picture.
    pub logo: Option<String>,
    /// Two digits of coupon codes, or words.
    pub category: String,
    /// As `category`.
    pub product_line: String,
    /// What it takes off.
    pub rule: Rule,
    /// Which lines it looks at.
    pub scope: Scope,
    /// What it may stand beside.
    pub stacking: Stacking,
    /// Where it may be used; `None` = everywhere.
    pub stores: Option<Vec<StoreId>>,
    /// How long a coupon is valid.
    pub validity: Validity,
    /// When it may be claimed.
    pub claim: Window,
    /// Most coupons of one member; `None` = no limit (0 in the database).
    pub member_limit: Option<i64>,
    /// What the limit counts.
    pub limit_counts: LimitCounts,
    /// What a counter may do with it offline.
    pub offline: OfflinePolicy,
    /// Largest worth honoured offline, minor units.
    pub floor_limit: i64,
    /// Worth booked when the rule itself has no bound, minor units.
    pub worth_unbounded: i64,
}

/// One version of a template, with what counters need not know of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// What counters know.
    pub template: Template,
    /// Where it stands.
    pub status: Status,
    /// Address of a picture.
    pub logo: Option<String>,
    /// Two digits of coupon codes, or words.
    pub category: String,
    /// As `category`.
    pub product_line: String,
    /// How long a coupon is valid.
    pub validity: Validity,
    /// When it may be claimed.
    pub claim: Window,
    /// Most coupons of one member; `None` = no limit.
    pub member_limit: Option<i64>,
    /// What the limit counts.
    pub limit_counts: LimitCounts,
    /// When the draft was begun.
    pub created_at: Millis,
    /// When it was published.
    pub published_at: Option<Millis>,
    /// When its claims and grants were ended.
    pub retired_at: Option<Millis>,
    /// When it was noted that its time is over.
    pub ended_at: Option<Millis>,
    /// Grows with every change of the row.
    pub revision: i64,
}

/// Begins a template: its first draft.
///
/// # Errors
/// `invalid` with each field, or the database's.
pub async fn create(deed: &mut Deed<'_>, operator: &Operator, terms: &Terms) -> Result<Version, ApiError> {
    let checked = check::check(deed, operator.tenant, terms).await?;
    let id = TemplateId::new(deed.now(), deed.fresh()?);
    draft(deed, operator, (id, 1), &checked, "template.drafted").await
}

/// Begins the next version as a draft.
///
/// # Errors
/// `not_found`, `state_conflict` when the latest version is a draft, else as [`create`].
pub async fn next(
    deed: &mut Deed<'_>,
    operator: &Operator,
    id: TemplateId,
    terms: &Terms,
) -> Result<Version, ApiError> {
    let versions = rows::versions(deed, operator.tenant, id).await?;
    let latest = versions.first().ok_or_else(ApiError::not_found)?;
    if latest.status == Status::Draft {
        return Err(ApiError::detailed(
            Code::StateConflict,
            "the latest version is still a draft: change or publish it",
        ));
    }
    let number = latest.template.version + 1;
    let checked = check::check(deed, operator.tenant, terms).await?;
    draft(deed, operator, (id, number), &checked, "template.drafted").await
}

async fn draft(
    deed: &mut Deed<'_>,
    operator: &Operator,
    (id, number): (TemplateId, i64),
    checked: &Checked,
    action: &str,
) -> Result<Version, ApiError> {
    let now = deed.now();
    let currency = tenants::rows::load_tenant(deed, operator.tenant, "").await?.currency;
    let of = (id, number);
    if !rows::insert(deed, operator.tenant, of, checked, &currency, Status::Draft, now).await? {
        // Somebody else began the same version.
        return Err(ApiError::new(Code::ChangedMeanwhile));
    }
    log(deed, action, id, number).await?;
    load(deed, operator, id, number).await
}

/// Changes a draft that nobody changed since it was read.
///
/// # Errors
/// `not_found`, `state_conflict` when it is no draft any more, `changed_meanwhile`, `invalid`.
pub async fn edit(
    deed: &mut Deed<'_>,
    operator: &Operator,
    (id, number): (TemplateId, i64),
    revision: i64,
    terms: &Terms,
) -> Result<Version, ApiError> {
    let checked = check::check(deed, operator.tenant, terms).await?;
    if !rows::update_draft(deed, operator.tenant, (id, number), revision, &checked).await? {
        return Err(why_not(load(deed, operator, id, number).await?, Status::Draft));
    }
    log(deed, "template.changed", id, number).await?;
    load(deed, operator, id, number).await
}

/// Publishes a draft: from now on it never changes, and counters learn of it.
///
/// # Errors
/// `not_found`, `state_conflict` when it is no draft, `invalid` when its time is over already.
pub async fn publish(
    deed: &mut Deed<'_>,
    operator: &Operator,
    (id, number): (TemplateId, i64),
) -> Result<Version, ApiError> {
    let draft = load(deed, operator, id, number).await?;
    let now = deed.now();
    check::lies_ahead(&draft, now)?;
    if !rows::publish(deed, operator.tenant, &draft, now).await? {
        return Err(why_not(draft, Status::Draft));
    }
    log(deed, "template.published", id, number).await?;
    let published = load(deed, operator, id, number).await?;
    deed.tell(TENANT_FEED, Item::Template(id, number));
    Ok(published)
}

/// Ends claims and grants of a template: of every published version. Coupons already given keep their own validity.
///
/// # Errors
/// `not_found`, `state_conflict` when none is published.
pub async fn retire(deed: &mut Deed<'_>, operator: &Operator, id: TemplateId) -> Result<Vec<Version>, ApiError> {
    let now = deed.now();
    if rows::retire(deed, operator.tenant, id, now).await? == 0 {
        // Either it does not exist, or there is nothing to end.
        let versions = rows::versions(deed, operator.tenant, id).await?;
        let latest = versions.into_iter().next().ok_or_else(ApiError::not_found)?;
        return Err(why_not(latest, Status::Published));
    }
    log(deed, "template.retired", id, 0).await?;
    Ok(rows::versions(deed, operator.tenant, id).await?)
}

/// Why a conditional change found no row.
fn why_not(found: Version, needed: Status) -> ApiError {
    if found.status == needed {
        return ApiError::new(Code::ChangedMeanwhile);
    }
    ApiError::detailed(
        Code::StateConflict,
        format!("it is {}, not {}", found.status.as_str(), needed.as_str()),
    )
}

async fn load(
    connection: &mut AnyConnection,
    operator: &Operator,
    id: TemplateId,
    number: i64,
) -> Result<Version, ApiError> {
    let versions = rows::versions(connection, operator.tenant, id).await?;
    versions
        .into_iter()
        .find(|version| version.template.version == number)
        .ok_or_else(ApiError::not_found)
}

async fn log(deed: &mut Deed<'_>, action: &str, id: TemplateId, number: i64) -> Result<(), DbError> {
    let detail = if number == 0 {
        id.to_string()
    } else {
        format!("{id} {number}")
    };
    deed.audit(action, &detail).await
}
