//! Freezes that lapsed over a use: it counts from then on, and its case is closed.
//!
//! Nothing waits for it: wherever such a row is read, its time is checked. It keeps the rows true to what people are told,
//! and the cases open that a person must look at.

use counterfoil_domain::{
    ids::{CouponId, OrderId, TenantId},
    time::Millis,
    transition::{Command, Lapse, Subject},
};
use sqlx::AnyConnection;

use crate::{
    app::App,
    db::{DbError, batch::id},
    engine::Refusal,
    site,
};

const COUPONS: &str = "SELECT id FROM coupons WHERE tenant = $1 AND surplus IS NOT NULL AND state = 'frozen' AND held_at <= $2 ORDER BY id LIMIT $3";
const ORDERS: &str = "SELECT id FROM orders WHERE tenant = $1 AND surplus IS NOT NULL AND state = 'ready' AND held_at <= $2 ORDER BY id LIMIT $3";

/// Lets such freezes go, at most some `limit` coupons and orders a tenant; how many.
///
/// # Errors
/// The database's. What was not done is done by the next sweep.
pub async fn sweep(app: &App, now: Millis, limit: i64) -> Result<u64, DbError> {
    let tenants = {
        let mut connection = app.db.reader().acquire().await?;
        site::rows::tenants(&mut connection).await?
    };
    let mut done = 0;
    for tenant in tenants {
        let subjects = {
            let mut connection = app.db.reader().acquire().await?;
            let mut subjects = lapsed(&mut connection, COUPONS, tenant, now, limit, |bytes| {
                CouponId::from_bytes(bytes).map(Subject::Coupon)
            })
            .await?;
            let orders = lapsed(&mut connection, ORDERS, tenant, now, limit, |bytes| {
                OrderId::from_bytes(bytes).map(Subject::Order)
            });
            subjects.extend(orders.await?);
            subjects
        };
        let commands: Vec<Command> = subjects
            .into_iter()
            .map(|subject| Command::Lapse(Lapse { subject, now }))
            .collect();
        let count = commands.len();
        match app.engine.submit(tenant, commands).await {
            Ok(_) => done += u64::try_from(count).unwrap_or(u64::MAX),
            // Clerks come first: the rest has time until the next sweep.
            Err(Refusal::Busy) => return Ok(done),
            Err(refusal) => return Err(DbError::config(refusal.to_string())),
        }
    }
    Ok(done)
}

async fn lapsed(
    connection: &mut AnyConnection,
    sql: &'static str,
    tenant: TenantId,
    now: Millis,
    limit: i64,
    subject: fn(&[u8]) -> Result<Subject, counterfoil_domain::ids::NotAnId>,
) -> Result<Vec<Subject>, DbError> {
    sqlx::query(sql)
        .bind(tenant.bytes().to_vec())
        .bind(now)
        .bind(limit)
        .fetch_all(connection)
        .await?
        .iter()
        .map(|row| id(row, "id", subject))
        .collect()
}
