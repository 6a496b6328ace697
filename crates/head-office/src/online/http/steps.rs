//! The steps of an order: its coupons are held, used, given back.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode, response::Response};
use counterfoil_domain::{
    ids::{CouponId, TenantId},
    points::{Amounts, LedgerError, MOST},
    text,
    time::{DAY, Millis},
    transition::{
        Answer, Command,
        online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineStatus, Spent},
    },
    words::Word,
};
use counterfoil_protocol::problem::Code;
use futures_core::future::BoxFuture;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sqlx::AnyConnection;
use utoipa::ToSchema;

use super::shown::{OrderFreeze, view};
use crate::{
    app::App,
    coupons,
    db::DbError,
    http::{ApiError, Asked, Begun, Fields, Nothing, Once, Operator, Path, Told},
    members,
    online::{id_of, named},
    points::http::refused,
};

/// Coupons of one order.
const MOST_COUPONS: usize = 50;
/// Longest number of an order.
const NUMBER_CHARACTERS: usize = 64;
/// Longest time for a payment.
const LONGEST: Millis = 30 * DAY;

/// An order that wants to use coupons.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewOrderFreeze {
    /// The shop's own number of the order. One order holds coupons once, whoever asks how often.
    #[schema(min_length = 1, max_length = 64)]
    order: String,
    /// Ids or codes of coupons; none where points or stored value are held.
    #[serde(default)]
    #[schema(max_items = 50)]
    coupons: Vec<String>,
    /// Points of the member to hold.
    #[serde(default)]
    #[schema(minimum = 0)]
    points: i64,
    /// Stored value of the member to hold, minor units.
    #[serde(default)]
    #[schema(minimum = 0)]
    balance: i64,
    /// Number of the member whose order it is.
    member: Option<String>,
    /// What the order comes to, minor units.
    #[schema(minimum = 0)]
    amount: i64,
    /// Until when its payment should be known, UTC ms, at most 30 days ahead. Past it the site is asked; the coupons
    /// stay held until it knows.
    deadline: Millis,
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
pub(super) async fn freeze(
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
    let amounts = Amounts {
        points: new.points,
        balance: new.balance,
    };
    fields.check(
        (!new.coupons.is_empty() || !amounts.is_none()) && new.coupons.len() <= MOST_COUPONS,
        "coupons",
        "out_of_range",
        "1 to 50 coupons, or none where points or stored value are held",
    );
    fields.range("points", new.points, 0..=MOST);
    fields.range("balance", new.balance, 0..=MOST);
    fields.check(
        amounts.is_none() || new.member.is_some(),
        "member",
        "required",
        "points and stored value are a member's",
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
            amounts,
            id: id_of(operator.tenant, &new.order),
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
    post, path = "/v1/order-freezes/{id}/confirm", tag = "orders", operation_id = "confirm_order", request_body = Paid,
    params(("id" = String, Path, description = "Id, or number of the order")),
    responses(
        (status = 200, description = "It is confirmed", body = OrderFreeze),
        (status = 404, description = "Nobody has asked for this order"),
        (status = 409, description = "`state_conflict`: it is refused, cancelled or voided; `not_posted`: it holds less"),
    ),
    security(("operator" = ["admin", "operator"]))
)]
pub(super) async fn confirm(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
    asked: Asked<Paid>,
) -> Result<Response, ApiError> {
    end(&app, &operator, &order, asked, End::Confirm, Paid::spent).await
}

/// What was paid with.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Paid {
    /// How many of the points that it holds were spent; absent = all, and what is not spent goes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    points: Option<i64>,
    /// How much of the stored value that it holds, minor units; absent = all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    balance: Option<i64>,
}

impl Paid {
    fn spent(self) -> Spent {
        Spent {
            points: self.points,
            balance: self.balance,
        }
    }
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
pub(super) async fn cancel(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, &order, asked, End::Cancel, |_| Spent::default()).await
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
pub(super) async fn void(
    State(app): State<Arc<App>>,
    Path(order): Path<String>,
    operator: Operator,
    asked: Asked<Nothing>,
) -> Result<Response, ApiError> {
    end(&app, &operator, &order, asked, End::Void, |_| Spent::default()).await
}

async fn end<T: DeserializeOwned>(
    app: &App,
    operator: &Operator,
    order: &str,
    asked: Asked<T>,
    end: End,
    spent: fn(T) -> Spent,
) -> Result<Response, ApiError> {
    let (once, spent) = match asked.begin(app, operator.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, body) => (once, spent(body)),
    };
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let (id, number) = named(&mut connection, operator.tenant, order).await?;
    drop(connection);
    // What is no number of an order is not remembered as one.
    let mut fields = Fields::default();
    fields.text("id", order, NUMBER_CHARACTERS);
    let number = number.filter(|_| fields.are_fine());
    let command = Command::EndOnline(EndOnline {
        spent,
        id,
        number,
        end,
        by: Some(operator.id.0),
        now: app.clock.now(),
    });
    once.submit(app, command, read).await
}

/// What a command about an order comes to.
pub(super) fn read<'c>(
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
            Answer::OverHold(held) => {
                let amount = if held.points > 0 { held.points } else { held.balance };
                Err(refused(LedgerError::OverHold { held: amount }))
            }
            Answer::UnknownOrder => Err(ApiError::not_found()),
            _ => Err(ApiError::internal()),
        })
    })
}
