//! Typed look-ups that find nothing are counted by device: whoever holds a device's key can't try codes without end,
//! whatever the counter's own limits say. A counter stops at 20 unknown codes a day; a manager may lift that, so there
//! is room here for two more such days.

use std::hash::{DefaultHasher, Hash, Hasher};

use counterfoil_domain::{
    ids::{DeviceId, StoreId, TenantId},
    time::{DAY, Millis},
    typed,
    words::Word,
};
use counterfoil_protocol::{
    problem::{Code, Problem},
    questions::LookupRequest,
};
use sqlx::{AnyConnection, Row};
use tokio::sync::{Mutex, MutexGuard};

use crate::{
    app::App,
    db::DbError,
    deed::{Actor, Deed},
    http::ApiError,
};

/// Unknown codes of one device in a day.
pub const CODES: i64 = 60;
/// Unknown membership numbers and phone numbers of one device in a day: many who stand at a till are no members.
pub const MEMBERS: i64 = 300;
/// Unknown codes of one store in a day that a person at head office should hear of.
pub const ALARM: i64 = 60;

/// What was typed, where that can be guessed. Tokens and ids can't.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr, strum::EnumString)]
#[strum(serialize_all = "snake_case")]
pub enum Typed {
    /// A code of a coupon or of a pickup order.
    Code,
    /// A member's number or phone number.
    Member,
}

impl Typed {
    /// Whether the question is of something typed, and whether that has the form of anything at all: what has not finds
    /// nothing, and is no guess.
    pub fn of(asked: &LookupRequest) -> Option<(Self, bool)> {
        match asked {
            LookupRequest::CouponCode(code) => Some((Self::Code, typed::coupon_code(code).is_some())),
            LookupRequest::PickupCode(code) => Some((Self::Code, typed::pickup_code(code).is_some())),
            LookupRequest::MemberNumber(text) => Some((Self::Member, is_formed(&typed::member_number(text)))),
            LookupRequest::Phone(text) => Some((Self::Member, is_formed(&typed::phone(text)))),
            LookupRequest::Coupon(_) | LookupRequest::Order(_) | LookupRequest::Member(_) => None,
        }
    }
    fn limit(self) -> i64 {
        match self {
            Self::Code => CODES,
            Self::Member => MEMBERS,
        }
    }
}

/// Whether it may be anybody's number.
fn is_formed(number: &str) -> bool {
    (1..=64).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Lets each device ask one typed question at a time: many at once would all see the same count.
#[derive(Debug)]
pub struct Turns([Mutex<()>; 64]);

impl Default for Turns {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Mutex::new(())))
    }
}

impl Turns {
    /// Waits for this device's turn.
    pub async fn take(&self, device: DeviceId) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        device.hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % 64).unwrap_or(0);
        match self.0.get(place) {
            Some(turn) => turn.lock().await,
            None => self.0[0].lock().await,
        }
    }
}

fn limited(now: Millis) -> ApiError {
    let seconds = u64::try_from((DAY - now.rem_euclid(DAY)) / 1_000).unwrap_or(0).max(1);
    Problem {
        retry_after: Some(seconds),
        ..Problem::new(Code::RateLimited)
    }
    .into()
}

/// Refuses a device that has typed too much that does not exist today.
///
/// # Errors
/// `rate_limited`, and the driver's.
pub async fn check(
    connection: &mut AnyConnection,
    tenant: TenantId,
    device: DeviceId,
    typed: Typed,
    now: Millis,
) -> Result<(), ApiError> {
    let row =
        sqlx::query("SELECT misses FROM lookup_misses WHERE tenant = $1 AND device = $2 AND what = $3 AND day = $4")
            .bind(tenant.bytes().to_vec())
            .bind(device.bytes().to_vec())
            .bind(typed.as_str().to_owned())
            .bind(now.div_euclid(DAY))
            .fetch_optional(connection)
            .await
            .map_err(DbError::from)?;
    let misses: i64 = row.map_or(Ok(0), |row| row.try_get("misses")).map_err(DbError::from)?;
    if misses >= typed.limit() {
        return Err(limited(now));
    }
    Ok(())
}

/// Counts a question that found nothing, before it is answered.
///
/// # Errors
/// `rate_limited` when the limit was reached meanwhile, and the driver's.
pub async fn note(
    app: &App,
    tenant: TenantId,
    device: DeviceId,
    store: StoreId,
    typed: Typed,
    now: Millis,
) -> Result<(), ApiError> {
    let day = now.div_euclid(DAY);
    let mut lease = app.db.lease().await?;
    let actor = Actor::of(tenant, "head office");
    let mut deed = Deed::new(lease.begin().await?, app.random.as_ref(), actor, now);
    let counted = sqlx::query(
        "INSERT INTO lookup_misses (tenant, device, what, day, store, misses) VALUES ($1, $2, $3, $4, $5, 1) \
         ON CONFLICT (tenant, device, what, day) DO UPDATE SET misses = lookup_misses.misses + 1 \
         WHERE lookup_misses.misses < $6",
    )
    .bind(tenant.bytes().to_vec())
    .bind(device.bytes().to_vec())
    .bind(typed.as_str().to_owned())
    .bind(day)
    .bind(store.bytes().to_vec())
    .bind(typed.limit())
    .execute(&mut *deed)
    .await
    .map_err(DbError::from)?
    .rows_affected();
    if counted == 0 {
        return Err(limited(now));
    }
    if typed == Typed::Code {
        let of_store: i64 = sqlx::query(
            "SELECT CAST(SUM(misses) AS BIGINT) AS misses FROM lookup_misses \
             WHERE tenant = $1 AND store = $2 AND day = $3 AND what = 'code'",
        )
        .bind(tenant.bytes().to_vec())
        .bind(store.bytes().to_vec())
        .bind(day)
        .fetch_one(&mut *deed)
        .await
        .and_then(|row| row.try_get("misses"))
        .map_err(DbError::from)?;
        // Once a day: whoever makes it full.
        if of_store == ALARM {
            metrics::counter!("counterfoil_guessing_alarms_total").increment(1);
            tracing::warn!(%tenant, %store, "many unknown codes are typed at this store today");
            let store = store.to_string();
            deed.audit("store.guessing", &store).await?;
        }
    }
    deed.commit("questions.note").await?;
    Ok(())
}
