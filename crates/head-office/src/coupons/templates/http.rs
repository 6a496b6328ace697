//! Routes of templates.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    coupons::OfflinePolicy,
    ids::{StoreId, TemplateId},
    settlement::{Rule, Scope, Stacking},
    time::Millis,
    transition::LimitCounts,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Status, Terms, Validity, Version, Window, rows};
use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    http::{ApiError, Asked, Body, Nothing, Operator, Page, Paging, Path, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(show))
        .routes(routes!(next))
        .routes(routes!(edit))
        .routes(routes!(publish))
        .routes(routes!(retire))
}

/// What it takes off. Money is in minor units; `percent_bp` are basis points taken off.
#[derive(ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = Rule)]
#[expect(dead_code, reason = "only described; the reader is the contract's")]
pub(crate) enum RuleForm {
    /// 满减: `amount` off from `threshold`.
    ThresholdOff {
        #[schema(minimum = 0)]
        threshold: i64,
        #[schema(minimum = 0)]
        amount: i64,
        threshold_basis: Option<BasisForm>,
        #[schema(minimum = 1)]
        min_quantity: Option<i64>,
    },
    /// 每满减: `amount` for each whole `threshold`.
    EveryOff {
        #[schema(minimum = 1)]
        threshold: i64,
        #[schema(minimum = 0)]
        amount: i64,
        #[schema(minimum = 1)]
        max_times: Option<i64>,
        threshold_basis: Option<BasisForm>,
        #[schema(minimum = 1)]
        min_quantity: Option<i64>,
    },
    /// 折扣: basis points taken off.
    PercentOff {
        #[schema(minimum = 0, maximum = 10_000)]
        percent_bp: i64,
        #[schema(minimum = 0)]
        threshold: Option<i64>,
        #[schema(minimum = 0)]
        max_discount: Option<i64>,
        threshold_basis: Option<BasisForm>,
        #[schema(minimum = 1)]
        min_quantity: Option<i64>,
    },
    /// 立减: `amount` off.
    AmountOff {
        #[schema(minimum = 0)]
        amount: i64,
        #[schema(minimum = 1)]
        min_quantity: Option<i64>,
    },
    /// 兑换券: units of a product free.
    ItemVoucher {
        #[schema(min_length = 1, max_length = 64)]
        sku: String,
        #[schema(minimum = 1)]
        quantity: i64,
        #[schema(minimum = 1)]
        min_quantity: Option<i64>,
    },
}

/// Which amounts a threshold looks at.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Basis)]
#[expect(dead_code, reason = "only described; the reader is the contract's")]
pub(crate) enum BasisForm {
    /// What is left after everything applied before.
    Net,
    /// The undiscounted amounts.
    List,
}

/// Every line (`all`), or the lines that match one of the lists; `except_skus` are left out in any case.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Scope)]
#[expect(dead_code, reason = "only described; the reader is the contract's")]
pub(crate) struct ScopeForm {
    /// `true`; not beside the lists.
    all: Option<bool>,
    merchants: Option<Vec<String>>,
    categories: Option<Vec<String>>,
    skus: Option<Vec<String>>,
    except_skus: Option<Vec<String>>,
}

/// Alone (`exclusive`), or one coupon of each `group`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Stacking)]
#[expect(dead_code, reason = "only described; the reader is the contract's")]
pub(crate) struct StackingForm {
    /// `true`; not beside `group`.
    exclusive: Option<bool>,
    #[schema(min_length = 1, max_length = 64)]
    group: Option<String>,
}

/// What a counter may do when head office can't be asked.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = OfflinePolicy)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(crate) enum OfflineForm {
    /// Nothing.
    OnlineOnly,
    /// Honour it at the coupon's own store.
    HomeStore,
    /// Honour it anywhere up to `floor_limit`.
    FloorLimit,
}

/// What a limit per member counts.
#[derive(ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = LimitCounts)]
#[expect(dead_code, reason = "only described; `counterfoil_domain` has the type")]
pub(crate) enum LimitForm {
    /// Coupons ever taken.
    Taken,
    /// Coupons still held.
    Held,
}

/// One version of a template.
#[derive(Debug, Serialize, ToSchema)]
struct TemplateVersion {
    /// The template, shared by its versions.
    #[schema(value_type = uuid::Uuid)]
    id: TemplateId,
    /// From 1.
    version: i64,
    /// Where it stands.
    status: Status,
    /// Grows with every change; to be given back with the next one.
    revision: i64,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// Address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    logo: Option<String>,
    /// Two digits of coupon codes, or words.
    category: String,
    /// As `category`.
    product_line: String,
    /// ISO 4217 code of the amounts.
    currency: String,
    /// What it takes off.
    #[schema(value_type = RuleForm)]
    rule: Rule,
    /// Which lines it looks at.
    #[schema(value_type = ScopeForm)]
    scope: Scope,
    /// What it may stand beside.
    #[schema(value_type = StackingForm)]
    stacking: Stacking,
    /// Where it may be used; absent = everywhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<uuid::Uuid>>)]
    stores: Option<Vec<StoreId>>,
    /// How long a coupon is valid.
    validity: Validity,
    /// When it may be claimed or granted.
    claim: Window,
    /// Most coupons of one member; absent = no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    member_limit: Option<i64>,
    /// What the limit counts.
    #[schema(value_type = LimitForm)]
    limit_counts: LimitCounts,
    /// What a counter may do with it offline.
    #[schema(value_type = OfflineForm)]
    offline: OfflinePolicy,
    /// Largest worth honoured offline, minor units.
    floor_limit: i64,
    /// Worth where the rule has no bound, minor units.
    worth_unbounded: i64,
    /// When the draft was begun, UTC ms.
    created_at: Millis,
    /// When it was published.
    #[serde(skip_serializing_if = "Option::is_none")]
    published_at: Option<Millis>,
    /// When its claims and grants were ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    retired_at: Option<Millis>,
    /// When head office noted that its time is over, within an hour of it: the end of its window, or of a fixed validity.
    /// Claims and grants end at that time itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Millis>,
}

impl From<Version> for TemplateVersion {
    fn from(version: Version) -> Self {
        let template = version.template;
        Self {
            id: template.id,
            version: template.version,
            status: version.status,
            revision: version.revision,
            name_zh: template.name_zh,
            name_en: template.name_en,
            logo: version.logo,
            category: version.category,
            product_line: version.product_line,
            currency: template.currency,
            stacking: template.stacking.named(&template.rule.kind),
            rule: template.rule,
            scope: template.scope,
            stores: template.stores,
            validity: version.validity,
            claim: version.claim,
            member_limit: version.member_limit,
            limit_counts: version.limit_counts,
            offline: template.offline,
            floor_limit: template.floor_limit,
            worth_unbounded: template.worth_unbounded,
            created_at: version.created_at,
            published_at: version.published_at,
            retired_at: version.retired_at,
            ended_at: version.ended_at,
        }
    }
}

/// A template with its versions, the latest first.
#[derive(Debug, Serialize, ToSchema)]
struct Template {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: TemplateId,
    /// The latest first.
    versions: Vec<TemplateVersion>,
}

/// New terms of a draft.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// As it was read.
    #[schema(example = 1)]
    revision: i64,
    /// All of them anew.
    terms: Terms,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Listing {
    /// Only templates whose latest version stands so.
    #[param(inline)]
    status: Option<Status>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// List templates.
///
/// The latest version of each, by id: the oldest template first.
#[utoipa::path(
    get, path = "/v1/templates", tag = "templates", operation_id = "list_templates",
    params(Listing),
    responses((status = 200, description = "A page", body = Page<TemplateVersion>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Listing>,
) -> Result<Json<Page<TemplateVersion>>, ApiError> {
    let paging = Paging::<TemplateId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::latest(
        &mut connection,
        operator.tenant,
        wanted.status,
        paging.after,
        paging.rows(),
    )
    .await?;
    let items = found.into_iter().map(TemplateVersion::from).collect();
    Ok(Json(paging.page(items, |last| last.id)))
}

/// Begin a template.
///
/// Makes its first version, a draft.
#[utoipa::path(
    post, path = "/v1/templates", tag = "templates", operation_id = "create_template",
    request_body = Terms,
    responses((status = 201, description = "The draft", body = TemplateVersion)),
    security(("operator" = ["admin", "operator"]))
)]
async fn create(State(app): State<Arc<App>>, operator: Operator, asked: Asked<Terms>) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, terms| {
            let draft = super::create(deed, &operator, &terms).await?;
            Ok((StatusCode::CREATED, TemplateVersion::from(draft)))
        })
        .await
}

/// Show a template with its versions.
#[utoipa::path(
    get, path = "/v1/templates/{id}", tag = "templates", operation_id = "show_template",
    params(("id" = uuid::Uuid, Path, description = "The template")),
    responses((status = 200, description = "The template", body = Template)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<TemplateId>,
) -> Result<Json<Template>, ApiError> {
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let versions = rows::versions(&mut connection, operator.tenant, id).await?;
    if versions.is_empty() {
        return Err(ApiError::not_found());
    }
    Ok(Json(Template {
        id,
        versions: versions.into_iter().map(TemplateVersion::from).collect(),
    }))
}

/// Begin the next version.
///
/// Makes a draft beside the published version, which goes on until the draft is published.
#[utoipa::path(
    post, path = "/v1/templates/{id}/versions", tag = "templates", operation_id = "create_template_version",
    params(("id" = uuid::Uuid, Path, description = "The template")),
    request_body = Terms,
    responses((status = 201, description = "The draft", body = TemplateVersion)),
    security(("operator" = ["admin", "operator"]))
)]
async fn next(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<TemplateId>,
    asked: Asked<Terms>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, terms| {
            let draft = super::next(deed, &operator, id, &terms).await?;
            Ok((StatusCode::CREATED, TemplateVersion::from(draft)))
        })
        .await
}

/// Change a draft.
///
/// Needs the revision that was read; a published version never changes.
#[utoipa::path(
    put, path = "/v1/templates/{id}/versions/{version}", tag = "templates", operation_id = "edit_template_version",
    params(
        ("id" = uuid::Uuid, Path, description = "The template"),
        ("version" = i64, Path, description = "The version", minimum = 1),
    ),
    request_body = Edit,
    responses((status = 200, description = "The draft", body = TemplateVersion)),
    security(("operator" = ["admin", "operator"]))
)]
async fn edit(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(version): Path<(TemplateId, i64)>,
    Body(edit): Body<Edit>,
) -> Result<Json<TemplateVersion>, ApiError> {
    let mut lease = app.db.lease().await?;
    let (random, now) = (app.random.as_ref(), app.clock.now());
    let mut deed = Deed::new(lease.begin().await?, random, operator.actor(), now);
    let draft = super::edit(&mut deed, &operator, version, edit.revision, &edit.terms).await?;
    deed.commit("coupons.edit").await?;
    Ok(Json(draft.into()))
}

/// Publish a draft.
///
/// From now on it never changes, and counters learn of it.
#[utoipa::path(
    post, path = "/v1/templates/{id}/versions/{version}/publish", tag = "templates", operation_id = "publish_template_version",
    params(
        ("id" = uuid::Uuid, Path, description = "The template"),
        ("version" = i64, Path, description = "The version", minimum = 1),
    ),
    request_body = Nothing,
    responses((status = 200, description = "The version", body = TemplateVersion)),
    security(("operator" = ["admin", "operator"]))
)]
async fn publish(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(version): Path<(TemplateId, i64)>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, Nothing {}| {
            let published = super::publish(deed, &operator, version).await?;
            Ok((StatusCode::OK, TemplateVersion::from(published)))
        })
        .await
}

/// Retire a template.
///
/// Ends claims and grants of every published version. Coupons already given keep their own validity.
#[utoipa::path(
    post, path = "/v1/templates/{id}/retire", tag = "templates", operation_id = "retire_template",
    params(("id" = uuid::Uuid, Path, description = "The template")),
    request_body = Nothing,
    responses((status = 200, description = "The template", body = Template)),
    security(("operator" = ["admin", "operator"]))
)]
async fn retire(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<TemplateId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, Nothing {}| {
            let versions = super::retire(deed, &operator, id).await?;
            let versions = versions.into_iter().map(TemplateVersion::from).collect();
            Ok((StatusCode::OK, Template { id, versions }))
        })
        .await
}
