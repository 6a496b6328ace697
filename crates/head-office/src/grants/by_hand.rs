//! Coupons granted by hand.

use crate::{
    batches::{self, Purpose, rows::NewBatch},
    clock::{Clock, Random},
    coupons::{
        self,
        codes::{self, Codes},
        terms::Latest,
    },
    db::{Db, DbError},
    deed::{Actor, AdminError, Deed, fresh},
    feed::Item,
    grants::{NotMade, granted},
    pickups::by_hand::find_member,
};
use counterfoil_domain::{
    code_policy::CodePolicy,
    coupons::{Coupon, CouponState},
    ids::{BatchId, CouponId, TemplateId, TenantId},
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
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), now);
    let member = find_member(&mut deed, tenant, new.member).await?;
    let Latest { terms, line, category } = match granted(&mut deed, tenant, new.template, now).await {
        Ok(latest) => latest,
        Err(NotMade::Over) => return Err(AdminError::TemplateOver),
        Err(NotMade::Db(error)) => return Err(error.into()),
        Err(NotMade::NoTemplate | NotMade::Length | NotMade::UnknownMembers(_)) => {
            return Err(AdminError::NotFound(format!(
                "there is no published template {}",
                new.template
            )));
        }
    };
    let (valid_from, valid_until) = terms.validity(now);
    let codes = Codes::load(&mut deed, tenant).await?;
    let form = codes.form(&line, &category, now)?;
    let first = codes::reserve(&mut deed, tenant, &form, u64::from(new.count)).await?;
    let batch = BatchId::placed(member.id.place(), now, fresh(random)?);
    let mut given = Vec::new();
    for (counter, position) in (first..).zip(0..new.count) {
        given.push(Coupon {
            id: batch.coupon(position),
            code: form.code(codes.key(), counter).ok_or(AdminError::CouponsFull)?,
            member: Some(member.id),
            template: new.template,
            template_version: terms.version,
            batch,
            home_store: member.recent_stores.first().copied(),
            valid_from,
            valid_until,
            state: CouponState::Available,
            version: Coupon::ISSUED,
            surplus: Vec::new(),
            told: Vec::new(),
        });
    }
    let count = i64::from(new.count);
    let row = NewBatch {
        id: batch,
        template: new.template,
        template_version: terms.version,
        size: 0,
        purpose: Purpose::Grant,
        form: Some(&form),
        first_counter: Some(first),
        validity: (None, None),
    };
    batches::rows::insert(&mut deed, tenant, &row, now).await?;
    coupons::rows::grow_batch(&mut deed, tenant, batch, count, count).await?;
    let inserted = coupons::rows::insert(&mut deed, tenant, &given).await?;
    if inserted != u64::from(new.count) {
        return Err(DbError::RowCount {
            table: "coupons",
            expected: u64::from(new.count),
            found: inserted,
        }
        .into());
    }
    coupons::days::insert(&mut deed, tenant, &given, now).await?;
    for store in &member.recent_stores {
        for coupon in &given {
            deed.tell(*store, Item::Coupon(coupon.id));
        }
    }
    deed.audit("coupons.granted", &batch.to_string()).await?;
    deed.commit("admin.grant_coupons").await?;
    Ok(Granted {
        batch,
        coupons: given.into_iter().map(|coupon| (coupon.id, coupon.code)).collect(),
    })
}

/// The policy of a tenant's coupon codes; with `new`, that one from now on. Codes already made, and batches that were
/// begun, keep theirs.
///
/// # Errors
/// [`AdminError`].
pub async fn code_policy(
    db: &Db,
    clock: &dyn Clock,
    random: &dyn Random,
    tenant: TenantId,
    new: Option<CodePolicy>,
) -> Result<CodePolicy, AdminError> {
    let mut lease = db.lease().await?;
    let mut deed = Deed::new(lease.begin().await?, random, Actor::admin(tenant), clock.now());
    if let Some(new) = &new {
        codes::set_policy(&mut deed, tenant, new).await?;
        let detail = serde_json::to_string(new).unwrap_or_default();
        let action = "tenant.code_policy_set";
        deed.audit(action, &detail).await?;
    }
    let codes = Codes::load(&mut deed, tenant).await?;
    deed.commit("admin.code_policy").await?;
    Ok(codes.policy().clone())
}
