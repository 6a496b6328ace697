//! Making coupon codes: the tenant's policy, the form of a day's codes, and the counters behind them.

use counterfoil_domain::{
    code_policy::{CodePolicy, Form},
    ids::TenantId,
    time::Millis,
};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};

use crate::db::{DbError, batch::hash};
use crate::deed::AdminError;

/// What a tenant's codes are made with.
pub struct Codes {
    policy: CodePolicy,
    key: [u8; 32],
}

impl std::fmt::Debug for Codes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the key.
        f.debug_struct("Codes").field("policy", &self.policy).finish()
    }
}

/// Why there is no code.
#[derive(Debug, thiserror::Error)]
pub enum NoCode {
    /// All digits of this line and day are used up.
    #[error("there are no codes left for this product line today")]
    Full,
    /// The database's.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Codes {
    /// Loads a tenant's policy and key.
    ///
    /// # Errors
    /// The driver's, and [`DbError::Decode`] when the policy does not read.
    pub async fn load(connection: &mut AnyConnection, tenant: TenantId) -> Result<Self, DbError> {
        let row = sqlx::query("SELECT code_policy, code_key FROM tenants WHERE tenant = $1")
            .bind(tenant.bytes().to_vec())
            .fetch_one(connection)
            .await?;
        let policy: Option<String> = row.try_get("code_policy")?;
        Ok(Self {
            policy: match policy {
                Some(policy) => serde_json::from_str(&policy).map_err(|_| DbError::Decode { column: "code_policy" })?,
                None => CodePolicy::default(),
            },
            key: hash(&row, "code_key")?,
        })
    }

    /// The form of the codes of this product line and category that are made now.
    ///
    /// # Errors
    /// When the clock is in another century.
    pub fn form(&self, line: &str, category: &str, now: Millis) -> Result<Form, DbError> {
        day(now)
            .and_then(|day| self.policy.form(&self.key, line_and_category(line, category), day))
            .ok_or_else(|| DbError::config("the clock shows no day of this century"))
    }

    /// The policy.
    pub fn policy(&self) -> &CodePolicy {
        &self.policy
    }

    /// The key behind the codes.
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// Says which digits a tenant's codes have from now on.
///
/// # Errors
/// The driver's.
pub async fn set_policy(connection: &mut AnyConnection, tenant: TenantId, policy: &CodePolicy) -> Result<(), DbError> {
    let policy = serde_json::to_string(policy).map_err(|_| DbError::Decode { column: "code_policy" })?;
    sqlx::query("UPDATE tenants SET code_policy = $1 WHERE tenant = $2")
        .bind(policy)
        .bind(tenant.bytes().to_vec())
        .execute(connection)
        .await?;
    Ok(())
}

/// The four digits of product line and category: two of each where these are numbers, else digits that are always the
/// same for the same words.
pub(crate) fn line_and_category(line: &str, category: &str) -> u16 {
    let both = format!("{line}{category}");
    if both.len() == 4
        && let Ok(digits) = both.parse()
    {
        return digits;
    }
    let digest = Sha256::digest(format!("{line}\n{category}").as_bytes());
    u16::from_be_bytes([digest[0], digest[1]]) % 10_000
}

fn day(now: Millis) -> Option<u32> {
    let date = Timestamp::from_millisecond(now).ok()?.to_zoned(TimeZone::UTC).date();
    let number = i32::from(date.year()) % 100 * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day());
    u32::try_from(number).ok()
}

/// Takes so many counters of this form; the first of them. Nobody else ever gets them, whether or not they are used.
///
/// # Errors
/// [`NoCode`].
pub async fn reserve(connection: &mut AnyConnection, tenant: TenantId, form: &Form, count: u64) -> Result<u64, NoCode> {
    let head = form.head();
    let wanted = i64::try_from(count).map_err(|_| NoCode::Full)?;
    let mut next = advance(connection, tenant, &head, wanted).await?;
    if next.is_none() {
        // Codes from before there were counters were made in order, so their number is the next counter.
        let made = match form.span() {
            Some((first, last)) => {
                sqlx::query_scalar("SELECT COUNT(*) FROM coupons WHERE tenant = $1 AND code >= $2 AND code <= $3")
                    .bind(tenant.bytes().to_vec())
                    .bind(first)
                    .bind(last)
                    .fetch_one(&mut *connection)
                    .await
                    .map_err(DbError::from)?
            }
            None => 0i64,
        };
        sqlx::query("INSERT INTO code_counters (tenant, head, next) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING")
            .bind(tenant.bytes().to_vec())
            .bind(head.clone())
            .bind(made)
            .execute(&mut *connection)
            .await
            .map_err(DbError::from)?;
        next = advance(connection, tenant, &head, wanted).await?;
    }
    let next = next
        .and_then(|next| u64::try_from(next).ok())
        .ok_or(DbError::Decode { column: "next" })?;
    if next > form.room() {
        return Err(NoCode::Full);
    }
    next.checked_sub(count).ok_or(NoCode::Full)
}

async fn advance(
    connection: &mut AnyConnection,
    tenant: TenantId,
    head: &str,
    count: i64,
) -> Result<Option<i64>, DbError> {
    Ok(
        sqlx::query_scalar("UPDATE code_counters SET next = next + $1 WHERE tenant = $2 AND head = $3 RETURNING next")
            .bind(count)
            .bind(tenant.bytes().to_vec())
            .bind(head.to_owned())
            .fetch_optional(connection)
            .await?,
    )
}

impl From<NoCode> for AdminError {
    fn from(error: NoCode) -> Self {
        match error {
            NoCode::Full => Self::CouponsFull,
            NoCode::Db(error) => Self::Db(error),
        }
    }
}
