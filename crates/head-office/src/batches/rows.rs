//! SQL of batches.

use counterfoil_domain::{
    code_policy::Form,
    ids::{BatchId, CouponId, TemplateId, TenantId},
    time::Millis,
    transition::BatchStatus,
    words::Word,
};
use sqlx::{AnyConnection, Row};

use super::Purpose;
use crate::{
    coupons::days,
    db::{
        DbError,
        batch::{Text, execute},
    },
};

/// Coupons need their id, their code and their batch; the rest is the batch's.
const INSERT_COUPONS: Text = Text::new(
    "INSERT INTO coupons (tenant, id, code, template, template_version, batch, valid_from, valid_until, state, version) SELECT b.tenant, v.column1, v.column2, b.template, b.template_version, b.id, b.valid_from, b.valid_until, 'available', CASE WHEN b.purpose = 'print' THEN 1 ELSE 0 END FROM (VALUES ",
    ") AS v JOIN batches b ON b.tenant = $1 AND b.id = v.column3 WHERE 1 = 1 ON CONFLICT DO NOTHING",
);

/// A batch's row to be.
#[derive(Debug)]
pub struct NewBatch<'a> {
    /// Its id.
    pub id: BatchId,
    /// Of which template.
    pub template: TemplateId,
    /// Of which version.
    pub template_version: i64,
    /// How many.
    pub size: i64,
    /// What for.
    pub purpose: Purpose,
    /// The form of its codes; `None` = they are made otherwise.
    pub form: Option<&'a Form>,
    /// The first of its counters; `None` = it takes them as it goes.
    pub first_counter: Option<u64>,
    /// Of printed coupons.
    pub validity: (Option<Millis>, Option<Millis>),
}

/// Stores a new batch.
///
/// # Errors
/// [`DbError::RowCount`] when there is one of this id, else the driver's.
pub async fn insert(
    connection: &mut AnyConnection,
    tenant: TenantId,
    new: &NewBatch<'_>,
    now: Millis,
) -> Result<(), DbError> {
    if insert_unless_there(connection, tenant, new, now).await? {
        return Ok(());
    }
    Err(DbError::RowCount {
        table: "batches",
        expected: 1,
        found: 0,
    })
}

/// The same; one that is there already stays as it is. Whether it was stored.
///
/// # Errors
/// The driver's.
pub async fn insert_unless_there(
    connection: &mut AnyConnection,
    tenant: TenantId,
    new: &NewBatch<'_>,
    now: Millis,
) -> Result<bool, DbError> {
    let form = new
        .form
        .map(serde_json::to_string)
        .transpose()
        .map_err(|_| DbError::Decode { column: "code_form" })?;
    let first = new
        .first_counter
        .map(i64::try_from)
        .transpose()
        .map_err(|_| DbError::Decode {
            column: "first_counter",
        })?;
    let status = if new.size == 0 {
        BatchStatus::Ready
    } else {
        BatchStatus::Making
    };
    let inserted = sqlx::query("INSERT INTO batches (tenant, id, template, template_version, size, made, claimed, status, created_at, purpose, code_form, first_counter, valid_from, valid_until, code_head) VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING")
        .bind(tenant.bytes().to_vec())
        .bind(new.id.bytes().to_vec())
        .bind(new.template.bytes().to_vec())
        .bind(new.template_version)
        .bind(new.size)
        .bind(status.as_str())
        .bind(now)
        .bind(new.purpose.as_str())
        .bind(form)
        .bind(first)
        .bind(new.validity.0)
        .bind(new.validity.1)
        .bind(new.form.map(Form::head))
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// What making a batch's codes needs.
#[derive(Clone)]
pub struct Making {
    /// How many there are.
    pub made: i64,
    /// How many there are to be.
    pub size: i64,
    /// The form of the codes.
    pub form: Form,
    /// The first counter.
    pub first_counter: u64,
    /// The key behind the codes.
    pub key: [u8; 32],
}

impl std::fmt::Debug for Making {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key.
        write!(f, "Making({} of {})", self.made, self.size)
    }
}

/// Loads what making a batch's codes needs.
///
/// # Errors
/// The driver's, and [`DbError::Decode`].
pub async fn making(connection: &mut AnyConnection, tenant: TenantId, batch: BatchId) -> Result<Making, DbError> {
    let row = sqlx::query("SELECT b.made AS made, b.size AS size, b.code_form AS code_form, b.first_counter AS first_counter, t.code_key AS code_key FROM batches b JOIN tenants t ON t.tenant = b.tenant WHERE b.tenant = $1 AND b.id = $2")
        .bind(tenant.bytes().to_vec())
        .bind(batch.bytes().to_vec())
        .fetch_one(connection)
        .await?;
    let first: i64 = row.try_get("first_counter")?;
    Ok(Making {
        made: row.try_get("made")?,
        size: row.try_get("size")?,
        form: crate::db::batch::json(&row, "code_form")?,
        first_counter: u64::try_from(first).map_err(|_| DbError::Decode {
            column: "first_counter",
        })?,
        key: crate::db::batch::hash(&row, "code_key")?,
    })
}

/// Stores the coupons at the positions from `made` on and moves the batch on, if it is still there.
///
/// # Errors
/// [`DbError::RowCount`] when the batch is elsewhere, or one of the codes is taken.
pub async fn make(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batch: BatchId,
    made: i64,
    coupons: &[(CouponId, String)],
    last: bool,
) -> Result<(), DbError> {
    let count = i64::try_from(coupons.len()).unwrap_or(i64::MAX);
    let status = if last { BatchStatus::Ready } else { BatchStatus::Making };
    let moved = sqlx::query("UPDATE batches SET made = made + $1, status = $2 WHERE tenant = $3 AND id = $4 AND made = $5 AND status = 'making'")
        .bind(count)
        .bind(status.as_str())
        .bind(tenant.bytes().to_vec())
        .bind(batch.bytes().to_vec())
        .bind(made)
        .execute(&mut *connection)
        .await?
        .rows_affected();
    if moved != 1 {
        return Err(DbError::RowCount {
            table: "batches",
            expected: 1,
            found: moved,
        });
    }
    execute(connection, INSERT_COUPONS, tenant, coupons, |b, (id, code)| {
        b.bytes(id.bytes()).text(code).bytes(batch.bytes());
    })
    .await?;
    let (Some((first, _)), Some((last, _))) = (coupons.first(), coupons.last()) else {
        return Ok(());
    };
    // Counted, not taken from the statement: of rows that it selects, a database on several nodes tells how many it has
    // read, whatever became of them.
    // The ids of a batch are its alone, and a range of the primary key.
    let found: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM coupons WHERE tenant = $1 AND id >= $2 AND id <= $3")
        .bind(tenant.bytes().to_vec())
        .bind(first.bytes().to_vec())
        .bind(last.bytes().to_vec())
        .fetch_one(&mut *connection)
        .await?;
    if found == count {
        return days::insert_printed(connection, tenant, *first, *last).await;
    }
    // The positions are ours alone, so a code is taken: trying again would find it taken again.
    Err(DbError::config(format!(
        "{} of {count} codes of batch {batch} are taken",
        count.saturating_sub(found)
    )))
}

/// Closes a batch: nothing more is made or given; what was given stays. False when it was closed before.
///
/// # Errors
/// The driver's.
pub async fn close(connection: &mut AnyConnection, tenant: TenantId, batch: BatchId) -> Result<bool, DbError> {
    let closed =
        sqlx::query("UPDATE batches SET status = 'closed' WHERE tenant = $1 AND id = $2 AND status <> 'closed'")
            .bind(tenant.bytes().to_vec())
            .bind(batch.bytes().to_vec())
            .execute(connection)
            .await?
            .rows_affected();
    Ok(closed == 1)
}

/// A page of a batch's codes: from this position on, each with its state and whether it is anybody's yet.
///
/// # Errors
/// The driver's.
pub async fn codes(
    connection: &mut AnyConnection,
    tenant: TenantId,
    batch: BatchId,
    from: u32,
    limit: i64,
) -> Result<Vec<(String, String)>, DbError> {
    // The ids of a batch are a range of the primary key.
    let rows = sqlx::query("SELECT code, CASE WHEN version = 0 THEN 'waiting' ELSE state END AS state FROM coupons WHERE tenant = $1 AND id >= $2 AND id <= $3 ORDER BY id LIMIT $4")
        .bind(tenant.bytes().to_vec())
        .bind(batch.coupon(from).bytes().to_vec())
        .bind(batch.coupon(u32::MAX).bytes().to_vec())
        .bind(limit)
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| Ok((row.try_get("code")?, row.try_get("state")?)))
        .collect()
}
