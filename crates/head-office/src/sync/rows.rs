//! SQL of operations and branches.

use counterfoil_domain::{
    ids::{DeviceId, OperationId, TenantId},
    operations::Outcome,
    time::Millis,
    transition::{Applied, Arrival, Stored},
};
use sqlx::{AnyConnection, Row, any::AnyRow};

use crate::{
    db::batch::select_by_id,
    db::{
        DbError,
        batch::{Text, execute, execute_all, fetch, hash, id},
        subjects::{read_known_subject, subject_columns},
    },
};

const SELECT: Text =
    select_by_id!("SELECT id, device, epoch, seq, subject_kind, subject, fingerprint, outcome, detail FROM operations");
const SELECT_POSITIONS: Text = Text::new(
    "SELECT o.id, o.device, o.epoch, o.seq, o.subject_kind, o.subject, o.fingerprint, o.outcome, o.detail FROM (VALUES ",
    // SQLite takes no index for a row value IN a list, but does for a join.
    ") AS v JOIN operations o ON o.device = v.column1 AND o.epoch = v.column2 AND o.seq = v.column3 WHERE o.tenant = $1",
);
const INSERT: Text = Text::new(
    "INSERT INTO operations (tenant, device, epoch, seq, id, store, subject_kind, subject, fingerprint, received_at, outcome, detail, body) VALUES ",
    " ON CONFLICT DO NOTHING",
);
const INSERT_BRANCHES: Text = Text::new(
    "INSERT INTO branches (tenant, device, fingerprint, epoch, seq, received_at, body) VALUES ",
    " ON CONFLICT DO NOTHING",
);

fn read(row: &AnyRow) -> Result<Applied, DbError> {
    let outcome: String = row.try_get("outcome")?;
    let detail: Option<String> = row.try_get("detail")?;
    Ok(Applied {
        id: id(row, "id", OperationId::from_bytes)?,
        device: id(row, "device", DeviceId::from_bytes)?,
        epoch: row.try_get("epoch")?,
        seq: row.try_get("seq")?,
        fingerprint: hash(row, "fingerprint")?,
        // However little is known of it here, how it ended stays what it was.
        subject: read_known_subject(row)?,
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
    .read(read)
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
    .read(read)
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
