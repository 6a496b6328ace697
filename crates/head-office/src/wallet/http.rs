//! Routes of members' coupons and of a coupon's own record.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use counterfoil_domain::{
    coupons::{Coupon, CouponState, ONLINE_STORE, Standing, Template},
    ids::{BatchId, CouponId, FreezeId, MemberId, StoreId, TemplateId, TenantId},
    text,
    time::Millis,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::mine;
use crate::{
    app::App,
    coupons,
    db::{
        DbError,
        batch::{id, id_or_null},
    },
    grants,
    http::{ApiError, MemberSession, Operator, Page, Paging, Path, Query},
    members,
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(of_myself))
        .routes(routes!(of_member))
        .routes(routes!(show))
        .routes(routes!(record))
}

/// Which coupons are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// Only those that stand so now: `available`, `frozen`, `redeemed` or `expired`.
    state: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Coupons in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A member's coupon.
#[derive(Debug, Serialize, ToSchema)]
struct MemberCoupon {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: CouponId,
    /// Its code.
    code: String,
    /// How it stands now: `available`, `frozen`, `redeemed` or `expired`. One whose time is over is expired at once.
    state: &'static str,
    /// First instant of its validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_from: Option<Millis>,
    /// First instant after its validity.
    #[serde(skip_serializing_if = "Option::is_none")]
    valid_until: Option<Millis>,
    /// When it was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    used_at: Option<Millis>,
    /// What it takes off.
    template: CouponTemplate,
}

impl MemberCoupon {
    fn new(coupon: Coupon, template: &Template, now: Millis) -> Self {
        Self {
            id: coupon.id,
            state: mine::word(coupon.standing(now)),
            used_at: match coupon.state {
                CouponState::Redeemed { at, .. } => Some(at),
                _ => None,
            },
            code: coupon.code,
            valid_from: coupon.valid_from,
            valid_until: coupon.valid_until,
            template: CouponTemplate::from(template),
        }
    }
}

/// A coupon, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
struct OneCoupon {
    #[serde(flatten)]
    coupon: MemberCoupon,
    /// Number of the member; absent = whoever brings it may use it.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    /// The batch that it was made in.
    #[schema(value_type = uuid::Uuid)]
    batch: BatchId,
    /// Grows by one with every change.
    version: i64,
}

/// The template version that a coupon was issued under.
#[derive(Debug, Serialize, ToSchema)]
struct CouponTemplate {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: TemplateId,
    /// Its version.
    version: i64,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// Money of its amounts, ISO 4217.
    currency: String,
    /// What it takes off, as in a quote.
    #[schema(value_type = Object)]
    rule: serde_json::Value,
}

impl From<&Template> for CouponTemplate {
    fn from(template: &Template) -> Self {
        Self {
            id: template.id,
            version: template.version,
            name_zh: template.name_zh.clone(),
            name_en: template.name_en.clone(),
            currency: template.currency.clone(),
            // Rules are plain data: they always write.
            rule: serde_json::to_value(&template.rule).unwrap_or_default(),
        }
    }
}

/// A member's own coupons by state.
#[utoipa::path(
    get, path = "/v1/member/coupons", tag = "members", operation_id = "list_my_coupons", params(Wanted),
    responses((status = 200, description = "A page of coupons", body = Page<MemberCoupon>)),
    security(("member" = []))
)]
async fn of_myself(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<MemberCoupon>>, ApiError> {
    take_grants(&app, session.tenant, session.member).await;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    page(&app, &mut connection, session.tenant, session.member, &wanted).await
}

/// A member's coupons by state.
#[utoipa::path(
    get, path = "/v1/members/{number}/coupons", tag = "members", operation_id = "list_member_coupons",
    params(("number" = String, Path, description = "Number of the member"), Wanted),
    responses(
        (status = 200, description = "A page of coupons", body = Page<MemberCoupon>),
        (status = 404, description = "No member has this number"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn of_member(
    State(app): State<Arc<App>>,
    Path(number): Path<String>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<MemberCoupon>>, ApiError> {
    let member = {
        let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
        members::rows::by_number(&mut connection, operator.tenant, &number)
            .await?
            .ok_or_else(ApiError::not_found)?
    };
    take_grants(&app, operator.tenant, member.id).await;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    page(&app, &mut connection, operator.tenant, member.id, &wanted).await
}

/// Gives the member what was granted to everybody, before it is shown. Where that can't be done now, theirs waits until
/// the next time; what they have is shown.
async fn take_grants(app: &App, tenant: TenantId, member: MemberId) {
    if let Err(error) = grants::show_up(app, tenant, member).await {
        tracing::warn!(%error, "a member was not given what was granted to all");
    }
}

async fn page(
    app: &App,
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    wanted: &Wanted,
) -> Result<Json<Page<MemberCoupon>>, ApiError> {
    let paging = Paging::<CouponId>::read(wanted.after.as_deref(), wanted.limit)?;
    let standing = match wanted.state.as_deref() {
        None => None,
        Some(word) => Some(
            [
                Standing::Available,
                Standing::Frozen,
                Standing::Redeemed,
                Standing::Expired,
            ]
            .into_iter()
            .find(|standing| mine::word(*standing) == word)
            .ok_or_else(|| {
                ApiError::detailed(
                    Code::Malformed,
                    "the state is one of available, frozen, redeemed and expired",
                )
            })?,
        ),
    };
    let now = app.clock.now();
    let found = mine::page(connection, tenant, member, standing, now, paging.after, paging.rows()).await?;
    let templates = templates(app, connection, tenant, &found).await?;
    let views: Vec<MemberCoupon> = found
        .into_iter()
        .filter_map(|coupon| {
            let template = templates.get(&(coupon.template, coupon.template_version))?;
            Some(MemberCoupon::new(coupon, template, now))
        })
        .collect();
    Ok(Json(paging.page(views, |coupon| coupon.id)))
}

/// Template versions kept in memory for people who look at coupons.
const TEMPLATES: u64 = 10_000;

/// Template versions that were read; a published one never changes.
#[derive(Debug)]
struct Templates(moka::sync::Cache<(TenantId, TemplateId, i64), Arc<Template>>);

impl Default for Templates {
    fn default() -> Self {
        Self(moka::sync::Cache::new(TEMPLATES))
    }
}

/// The templates of these coupons. A published version does not change, so it is read once.
async fn templates(
    app: &App,
    connection: &mut AnyConnection,
    tenant: TenantId,
    coupons: &[Coupon],
) -> Result<BTreeMap<(TemplateId, i64), Arc<Template>>, DbError> {
    let mut found = BTreeMap::new();
    let mut missing = Vec::new();
    for coupon in coupons {
        let (template, version) = (coupon.template, coupon.template_version);
        match app.own.of::<Templates>().0.get(&(tenant, template, version)) {
            Some(known) => {
                found.insert((template, version), known);
            }
            None => missing.push((template, version)),
        }
    }
    missing.sort_unstable();
    missing.dedup();
    if !missing.is_empty() {
        for (_, template) in coupons::rows::load_templates(connection, tenant, &missing).await? {
            let key = (template.id, template.version);
            app.own
                .of::<Templates>()
                .0
                .insert((tenant, key.0, key.1), Arc::clone(&template));
            found.insert(key, template);
        }
    }
    Ok(found)
}

/// The coupon with this id or code, if it was issued.
async fn named(connection: &mut AnyConnection, tenant: TenantId, name: &str) -> Result<Coupon, ApiError> {
    let found = match text::plain(name).parse::<CouponId>() {
        Ok(id) => coupons::rows::load(connection, tenant, &[id], "").await?.pop(),
        Err(_) => coupons::rows::by_code(connection, tenant, name).await?,
    };
    found.filter(Coupon::is_issued).ok_or_else(ApiError::not_found)
}

/// A coupon.
#[utoipa::path(
    get, path = "/v1/coupons/{coupon}", tag = "coupons", operation_id = "show_coupon",
    params(("coupon" = String, Path, description = "Id or code")),
    responses(
        (status = 200, description = "The coupon as it stands now", body = OneCoupon),
        (status = 404, description = "There is no such coupon"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn show(
    State(app): State<Arc<App>>,
    Path(coupon): Path<String>,
    operator: Operator,
) -> Result<Json<OneCoupon>, ApiError> {
    let tenant = operator.tenant;
    let mut snapshot = app.db.snapshot().await?;
    let coupon = named(&mut snapshot, tenant, &coupon).await?;
    let mut templates = templates(&app, &mut snapshot, tenant, std::slice::from_ref(&coupon)).await?;
    let (_, template) = templates.pop_first().ok_or_else(ApiError::not_found)?;
    let member = match coupon.member {
        Some(id) => members::rows::load(&mut snapshot, tenant, &[id], "").await?.pop(),
        None => None,
    };
    Ok(Json(OneCoupon {
        member: member.map(|(_, member)| member.number),
        batch: coupon.batch,
        version: coupon.version,
        coupon: MemberCoupon::new(coupon, &template, app.clock.now()),
    }))
}

/// A line of a coupon's own record.
#[derive(Debug, Serialize, ToSchema)]
struct Entry {
    /// Its number: the coupon's version after it.
    number: i64,
    /// What happened: `claimed`, `frozen`, `unfrozen`, `redeemed`, `voided`, `expired`; `moved` = its member was merged into
    /// another.
    what: String,
    /// When, by the clock of whoever did it.
    at: Millis,
    /// Code of the store; absent where it happened online.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// The clerk or the operator; absent where nobody did it.
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<uuid::Uuid>,
    /// Their name.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Number of the order placed online.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// The counter's operation, or the freeze.
    source: uuid::Uuid,
}

/// Which page is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WhichPage {
    /// `next` of the page before.
    after: Option<String>,
    /// Lines in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A coupon's own record.
///
/// Who locked, redeemed, unlocked or voided it, when, where, and for which order.
#[utoipa::path(
    get, path = "/v1/coupons/{coupon}/record", tag = "coupons", operation_id = "show_coupon_record",
    params(("coupon" = String, Path, description = "Id or code"), WhichPage),
    responses(
        (status = 200, description = "Lines of the record, oldest first", body = Page<Entry>),
        (status = 404, description = "There is no such coupon"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn record(
    State(app): State<Arc<App>>,
    Path(coupon): Path<String>,
    operator: Operator,
    Query(wanted): Query<WhichPage>,
) -> Result<Json<Page<Entry>>, ApiError> {
    let paging = Paging::<i64>::read(wanted.after.as_deref(), wanted.limit)?;
    let tenant = operator.tenant;
    let mut snapshot = app.db.snapshot().await?;
    let coupon = named(&mut snapshot, tenant, &coupon).await?;
    let entries = entries(
        &mut snapshot,
        tenant,
        coupon.id,
        paging.after.unwrap_or(0),
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(entries, |entry| entry.number)))
}

async fn entries(
    connection: &mut AnyConnection,
    tenant: TenantId,
    coupon: CouponId,
    after: i64,
    limit: i64,
) -> Result<Vec<Entry>, DbError> {
    sqlx::query(
        "SELECT e.version, e.what, e.at, e.store, e.actor, e.source, s.code AS store_code, f.number AS order_number, COALESCE(k.name, o.name) AS actor_name
         FROM coupon_entries e
         LEFT JOIN stores s ON s.tenant = e.tenant AND s.id = e.store
         LEFT JOIN order_freezes f ON f.tenant = e.tenant AND f.id = e.source
         LEFT JOIN clerks k ON k.tenant = e.tenant AND k.id = e.actor
         LEFT JOIN operators o ON o.tenant = e.tenant AND o.id = e.actor
         WHERE e.tenant = $1 AND e.coupon = $2 AND e.version > $3 ORDER BY e.version LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(coupon.bytes().to_vec())
    .bind(after)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        let store = id(row, "store", StoreId::from_bytes)?;
        let code: Option<String> = row.try_get("store_code")?;
        Ok(Entry {
            number: row.try_get("version")?,
            what: row.try_get("what")?,
            at: row.try_get("at")?,
            store: code.or_else(|| (store != ONLINE_STORE).then(|| store.to_string())),
            by: id_or_null(row, "actor", FreezeId::from_bytes)?.map(|id| id.0),
            name: row.try_get("actor_name")?,
            order: row.try_get("order_number")?,
            source: id(row, "source", FreezeId::from_bytes)?.0,
        })
    })
    .collect()
}
