//! Routes of stock: where goods lie, how many, and how they moved.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{LocationId, Place, StockId},
    products::SKU_BYTES,
    stock::{self, MoveCause, MoveKind, Moved, Stock, StockError},
    time::Millis,
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Said,
    rows::{self, Warehouse},
    set_right,
};
use crate::{
    app::App,
    db::DbError,
    http::{ApiError, Asked, Fields, Operator, Page, Paging, Query},
};

/// Longest name of a warehouse.
const NAME_CHARACTERS: usize = 80;
/// Longest reason.
const REASON_CHARACTERS: usize = 200;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(warehouses, create_warehouse))
        .routes(routes!(levels, adjust))
        .routes(routes!(moves))
}

/// A location that is no store.
#[derive(Debug, Serialize, ToSchema)]
struct WarehouseView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: LocationId,
    /// What people call it.
    name: String,
    /// Since when it is there, UTC ms.
    created_at: Millis,
}

impl From<Warehouse> for WarehouseView {
    fn from(warehouse: Warehouse) -> Self {
        Self {
            id: warehouse.id,
            name: warehouse.name,
            created_at: warehouse.created_at,
        }
    }
}

/// A warehouse to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewWarehouse {
    /// What people call it, unlike all others.
    #[schema(min_length = 1, max_length = 80)]
    name: String,
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Warehouses, the oldest first.
#[utoipa::path(
    get, path = "/v1/warehouses", tag = "stock", operation_id = "list_warehouses", params(Which),
    responses((status = 200, description = "A page", body = Page<WarehouseView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn warehouses(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(which): Query<Which>,
) -> Result<Json<Page<WarehouseView>>, ApiError> {
    let paging = Paging::<LocationId>::read(which.after.as_deref(), which.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::warehouses(&mut connection, operator.tenant, paging.after, paging.rows()).await?;
    let views = found.into_iter().map(WarehouseView::from).collect();
    Ok(Json(paging.page(views, |last| last.id)))
}

/// Add a warehouse.
#[utoipa::path(
    post, path = "/v1/warehouses", tag = "stock", operation_id = "create_warehouse", request_body = NewWarehouse,
    responses(
        (status = 201, description = "The warehouse", body = WarehouseView),
        (status = 409, description = "`state_conflict`: one has this name"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn create_warehouse(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewWarehouse>,
) -> Result<Response, ApiError> {
    asked
        .decide(&app, operator.actor(), async |deed, new| {
            let mut fields = Fields::default();
            fields.text("name", &new.name, NAME_CHARACTERS);
            fields.done()?;
            let warehouse = Warehouse {
                id: LocationId::placed(Place::ZERO, deed.now(), deed.fresh()?),
                name: new.name.trim().to_owned(),
                created_at: deed.now(),
            };
            let tenant = deed.tenant();
            if !rows::insert_warehouse(deed, tenant, &warehouse).await? {
                return Err(ApiError::detailed(Code::StateConflict, "a warehouse has this name"));
            }
            deed.audit("stock.warehouse_added", &warehouse.name).await?;
            Ok((StatusCode::CREATED, WarehouseView::from(warehouse)))
        })
        .await
}

/// How much of an article there is at a location.
#[derive(Debug, Serialize, ToSchema)]
struct StockView {
    /// A store or a warehouse.
    #[schema(value_type = uuid::Uuid)]
    location: LocationId,
    /// The article.
    sku: String,
    /// How many lie there.
    on_hand: i64,
    /// How many of them are promised to somebody who has not paid yet.
    reserved: i64,
    /// How many may be taken: the difference.
    available: i64,
    /// Grows with every change.
    version: i64,
}

impl From<Stock> for StockView {
    fn from(stock: Stock) -> Self {
        Self {
            location: stock.location,
            available: stock.available(),
            sku: stock.sku,
            on_hand: stock.on_hand,
            reserved: stock.reserved,
            version: stock.version,
        }
    }
}

/// Whose stock is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedLevels {
    /// A store or a warehouse.
    #[param(value_type = uuid::Uuid)]
    location: LocationId,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What a location has, by article.
#[utoipa::path(
    get, path = "/v1/stock", tag = "stock", operation_id = "list_stock", params(WantedLevels),
    responses(
        (status = 200, description = "A page", body = Page<StockView>),
        (status = 404, description = "There is no such location"),
    ),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn levels(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<WantedLevels>,
) -> Result<Json<Page<StockView>>, ApiError> {
    let paging = Paging::<String>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    there_is(&mut snapshot, &operator, wanted.location).await?;
    let after = paging.after.as_deref().unwrap_or_default();
    let found = rows::at(&mut snapshot, operator.tenant, wanted.location, after, paging.rows()).await?;
    let views = found.into_iter().map(StockView::from).collect();
    Ok(Json(paging.page(views, |last: &StockView| last.sku.clone())))
}

async fn there_is(connection: &mut AnyConnection, operator: &Operator, location: LocationId) -> Result<(), ApiError> {
    match rows::kind(connection, operator.tenant, location).await? {
        Some(_) => Ok(()),
        None => Err(ApiError::not_found()),
    }
}

/// What somebody says of what is on hand: how many there are, or by how many more or fewer.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Adjustment {
    /// A store or a warehouse.
    #[schema(value_type = uuid::Uuid)]
    location: LocationId,
    /// The article.
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    /// So many are there; not beside `change`.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    on_hand: Option<i64>,
    /// So many more, or fewer, are there; not beside `on_hand`.
    #[schema(minimum = -1_000_000_000, maximum = 1_000_000_000)]
    change: Option<i64>,
    /// Why.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Set right what is on hand.
///
/// Leaves a movement with the reason. It can't come to less than what is reserved: end those exchanges first.
#[utoipa::path(
    post, path = "/v1/stock", tag = "stock", operation_id = "adjust_stock", request_body = Adjustment,
    responses(
        (status = 200, description = "What there is now", body = StockView),
        (status = 409, description = "`state_conflict`: it would be less than what is reserved, or too much"),
    ),
    security(("operator" = ["admin", "operator", "warehouse"]))
)]
async fn adjust(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<Adjustment>,
) -> Result<Response, ApiError> {
    let lock = app.db.dialect().lock_suffix();
    asked
        .decide(&app, operator.actor(), async |deed, new| {
            let mut fields = Fields::default();
            fields.text("sku", &new.sku, SKU_BYTES);
            fields.check(new.sku.len() <= SKU_BYTES, "sku", "too_long", "at most 64 bytes");
            fields.text("reason", &new.reason, REASON_CHARACTERS);
            fields.range("on_hand", new.on_hand.unwrap_or(0), 0..=stock::MOST);
            fields.range("change", new.change.unwrap_or(0), -stock::MOST..=stock::MOST);
            let said = match (new.on_hand, new.change) {
                (Some(on_hand), None) => Some(Said::Counted(on_hand)),
                (None, Some(change)) => Some(Said::Changed(change)),
                _ => None,
            };
            fields.check(said.is_some(), "on_hand", "required", "either on_hand or change");
            let tenant = deed.tenant();
            let known = rows::kind(deed, tenant, new.location).await?;
            fields.check(
                known.is_some(),
                "location",
                "unknown",
                "no store or warehouse has this id",
            );
            fields.done()?;
            let Some(said) = said else {
                return Err(ApiError::internal());
            };
            let cause = MoveCause {
                kind: match said {
                    Said::Counted(_) => MoveKind::Counted,
                    Said::Changed(_) => MoveKind::Adjusted,
                },
                source: None,
                actor: Some(operator.id.0),
                note: Some(Arc::from(new.reason.as_str())),
                at: deed.now(),
            };
            let place = (new.location, new.sku.as_str());
            let stock = match set_right(deed, lock, place, said, cause).await? {
                Ok(stock) => stock,
                Err(StockError::Short { available }) => {
                    return Err(ApiError::detailed(
                        Code::StateConflict,
                        format!("only {available} are neither reserved nor gone"),
                    ));
                }
                Err(error @ StockError::TooMuch) => {
                    return Err(ApiError::detailed(Code::StateConflict, error.to_string()));
                }
            };
            let detail = format!("{} at {}: {} on hand", stock.sku, stock.location, stock.on_hand);
            deed.audit("stock.adjusted", &detail).await?;
            Ok((StatusCode::OK, StockView::from(stock)))
        })
        .await
}

/// A movement: what is on hand changed.
#[derive(Debug, Serialize, ToSchema)]
struct MoveView {
    /// Its number, from 1.
    number: i64,
    /// `counted`, `adjusted`, `exchanged` or `returned`.
    kind: &'static str,
    /// By how much.
    quantity: i64,
    /// What was on hand after it.
    on_hand: i64,
    /// The exchange or the like that it came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<uuid::Uuid>,
    /// The operator or member; absent = head office itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<uuid::Uuid>,
    /// In their words.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// When, UTC ms.
    at: Millis,
}

impl From<Moved> for MoveView {
    fn from(moved: Moved) -> Self {
        Self {
            number: moved.number,
            kind: moved.cause.kind.as_str(),
            quantity: moved.quantity,
            on_hand: moved.after,
            source: moved.cause.source,
            actor: moved.cause.actor,
            reason: moved.cause.note.map(|note| note.to_string()),
            at: moved.cause.at,
        }
    }
}

/// Whose movements are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedMoves {
    /// A store or a warehouse.
    #[param(value_type = uuid::Uuid)]
    location: LocationId,
    /// The article.
    sku: String,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// How an article moved at a location, the last movement first.
#[utoipa::path(
    get, path = "/v1/stock/moves", tag = "stock", operation_id = "list_stock_moves", params(WantedMoves),
    responses(
        (status = 200, description = "A page", body = Page<MoveView>),
        (status = 404, description = "There is no such location"),
    ),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn moves(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<WantedMoves>,
) -> Result<Json<Page<MoveView>>, ApiError> {
    let paging = Paging::<i64>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    there_is(&mut snapshot, &operator, wanted.location).await?;
    let stock = StockId::of(wanted.location, &wanted.sku);
    let found = rows::moves(&mut snapshot, operator.tenant, stock, paging.after, paging.rows()).await?;
    let views = found.into_iter().map(MoveView::from).collect();
    Ok(Json(paging.page(views, |last| last.number)))
}
