//! Routes by which operators look at stores and counters.

use std::sync::Arc;

use axum::{Json, extract::State};
use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    time::Millis,
    transition::DeviceStatus,
    words::Word,
};
use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, Row};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::rows::{self, StoreRow};
use crate::{
    app::App,
    db::{DbError, batch::id},
    http::{ApiError, Operator, Page, Paging, Query},
};

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new().routes(routes!(stores)).routes(routes!(devices))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedStores {
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A store.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Store)]
struct StoreView {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: StoreId,
    /// Short code.
    code: String,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// IANA time zone of its business day.
    time_zone: String,
    /// What its counters may do offline.
    offline_limits: Limits,
}

/// What a counter may do without head office, until it has delivered again.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OfflineLimits)]
struct Limits {
    /// Most redemptions waiting.
    max_count: i64,
    /// Most value waiting, minor units.
    max_amount: i64,
    /// Most value of one, minor units.
    max_each: i64,
    /// Most for one member.
    max_per_member: i64,
    /// Longest time since head office was heard, hours.
    max_hours: i64,
}

impl From<StoreRow> for StoreView {
    fn from(StoreRow { store, limits, .. }: StoreRow) -> Self {
        Self {
            id: store.id,
            code: store.code,
            name_zh: store.name_zh,
            name_en: store.name_en,
            time_zone: store.time_zone,
            offline_limits: Limits {
                max_count: limits.max_count,
                max_amount: limits.max_amount,
                max_each: limits.max_each,
                max_per_member: limits.max_per_member,
                max_hours: limits.max_hours,
            },
        }
    }
}

/// List stores.
///
/// By id: the oldest first.
#[utoipa::path(
    get, path = "/v1/stores", tag = "stores", operation_id = "list_stores", params(WantedStores),
    responses((status = 200, description = "A page", body = Page<StoreView>)),
    security(("operator" = ["admin", "operator", "warehouse", "auditor"]))
)]
async fn stores(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<WantedStores>,
) -> Result<Json<Page<StoreView>>, ApiError> {
    let paging = Paging::<StoreId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = rows::stores_after(&mut connection, operator.tenant, paging.after, paging.rows()).await?;
    let items = found.into_iter().map(StoreView::from).collect();
    Ok(Json(paging.page(items, |last| last.id)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WantedDevices {
    /// Only counters of this store.
    #[param(value_type = Option<Uuid>)]
    store: Option<StoreId>,
    /// `next` of the page before.
    after: Option<String>,
    /// Most rows.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// A counter or sync daemon.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
struct DeviceView {
    /// Its id.
    #[schema(value_type = Uuid)]
    id: DeviceId,
    /// Its store.
    #[schema(value_type = Uuid)]
    store: StoreId,
    /// Name given when it was enrolled.
    name: String,
    /// `active`, `frozen` (its journal forked; a person decides) or `revoked`.
    status: &'static str,
    /// Epoch of its journal.
    epoch: i64,
    /// Last operation applied.
    last_seq: i64,
    /// When it was enrolled, UTC ms.
    enrolled_at: Millis,
    /// When it last had nothing left to deliver.
    #[serde(skip_serializing_if = "Option::is_none")]
    settled_at: Option<Millis>,
}

/// List counters.
///
/// By id: the oldest first.
#[utoipa::path(
    get, path = "/v1/devices", tag = "stores", operation_id = "list_devices", params(WantedDevices),
    responses((status = 200, description = "A page", body = Page<DeviceView>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
async fn devices(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<WantedDevices>,
) -> Result<Json<Page<DeviceView>>, ApiError> {
    let paging = Paging::<DeviceId>::read(wanted.after.as_deref(), wanted.limit)?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let found = devices_after(
        &mut connection,
        operator.tenant,
        wanted.store,
        paging.after,
        paging.rows(),
    )
    .await?;
    Ok(Json(paging.page(found, |last| last.id)))
}

async fn devices_after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    store: Option<StoreId>,
    after: Option<DeviceId>,
    rows: i64,
) -> Result<Vec<DeviceView>, DbError> {
    sqlx::query(
        "SELECT id, store, name, status, epoch, last_seq, enrolled_at, settled_at FROM devices WHERE tenant = $1 AND id > $2 AND ($3 = 0 OR store = $4) ORDER BY id LIMIT $5",
    )
    .bind(tenant.bytes().to_vec())
    .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
    .bind(i64::from(store.is_some()))
    .bind(store.map_or_else(Vec::new, |store| store.bytes().to_vec()))
    .bind(rows)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        let status: String = row.try_get("status")?;
        Ok(DeviceView {
            id: id(row, "id", DeviceId::from_bytes)?,
            store: id(row, "store", StoreId::from_bytes)?,
            name: row.try_get("name")?,
            status: DeviceStatus::parse(&status)
                .ok_or(DbError::Decode { column: "status" })?
                .as_str(),
            epoch: row.try_get("epoch")?,
            last_seq: row.try_get("last_seq")?,
            enrolled_at: row.try_get("enrolled_at")?,
            settled_at: row.try_get("settled_at")?,
        })
    })
    .collect()
}
