//! SQL of freezes.

use counterfoil_domain::{
    ids::{DeviceId, FreezeId, TenantId},
    points::Amounts,
    transition::{Freeze, FreezeStatus},
};
use sqlx::{AnyConnection, Row};

use crate::{
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{Text, execute_all, fetch, id},
        subjects::{read_subject, subject_columns},
    },
};

const SELECT_FREEZES: Text = select_by_id!(
    "SELECT id, device, subject_kind, subject, points, balance, asked_at, status, until, reasons FROM freezes"
);

const UPSERT_FREEZES: Text = Text::new(
    "INSERT INTO freezes (tenant, id, device, subject_kind, subject, points, balance, asked_at, status, until, reasons) VALUES ",
    " ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, until = excluded.until, reasons = excluded.reasons WHERE freezes.device = excluded.device",
)
    .unpadded();

/// Loads freezes.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_freezes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[FreezeId],
    lock: &'static str,
) -> Result<Vec<Freeze>, DbError> {
    fetch(connection, SELECT_FREEZES, lock, tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| {
        let status: String = row.try_get("status")?;
        let status = match status.as_str() {
            "granted" => FreezeStatus::Granted {
                until: row.try_get("until")?,
            },
            "refused" => FreezeStatus::Refused {
                reasons: crate::db::batch::json(row, "reasons")?,
            },
            "cancelled" => FreezeStatus::Cancelled,
            _ => return Err(DbError::Decode { column: "status" }),
        };
        Ok(Freeze {
            id: id(row, "id", FreezeId::from_bytes)?,
            device: id(row, "device", DeviceId::from_bytes)?,
            subject: read_subject(row)?,
            amounts: Amounts {
                points: row.try_get("points")?,
                balance: row.try_get("balance")?,
            },
            asked_at: row.try_get("asked_at")?,
            status,
        })
    })
    .collect()
}

/// Stores freezes and what became of them.
///
/// # Errors
/// [`DbError::RowCount`] when another device has taken an id.
pub async fn store_freezes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    freezes: &[&Freeze],
) -> Result<(), DbError> {
    execute_all(connection, "freezes", UPSERT_FREEZES, tenant, freezes, |b, freeze| {
        let (kind, subject) = subject_columns(freeze.subject.as_ref());
        let (status, until, reasons) = match &freeze.status {
            FreezeStatus::Granted { until } => ("granted", Some(*until), None),
            FreezeStatus::Refused { reasons } => ("refused", None, serde_json::to_string(reasons).ok()),
            FreezeStatus::Cancelled => ("cancelled", None, None),
        };
        b.bytes(freeze.id.bytes())
            .bytes(freeze.device.bytes())
            .text_or_null(kind)
            .bytes_or_null(subject)
            .number(freeze.amounts.points)
            .number(freeze.amounts.balance)
            .number(freeze.asked_at)
            .text(status)
            .number_or_null(until)
            .text_or_null(reasons.as_deref());
    })
    .await
}
