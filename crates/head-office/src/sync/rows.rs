//! SQL of operations, freezes, branches and exceptions.

use counterfoil_domain::{
    ids::{CouponId, DeviceId, FreezeId, OperationId, OrderId, TenantId},
    operations::Outcome,
    time::Millis,
    transition::{Applied, Arrival, Case, Freeze, FreezeStatus, Stored, Subject},
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::{
        DbError,
        batch::{Text, execute, execute_all, fetch, hash, id, id_or_null},
    },
    select_by_id,
};

const SELECT: Text =
    select_by_id!("SELECT id, device, epoch, seq, subject_kind, subject, fingerprint, outcome, detail FROM operations");
const SELECT_POSITIONS: Text = Text {
    head: "SELECT o.id, o.device, o.epoch, o.seq, o.subject_kind, o.subject, o.fingerprint, o.outcome, o.detail FROM (VALUES ",
    // SQLite takes no index for a row value IN a list, but does for a join.
    tail: ") AS v JOIN operations o ON o.device = v.column1 AND o.epoch = v.column2 AND o.seq = v.column3 WHERE o.tenant = $1",
    columns: 3,
    tenant_first: false,
    pad: true,
};
const INSERT: Text = Text {
    head: "INSERT INTO operations (tenant, device, epoch, seq, id, store, subject_kind, subject, fingerprint, received_at, outcome, detail, body) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
    columns: 12,
    tenant_first: true,
    pad: true,
};
const INSERT_BRANCHES: Text = Text {
    head: "INSERT INTO branches (tenant, device, fingerprint, epoch, seq, received_at, body) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
    columns: 6,
    tenant_first: true,
    pad: true,
};
const SELECT_FREEZES: Text =
    select_by_id!("SELECT id, device, subject_kind, subject, asked_at, status, until, reasons FROM freezes");
const UPSERT_FREEZES: Text = Text {
    head: "INSERT INTO freezes (tenant, id, device, subject_kind, subject, asked_at, status, until, reasons) VALUES ",
    tail: " ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, until = excluded.until, reasons = excluded.reasons WHERE freezes.device = excluded.device",
    columns: 8,
    tenant_first: true,
    pad: false,
};
const INSERT_CASES: Text = Text {
    head: "INSERT INTO exceptions (tenant, operation, kind, store, subject_kind, subject, loss, status, opened_at) VALUES ",
    tail: " ON CONFLICT DO NOTHING",
    columns: 8,
    tenant_first: true,
    pad: true,
};
const CLOSE_CASES: Text = Text {
    head: "UPDATE exceptions SET status = 'voided', closed_at = v.column2 FROM (VALUES ",
    tail: ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND exceptions.status = 'open'",
    columns: 2,
    tenant_first: false,
    pad: true,
};

const EXCUSE_CASES: Text = Text {
    head: "UPDATE exceptions SET loss = CASE WHEN exceptions.loss > v.column2 THEN exceptions.loss - v.column2 ELSE 0 END FROM (VALUES ",
    tail: ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND exceptions.status = 'open'",
    columns: 2,
    tenant_first: false,
    pad: true,
};

fn subject_columns(subject: Option<&Subject>) -> (Option<&'static str>, Option<&[u8]>) {
    match subject {
        Some(Subject::Coupon(id)) => (Some("coupon"), Some(id.bytes())),
        Some(Subject::Order(id)) => (Some("order"), Some(id.bytes())),
        Some(Subject::Sale(id)) => (Some("sale"), Some(id.bytes())),
        None => (None, None),
    }
}

fn read_subject(row: &AnyRow) -> Result<Option<Subject>, DbError> {
    let kind: Option<String> = row.try_get("subject_kind")?;
    match kind.as_deref() {
        None => Ok(None),
        Some("coupon") => Ok(id_or_null(row, "subject", CouponId::from_bytes)?.map(Subject::Coupon)),
        Some("order") => Ok(id_or_null(row, "subject", OrderId::from_bytes)?.map(Subject::Order)),
        Some("sale") => Ok(id_or_null(row, "subject", OperationId::from_bytes)?.map(Subject::Sale)),
        Some(_) => Err(DbError::Decode { column: "subject_kind" }),
    }
}

fn read(row: &AnyRow) -> Result<Applied, DbError> {
    let outcome: String = row.try_get("outcome")?;
    let detail: Option<String> = row.try_get("detail")?;
    Ok(Applied {
        id: id(row, "id", OperationId::from_bytes)?,
        device: id(row, "device", DeviceId::from_bytes)?,
        epoch: row.try_get("epoch")?,
        seq: row.try_get("seq")?,
        fingerprint: hash(row, "fingerprint")?,
        subject: read_subject(row)?,
        outcome: Outcome::parse(&outcome, detail.as_deref()).ok_or(DbError::Decode { column: "outcome" })?,
    })
}

/// Loads operations by id.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load(
    connection: &mut AnyConnection,
    tenant: TenantId,
    ids: &[OperationId],
) -> Result<Vec<Applied>, DbError> {
    fetch(connection, SELECT, "", tenant, ids, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Loads operations by their place in a journal.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn load_positions(
    connection: &mut AnyConnection,
    tenant: TenantId,
    places: &[(DeviceId, i64, i64)],
) -> Result<Vec<Applied>, DbError> {
    fetch(
        connection,
        SELECT_POSITIONS,
        "",
        tenant,
        places,
        |b, (device, epoch, seq)| {
            b.bytes(device.bytes()).number(*epoch).number(*seq);
        },
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Stores operations with their outcomes.
///
/// # Errors
/// [`DbError::RowCount`] when an id or a place is taken.
pub async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    operations: &[Stored],
    received_at: Millis,
) -> Result<(), DbError> {
    execute_all(connection, "operations", INSERT, tenant, operations, |b, stored| {
        let applied = &stored.applied;
        let (kind, subject) = subject_columns(applied.subject.as_ref());
        b.bytes(applied.device.bytes())
            .number(applied.epoch)
            .number(applied.seq)
            .bytes(applied.id.bytes())
            .bytes(stored.store.bytes())
            .text_or_null(kind)
            .bytes_or_null(subject)
            .bytes(&applied.fingerprint)
            .number(received_at)
            .text(applied.outcome.as_str())
            .text_or_null(applied.outcome.detail())
            .bytes(&stored.arrival.body);
    })
    .await
}

/// Keeps operations of a second branch. One that is kept already stays as it is.
///
/// # Errors
/// The driver's.
pub async fn insert_branches(
    connection: &mut AnyConnection,
    tenant: TenantId,
    branches: &[Arrival],
    received_at: Millis,
) -> Result<u64, DbError> {
    execute(connection, INSERT_BRANCHES, tenant, branches, |b, arrival| {
        b.bytes(arrival.device.bytes())
            .bytes(&arrival.fingerprint)
            .number(arrival.epoch)
            .number(arrival.seq)
            .number(received_at)
            .bytes(&arrival.body);
    })
    .await
}

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
    .iter()
    .map(|row| {
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
    freezes: &[Freeze],
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
            .number(freeze.asked_at)
            .text(status)
            .number_or_null(until)
            .text_or_null(reasons.as_deref());
    })
    .await
}

/// Opens cases.
///
/// # Errors
/// [`DbError::RowCount`] when an operation has one already.
pub async fn insert_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    cases: &[Case],
    now: Millis,
) -> Result<(), DbError> {
    execute_all(connection, "exceptions", INSERT_CASES, tenant, cases, |b, case| {
        let (kind, subject) = subject_columns(case.subject.as_ref());
        b.bytes(case.operation.bytes())
            .text(case.kind.as_str())
            .bytes(case.store.bytes())
            .text_or_null(kind)
            .bytes_or_null(subject)
            .number(case.loss)
            .text("open")
            .number(now);
    })
    .await
}

/// Takes what broke no rule after all off the loss of open cases; each operation once.
///
/// # Errors
/// The driver's.
pub async fn excuse_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    excused: &[(OperationId, i64)],
) -> Result<u64, DbError> {
    execute(connection, EXCUSE_CASES, tenant, excused, |b, (operation, amount)| {
        b.bytes(operation.bytes()).number(*amount);
    })
    .await
}

/// Closes the cases of operations that were voided, or whose use counts after all. One that a person has decided stays
/// decided.
///
/// # Errors
/// The driver's.
pub async fn close_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    operations: &[OperationId],
    now: Millis,
) -> Result<u64, DbError> {
    execute(connection, CLOSE_CASES, tenant, operations, |b, operation| {
        b.bytes(operation.bytes()).number(now);
    })
    .await
}
