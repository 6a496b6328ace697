//! Routes of orders placed online. Each step is one effect of the engine, whatever is repeated, and its answer commits
//! with it: who asks again is told what was answered first, whatever has become of the order since.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    coupons::CouponState,
    ids::{CouponId, FreezeId, MemberId, OperationId, StoreId, TenantId},
    text,
    time::{DAY, Millis},
    transition::{
        Answer, Command,
        online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineOrder, OnlineStatus},
    },
    words::Word,
};
use counterfoil_protocol::problem::Code;
use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{named, rows};
use crate::{
    app::App,
    coupons,
    db::{DbError, batch::id},
    http::{ApiError, Asked, Begun, Fields, Nothing, Once, Operator, Page, Paging, Path, Query, Told},
    members,
};

/// Coupons of one order.
const MOST_COUPONS: usize = 50;
/// Longest number of an order.
const NUMBER_CHARACTERS: usize = 64;
/// Longest time for a payment.
const LONGEST: Millis = 30 * DAY;

/// These routes.
pub fn routes() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(freeze, list))
        .routes(routes!(show))
        .routes(routes!(confirm))
        .routes(routes!(cancel))
        .routes(routes!(void))
}

/// An order that wants to use coupons.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewOrderFreeze {
    /// The shop's own number of the order. One order holds coupons once, whoever asks how often.
    #[schema(min_length = 1, max_length = 64)]
    order: String,
    /// Ids or codes of coupons.
    #[schema(min_items = 1, max_items = 50)]
    coupons: Vec<String>,
    /// Number of the member whose order it is.
    member: Option<String>,
    /// What the order comes to, minor units.
    #[schema(minimum = 0)]
    amount: i64,
    /// Until when its payment should be known, UTC ms, at most 30 days ahead. Past it the site is asked; the coupons
    /// stay held until it knows.
    deadline: Millis,
}

/// Where an order stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct OrderFreeze {
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
    /// Of a refused one: every reason, a coupon each.
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

/// Hold coupons for an order.
///
/// All of them or none: a refused order has the status `refused` (answered with 200) and names every reason; it may be
/// asked for anew under the same number. The coupons stay held until the order is confirmed or cancelled.
#[utoipa::path(
    post, path = "/v1/order-freezes", tag = "orders", operation_id = "freeze_order", request_body = NewOrderFreeze,
    responses(
        (status = 201, description = "The coupons are held", body = OrderFreeze),
        (status = 200, description = "They are not: the order is refused, or has ended before", body = OrderFreeze),
        (status = 409, description = "`state_conflict`: the number is that of an order that asked for something else"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn freeze(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewOrderFreeze>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    match command(&app, &operator, &once, new).await {
        Ok(command) => once.submit(&app, command, read).await,
        Err(refusal) => once.refuse(&app, refusal).await,
    }
}

async fn command(app: &App, operator: &Operator, once: &Once, new: NewOrderFreeze) -> Result<Command, ApiError> {
    let now = app.clock.now();
    let mut fields = Fields::default();
    fields.text("order", &new.order, NUMBER_CHARACTERS);
    fields.range("amount", new.amount, 0..=i64::MAX);
    fields.check(
        new.deadline > now && new.deadline <= now.saturating_add(LONGEST),
        "deadline",
        "out_of_range",
        "in the future, at most 30 days ahead",
    );
    fields.check(
        !new.coupons.is_empty() && new.coupons.len() <= MOST_COUPONS,
        "coupons",
        "out_of_range",
        "1 to 50 coupons",
    );
    for (place, coupon) in new.coupons.iter().enumerate().take(MOST_COUPONS) {
        fields.text(&format!("coupons[{place}]"), &text::plain(coupon), NUMBER_CHARACTERS);
    }
    fields.done()?;
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let mut fields = Fields::default();
    let member = match &new.member {
        None => None,
        Some(number) => {
            let found = members::rows::by_number(&mut connection, operator.tenant, number).await?;
            fields.check(found.is_some(), "member", "unknown", "no member has this number");
            found.map(|member| member.id)
        }
    };
    let mut coupons: Vec<Named> = Vec::new();
    for (place, as_given) in new.coupons.into_iter().enumerate() {
        let coupon = find(&mut connection, operator.tenant, &as_given).await?;
        if coupons
            .iter()
            .any(|other| other.as_given == as_given || (coupon.is_some() && other.coupon == coupon))
        {
            fields.refuse(format!("coupons[{place}]"), "twice", "each coupon once");
        }
        coupons.push(Named { as_given, coupon });
    }
    fields.done()?;
    Ok(Command::FreezeOnline(FreezeOnline {
        asked: Arc::new(AskedOrder {
            id: super::id_of(operator.tenant, &new.order),
            number: new.order,
            question: once.key().to_owned(),
            member,
            amount: new.amount,
            deadline: new.deadline,
            coupons,
            by: operator.id.0,
        }),
        now,
    }))
}

/// Which coupon is meant; ids and codes of coupons never change, so this needs no lock.
async fn find(connection: &mut AnyConnection, tenant: TenantId, text: &str) -> Result<Option<CouponId>, DbError> {
    if let Ok(id) = text::plain(text).parse::<CouponId>() {
        return Ok(Some(id));
    }
    Ok(coupons::rows::by_code(connection, tenant, text)
        .await?
        .map(|coupon| coupon.id))
}

/// The order was paid.
///
/// Its coupons are used. Again: the same answer.
#[utoipa::path(
    post, path = "/v1/order-freezes/{id}/confirm", tag = "orders", operation_id = "confirm_order", request_body = Nothing,
    params(("id" = String, Path, description = "Id, or number of the order")),
    responses(
        (status = 200, description = "It is confirmed", body = OrderFreeze),
        (status = 404, description = "Nobody has asked for this order"),
        (status = 409, description = "`state_conflict`: it is refused, cancelled or voided"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn confirm(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, &order, asked, End::Confirm).await
}

/// The order came to nothing.
///
/// Its coupons are given back. A number that nobody has asked for is remembered: a question that was overtaken then
/// holds nothing.
#[utoipa::path(
    post, path = "/v1/order-freezes/{id}/cancel", tag = "orders", operation_id = "cancel_order", request_body = Nothing,
    params(("id" = String, Path, description = "Id, or number of the order")),
    responses(
        (status = 200, description = "It is cancelled", body = OrderFreeze),
        (status = 404, description = "No order has this id"),
        (status = 409, description = "`state_conflict`: it is confirmed; void it"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn cancel(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, &order, asked, End::Cancel).await
}

/// The order was paid and is refunded.
///
/// Its coupons are given back: available, or expired if their time is over.
#[utoipa::path(
    post, path = "/v1/order-freezes/{id}/void", tag = "orders", operation_id = "void_order", request_body = Nothing,
    params(("id" = String, Path, description = "Id, or number of the order")),
    responses(
        (status = 200, description = "It is voided", body = OrderFreeze),
        (status = 404, description = "Nobody has asked for this order"),
        (status = 409, description = "`state_conflict`: it was not confirmed"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
async fn void(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, &order, asked, End::Void).await
}

async fn end(
    app: &App,
    operator: &Operator,
    order: &str,
    asked: Asked<Nothing>,
    end: End,
) -> Result<Response, ApiError> {
    let once = match asked.begin(app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, Nothing {}) => once,
    };
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let (id, number) = named(&mut connection, operator.tenant, order).await?;
    drop(connection);
    // What is no number of an order is not remembered as one.
    let mut fields = Fields::default();
    fields.text("id", order, NUMBER_CHARACTERS);
    let number = number.filter(|_| fields.are_fine());
    let command = Command::EndOnline(EndOnline {
        id,
        number,
        end,
        by: Some(operator.id.0),
        now: app.clock.now(),
    });
    once.submit(app, command, read).await
}

/// What a command about an order comes to.
fn read<'c>(
    connection: &'c mut AnyConnection,
    tenant: TenantId,
    answer: &'c Answer,
) -> BoxFuture<'c, Told<OrderFreeze>> {
    Box::pin(async move {
        Ok(match answer {
            Answer::Order(order) => {
                let status = match order.status {
                    OnlineStatus::Frozen => StatusCode::CREATED,
                    _ => StatusCode::OK,
                };
                Ok((status, view(connection, tenant, (**order).clone()).await?))
            }
            Answer::OrderTaken => Err(ApiError::detailed(
                Code::StateConflict,
                "the number is that of an order that asked for something else",
            )),
            Answer::OrderEnded { status } => Err(ApiError::detailed(
                Code::StateConflict,
                format!("the order is {}", status.as_str()),
            )),
            Answer::UnknownOrder => Err(ApiError::not_found()),
            _ => Err(ApiError::internal()),
        })
    })
}

/// Which orders are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
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
async fn list(
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
async fn show(
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

async fn view(connection: &mut AnyConnection, tenant: TenantId, order: OnlineOrder) -> Result<OrderFreeze, DbError> {
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
