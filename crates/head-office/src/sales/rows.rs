//! SQL of sales.

use counterfoil_domain::{
    ids::{DeviceId, MemberId, OperationId, StoreId, TenantId},
    sales::Sale,
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::batch::select_by_id,
    db::told,
    db::{
        DbError,
        batch::{Text, execute_all, fetch, id, id_or_null, json},
    },
};

const SELECT: Text = select_by_id!(
    "SELECT id, store, device, at, member, currency, lines, coupons, payable, tender, receipt, account, voided_by, version, told FROM sales"
);
const UPDATE: Text = Text::new(
    "UPDATE sales SET lines = v.column3, coupons = v.column4, paid_back = v.column5, units_back = v.column6, account = v.column7, voided_by = v.column8, version = v.column9, told = v.column10 FROM (VALUES ",
    ") AS v WHERE sales.tenant = $1 AND sales.id = v.column1 AND sales.version = v.column2",
);
const INSERT: Text = Text::new(
    "INSERT INTO sales (tenant, id, store, device, at, member, currency, lines, coupons, payable, paid_back, units, units_back, tender, receipt, account, voided_by, version) VALUES ",
    " ON CONFLICT DO NOTHING",
);

fn read(row: &AnyRow) -> Result<Sale, DbError> {
    let account: Option<String> = row.try_get("account")?;
    Ok(Sale {
        account: account
            .map(|text| serde_json::from_str(&text).map_err(|_| DbError::Decode { column: "account" }))
            .transpose()?
            .unwrap_or_default(),
        id: id(row, "id", OperationId::from_bytes)?,
        store: id(row, "store", StoreId::from_bytes)?,
        device: id(row, "device", DeviceId::from_bytes)?,
        at: row.try_get("at")?,
        member: id_or_null(row, "member", MemberId::from_bytes)?,
        currency: row.try_get("currency")?,
        lines: json(row, "lines")?,
        coupons: json(row, "coupons")?,
        payable: row.try_get("payable")?,
        tender: row.try_get("tender")?,
        receipt: row.try_get("receipt")?,
        voided_by: id_or_null(row, "voided_by", OperationId::from_bytes)?,
        version: row.try_get("version")?,
        told: told::read(row)?,
    })
}

/// What changes of a sale, as its columns hold it.
struct Columns<'s> {
    sale: &'s Sale,
    /// The version it was loaded at.
    loaded: i64,
    lines: String,
    coupons: String,
    account: Option<String>,
}

impl<'s> Columns<'s> {
    fn of(loaded: i64, sale: &'s Sale) -> Result<Self, DbError> {
        Ok(Self {
            sale,
            loaded,
            lines: serde_json::to_string(&sale.lines).map_err(|_| DbError::Decode { column: "lines" })?,
            coupons: serde_json::to_string(&sale.coupons).map_err(|_| DbError::Decode { column: "coupons" })?,
            account: (!sale.account.is_none())
                .then(|| serde_json::to_string(&sale.account).map_err(|_| DbError::Decode { column: "account" }))
                .transpose()?,
        })
    }

    fn units(&self) -> i64 {
        let lines = self.sale.lines.iter();
        lines.fold(0, |sum, line| sum.saturating_add(line.sold.quantity))
    }

    fn units_back(&self) -> i64 {
        let lines = self.sale.lines.iter();
        lines.fold(0, |sum, line| sum.saturating_add(line.returned))
    }

    fn voided_by(&self) -> Option<&[u8]> {
        self.sale.voided_by.as_ref().map(|id| &id.bytes()[..])
    }
}

/// Loads sales; `lock` holds them until the transaction ends.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[OperationId],
    lock: &'static str,
) -> Result<Vec<Sale>, DbError> {
    fetch(connection, SELECT, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(read)
    .collect()
}

/// Stores sales that changed, each with the version it was loaded at.
///
/// # Errors
/// [`DbError::RowCount`] when one of them is no longer at that version.
pub async fn update(connection: &mut AnyConnection, tenant: TenantId, sales: &[(i64, &Sale)]) -> Result<(), DbError> {
    let rows = sales
        .iter()
        .map(|(loaded, sale)| Columns::of(*loaded, sale))
        .collect::<Result<Vec<_>, _>>()?;
    execute_all(connection, "sales", UPDATE, tenant, &rows, |b, row| {
        b.bytes(row.sale.id.bytes())
            .number(row.loaded)
            .text(&row.lines)
            .text(&row.coupons)
            .number(row.sale.paid_back())
            .number(row.units_back())
            .text_or_null(row.account.as_deref())
            .bytes_or_null(row.voided_by())
            .number(row.sale.version)
            .bytes_or_null(told::stores(&row.sale.told).as_deref());
    })
    .await
}

/// Stores new sales.
///
/// # Errors
/// [`DbError::RowCount`] when one of them exists.
pub async fn insert(connection: &mut AnyConnection, tenant: TenantId, sales: &[&Sale]) -> Result<(), DbError> {
    let rows = sales
        .iter()
        .map(|sale| Columns::of(0, sale))
        .collect::<Result<Vec<_>, _>>()?;
    execute_all(connection, "sales", INSERT, tenant, &rows, |b, row| {
        let sale = row.sale;
        b.bytes(sale.id.bytes())
            .bytes(sale.store.bytes())
            .bytes(sale.device.bytes())
            .number(sale.at)
            .bytes_or_null(sale.member.as_ref().map(|id| &id.bytes()[..]))
            .text(&sale.currency)
            .text(&row.lines)
            .text(&row.coupons)
            .number(sale.payable)
            .number(sale.paid_back())
            .number(row.units())
            .number(row.units_back())
            .text(&sale.tender)
            .text(&sale.receipt)
            .text_or_null(row.account.as_deref())
            .bytes_or_null(row.voided_by())
            .number(sale.version);
    })
    .await
}

/// A page of the sales of a store, or of all stores, latest first; `before` is the id of the last one seen.
///
/// # Errors
/// As [`load`].
pub async fn list(
    connection: &mut AnyConnection,
    tenant: TenantId,
    store: Option<StoreId>,
    before: Option<OperationId>,
    limit: i64,
) -> Result<Vec<Sale>, DbError> {
    // Ids are ordered by time, and none is larger than sixteen bytes of 255.
    let before = before.map_or_else(|| vec![0xff; 16], |id| id.bytes().to_vec());
    let rows = match store {
        Some(store) => {
            sqlx::query(
                "SELECT id, store, device, at, member, currency, lines, coupons, payable, tender, receipt, account, voided_by, version, told FROM sales WHERE tenant = $1 AND id < $2 AND store = $4 ORDER BY id DESC LIMIT $3",
            )
            .bind(tenant.bytes().to_vec())
            .bind(before)
            .bind(limit)
            .bind(store.bytes().to_vec())
            .fetch_all(connection)
            .await?
        }
        None => {
            sqlx::query(
                "SELECT id, store, device, at, member, currency, lines, coupons, payable, tender, receipt, account, voided_by, version, told FROM sales WHERE tenant = $1 AND id < $2 ORDER BY id DESC LIMIT $3",
            )
            .bind(tenant.bytes().to_vec())
            .bind(before)
            .bind(limit)
            .fetch_all(connection)
            .await?
        }
    };
    rows.iter().map(read).collect()
}
