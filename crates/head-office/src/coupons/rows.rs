//! SQL of templates, coupons and their records.

use std::sync::Arc;

use counterfoil_domain::{
    coupons::{Coupon, CouponState, OfflinePolicy, Template},
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId, TenantId},
    transition::CouponEntry,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::{
        DbError,
        batch::{self, Binds, Text, execute, execute_all, fetch, id, id_or_null},
    },
    select_by_id,
};

const SELECT: Text = select_by_id!(
    "SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version FROM coupons"
);
const SELECT_BY_CODE: &str = "SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version FROM coupons WHERE tenant = $1 AND code = $2";
const UPDATE: Text = Text {
    head: "UPDATE coupons SET state = v.column3, holder = v.column4, held_at = v.column5, held_where = v.column6, version = v.column7 FROM (VALUES ",
    tail: ") AS v WHERE coupons.tenant = $1 AND coupons.id = v.column1 AND coupons.version = v.column2",
    columns: 7,
    tenant_first: false,
    pad: true,
};
const INSERT: Text = Text {
    head: "INSERT INTO coupons (tenant, id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, version) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
    columns: 11,
    tenant_first: true,
    pad: true,
};
const INSERT_ENTRIES: Text = Text {
    head: "INSERT INTO coupon_entries (tenant, coupon, version, what, at, store, device, actor, source) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
    columns: 8,
    tenant_first: true,
    pad: true,
};
const SELECT_TEMPLATES: Text = Text {
    head: "SELECT id, template_version, name_zh, name_en, currency, rule, stores, offline, floor_limit, worth_unbounded, version FROM templates WHERE tenant = $1 AND (id, template_version) IN (VALUES ",
    tail: ")",
    columns: 2,
    tenant_first: false,
    pad: true,
};

fn read(row: &AnyRow) -> Result<Coupon, DbError> {
    let state: String = row.try_get("state")?;
    let decode = DbError::Decode { column: "state" };
    let state = match state.as_str() {
        "available" => CouponState::Available,
        "expired" => CouponState::Expired,
        "frozen" => CouponState::Frozen {
            freeze: id(row, "holder", FreezeId::from_bytes)?,
            until: row.try_get("held_at")?,
            device: id(row, "held_where", DeviceId::from_bytes)?,
        },
        "redeemed" => CouponState::Redeemed {
            operation: id(row, "holder", OperationId::from_bytes)?,
            at: row.try_get("held_at")?,
            store: id(row, "held_where", StoreId::from_bytes)?,
        },
        _ => return Err(decode),
    };
    Ok(Coupon {
        id: id(row, "id", CouponId::from_bytes)?,
        code: row.try_get("code")?,
        member: id_or_null(row, "member", MemberId::from_bytes)?,
        template: id(row, "template", TemplateId::from_bytes)?,
        template_version: row.try_get("template_version")?,
        batch: id(row, "batch", BatchId::from_bytes)?,
        home_store: id_or_null(row, "home_store", StoreId::from_bytes)?,
        valid_from: row.try_get("valid_from")?,
        valid_until: row.try_get("valid_until")?,
        state,
        version: row.try_get("version")?,
    })
}

/// What the state carries, as the three columns that hold it.
fn held(state: &CouponState) -> (Option<&[u8]>, Option<i64>, Option<&[u8]>) {
    match state {
        CouponState::Available | CouponState::Expired => (None, None, None),
        CouponState::Frozen { freeze, until, device } => (Some(freeze.bytes()), Some(*until), Some(device.bytes())),
        CouponState::Redeemed { operation, at, store } => (Some(operation.bytes()), Some(*at), Some(store.bytes())),
    }
}

/// Loads coupons; `lock` holds them until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[CouponId],
    lock: &'static str,
) -> Result<Vec<Coupon>, DbError> {
    fetch(connection, SELECT, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Finds the coupon with this code.
///
/// # Errors
/// As [`load`].
pub async fn by_code(connection: &mut AnyConnection, tenant: TenantId, code: &str) -> Result<Option<Coupon>, DbError> {
    let row = sqlx::query(SELECT_BY_CODE)
        .bind(tenant.bytes().to_vec())
        .bind(code.to_owned())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// Stores coupons that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(
    connection: &mut AnyConnection,
    tenant: TenantId,
    coupons: &[(i64, &Coupon)],
) -> Result<(), DbError> {
    execute_all(connection, "coupons", UPDATE, tenant, coupons, |b, (loaded, coupon)| {
        let (holder, held_at, held_where) = held(&coupon.state);
        b.bytes(coupon.id.bytes())
            .number(*loaded)
            .text(coupon.state.as_str())
            .bytes_or_null(holder)
            .number_or_null(held_at)
            .bytes_or_null(held_where)
            .number(coupon.version);
    })
    .await
}

/// Stores new, available coupons; those that exist already stay as they are. The number of new ones.
///
/// # Errors
/// The driver's.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, coupons: &[Coupon]) -> Result<u64, DbError> {
    execute(connection, INSERT, tenant, coupons, |b, coupon| {
        b.bytes(coupon.id.bytes())
            .text(&coupon.code)
            .bytes_or_null(coupon.member.as_ref().map(|id| &id.bytes()[..]))
            .bytes(coupon.template.bytes())
            .number(coupon.template_version)
            .bytes(coupon.batch.bytes())
            .bytes_or_null(coupon.home_store.as_ref().map(|id| &id.bytes()[..]))
            .number_or_null(coupon.valid_from)
            .number_or_null(coupon.valid_until)
            .text("available")
            .number(coupon.version);
    })
    .await
}

/// Adds lines to coupons' own records.
///
/// # Errors
/// [`DbError::RowCount`] when a line of that number exists.
pub async fn insert_entries(
    connection: &mut AnyConnection,
    tenant: TenantId,
    entries: &[CouponEntry],
) -> Result<(), DbError> {
    execute_all(
        connection,
        "coupon_entries",
        INSERT_ENTRIES,
        tenant,
        entries,
        |b: &mut Binds, entry| {
            b.bytes(entry.coupon.bytes())
                .number(entry.version)
                .text(entry.what)
                .number(entry.at)
                .bytes(entry.store.bytes())
                .bytes(entry.device.bytes())
                .bytes_or_null(entry.actor.as_ref().map(|id| &id.bytes()[..]))
                .bytes(entry.source.as_bytes());
        },
    )
    .await
}

/// Loads template versions with the version of their row.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_templates(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[(TemplateId, i64)],
) -> Result<Vec<(i64, Arc<Template>)>, DbError> {
    fetch(connection, SELECT_TEMPLATES, "", tenant, ids, |b, (id, version)| {
        b.bytes(id.bytes()).number(*version);
    })
    .await?
    .iter()
    .map(|row| {
        let offline: String = row.try_get("offline")?;
        let stores: Option<String> = row.try_get("stores")?;
        let template = Template {
            id: id(row, "id", TemplateId::from_bytes)?,
            version: row.try_get("template_version")?,
            name_zh: row.try_get("name_zh")?,
            name_en: row.try_get("name_en")?,
            currency: row.try_get("currency")?,
            rule: batch::json(row, "rule")?,
            stores: stores
                .map(|stores| serde_json::from_str(&stores).map_err(|_| DbError::Decode { column: "stores" }))
                .transpose()?,
            offline: [
                OfflinePolicy::OnlineOnly,
                OfflinePolicy::HomeStore,
                OfflinePolicy::FloorLimit,
            ]
            .into_iter()
            .find(|policy| policy.as_str() == offline)
            .ok_or(DbError::Decode { column: "offline" })?,
            floor_limit: row.try_get("floor_limit")?,
            worth_unbounded: row.try_get("worth_unbounded")?,
        };
        Ok((row.try_get("version")?, Arc::new(template)))
    })
    .collect()
}
