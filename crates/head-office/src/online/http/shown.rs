//! An order as it is shown: where it stands, and each of its coupons.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State};
use counterfoil_domain::{
    coupons::CouponState,
    ids::{CouponId, FreezeId, MemberId, OperationId, StoreId, TenantId},
    time::Millis,
    transition::online::{OnlineOrder, OnlineStatus},
    words::Word,
};
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use crate::{
    app::App,
    coupons,
    db::{DbError, batch::id},
    http::{ApiError, Operator, Page, Paging, Path, Query},
    online::{named, rows},
};

/// Where an order stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct OrderFreeze {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: FreezeId,
    /// The shop's own number of the order.
    order: String,
    /// `frozen`, `refused`, `confirmed`, `cancelled` or `voided`.
    status: &'static str,
    /// Whose order it is.
    #[schema(value_type = Option<uuid::Uuid>)]
    member: Option<MemberId>,
    /// What it comes to, minor units.
    amount: i64,
    /// Until when its payment should be known.
    deadline: Millis,
    /// When it was asked for.
    asked_at: Millis,
    /// The operator who asked.
    asked_by: uuid::Uuid,
    /// When it was confirmed, cancelled or voided.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Millis>,
    /// The operator who did; absent when the order's owner was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<uuid::Uuid>,
    /// Its coupons.
    coupons: Vec<HeldCoupon>,
    /// Points that it holds, or spent once it is confirmed.
    points: i64,
    /// Stored value that it holds, or spent once it is confirmed, minor units.
    balance: i64,
    /// Of a refused one: every reason, a coupon each; `points` or `balance` for those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refusals: Vec<RefusedCoupon>,
}

/// A coupon of an order.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct HeldCoupon {
    /// The coupon.
    #[schema(value_type = uuid::Uuid)]
    id: CouponId,
    /// Its code.
    code: String,
    /// `held`, `used`, `given_back`, or `taken`: a counter honoured it although the order held it, and has not undone
    /// that.
    standing: &'static str,
    /// Who took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<TakenBy>,
}

/// A counter's redemption of a coupon that an order held. There is a case for it.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct TakenBy {
    /// The counter's operation.
    #[schema(value_type = uuid::Uuid)]
    operation: OperationId,
    /// Its store.
    #[schema(value_type = Option<uuid::Uuid>)]
    store: Option<StoreId>,
    /// When.
    at: Millis,
}

/// Why a coupon can't be used for the order.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct RefusedCoupon {
    /// The id or code as it was given.
    coupon: String,
    /// All reasons, each with a stable `code`.
    #[schema(value_type = Vec<Object>)]
    reasons: Vec<counterfoil_domain::verdict::Reason>,
}

/// Which orders are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// Only those that stand so: `frozen`, `refused`, `confirmed`, `cancelled` or `voided`.
    status: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Orders in the page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Orders that asked for coupons, by number.
#[utoipa::path(
    get, path = "/v1/order-freezes", tag = "orders", operation_id = "list_orders", params(Wanted),
    responses((status = 200, description = "A page of orders", body = Page<OrderFreeze>)),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<OrderFreeze>>, ApiError> {
    let paging = Paging::<String>::read(wanted.after.as_deref(), wanted.limit)?;
    let status = match wanted.status.as_deref() {
        None => None,
        Some(word) => Some(OnlineStatus::parse(word).ok_or_else(|| ApiError::detailed(Code::Malformed, "status"))?),
    };
    let mut snapshot = app.db.snapshot().await?;
    let tenant = operator.tenant;
    let ids = rows::page(&mut snapshot, tenant, status, paging.after.as_deref(), paging.rows()).await?;
    let mut orders: BTreeMap<FreezeId, OnlineOrder> = BTreeMap::new();
    if !ids.is_empty() {
        for order in rows::load(&mut snapshot, tenant, &ids, "").await? {
            orders.insert(order.id, order);
        }
    }
    let mut views = Vec::new();
    for id in ids {
        if let Some(order) = orders.remove(&id) {
            views.push(view(&mut snapshot, tenant, order).await?);
        }
    }
    Ok(Json(paging.page(views, |order| order.order.clone())))
}

/// One order.
#[utoipa::path(
    get, path = "/v1/order-freezes/{id}", tag = "orders", operation_id = "show_order",
    params(("id" = String, Path, description = "Id, or number of the order")),
    responses(
        (status = 200, description = "The order", body = OrderFreeze),
        (status = 404, description = "Nobody has asked for this order"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
) -> Result<Json<OrderFreeze>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let (id, _) = named(&mut snapshot, operator.tenant, &order).await?;
    let found = rows::load(&mut snapshot, operator.tenant, &[id], "").await?.pop();
    let order = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(view(&mut snapshot, operator.tenant, order).await?))
}

pub(super) async fn view(
    connection: &mut AnyConnection,
    tenant: TenantId,
    order: OnlineOrder,
) -> Result<OrderFreeze, DbError> {
    let ids: Vec<CouponId> = order.coupons.iter().map(|held| held.coupon).collect();
    let mut coupons = BTreeMap::new();
    if !ids.is_empty() {
        for coupon in coupons::rows::load(connection, tenant, &ids, "").await? {
            coupons.insert(coupon.id, coupon);
        }
    }
    let mut held = Vec::new();
    for one in &order.coupons {
        let Some(coupon) = coupons.remove(&one.coupon) else {
            continue;
        };
        // As long as the counter's use stands, whoever has the coupon.
        let taken = one.taken.is_some_and(|(by, _)| {
            coupon.surplus.iter().any(|used| used.operation == by)
                || matches!(coupon.state, CouponState::Redeemed { operation, .. } if operation == by)
        });
        let standing = match (&coupon.state, coupon.state.order() == Some(order.id)) {
            _ if taken => "taken",
            (CouponState::Frozen { .. }, true) => "held",
            (_, true) => "used",
            _ => "given_back",
        };
        let taken = match one.taken {
            None => None,
            Some((operation, at)) => Some(TakenBy {
                operation,
                store: store_of(connection, tenant, operation).await?,
                at,
            }),
        };
        held.push(HeldCoupon {
            id: coupon.id,
            code: coupon.code,
            standing,
            taken,
        });
    }
    Ok(OrderFreeze {
        id: order.id,
        order: order.number,
        status: order.status.as_str(),
        member: order.member,
        amount: order.amount,
        deadline: order.deadline,
        asked_at: order.asked_at,
        asked_by: order.asked_by,
        ended_at: order.ended.map(|(at, _)| at),
        ended_by: order.ended.and_then(|(_, by)| by),
        coupons: held,
        points: order.amounts.points,
        balance: order.amounts.balance,
        refusals: order
            .refusals
            .into_iter()
            .map(|refusal| RefusedCoupon {
                coupon: refusal.coupon,
                reasons: refusal.reasons,
            })
            .collect(),
    })
}

async fn store_of(
    connection: &mut AnyConnection,
    tenant: TenantId,
    operation: OperationId,
) -> Result<Option<StoreId>, DbError> {
    let row = sqlx::query("SELECT store FROM operations WHERE tenant = $1 AND id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(operation.bytes().to_vec())
        .fetch_optional(connection)
        .await?;
    row.map(|row| id(&row, "store", StoreId::from_bytes)).transpose()
}
