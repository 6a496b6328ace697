//! The catalogue, as people of head office keep it.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    gifts::{Gift, GiftStatus, GivenBy},
    ids::{GiftId, LocationId, Place},
    points,
    products::{DEAREST, SKU_BYTES, TEXT_CHARS},
    time::Millis,
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    db::DbError,
    deed::Deed,
    gifts::rows,
    http::{ApiError, Asked, Body, Fields, Nothing, Operator, Page, Paging, Path, Query},
    stock,
};

/// Most that a member may have, where there is a limit.
const MOST_LIMIT: i64 = 1_000_000;

/// How a gift comes to its member.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GivenHow {
    /// It is sent from a warehouse.
    Shipped,
    /// It waits in the store that the member chooses.
    Collected,
}

impl From<GivenHow> for GivenBy {
    fn from(given: GivenHow) -> Self {
        match given {
            GivenHow::Shipped => Self::Shipped,
            GivenHow::Collected => Self::Collected,
        }
    }
}

impl From<GivenBy> for GivenHow {
    fn from(given: GivenBy) -> Self {
        match given {
            GivenBy::Shipped => Self::Shipped,
            GivenBy::Collected => Self::Collected,
        }
    }
}

/// A gift as somebody writes it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiftTerms {
    /// The article.
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    /// Chinese name.
    #[schema(min_length = 1, max_length = 200)]
    name_zh: String,
    /// English name.
    #[schema(min_length = 1, max_length = 200)]
    name_en: String,
    /// What it costs, points.
    #[schema(minimum = 1, maximum = 1_000_000_000_000_000i64)]
    points: i64,
    /// What it costs besides, minor units.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000_000i64)]
    money: i64,
    /// What it is worth, minor units: what a wrong hand-over costs.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 1_000_000_000_000i64)]
    worth: i64,
    /// How many a member may have; absent = any number.
    #[schema(minimum = 1, maximum = 1_000_000)]
    member_limit: Option<i64>,
    /// From when it may be had, UTC ms; absent = at once.
    from: Option<Millis>,
    /// The first instant at which it may be had no more, UTC ms; absent = it does not end.
    until: Option<Millis>,
    /// How it comes to its member.
    given: GivenHow,
    /// The warehouse that sends it, where it is shipped.
    #[schema(value_type = Option<uuid::Uuid>)]
    location: Option<LocationId>,
}

/// New terms of a gift.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GiftEdit {
    /// As it was read.
    #[schema(example = 1)]
    version: i64,
    /// All of them anew.
    terms: GiftTerms,
}

/// A gift.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GiftView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: GiftId,
    /// `draft`, `published` or `ended`.
    status: &'static str,
    /// Grows with every change; to be given back with the next one.
    version: i64,
    /// The article.
    sku: String,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// What it costs, points.
    points: i64,
    /// What it costs besides, minor units.
    money: i64,
    /// What it is worth, minor units.
    worth: i64,
    /// How many a member may have; absent = any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    member_limit: Option<i64>,
    /// From when it may be had, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Millis>,
    /// The first instant at which it may be had no more, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Millis>,
    /// How it comes to its member.
    given: GivenHow,
    /// The warehouse that sends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    location: Option<LocationId>,
}

impl From<Gift> for GiftView {
    fn from(gift: Gift) -> Self {
        Self {
            id: gift.id,
            status: gift.status.as_str(),
            version: gift.version,
            sku: gift.sku,
            name_zh: gift.name_zh,
            name_en: gift.name_en,
            points: gift.points,
            money: gift.money,
            worth: gift.worth,
            member_limit: Some(gift.member_limit).filter(|limit| *limit > 0),
            from: gift.from,
            until: gift.until,
            given: gift.given.into(),
            location: gift.location,
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Gifts, the oldest first.
#[utoipa::path(
    get, path = "/v1/gifts", tag = "gifts", operation_id = "list_gifts", params(Which),
    responses((status = 200, description = "A page", body = Page<GiftView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<GiftView>>, ApiError> {
    let paging = Paging::<GiftId>::read(which.after.as_deref(), which.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::gifts_after(&mut connection, operator.tenant, true, paging.after, paging.rows()).await?;
    let views = found.into_iter().map(GiftView::from).collect();
    Ok(Json(paging.page(views, |last| last.id)))
}

/// One gift.
#[utoipa::path(
    get, path = "/v1/gifts/{id}", tag = "gifts", operation_id = "show_gift",
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses((status = 200, description = "The gift", body = GiftView), (status = 404, description = "There is no such gift")),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GiftId>,
) -> Result<Json<GiftView>, ApiError> {
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::load_gifts(&mut connection, operator.tenant, &[id], "")
        .await?
        .pop();
    Ok(Json(found.ok_or_else(ApiError::not_found)?.into()))
}

/// Begin a gift.
///
/// It is a draft, which nobody sees, until it is published.
#[utoipa::path(
    post, path = "/v1/gifts", tag = "gifts", operation_id = "create_gift", request_body = GiftTerms,
    responses((status = 201, description = "The draft", body = GiftView)),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<GiftTerms>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, terms| {
            let tenant = deed.tenant();
            let id = GiftId::placed(Place::ZERO, deed.now(), deed.fresh()?);
            let gift = read(deed, &operator, id, GiftStatus::Draft, 1, terms).await?;
            let now = deed.now();
            rows::insert_gift(deed, tenant, &gift, now).await?;
            deed.audit("gifts.created", &gift.id.to_string()).await?;
            Ok((StatusCode::CREATED, GiftView::from(gift)))
        })
        .await
}

/// Change a gift.
///
/// Exchanges that were asked for before stay as they are. What has ended is not changed any more.
#[utoipa::path(
    put, path = "/v1/gifts/{id}", tag = "gifts", operation_id = "edit_gift", request_body = GiftEdit,
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "The gift", body = GiftView),
        (status = 404, description = "There is no such gift"),
        (status = 409, description = "`changed_meanwhile`: it has another version; `state_conflict`: it has ended"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn edit(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GiftId>,
    Body(edit): Body<GiftEdit>,
) -> Result<Json<GiftView>, ApiError> {
    let mut lease = app.db.lease().await?;
    let (random, now) = (app.random.as_ref(), app.clock.now());
    let mut deed = Deed::new(lease.begin().await?, random, operator.actor(), now);
    let known = known(&mut deed, app.db.dialect().lock_suffix(), id).await?;
    if known.version != edit.version {
        return Err(ApiError::new(Code::ChangedMeanwhile));
    }
    if known.status == GiftStatus::Ended {
        return Err(ApiError::detailed(Code::StateConflict, "the gift has ended"));
    }
    let gift = read(&mut deed, &operator, id, known.status, known.version + 1, edit.terms).await?;
    rows::update_gift(&mut deed, operator.tenant, known.version, &gift).await?;
    deed.audit("gifts.changed", &id.to_string()).await?;
    deed.commit("gifts.edit").await?;
    Ok(Json(gift.into()))
}

/// Let members have a gift.
#[utoipa::path(
    post, path = "/v1/gifts/{id}/publish", tag = "gifts", operation_id = "publish_gift", request_body = Nothing,
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "It is published", body = GiftView),
        (status = 404, description = "There is no such gift"),
        (status = 409, description = "`state_conflict`: it has ended"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn publish(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GiftId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    stand(&app, &operator, id, asked, GiftStatus::Published).await
}

/// End a gift.
///
/// Nobody may have it any more; exchanges that were asked for before go on.
#[utoipa::path(
    post, path = "/v1/gifts/{id}/end", tag = "gifts", operation_id = "end_gift", request_body = Nothing,
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses(
        (status = 200, description = "It has ended", body = GiftView),
        (status = 404, description = "There is no such gift"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn end(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<GiftId>,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    stand(&app, &operator, id, asked, GiftStatus::Ended).await
}

async fn stand(
    app: &App,
    operator: &Operator,
    id: GiftId,
    asked: Asked<Nothing>,
    status: GiftStatus,
) -> Result<Response, ApiError> {
    let lock = app.db.dialect().lock_suffix();
    asked
        .decide(app, operator.actor(), async |deed, Nothing {}| {
            let known = known(deed, lock, id).await?;
            if known.status == status {
                return Ok((StatusCode::OK, GiftView::from(known)));
            }
            if known.status == GiftStatus::Ended {
                return Err(ApiError::detailed(Code::StateConflict, "the gift has ended"));
            }
            let gift = Gift {
                status,
                version: known.version + 1,
                ..known.clone()
            };
            let (tenant, action) = match status {
                GiftStatus::Ended => (deed.tenant(), "gifts.ended"),
                GiftStatus::Draft | GiftStatus::Published => (deed.tenant(), "gifts.published"),
            };
            rows::update_gift(deed, tenant, known.version, &gift).await?;
            deed.audit(action, &id.to_string()).await?;
            Ok((StatusCode::OK, GiftView::from(gift)))
        })
        .await
}

async fn known(deed: &mut Deed<'_>, lock: &'static str, id: GiftId) -> Result<Gift, ApiError> {
    let tenant = deed.tenant();
    let found = rows::load_gifts(deed, tenant, &[id], lock).await?.pop();
    found.ok_or_else(ApiError::not_found)
}

async fn read(
    connection: &mut AnyConnection,
    operator: &Operator,
    id: GiftId,
    status: GiftStatus,
    version: i64,
    terms: GiftTerms,
) -> Result<Gift, ApiError> {
    let mut fields = Fields::default();
    fields.text("sku", &terms.sku, SKU_BYTES);
    fields.check(terms.sku.len() <= SKU_BYTES, "sku", "too_long", "at most 64 bytes");
    fields.text("name_zh", &terms.name_zh, TEXT_CHARS);
    fields.text("name_en", &terms.name_en, TEXT_CHARS);
    fields.range("points", terms.points, 1..=points::MOST);
    fields.range("money", terms.money, 0..=DEAREST);
    fields.range("worth", terms.worth, 0..=DEAREST);
    fields.range("member_limit", terms.member_limit.unwrap_or(1), 1..=MOST_LIMIT);
    let in_order = terms.from.zip(terms.until).is_none_or(|(from, until)| from < until);
    fields.check(in_order, "until", "out_of_range", "after `from`");
    let given = GivenBy::from(terms.given);
    match (given, terms.location) {
        (GivenBy::Shipped, None) => fields.refuse("location", "required", "the warehouse that sends it"),
        (GivenBy::Shipped, Some(location)) => {
            let kind = stock::rows::kind(connection, operator.tenant, location).await?;
            let fits = kind == Some(stock::rows::Kind::Warehouse);
            fields.check(fits, "location", "unknown", "no warehouse has this id");
        }
        (GivenBy::Collected, Some(_)) => {
            fields.refuse("location", "not_allowed", "the member chooses the store");
        }
        (GivenBy::Collected, None) => {}
    }
    fields.done()?;
    Ok(Gift {
        id,
        sku: terms.sku,
        name_zh: terms.name_zh,
        name_en: terms.name_en,
        points: terms.points,
        money: terms.money,
        worth: terms.worth,
        member_limit: terms.member_limit.unwrap_or(0),
        from: terms.from,
        until: terms.until,
        given,
        location: terms.location,
        status,
        version,
    })
}
