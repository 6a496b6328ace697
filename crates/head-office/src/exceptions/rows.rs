//! SQL of cases.

use counterfoil_domain::{
    ids::TenantId,
    operations::ExceptionKind,
    time::Millis,
    transition::{Case, Closed, Excused},
    words::Word,
};
use sqlx::AnyConnection;

use crate::db::{
    DbError,
    batch::{Binds, Text, execute, execute_all},
    subjects::subject_columns,
};

const TABLE: &str = "exceptions";

const INSERT_CASES: Text = Text::new(
    "INSERT INTO exceptions (tenant, operation, kind, store, subject_kind, subject, loss, status, opened_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

// What a person decided stays decided.
const ADD_TO_CASES: Text = Text::new(
    "UPDATE exceptions SET
        loss = CASE WHEN exceptions.status = 'voided' THEN v.column3 WHEN exceptions.loss > 9223372036854775807 - v.column3 THEN 9223372036854775807 ELSE exceptions.loss + v.column3 END,
        closed_at = CASE WHEN exceptions.status = 'voided' THEN NULL ELSE exceptions.closed_at END,
        status = CASE WHEN exceptions.status = 'voided' THEN 'open' ELSE exceptions.status END
     FROM (VALUES ",
    ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND exceptions.kind = v.column2",
);

const CLOSE_CASES: Text = Text::new(
    "UPDATE exceptions SET status = 'voided', closed_at = v.column3 FROM (VALUES ",
    ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND (v.column2 = '' OR exceptions.kind = v.column2) AND exceptions.status = 'open'",
);

const EXCUSE_CASES: Text = Text::new(
    "UPDATE exceptions SET loss = CASE WHEN exceptions.loss > v.column3 THEN exceptions.loss - v.column3 ELSE 0 END FROM (VALUES ",
    ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND exceptions.kind = v.column2 AND exceptions.status = 'open'",
);

/// Opens cases.
///
/// # Errors
/// [`DbError::RowCount`] when an operation has one of this kind already.
pub async fn insert_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    cases: &[Case],
    now: Millis,
) -> Result<(), DbError> {
    execute_all(connection, TABLE, INSERT_CASES, tenant, cases, |b, case| {
        bind(b, case, now)
    })
    .await
}

/// Adds to cases, or opens those that are not there; each operation and kind once.
///
/// # Errors
/// [`DbError::RowCount`] when somebody else opened one meanwhile.
pub async fn add_to_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    cases: &[Case],
    now: Millis,
) -> Result<(), DbError> {
    let added = execute(connection, ADD_TO_CASES, tenant, cases, |b, case| {
        b.bytes(case.operation.bytes())
            .text(case.kind.as_str())
            .number(case.loss);
    })
    .await?;
    let expected = cases.len() as u64;
    if added == expected {
        return Ok(());
    }
    let opened = execute(connection, INSERT_CASES, tenant, cases, |b, case| bind(b, case, now)).await?;
    if added + opened == expected {
        return Ok(());
    }
    Err(DbError::RowCount {
        table: TABLE,
        expected,
        found: added + opened,
    })
}

fn bind(b: &mut Binds, case: &Case, now: Millis) {
    let (kind, subject) = subject_columns(case.subject.as_ref());
    b.bytes(case.operation.bytes())
        .text(case.kind.as_str())
        .bytes(case.store.bytes())
        .text_or_null(kind)
        .bytes_or_null(subject)
        .number(case.loss)
        .text("open")
        .number(now);
}

/// Takes what broke no rule after all off the loss of open cases; each operation and kind once.
///
/// # Errors
/// The driver's.
pub async fn excuse_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    excused: &[Excused],
) -> Result<u64, DbError> {
    execute(connection, EXCUSE_CASES, tenant, excused, |b, excused| {
        b.bytes(excused.operation.bytes())
            .text(excused.kind.as_str())
            .number(excused.loss);
    })
    .await
}

/// Closes cases of operations that were voided, or whose use counts after all. One that a person has decided stays
/// decided.
///
/// # Errors
/// The driver's.
pub async fn close_cases(
    connection: &mut AnyConnection,
    tenant: TenantId,
    closed: &[Closed],
    now: Millis,
) -> Result<u64, DbError> {
    execute(connection, CLOSE_CASES, tenant, closed, |b, closed| {
        b.bytes(closed.operation.bytes())
            .text(closed.kind.map_or("", ExceptionKind::as_str))
            .number(now);
    })
    .await
}
