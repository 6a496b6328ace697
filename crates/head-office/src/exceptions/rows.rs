//! SQL of cases.

use counterfoil_domain::{
    ids::{OperationId, TenantId},
    time::Millis,
    transition::Case,
    words::Word,
};
use sqlx::AnyConnection;

use crate::db::{
    DbError,
    batch::{Text, execute, execute_all},
    subjects::subject_columns,
};

const INSERT_CASES: Text = Text::new(
    "INSERT INTO exceptions (tenant, operation, kind, store, subject_kind, subject, loss, status, opened_at) VALUES ",
    " ON CONFLICT DO NOTHING",
);

const CLOSE_CASES: Text = Text::new(
    "UPDATE exceptions SET status = 'voided', closed_at = v.column2 FROM (VALUES ",
    ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND exceptions.status = 'open'",
);

const EXCUSE_CASES: Text = Text::new(
    "UPDATE exceptions SET loss = CASE WHEN exceptions.loss > v.column2 THEN exceptions.loss - v.column2 ELSE 0 END FROM (VALUES ",
    ") AS v WHERE exceptions.tenant = $1 AND exceptions.operation = v.column1 AND exceptions.status = 'open'",
);

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
