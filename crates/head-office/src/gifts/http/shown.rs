//! An exchange as it is shown: where it stands, and how it goes on.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use counterfoil_domain::{
    gifts::{Exchange, NotExchangeable},
    ids::{ExchangeId, GiftId, LocationId, MemberId, OrderId, StoreId, TenantId},
    pickups::{Order, OrderState},
    time::Millis,
    transition::Answer,
    words::Word,
};
use counterfoil_protocol::problem::{Code, Problem};
use futures_core::future::BoxFuture;
use serde::Serialize;
use sqlx::AnyConnection;
use utoipa::ToSchema;

use crate::{
    db::DbError,
    http::{ApiError, Told},
    pickups,
};

/// A member's exchange of points for a gift.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct ExchangeView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    pub(super) id: ExchangeId,
    /// The number that people know it by.
    number: String,
    /// `awaiting_payment`, `confirmed`, `cancelled`, `returned` or `lost`.
    status: &'static str,
    /// Whose.
    #[schema(value_type = uuid::Uuid)]
    member: MemberId,
    /// For what.
    #[schema(value_type = uuid::Uuid)]
    gift: GiftId,
    /// The article.
    sku: String,
    /// Chinese name, as it was then.
    name_zh: String,
    /// English name, as it was then.
    name_en: String,
    /// What it cost, points.
    points: i64,
    /// What it cost besides, minor units.
    money: i64,
    /// The store or warehouse that it is taken from.
    #[schema(value_type = uuid::Uuid)]
    location: LocationId,
    /// Where it is sent to.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<AddressView>,
    /// The order that waits in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pickup: Option<PickupView>,
    /// When it was asked for, UTC ms.
    pub(super) asked_at: Millis,
    /// Until when its payment should be known, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<Millis>,
    /// When the gift became the member's, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_at: Option<Millis>,
    /// When it came to nothing, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Millis>,
    /// The operator who ended it; absent when head office did.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<uuid::Uuid>,
}

/// Where something is sent, as it stood when it was asked for.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct AddressView {
    /// Who gets it.
    recipient: String,
    /// Their phone number.
    phone: String,
    /// Province, city, district.
    region: String,
    /// The rest.
    street: String,
}

/// The order that waits in the store.
#[derive(Debug, Clone, Serialize, ToSchema)]
struct PickupView {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: OrderId,
    /// Where.
    #[schema(value_type = uuid::Uuid)]
    store: StoreId,
    /// What is shown or typed at the desk.
    code: String,
    /// `ready`, `collected`, `returned` or `cancelled`.
    state: &'static str,
    /// When it was collected, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    collected_at: Option<Millis>,
}

/// As they are shown.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub(super) async fn views(
    connection: &mut AnyConnection,
    tenant: TenantId,
    exchanges: Vec<Exchange>,
) -> Result<Vec<ExchangeView>, DbError> {
    let ids: Vec<OrderId> = exchanges.iter().filter_map(|exchange| exchange.order).collect();
    let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
    if !ids.is_empty() {
        let found = pickups::rows::load(connection, tenant, &ids, "").await?;
        orders.extend(found.into_iter().map(|order| (order.id, order)));
    }
    Ok(exchanges
        .into_iter()
        .map(|exchange| ExchangeView {
            number: exchange.number(),
            id: exchange.id,
            status: exchange.status.as_str(),
            member: exchange.member,
            gift: exchange.gift,
            sku: exchange.sku,
            name_zh: exchange.name_zh,
            name_en: exchange.name_en,
            points: exchange.points,
            money: exchange.money,
            location: exchange.location,
            address: exchange.address.map(|address| AddressView {
                recipient: address.recipient,
                phone: address.phone,
                region: address.region,
                street: address.street,
            }),
            pickup: exchange.order.and_then(|id| orders.remove(&id)).map(pickup),
            asked_at: exchange.asked_at,
            deadline: exchange.deadline,
            confirmed_at: exchange.confirmed_at,
            ended_at: exchange.ended.map(|(at, _)| at),
            ended_by: exchange.ended.and_then(|(_, by)| by),
        })
        .collect())
}

fn pickup(order: Order) -> PickupView {
    PickupView {
        id: order.id,
        store: order.store,
        state: order.state.as_str(),
        collected_at: match order.state {
            OrderState::Collected { at, .. } => Some(at),
            OrderState::Ready { .. } | OrderState::Returned | OrderState::Cancelled => None,
        },
        code: order.code,
    }
}

pub(super) async fn view(
    connection: &mut AnyConnection,
    tenant: TenantId,
    exchange: Exchange,
) -> Result<ExchangeView, ApiError> {
    views(connection, tenant, vec![exchange])
        .await?
        .pop()
        .ok_or_else(ApiError::internal)
}

pub(super) fn refused(reasons: &[NotExchangeable]) -> ApiError {
    Problem {
        reasons: plain(reasons),
        ..Problem::new(Code::NotExchangeable)
    }
    .into()
}

/// Reasons with their codes.
pub(super) fn plain(reasons: &[NotExchangeable]) -> Vec<serde_json::Value> {
    let reasons = reasons.iter();
    reasons.filter_map(|reason| serde_json::to_value(reason).ok()).collect()
}

/// What a command about an exchange comes to, where one is made.
pub(super) fn asked<'c>(
    connection: &'c mut AnyConnection,
    tenant: TenantId,
    answer: &'c Answer,
) -> BoxFuture<'c, Told<ExchangeView>> {
    read(connection, tenant, answer, StatusCode::CREATED)
}

/// What a command about an exchange comes to, where there is one.
pub(super) fn ended<'c>(
    connection: &'c mut AnyConnection,
    tenant: TenantId,
    answer: &'c Answer,
) -> BoxFuture<'c, Told<ExchangeView>> {
    read(connection, tenant, answer, StatusCode::OK)
}

fn read<'c>(
    connection: &'c mut AnyConnection,
    tenant: TenantId,
    answer: &'c Answer,
    status: StatusCode,
) -> BoxFuture<'c, Told<ExchangeView>> {
    Box::pin(async move {
        Ok(match answer {
            Answer::Exchanged { exchange, .. } => {
                let views = views(connection, tenant, vec![(**exchange).clone()]).await?;
                let view = views.into_iter().next().ok_or(DbError::Decode { column: "id" })?;
                Ok((status, view))
            }
            Answer::NotExchanged { reasons } => Err(refused(reasons)),
            Answer::AnotherQuestion => Err(ApiError::new(Code::IdempotencyKeyReused)),
            Answer::ExchangeEnded { status } => Err(ApiError::detailed(
                Code::StateConflict,
                format!("the exchange is {}", status.as_str()),
            )),
            Answer::UnknownExchange => Err(ApiError::not_found()),
            Answer::Posted(_) => Err(ApiError::detailed(
                Code::StateConflict,
                "the points can't be moved: the account has no room, or does not hold them",
            )),
            _ => Err(ApiError::internal()),
        })
    })
}
