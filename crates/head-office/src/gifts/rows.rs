//! SQL of gifts, of what members have had of them, and of exchanges.

use std::collections::BTreeMap;

use counterfoil_domain::{
    gifts::{Exchange, ExchangeStatus, Gift, GiftStatus, GivenBy, Had},
    ids::{ExchangeId, FreezeId, GiftId, LocationId, MemberId, OrderId, StockId, TenantId},
    time::Millis,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};
use uuid::Uuid;

use crate::{
    db::{
        DbError,
        batch::{Binds, Text, execute_all, fetch, id, id_or_null, select_by_id, word},
    },
    online::rows::Overdue,
};

const SELECT_GIFTS: Text = select_by_id!(
    "SELECT id, sku, name_zh, name_en, points, money, worth, member_limit, begins_at, ends_at, given, location, status, version FROM gifts"
);
const INSERT_GIFTS: Text = Text::new(
    "INSERT INTO gifts (tenant, id, sku, name_zh, name_en, points, money, worth, member_limit, begins_at, ends_at, given, location, status, version, created_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE_GIFTS: Text = Text::new(
    "UPDATE gifts SET sku = v.column3, name_zh = v.column4, name_en = v.column5, points = v.column6, money = v.column7, worth = v.column8, member_limit = v.column9, begins_at = v.column10, ends_at = v.column11, given = v.column12, location = v.column13, status = v.column14, version = v.column15 FROM (VALUES ",
    ") AS v WHERE gifts.tenant = $1 AND gifts.id = v.column1 AND gifts.version = v.column2",
);
const SELECT_HADS: Text = Text::new(
    "SELECT member, gift, taken, version FROM gift_members WHERE tenant = $1 AND (member, gift) IN (VALUES ",
    ") ORDER BY member, gift",
);
const INSERT_HADS: Text = Text::new(
    "INSERT INTO gift_members (tenant, member, gift, taken, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE_HADS: Text = Text::new(
    "UPDATE gift_members SET taken = v.column4, version = v.column5 FROM (VALUES ",
    ") AS v WHERE gift_members.tenant = $1 AND gift_members.member = v.column1 AND gift_members.gift = v.column2 AND gift_members.version = v.column3",
);
const SELECT: Text = select_by_id!(
    "SELECT id, member, gift, stock, location, sku, name_zh, name_en, points, money, worth, address, pickup, status, asked_at, deadline, confirmed_at, ended_at, ended_by, ask_at, asks, version FROM exchanges"
);
const INSERT: Text = Text::new(
    "INSERT INTO exchanges (tenant, id, member, gift, stock, location, sku, name_zh, name_en, points, money, worth, address, pickup, status, asked_at, deadline, confirmed_at, ended_at, ended_by, ask_at, asks, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const UPDATE: Text = Text::new(
    "UPDATE exchanges SET status = v.column3, confirmed_at = v.column4, ended_at = v.column5, ended_by = v.column6, ask_at = v.column7, version = v.column8 FROM (VALUES ",
    ") AS v WHERE exchanges.tenant = $1 AND exchanges.id = v.column1 AND exchanges.version = v.column2",
);

fn read_gift(row: &AnyRow) -> Result<Gift, DbError> {
    Ok(Gift {
        id: id(row, "id", GiftId::from_bytes)?,
        sku: row.try_get("sku")?,
        name_zh: row.try_get("name_zh")?,
        name_en: row.try_get("name_en")?,
        points: row.try_get("points")?,
        money: row.try_get("money")?,
        worth: row.try_get("worth")?,
        member_limit: row.try_get("member_limit")?,
        from: row.try_get("begins_at")?,
        until: row.try_get("ends_at")?,
        given: word::<GivenBy>(row, "given")?,
        location: id_or_null(row, "location", LocationId::from_bytes)?,
        status: word::<GiftStatus>(row, "status")?,
        version: row.try_get("version")?,
    })
}

fn bind_gift(b: &mut Binds, gift: &Gift) {
    b.text(&gift.sku)
        .text(&gift.name_zh)
        .text(&gift.name_en)
        .number(gift.points)
        .number(gift.money)
        .number(gift.worth)
        .number(gift.member_limit)
        .number_or_null(gift.from)
        .number_or_null(gift.until)
        .text(gift.given.as_str())
        .bytes_or_null(gift.location.as_ref().map(|id| &id.bytes()[..]))
        .text(gift.status.as_str())
        .number(gift.version);
}

/// Loads gifts; `lock` holds them until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_gifts(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[GiftId],
    lock: &'static str,
) -> Result<Vec<Gift>, DbError> {
    fetch(connection, SELECT_GIFTS, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read_gift)
    .collect()
}

/// Stores a new gift.
///
/// # Errors
/// [`DbError::RowCount`] when it exists.
pub async fn insert_gift(
    connection: &mut AnyConnection,
    tenant: TenantId,
    gift: &Gift,
    now: Millis,
) -> Result<(), DbError> {
    execute_all(connection, "gifts", INSERT_GIFTS, tenant, &[gift], |b, gift| {
        b.bytes(gift.id.bytes());
        bind_gift(b, gift);
        b.number(now);
    })
    .await
}

/// Stores a gift that changed.
///
/// # Errors
/// [`DbError::RowCount`] when it is no longer at the version `loaded`.
pub async fn update_gift(
    connection: &mut AnyConnection,
    tenant: TenantId,
    loaded: i64,
    gift: &Gift,
) -> Result<(), DbError> {
    execute_all(connection, "gifts", UPDATE_GIFTS, tenant, &[gift], |b, gift| {
        b.bytes(gift.id.bytes()).number(loaded);
        bind_gift(b, gift);
    })
    .await
}

/// Gifts behind `after`, by id: all, or those that members may know of.
///
/// # Errors
/// As [`load_gifts`].
pub async fn gifts_after(
    connection: &mut AnyConnection,
    tenant: TenantId,
    drafts: bool,
    after: Option<GiftId>,
    limit: i64,
) -> Result<Vec<Gift>, DbError> {
    sqlx::query(
        "SELECT id, sku, name_zh, name_en, points, money, worth, member_limit, begins_at, ends_at, given, location, status, version FROM gifts WHERE tenant = $1 AND id > $2 AND ($3 = 1 OR status <> 'draft') ORDER BY id LIMIT $4",
    )
    .bind(tenant.bytes().to_vec())
    .bind(after.map_or_else(Vec::new, |id| id.bytes().to_vec()))
    .bind(i64::from(drafts))
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(read_gift)
    .collect()
}

/// Loads what members have had of gifts; `lock` holds the rows until the transaction ends.
///
/// # Errors
/// As [`load_gifts`].
pub async fn load_hads(
    connection: &mut AnyConnection,
    tenant: TenantId,
    keys: &[(MemberId, GiftId)],
    lock: &'static str,
) -> Result<Vec<Had>, DbError> {
    fetch(connection, SELECT_HADS, lock, tenant, keys, |b, (member, gift)| {
        b.bytes(member.bytes()).bytes(gift.bytes());
    })
    .await?
    .read(|row| {
        Ok(Had {
            member: id(row, "member", MemberId::from_bytes)?,
            gift: id(row, "gift", GiftId::from_bytes)?,
            taken: row.try_get("taken")?,
            version: row.try_get("version")?,
        })
    })
    .collect()
}

/// Stores new rows of what members have had.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert_hads(connection: &mut AnyConnection, tenant: TenantId, hads: &[&Had]) -> Result<(), DbError> {
    execute_all(connection, "gift_members", INSERT_HADS, tenant, hads, |b, had| {
        b.bytes(had.member.bytes())
            .bytes(had.gift.bytes())
            .number(had.taken)
            .number(had.version);
    })
    .await
}

/// Stores what members have had, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update_hads(
    connection: &mut AnyConnection,
    tenant: TenantId,
    hads: &[(i64, &Had)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "gift_members",
        UPDATE_HADS,
        tenant,
        hads,
        |b, (loaded, had)| {
            b.bytes(had.member.bytes())
                .bytes(had.gift.bytes())
                .number(*loaded)
                .number(had.taken)
                .number(had.version);
        },
    )
    .await
}

/// What a member has had of each of these gifts.
///
/// # Errors
/// As [`load_gifts`].
pub async fn taken(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    gifts: &[GiftId],
) -> Result<BTreeMap<GiftId, i64>, DbError> {
    let keys: Vec<_> = gifts.iter().map(|gift| (member, *gift)).collect();
    let found = load_hads(connection, tenant, &keys, "").await?;
    Ok(found.into_iter().map(|had| (had.gift, had.taken)).collect())
}

fn read(row: &AnyRow) -> Result<Exchange, DbError> {
    let address: Option<String> = row.try_get("address")?;
    let ended_at: Option<Millis> = row.try_get("ended_at")?;
    let ended_by: Option<Vec<u8>> = row.try_get("ended_by")?;
    let ended_by = ended_by
        .map(|bytes| Uuid::from_slice(&bytes).map_err(|_| DbError::Decode { column: "ended_by" }))
        .transpose()?;
    Ok(Exchange {
        id: id(row, "id", ExchangeId::from_bytes)?,
        member: id(row, "member", MemberId::from_bytes)?,
        gift: id(row, "gift", GiftId::from_bytes)?,
        stock: id(row, "stock", StockId::from_bytes)?,
        location: id(row, "location", LocationId::from_bytes)?,
        sku: row.try_get("sku")?,
        name_zh: row.try_get("name_zh")?,
        name_en: row.try_get("name_en")?,
        points: row.try_get("points")?,
        money: row.try_get("money")?,
        worth: row.try_get("worth")?,
        address: address
            .map(|text| serde_json::from_str(&text).map_err(|_| DbError::Decode { column: "address" }))
            .transpose()?,
        order: id_or_null(row, "pickup", OrderId::from_bytes)?,
        status: word::<ExchangeStatus>(row, "status")?,
        asked_at: row.try_get("asked_at")?,
        deadline: row.try_get("deadline")?,
        confirmed_at: row.try_get("confirmed_at")?,
        ended: ended_at.map(|at| (at, ended_by)),
        ask_at: row.try_get("ask_at")?,
        asks: row.try_get("asks")?,
        version: row.try_get("version")?,
    })
}

/// Loads exchanges; `lock` holds them until the transaction ends.
///
/// # Errors
/// As [`load_gifts`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[ExchangeId],
    lock: &'static str,
) -> Result<Vec<Exchange>, DbError> {
    fetch(connection, SELECT, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read)
    .collect()
}

fn bind_end(b: &mut Binds, exchange: &Exchange) {
    let (ended_at, ended_by) = exchange.ended.map_or((None, None), |(at, by)| (Some(at), by));
    b.number_or_null(exchange.confirmed_at)
        .number_or_null(ended_at)
        .bytes_or_null(ended_by.as_ref().map(|id| &id.as_bytes()[..]))
        .number_or_null(exchange.ask_at);
}

/// Stores new exchanges.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, exchanges: &[&Exchange]) -> Result<(), DbError> {
    execute_all(connection, "exchanges", INSERT, tenant, exchanges, |b, exchange| {
        // Addresses are plain texts: they always write.
        let address = exchange.address.as_ref();
        let address = address.map(|address| serde_json::to_string(address).unwrap_or_default());
        b.bytes(exchange.id.bytes())
            .bytes(exchange.member.bytes())
            .bytes(exchange.gift.bytes())
            .bytes(exchange.stock.bytes())
            .bytes(exchange.location.bytes())
            .text(&exchange.sku)
            .text(&exchange.name_zh)
            .text(&exchange.name_en)
            .number(exchange.points)
            .number(exchange.money)
            .number(exchange.worth)
            .text_or_null(address.as_deref())
            .bytes_or_null(exchange.order.as_ref().map(|id| &id.bytes()[..]))
            .text(exchange.status.as_str())
            .number(exchange.asked_at)
            .number_or_null(exchange.deadline);
        bind_end(b, exchange);
        b.number(exchange.asks).number(exchange.version);
    })
    .await
}

/// Stores exchanges that took a step, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(
    connection: &mut AnyConnection,
    tenant: TenantId,
    exchanges: &[(i64, &Exchange)],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "exchanges",
        UPDATE,
        tenant,
        exchanges,
        |b, (loaded, exchange)| {
            b.bytes(exchange.id.bytes())
                .number(*loaded)
                .text(exchange.status.as_str());
            bind_end(b, exchange);
            b.number(exchange.version);
        },
    )
    .await
}

/// Which exchanges are wanted.
#[derive(Debug, Clone, Copy)]
pub enum Wanted {
    /// All of them.
    All,
    /// A member's.
    Of(
        /// Whose.
        MemberId,
    ),
    /// Those that stand so.
    Standing(
        /// How.
        ExchangeStatus,
    ),
}

/// Exchanges before `before`, the last one that was asked for first.
///
/// # Errors
/// As [`load_gifts`].
pub async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    wanted: Wanted,
    before: Option<(Millis, ExchangeId)>,
    limit: i64,
) -> Result<Vec<Exchange>, DbError> {
    macro_rules! text {
        ($condition:literal) => {
            concat!(
                "SELECT id FROM exchanges WHERE tenant = $1 AND asked_at <= $2 AND (asked_at < $2 OR id < $3)",
                $condition,
                " ORDER BY asked_at DESC, id DESC LIMIT $4"
            )
        };
    }
    let (at, id_before) = before.map_or((Millis::MAX, Vec::new()), |(at, id)| (at, id.bytes().to_vec()));
    // Three texts: each reads along its own index.
    let query = match wanted {
        Wanted::All => sqlx::query(text!("")),
        Wanted::Of(_) => sqlx::query(text!(" AND member = $5")),
        Wanted::Standing(_) => sqlx::query(text!(" AND status = $5")),
    };
    let query = query.bind(tenant.bytes().to_vec()).bind(at).bind(id_before).bind(limit);
    let query = match wanted {
        Wanted::All => query,
        Wanted::Of(member) => query.bind(member.bytes().to_vec()),
        Wanted::Standing(status) => query.bind(status.as_str().to_owned()),
    };
    let ids: Vec<ExchangeId> = query
        .fetch_all(&mut *connection)
        .await?
        .iter()
        .map(|row| id(row, "id", ExchangeId::from_bytes))
        .collect::<Result<_, _>>()?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut found: BTreeMap<ExchangeId, Exchange> = BTreeMap::new();
    for exchange in load(connection, tenant, &ids, "").await? {
        found.insert(exchange.id, exchange);
    }
    Ok(ids.into_iter().filter_map(|id| found.remove(&id)).collect())
}

/// Exchanges of a tenant whose payment is to be asked for, those that wait longest first.
///
/// # Errors
/// As [`load_gifts`].
pub async fn overdue(
    connection: &mut AnyConnection,
    tenant: TenantId,
    now: Millis,
    limit: i64,
) -> Result<Vec<Overdue>, DbError> {
    sqlx::query(
        "SELECT id, money, deadline, asks FROM exchanges WHERE tenant = $1 AND ask_at <= $2 ORDER BY ask_at LIMIT $3",
    )
    .bind(tenant.bytes().to_vec())
    .bind(now)
    .bind(limit)
    .fetch_all(connection)
    .await?
    .iter()
    .map(|row| {
        let id = id(row, "id", FreezeId::from_bytes)?;
        let deadline: Option<Millis> = row.try_get("deadline")?;
        Ok(Overdue {
            kind: "exchange_payment",
            id,
            number: id.to_string(),
            amount: row.try_get("money")?,
            deadline: deadline.unwrap_or(now),
            asks: row.try_get("asks")?,
        })
    })
    .collect()
}

/// Puts the next question about a payment off; false when the exchange has gone on, or somebody else asked meanwhile.
///
/// # Errors
/// The driver's.
pub async fn ask_later(
    connection: &mut AnyConnection,
    tenant: TenantId,
    exchange: &Overdue,
    at: Millis,
) -> Result<bool, DbError> {
    let changed = sqlx::query(
        "UPDATE exchanges SET ask_at = $1, asks = asks + 1 WHERE tenant = $2 AND id = $3 AND asks = $4 AND status = 'awaiting_payment'",
    )
    .bind(at)
    .bind(tenant.bytes().to_vec())
    .bind(exchange.id.bytes().to_vec())
    .bind(exchange.asks)
    .execute(connection)
    .await?
    .rows_affected();
    Ok(changed == 1)
}
