//! Uses that were one too many: each is an operation that ended in an exception and has a case, none of them is the use
//! that counts, and there are none without one that counts or a freeze that keeps them from it.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{OperationId, TenantId},
    operations::Outcome,
    surplus::Surplus,
};
use sqlx::{AnyConnection, Row};

use super::Findings;
use crate::{
    db::told,
    db::{
        DbError,
        batch::{Text, fetch, id},
    },
    sync::rows,
};

const PAGE: i64 = 500;
const TABLES: [&str; 2] = [
    "SELECT id, state, holder, surplus FROM coupons WHERE tenant = $1 AND surplus IS NOT NULL AND id > $2 ORDER BY id LIMIT $3",
    "SELECT id, state, holder, surplus FROM orders WHERE tenant = $1 AND surplus IS NOT NULL AND id > $2 ORDER BY id LIMIT $3",
];
const CASES: Text = Text::new(
    "SELECT operation FROM exceptions WHERE tenant = $1 AND operation IN (",
    ")",
);
const ONLINE: Text = crate::db::batch::select_by_id!("SELECT id FROM order_freezes");

/// A coupon or an order that was used more than once.
struct Used {
    id: Vec<u8>,
    holder: Option<Vec<u8>>,
    surplus: Vec<Surplus>,
}

pub(super) async fn check(connection: &mut AnyConnection) -> Result<Findings, DbError> {
    let mut findings = Findings::default();
    let tenants: Vec<Vec<u8>> = sqlx::query_scalar("SELECT tenant FROM tenants ORDER BY tenant")
        .fetch_all(&mut *connection)
        .await?;
    for tenant in tenants {
        let tenant = TenantId::from_bytes(&tenant).map_err(|_| DbError::Decode { column: "tenant" })?;
        for sql in TABLES {
            let mut after: Vec<u8> = Vec::new();
            loop {
                let found = sqlx::query(sql)
                    .bind(tenant.bytes().to_vec())
                    .bind(after.clone())
                    .bind(PAGE)
                    .fetch_all(&mut *connection)
                    .await?;
                let mut used = Vec::new();
                for row in &found {
                    used.push(Used {
                        id: row.try_get("id")?,
                        holder: row.try_get("holder")?,
                        surplus: told::read_surplus(row)?,
                    });
                }
                page(connection, tenant, &used, &mut findings).await?;
                match used.pop() {
                    Some(last) if i64::try_from(found.len()).is_ok_and(|rows| rows == PAGE) => after = last.id,
                    _ => break,
                }
            }
        }
    }
    Ok(findings)
}

async fn page(
    connection: &mut AnyConnection,
    tenant: TenantId,
    found: &[Used],
    findings: &mut Findings,
) -> Result<(), DbError> {
    let named: Vec<OperationId> = found
        .iter()
        .flat_map(|row| row.surplus.iter().map(|used| used.operation))
        .collect();
    let broke: BTreeSet<OperationId> = rows::load(connection, tenant, &named)
        .await?
        .into_iter()
        .filter(|applied| matches!(applied.outcome, Outcome::AppliedWithException { .. }))
        .map(|applied| applied.id)
        .collect();
    let cases = ids(connection, CASES, "operation", tenant, &named).await?;
    let online = ids(connection, ONLINE, "id", tenant, &named).await?;
    for Used {
        id: row,
        holder,
        surplus: uses,
    } in found
    {
        findings.count += 1;
        if holder.is_none() {
            findings.add(row, "it was used more than once, and no use counts");
        }
        let distinct: BTreeSet<OperationId> = uses.iter().map(|used| used.operation).collect();
        if distinct.len() < uses.len() {
            findings.add(row, "a use that was one too many is noted twice");
        }
        for used in uses {
            if holder.as_deref() == Some(&used.operation.bytes()[..]) {
                findings.add(row, "the use that counts is one too many as well");
            }
            let told = online.contains(&used.operation)
                || (broke.contains(&used.operation) && cases.contains(&used.operation));
            if !told {
                findings.add(
                    row,
                    format!("the use {} was one too many, without a case", used.operation),
                );
            }
        }
    }
    Ok(())
}

async fn ids(
    connection: &mut AnyConnection,
    sql: Text,
    column: &'static str,
    tenant: TenantId,
    named: &[OperationId],
) -> Result<BTreeSet<OperationId>, DbError> {
    fetch(connection, sql, "", tenant, named, |b, id| {
        b.bytes(id.bytes());
    })
    .await?
    .read(|row| id(row, column, OperationId::from_bytes))
    .collect()
}
