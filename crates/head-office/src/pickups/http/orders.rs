//! Pickup orders: placed by the shop's own site, found by code, number or member.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{MemberId, OrderId, StoreId, TenantId},
    people::OperatorRole,
    pickup_codes::Owner,
    pickups::{Order, OrderLine, OrderNumber, OrderState},
    time::{DAY, Millis},
    transition::{Answer, Command, PlaceOrder},
};
use counterfoil_protocol::problem::Code;
use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};

use super::shown::shards_of;
use crate::{
    app::App,
    db::DbError,
    deed::fresh,
    http::{ApiError, Asked, Begun, Fields, Operator, Page, Paging, Path, Query, Told},
    members,
    pickups::{policies, rows},
    stores,
};

/// Most lines of an order.
const LINES: usize = 200;
/// Most characters of who may collect, as of any name.
const COLLECTOR: usize = 80;
/// Most bytes of a sku.
const SKU_BYTES: usize = 64;
/// Most units of a line.
const UNITS: i64 = 1_000_000;
/// Dearest unit, minor units.
const DEAREST: i64 = 1_000_000_000;

/// What waits: one product of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PickupLine)]
struct Line {
    /// The article.
    #[schema(min_length = 1, max_length = 64)]
    sku: String,
    /// Chinese name.
    #[schema(min_length = 1, max_length = 80)]
    name_zh: String,
    /// English name.
    #[schema(min_length = 1, max_length = 80)]
    name_en: String,
    /// Units.
    #[schema(minimum = 1, maximum = 1_000_000)]
    quantity: i64,
    /// Price of one, minor units.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    unit_price: i64,
}

/// An order that is to wait in a store.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewPickup {
    /// The number by which people know it. Of each there is one order.
    #[schema(min_length = 1, max_length = 64)]
    number: String,
    /// Where it waits.
    #[schema(value_type = uuid::Uuid)]
    store: StoreId,
    /// Number of the member whose it is, if it is one's.
    #[schema(max_length = 64)]
    member: Option<String>,
    /// Who may collect it, in words.
    #[schema(min_length = 1, max_length = 80)]
    collector: String,
    /// Until when it waits, UTC ms; absent = as long as the chain's policy says.
    #[schema(minimum = 1)]
    deadline: Option<Millis>,
    /// What waits.
    #[schema(min_items = 1, max_items = 200)]
    lines: Vec<Line>,
}

/// A pickup order.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PickupOrder {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: OrderId,
    /// The number by which people know it.
    number: String,
    /// Its pickup code; absent for auditors, as whoever has it may collect.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    /// The shard that it is kept in.
    shard: i64,
    /// Where it waits.
    #[schema(value_type = uuid::Uuid)]
    store: StoreId,
    /// Whose it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    member: Option<MemberId>,
    /// Who may collect it, in words; absent for auditors.
    #[serde(skip_serializing_if = "Option::is_none")]
    collector: Option<String>,
    /// Until when it waits, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Millis>,
    /// What waits.
    lines: Vec<Line>,
    /// `ready`, `collected`, `returned` or `cancelled`.
    state: &'static str,
    /// When it was collected, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    collected_at: Option<Millis>,
    /// Where it was collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<uuid::Uuid>)]
    collected_in: Option<StoreId>,
}

impl PickupOrder {
    pub(super) fn id(&self) -> OrderId {
        self.id
    }

    pub(super) fn of(order: Order, role: Option<OperatorRole>) -> Self {
        let masked = role == Some(OperatorRole::Auditor);
        let collected = match order.state {
            OrderState::Collected { at, store, .. } => Some((at, store)),
            OrderState::Ready { .. } | OrderState::Returned | OrderState::Cancelled => None,
        };
        Self {
            id: order.id,
            number: order.number,
            code: (!masked).then_some(order.code),
            shard: order.id.shard().number(),
            store: order.store,
            member: order.member,
            collector: (!masked).then_some(order.collector),
            deadline: order.deadline,
            state: order.state.as_str(),
            collected_at: collected.map(|(at, _)| at),
            collected_in: collected.map(|(_, store)| store),
            lines: order
                .lines
                .into_iter()
                .map(|line| Line {
                    sku: line.sku,
                    name_zh: line.name_zh,
                    name_en: line.name_en,
                    quantity: line.quantity,
                    unit_price: line.unit_price,
                })
                .collect(),
        }
    }
}

/// Place an order that waits in a store.
///
/// It is at the store's counters within a second, under the code that is answered. The same number with the same content is
/// the same order, however often and under whatever key it is asked for.
#[utoipa::path(
    post, path = "/v1/pickups", tag = "pickups", operation_id = "place_pickup", request_body = NewPickup,
    responses(
        (status = 201, description = "It waits", body = PickupOrder),
        (status = 200, description = "It was placed before; this is how it stands", body = PickupOrder),
        (status = 409, description = "`state_conflict`: the number is that of another order"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn place(
    State(app): State<Arc<App>>,
    operator: Operator,
    asked: Asked<NewPickup>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    match command(&app, operator.tenant, new).await? {
        Ok(command) => once.submit(&app, command, placed).await,
        Err(refusal) => once.refuse(&app, refusal).await,
    }
}

async fn command(app: &App, tenant: TenantId, new: NewPickup) -> Result<Result<Command, ApiError>, ApiError> {
    let now = app.clock.now();
    let mut fields = Fields::default();
    let number = OrderNumber::new(&new.number);
    fields.check(
        number.is_some(),
        "number",
        "malformed",
        "1 to 64 bytes that can be printed",
    );
    fields.text("collector", &new.collector, COLLECTOR);
    let count = new.lines.len();
    fields.check((1..=LINES).contains(&count), "lines", "out_of_range", "1 to 200 lines");
    for line in &new.lines {
        fields.text("lines.sku", &line.sku, SKU_BYTES);
        fields.text("lines.name_zh", &line.name_zh, COLLECTOR);
        fields.text("lines.name_en", &line.name_en, COLLECTOR);
        fields.range("lines.quantity", line.quantity, 1..=UNITS);
        fields.range("lines.unit_price", line.unit_price, 0..=DEAREST);
    }
    if let Some(deadline) = new.deadline {
        fields.check(deadline > now, "deadline", "out_of_range", "it is to come");
    }
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let known = stores::rows::load_stores(&mut connection, tenant, &[new.store]).await?;
    fields.check(!known.is_empty(), "store", "unknown", "no store has this id");
    let mut member = None;
    if let Some(number) = &new.member {
        member = members::rows::by_number(&mut connection, tenant, number).await?;
        fields.check(member.is_some(), "member", "unknown", "the number of a member");
    }
    if let Err(refusal) = fields.done() {
        return Ok(Err(refusal));
    }
    let Some(number) = number else {
        return Err(ApiError::internal());
    };
    let policy = policies::newest(&mut connection, tenant).await?;
    let place = stores::rows::place(&mut connection, tenant, new.store).await?;
    drop(connection);
    let member = member.map(|member| member.id);
    let owner = member.map_or(Owner::Number(number.as_str()), Owner::Member);
    let shard = policy.shards.of(tenant, owner);
    let line = |line: Line| OrderLine {
        sku: line.sku,
        name_zh: line.name_zh,
        name_en: line.name_en,
        quantity: line.quantity,
        unit_price: line.unit_price,
    };
    let order = Order {
        id: OrderId::sharded(place, shard, now, fresh(app.random.as_ref())?),
        number: number.as_str().to_owned(),
        // Storage draws it.
        code: String::new(),
        store: new.store,
        member,
        collector: new.collector,
        // Whole days, so that asking again a moment later asks for the same.
        deadline: Some(
            new.deadline
                .unwrap_or_else(|| (now / DAY + 1 + policy.waiting_days) * DAY),
        ),
        lines: new.lines.into_iter().map(line).collect(),
        state: OrderState::Ready { freeze: None },
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    };
    Ok(Ok(Command::PlaceOrder(PlaceOrder {
        number,
        dated: new.deadline.is_some(),
        order: Arc::new(order),
        now,
    })))
}

fn placed<'c>(
    connection: &'c mut AnyConnection,
    tenant: TenantId,
    answer: &'c Answer,
) -> BoxFuture<'c, Told<PickupOrder>> {
    Box::pin(async move {
        Ok(match answer {
            Answer::Placed { order, replayed } => {
                let order = rows::load(connection, tenant, &[*order], "").await?.pop();
                let order = order.ok_or(DbError::Decode { column: "id" })?;
                let status = if *replayed { StatusCode::OK } else { StatusCode::CREATED };
                Ok((status, PickupOrder::of(order, None)))
            }
            Answer::ComeBack => Err(ApiError::detailed(
                Code::StateConflict,
                "its member has just become one with another: ask again, under another key",
            )),
            Answer::AnotherOrder => Err(ApiError::detailed(
                Code::StateConflict,
                "the number is that of another order",
            )),
            _ => Err(ApiError::internal()),
        })
    })
}

/// Which orders are wanted: by code, by number, or a member's.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Wanted {
    /// The order with this pickup code.
    #[param(max_length = 64)]
    code: Option<String>,
    /// The order with this number.
    #[param(max_length = 64)]
    number: Option<String>,
    /// The orders of the member with this number, the latest first.
    #[param(max_length = 64)]
    member: Option<String>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// Find pickup orders by code, by number or by member: exactly one of them.
///
/// Each is found where it is kept: a code and a member say their shard, a number leads there.
#[utoipa::path(
    get, path = "/v1/pickups", tag = "pickups", operation_id = "find_pickups", params(Wanted),
    responses(
        (status = 200, description = "A page", body = Page<PickupOrder>),
        (status = 404, description = "There is no such member"),
    ),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn find(
    State(app): State<Arc<App>>,
    operator: Operator,
    Query(wanted): Query<Wanted>,
) -> Result<Json<Page<PickupOrder>>, ApiError> {
    let paging = Paging::<OrderId>::read(wanted.after.as_deref(), wanted.limit)?;
    let tenant = operator.tenant;
    // Whoever sees no codes can't try them either.
    if wanted.code.is_some() && operator.role == OperatorRole::Auditor {
        return Err(ApiError::new(Code::Forbidden));
    }
    let mut snapshot = app.db.snapshot().await?;
    let found: Vec<Order> = match (&wanted.code, &wanted.number, &wanted.member) {
        (Some(code), None, None) => rows::by_code(&mut snapshot, tenant, code).await?.into_iter().collect(),
        (None, Some(number), None) => {
            let number = OrderNumber::new(number);
            match number {
                Some(number) => rows::by_number(&mut snapshot, tenant, number.as_str()).await?,
                None => None,
            }
            .into_iter()
            .collect()
        }
        (None, None, Some(member)) => {
            let member = members::rows::by_number(&mut snapshot, tenant, member).await?;
            let member = member.ok_or_else(ApiError::not_found)?.id;
            let shards = shards_of(&mut snapshot, tenant, member).await?;
            rows::of_member(&mut snapshot, tenant, &shards, member, paging.after, paging.rows()).await?
        }
        _ => {
            let mut fields = Fields::default();
            fields.refuse("code", "required", "one of code, number and member");
            return Err(fields.done().err().unwrap_or_else(ApiError::internal));
        }
    };
    let views = found
        .into_iter()
        .map(|order| PickupOrder::of(order, Some(operator.role)))
        .collect();
    Ok(Json(paging.page(views, PickupOrder::id)))
}

/// A pickup order.
#[utoipa::path(
    get, path = "/v1/pickups/{id}", tag = "pickups", operation_id = "show_pickup",
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses((status = 200, description = "The order", body = PickupOrder), (status = 404, description = "There is none")),
    security(("operator" = ["admin", "operator", "auditor"]))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    operator: Operator,
    Path(id): Path<OrderId>,
) -> Result<Json<PickupOrder>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::load(&mut snapshot, operator.tenant, &[id], "").await?.pop();
    let order = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(PickupOrder::of(order, Some(operator.role))))
}
