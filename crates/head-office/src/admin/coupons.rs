//! Coupons granted by hand.

use std::collections::BTreeMap;

use counterfoil_domain::{
    codes::coupon_code,
    coupons::{Coupon, CouponState},
    ids::{BatchId, CouponId, StoreId, TemplateId, TenantId},
    time::{DAY, Millis},
};
use jiff::{Timestamp, tz::TimeZone};
use sha2::{Digest, Sha256};
use sqlx::{AnyConnection, Row};

use super::{ACTOR, AdminError, fresh, orders::find_member, rows, tell};
use crate::{
    clock::{Clock, Random},
    coupons,
    db::{Db, DbError},
    stores::enrol::audit,
    sync::feed::Item,
};

/// Most coupons of one grant.
const MOST: u32 = 10_000;

/// A grant to be.
#[derive(Debug, Clone)]
pub struct NewGrant<'a> {
    /// The member's number.
    pub member: &'a str,
    /// Which coupon; its latest published version is given.
    pub template: TemplateId,
    /// How many.
    pub count: u32,
}

/// What was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The issue they belong to.
    pub batch: BatchId,
    /// The coupons and their codes.
    pub coupons: Vec<(CouponId, String)>,
}

struct Terms {
    version: i64,
    prefix: u16,
    valid_from: Option<Millis>,
    valid_until: Option<Millis>,
}

/// Gives a member coupons of a template, in a batch of their own.
///
/// # Errors
/// [`AdminError`].
pub async fn grant_coupons(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    new: &NewGrant<'_>,
) -> Result<Granted, AdminError> {
    if !(1..=MOST).contains(&new.count) {
        return Err(AdminError::malformed("count", format!("1 to {MOST}")));
    }
    let now = clock.now();
    let mut lease = db.lease().await?;
    let mut transaction = lease.begin().await?;
    // The tenant's row is locked: the next code is counted, and nobody else may count meanwhile.
    let lock = db.dialect().lock_suffix();
    let key = rows::load_tenant(&mut transaction, tenant, lock).await?.code_key;
    let member = find_member(&mut transaction, tenant, new.member).await?;
    let terms = terms(&mut transaction, tenant, new.template, now).await?;
    let day = day(now)?;
    let first = codes_made(&mut transaction, tenant, &key, terms.prefix, day).await?;
    let batch = BatchId::new(now, fresh(random)?);
    let mut granted = Vec::new();
    for counter in first..first.saturating_add(u64::from(new.count)) {
        granted.push(Coupon {
            id: CouponId::new(now, fresh(random)?),
            code: coupon_code(&key, terms.prefix, day, counter).ok_or(AdminError::CouponsFull)?,
            member: Some(member.id),
            template: new.template,
            template_version: terms.version,
            batch,
            home_store: member.recent_stores.first().copied(),
            valid_from: terms.valid_from,
            valid_until: terms.valid_until,
            state: CouponState::Available,
            version: 1,
        });
    }
    let count = i64::from(new.count);
    coupons::rows::insert_batch(&mut transaction, tenant, batch, (new.template, terms.version), now).await?;
    coupons::rows::grow_batch(&mut transaction, tenant, batch, count, count).await?;
    let inserted = coupons::rows::insert(&mut transaction, tenant, &granted).await?;
    if inserted != u64::from(new.count) {
        return Err(DbError::RowCount {
            table: "coupons",
            expected: u64::from(new.count),
            found: inserted,
        }
        .into());
    }
    let items: Vec<Item> = granted.iter().map(|coupon| Item::Coupon(coupon.id)).collect();
    let news: BTreeMap<StoreId, Vec<Item>> = member
        .recent_stores
        .iter()
        .map(|store| (*store, items.clone()))
        .collect();
    audit(
        &mut transaction,
        random,
        tenant,
        now,
        ACTOR,
        "coupons.granted",
        &batch.to_string(),
    )
    .await?;
    tell(&mut transaction, random, tenant, &news).await?;
    transaction.commit().await.map_err(DbError::from)?;
    Ok(Granted {
        batch,
        coupons: granted.into_iter().map(|coupon| (coupon.id, coupon.code)).collect(),
    })
}

async fn terms(
    connection: &mut AnyConnection,
    tenant: TenantId,
    template: TemplateId,
    now: Millis,
) -> Result<Terms, AdminError> {
    let row = sqlx::query(
        "SELECT template_version, product_line, category, valid_from, valid_until, valid_days FROM templates WHERE tenant = $1 AND id = $2 AND status = 'published' ORDER BY template_version DESC LIMIT 1",
    )
    .bind(tenant.bytes().to_vec())
    .bind(template.bytes().to_vec())
    .fetch_optional(connection)
    .await
    .map_err(DbError::from)?
    .ok_or_else(|| AdminError::NotFound(format!("there is no published template {template}")))?;
    let read = || -> Result<Terms, sqlx::Error> {
        let days: Option<i64> = row.try_get("valid_days")?;
        let line: String = row.try_get("product_line")?;
        let category: String = row.try_get("category")?;
        Ok(Terms {
            version: row.try_get("template_version")?,
            prefix: line_and_category(&line, &category),
            valid_from: row.try_get("valid_from")?,
            valid_until: match days {
                Some(days) => Some(now.saturating_add(days.saturating_mul(DAY))),
                None => row.try_get("valid_until")?,
            },
        })
    };
    Ok(read().map_err(DbError::from)?)
}

/// The first four digits of a coupon code: two of the product line and two of the category where these are numbers,
/// else digits that are always the same for the same words.
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

fn day(now: Millis) -> Result<u32, AdminError> {
    let at = Timestamp::from_millisecond(now).map_err(|_| AdminError::malformed("clock", "a time of this century"))?;
    let date = at.to_zoned(TimeZone::UTC).date();
    let number = i32::from(date.year()) % 100 * 10_000 + i32::from(date.month()) * 100 + i32::from(date.day());
    u32::try_from(number).map_err(|_| AdminError::malformed("clock", "a time of this century"))
}

/// How many codes of this day there are: the next one's number, as they are made in order.
async fn codes_made(
    connection: &mut AnyConnection,
    tenant: TenantId,
    key: &[u8; 32],
    prefix: u16,
    day: u32,
) -> Result<u64, AdminError> {
    let sample = coupon_code(key, prefix, day, 0).ok_or(AdminError::CouponsFull)?;
    let head: String = sample.chars().take(10).collect();
    let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM coupons WHERE tenant = $1 AND code >= $2 AND code <= $3")
        .bind(tenant.bytes().to_vec())
        .bind(format!("{head}00000000"))
        .bind(format!("{head}99999999"))
        .fetch_one(connection)
        .await
        .map_err(DbError::from)?;
    Ok(u64::try_from(count).unwrap_or(0))
}
