//! Gifts and exchanges, as members see and ask for them.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Json, extract::State, response::Response};
use counterfoil_domain::{
    gifts::{Gift, GiftStatus, GivenBy, judge},
    ids::{AddressId, ExchangeId, GiftId, LocationId, OrderId, StockId, StoreId, TenantId},
    pickup_codes::{Owner, Shard},
    stock::Stock,
    time::Millis,
    transition::{AskedExchange, Command, ExchangeGift, Named},
};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    catalogue::GivenHow,
    shown::{self, ExchangeView, plain, view, views},
};
use crate::{
    app::App,
    db::DbError,
    deed::fresh,
    fulfilment::addresses,
    gifts::{id_of, rows},
    http::{ApiError, Asked, Begun, MemberSession, Once, Page, Paging, Path, Query},
    pickups, points, stock, stores,
};

/// A gift that the member may have, or why not.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MyGift {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    id: GiftId,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// The article.
    sku: String,
    /// What it costs, points.
    points: i64,
    /// What it costs besides, minor units.
    money: i64,
    /// How it comes to its member.
    given: GivenHow,
    /// Whether this member may have one now.
    exchangeable: bool,
    /// If not, every reason why; each has a stable `code`.
    #[schema(value_type = Vec<Object>)]
    reasons: Vec<serde_json::Value>,
    /// How many are left: in the store that was named, else wherever it may be had.
    left: i64,
    /// How many more of it this member may have; absent = any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_for_member: Option<i64>,
    /// From when it may be had, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<Millis>,
    /// The first instant at which it may be had no more, UTC ms.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Millis>,
}

/// Which gifts.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WantedGifts {
    /// The store where what is collected should wait.
    #[param(value_type = Option<uuid::Uuid>)]
    store: Option<StoreId>,
    /// `next` of the page before.
    after: Option<String>,
    /// Rows of a page.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

/// What the member may have for points.
///
/// Every gift that is or was published: those that may be had now, and the others with every reason why not.
#[utoipa::path(
    get, path = "/v1/member/gifts", tag = "members", operation_id = "list_my_gifts", params(WantedGifts),
    responses((status = 200, description = "A page", body = Page<MyGift>)),
    security(("member" = []))
)]
pub(super) async fn gifts(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(wanted): Query<WantedGifts>,
) -> Result<Json<Page<MyGift>>, ApiError> {
    let paging = Paging::<GiftId>::read(wanted.after.as_deref(), wanted.limit)?;
    let (tenant, now) = (session.tenant, app.clock.now());
    let mut snapshot = app.db.snapshot().await?;
    let gifts = rows::gifts_after(&mut snapshot, tenant, false, paging.after, paging.rows()).await?;
    if gifts.is_empty() {
        return Ok(Json(paging.page(Vec::new(), |last: &MyGift| last.id)));
    }
    let ids: Vec<GiftId> = gifts.iter().map(|gift| gift.id).collect();
    let taken = rows::taken(&mut snapshot, tenant, session.member, &ids).await?;
    let account = points::rows::load(&mut snapshot, tenant, &[session.member], "")
        .await?
        .pop();
    let available = account.map_or(0, |account| account.points.balances_at(now).available);
    let stocks = stocks(&mut snapshot, tenant, &gifts, wanted.store).await?;
    let views = gifts
        .into_iter()
        .map(|gift| {
            let stock = stocks.get(&gift.id);
            let had = taken.get(&gift.id).copied().unwrap_or(0);
            let reasons = judge(Some(&gift), stock, had, available, now);
            MyGift {
                exchangeable: reasons.is_empty(),
                reasons: plain(&reasons),
                left: stock.map_or(0, Stock::available),
                left_for_member: (gift.member_limit > 0).then(|| (gift.member_limit - had).max(0)),
                given: gift.given.into(),
                id: gift.id,
                name_zh: gift.name_zh,
                name_en: gift.name_en,
                sku: gift.sku,
                points: gift.points,
                money: gift.money,
                from: gift.from,
                until: gift.until,
            }
        })
        .collect();
    Ok(Json(paging.page(views, |last: &MyGift| last.id)))
}

/// What there is of each gift: where it is sent from, in the store that was named, or in all stores together.
async fn stocks(
    connection: &mut AnyConnection,
    tenant: TenantId,
    gifts: &[Gift],
    store: Option<StoreId>,
) -> Result<BTreeMap<GiftId, Stock>, DbError> {
    let place = |gift: &Gift| match gift.given {
        GivenBy::Shipped => gift.location,
        GivenBy::Collected => store.map(LocationId::from),
    };
    let ids: Vec<StockId> = gifts
        .iter()
        .filter_map(|gift| Some(StockId::of(place(gift)?, &gift.sku)))
        .collect();
    let mut known: BTreeMap<StockId, Stock> = BTreeMap::new();
    if !ids.is_empty() {
        let found = stock::rows::load(connection, tenant, &ids, "").await?;
        known.extend(found.into_iter().map(|stock| (stock.id, stock)));
    }
    let anywhere = gifts.iter().filter(|gift| place(gift).is_none());
    let skus: Vec<&str> = anywhere.map(|gift| gift.sku.as_str()).collect();
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    if !skus.is_empty() {
        sums.extend(stock::rows::in_stores(connection, tenant, &skus).await?);
    }
    Ok(gifts
        .iter()
        .map(|gift| {
            let stock = match place(gift) {
                Some(place) => {
                    let found = known.get(&StockId::of(place, &gift.sku)).cloned();
                    found.unwrap_or_else(|| Stock::none(place, &gift.sku))
                }
                None => Stock {
                    on_hand: sums.get(&gift.sku).copied().unwrap_or(0),
                    ..Stock::none(LocationId(Uuid::nil()), &gift.sku)
                },
            };
            (gift.id, stock)
        })
        .collect())
}

/// A store that has a gift.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GiftStore {
    /// Its id.
    #[schema(value_type = uuid::Uuid)]
    store: StoreId,
    /// Its short code.
    code: String,
    /// Chinese name.
    name_zh: String,
    /// English name.
    name_en: String,
    /// How many it has.
    available: i64,
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

/// The stores where a gift can be collected.
#[utoipa::path(
    get, path = "/v1/member/gifts/{id}/stores", tag = "members", operation_id = "list_gift_stores",
    params(("id" = uuid::Uuid, Path, description = "The gift"), Which),
    responses((status = 200, description = "A page", body = Page<GiftStore>), (status = 404, description = "There is no such gift to collect")),
    security(("member" = []))
)]
pub(super) async fn stores(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Path(id): Path<GiftId>,
    Query(which): Query<Which>,
) -> Result<Json<Page<GiftStore>>, ApiError> {
    let paging = Paging::<StoreId>::read(which.after.as_deref(), which.limit)?;
    let tenant = session.tenant;
    let mut snapshot = app.db.snapshot().await?;
    let gift = rows::load_gifts(&mut snapshot, tenant, &[id], "").await?.pop();
    let gift = gift.filter(|gift| gift.given == GivenBy::Collected && gift.status != GiftStatus::Draft);
    let gift = gift.ok_or_else(ApiError::not_found)?;
    let found = stock::rows::stores_with(&mut snapshot, tenant, &gift.sku, paging.after, paging.rows()).await?;
    let ids: Vec<StoreId> = found.iter().map(|(store, _)| *store).collect();
    let mut views = Vec::new();
    if !ids.is_empty() {
        let known = stores::rows::load_stores(&mut snapshot, tenant, &ids).await?;
        let mut known: BTreeMap<StoreId, _> = known.into_iter().map(|row| (row.store.id, row.store)).collect();
        for (store, available) in found {
            if let Some(known) = known.remove(&store) {
                views.push(GiftStore {
                    store,
                    code: known.code,
                    name_zh: known.name_zh,
                    name_en: known.name_en,
                    available,
                });
            }
        }
    }
    Ok(Json(paging.page(views, |last: &GiftStore| last.store)))
}

/// What a member asks for.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewExchange {
    /// The gift.
    #[schema(value_type = uuid::Uuid)]
    gift: GiftId,
    /// Where it is sent, of the member's own address book; for what is shipped.
    #[schema(value_type = Option<uuid::Uuid>)]
    address: Option<AddressId>,
    /// Where it should wait; for what is collected.
    #[schema(value_type = Option<uuid::Uuid>)]
    store: Option<StoreId>,
}

/// Exchange points for a gift.
///
/// The gift is the member's, durably, when this answers 201 with the status `confirmed`; `awaiting_payment` holds points and
/// gift until what it costs besides is paid. `not_exchangeable` tells every reason why not.
#[utoipa::path(
    post, path = "/v1/member/exchanges", tag = "members", operation_id = "exchange_gift", request_body = NewExchange,
    responses(
        (status = 201, description = "The exchange", body = ExchangeView),
        (status = 409, description = "`not_exchangeable`: the reasons why not"),
    ),
    security(("member" = []))
)]
pub(super) async fn exchange(
    State(app): State<Arc<App>>,
    session: MemberSession,
    asked: Asked<NewExchange>,
) -> Result<Response, ApiError> {
    let (once, new) = match asked.begin(&app, session.actor()).await? {
        Begun::Replay(answer) => return Ok(answer),
        Begun::Fresh(once, new) => (once, new),
    };
    let command = command(&app, &session, &once, &new).await?;
    once.submit(&app, command, shown::asked).await
}

async fn command(app: &App, session: &MemberSession, once: &Once, new: &NewExchange) -> Result<Command, ApiError> {
    let (tenant, now) = (session.tenant, app.clock.now());
    let mut connection = app.db.reader().acquire().await.map_err(DbError::from)?;
    let gift = rows::load_gifts(&mut connection, tenant, &[new.gift], "").await?.pop();
    let store = match new.store {
        None => Named::Missing,
        Some(store) => match stock::rows::kind(&mut connection, tenant, store.into()).await? {
            Some(stock::rows::Kind::Store) => Named::Known(store),
            Some(stock::rows::Kind::Warehouse) | None => Named::Unknown,
        },
    };
    let address = match new.address {
        None => Named::Missing,
        Some(id) => match addresses::snapshot(&mut connection, tenant, session.member, id).await? {
            Some(address) => Named::Known(address.into()),
            None => Named::Unknown,
        },
    };
    let location = gift.as_ref().and_then(|gift| match (gift.given, &store) {
        (GivenBy::Shipped, _) => gift.location,
        (GivenBy::Collected, Named::Known(store)) => Some(LocationId::from(*store)),
        (GivenBy::Collected, Named::Missing | Named::Unknown) => None,
    });
    let place = match store {
        Named::Known(store) => stores::rows::place(&mut connection, tenant, store).await?,
        Named::Missing | Named::Unknown => counterfoil_domain::ids::Place::ZERO,
    };
    let shard = match store {
        Named::Known(_) => {
            let policy = pickups::policies::newest(&mut connection, tenant).await?;
            policy.shards.of(tenant, Owner::Member(session.member))
        }
        Named::Missing | Named::Unknown => Shard::ZERO,
    };
    drop(connection);
    let asked = AskedExchange {
        id: id_of(tenant, session.member, once.key()),
        member: session.member,
        gift: new.gift,
        address,
        store,
        order: OrderId::sharded(place, shard, now, fresh(app.random.as_ref())?),
        stock: gift
            .zip(location)
            .map(|(gift, location)| StockId::of(location, &gift.sku)),
    };
    let asked = Arc::new(asked);
    Ok(Command::Exchange(ExchangeGift { asked, now }))
}

/// The member's exchanges, the last one first.
#[utoipa::path(
    get, path = "/v1/member/exchanges", tag = "members", operation_id = "list_my_exchanges", params(Which),
    responses((status = 200, description = "A page", body = Page<ExchangeView>)),
    security(("member" = []))
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Query(which): Query<Which>,
) -> Result<Json<Page<ExchangeView>>, ApiError> {
    let paging = Paging::<(Millis, ExchangeId)>::read(which.after.as_deref(), which.limit)?;
    let mut snapshot = app.db.snapshot().await?;
    let which = rows::Wanted::Of(session.member);
    let found = rows::page(&mut snapshot, session.tenant, which, paging.after, paging.rows()).await?;
    let views = views(&mut snapshot, session.tenant, found).await?;
    Ok(Json(paging.page(views, |last| (last.asked_at, last.id))))
}

/// One of the member's exchanges, and how it goes on.
#[utoipa::path(
    get, path = "/v1/member/exchanges/{id}", tag = "members", operation_id = "show_my_exchange",
    params(("id" = uuid::Uuid, Path, description = "Its id")),
    responses((status = 200, description = "The exchange", body = ExchangeView), (status = 404, description = "It is none of theirs")),
    security(("member" = []))
)]
pub(super) async fn show(
    State(app): State<Arc<App>>,
    session: MemberSession,
    Path(id): Path<ExchangeId>,
) -> Result<Json<ExchangeView>, ApiError> {
    let mut snapshot = app.db.snapshot().await?;
    let found = rows::load(&mut snapshot, session.tenant, &[id], "").await?.pop();
    let found = found.filter(|exchange| exchange.member == session.member);
    let found = found.ok_or_else(ApiError::not_found)?;
    Ok(Json(view(&mut snapshot, session.tenant, found).await?))
}
