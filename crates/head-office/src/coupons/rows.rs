//! SQL of templates, coupons and their records.

use std::sync::Arc;

use counterfoil_domain::{
    coupons::{Coupon, CouponState, OfflinePolicy, Template},
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId, TenantId},
    transition::CouponEntry,
    typed,
    words::Word,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::batch::select_by_id,
    db::told,
    db::{
        DbError,
        batch::{self, Binds, Text, execute, execute_all, fetch, id, id_or_null},
    },
};

const SELECT: Text = select_by_id!(
    "SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version, surplus, told FROM coupons"
);
const SELECT_BY_CODE: &str = "SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version, surplus, told FROM coupons WHERE tenant = $1 AND code = $2 AND version > 0";
const SELECT_OF_MEMBER: &str = "SELECT id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, holder, held_at, held_where, version, surplus, told FROM coupons WHERE tenant = $1 AND member = $2 ORDER BY CASE state WHEN 'available' THEN 0 WHEN 'frozen' THEN 1 ELSE 2 END, id DESC LIMIT $3";
const UPDATE: Text = Text::new(
    "UPDATE coupons SET state = v.column3, holder = v.column4, held_at = v.column5, held_where = v.column6, version = v.column7, surplus = v.column8, told = v.column9 FROM (VALUES ",
    ") AS v WHERE coupons.tenant = $1 AND coupons.id = v.column1 AND coupons.version = v.column2",
);
const INSERT: Text = Text::new(
    "INSERT INTO coupons (tenant, id, code, member, template, template_version, batch, home_store, valid_from, valid_until, state, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_NEW: Text = INSERT.ending(" ON CONFLICT DO NOTHING RETURNING id");
const INSERT_ENTRIES: Text = Text::new(
    "INSERT INTO coupon_entries (tenant, coupon, version, what, at, store, device, actor, source) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const SELECT_TEMPLATES: Text = Text::new(
    "SELECT id, template_version, name_zh, name_en, currency, rule, scope, stacking, stores, offline, floor_limit, worth_unbounded, version FROM templates WHERE tenant = $1 AND (id, template_version) IN (VALUES ",
    ")",
);

pub(crate) fn read(row: &AnyRow) -> Result<Coupon, DbError> {
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
        surplus: told::read_surplus(row)?,
        told: told::read(row)?,
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

/// Loads coupons; `lock` holds them until the transaction ends. One that waits in its batch is nobody's and is left out.
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
    .read(read)
    .filter(|coupon| coupon.as_ref().map_or(true, Coupon::is_issued))
    .collect()
}

/// Finds the coupon with this code; one that waits in its batch is not found, as if there were no such code.
///
/// # Errors
/// As [`load`].
pub async fn by_code(connection: &mut AnyConnection, tenant: TenantId, code: &str) -> Result<Option<Coupon>, DbError> {
    let Some(code) = typed::coupon_code(code) else {
        return Ok(None);
    };
    let row = sqlx::query(SELECT_BY_CODE)
        .bind(tenant.bytes().to_vec())
        .bind(code)
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(read).transpose()
}

/// A member's coupons, at most so many: those that may be used first, then the latest.
///
/// # Errors
/// As [`load`].
pub async fn of_member(
    connection: &mut AnyConnection,
    tenant: TenantId,
    member: MemberId,
    limit: i64,
) -> Result<Vec<Coupon>, DbError> {
    sqlx::query(SELECT_OF_MEMBER)
        .bind(tenant.bytes().to_vec())
        .bind(member.bytes().to_vec())
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(read)
        .collect()
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
            .number(coupon.version)
            .text_or_null(told::surplus(&coupon.surplus).as_deref())
            .bytes_or_null(told::stores(&coupon.told).as_deref());
    })
    .await
}

/// Stores new, available coupons; those that exist already stay as they are. The number of new ones.
///
/// # Errors
/// The driver's.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, coupons: &[Coupon]) -> Result<u64, DbError> {
    execute(connection, INSERT, tenant, coupons, bind_new).await
}

/// The same; the ids of the new ones.
///
/// # Errors
/// The driver's.
pub async fn insert_new(
    connection: &mut AnyConnection,
    tenant: TenantId,
    coupons: &[Coupon],
) -> Result<Vec<CouponId>, DbError> {
    fetch(connection, INSERT_NEW, "", tenant, coupons, bind_new)
        .await?
        .read(|row| id(row, "id", CouponId::from_bytes))
        .collect()
}

fn bind_new(b: &mut Binds, coupon: &Coupon) {
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
}

/// Adds coupons to a batch's numbers: so many made, so many of them given to a member.
///
/// # Errors
/// [`DbError::RowCount`] when there is no such batch.
pub async fn grow_batch(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batch: BatchId,
    made: i64,
    claimed: i64,
) -> Result<(), DbError> {
    let found = sqlx::query(
        "UPDATE batches SET size = size + $1, made = made + $1, claimed = claimed + $2 WHERE tenant = $3 AND id = $4",
    )
    .bind(made)
    .bind(claimed)
    .bind(tenant.bytes().to_vec())
    .bind(batch.bytes().to_vec())
    .execute(connection)
    .await?
    .rows_affected();
    if found == 1 {
        return Ok(());
    }
    Err(DbError::RowCount {
        table: "batches",
        expected: 1,
        found,
    })
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
    .read(|row| Ok((row.try_get("version")?, Arc::new(read_template(row)?))))
    .collect()
}

/// Reads a template version from its row.
pub(super) fn read_template(row: &AnyRow) -> Result<Template, DbError> {
    let offline: String = row.try_get("offline")?;
    let stores: Option<String> = row.try_get("stores")?;
    Ok(Template {
        id: id(row, "id", TemplateId::from_bytes)?,
        version: row.try_get("template_version")?,
        name_zh: row.try_get("name_zh")?,
        name_en: row.try_get("name_en")?,
        currency: row.try_get("currency")?,
        rule: batch::json(row, "rule")?,
        scope: batch::json(row, "scope")?,
        stacking: batch::json(row, "stacking")?,
        stores: stores
            .map(|stores| serde_json::from_str(&stores).map_err(|_| DbError::Decode { column: "stores" }))
            .transpose()?,
        offline: OfflinePolicy::parse(&offline).ok_or(DbError::Decode { column: "offline" })?,
        floor_limit: row.try_get("floor_limit")?,
        worth_unbounded: row.try_get("worth_unbounded")?,
    })
}
