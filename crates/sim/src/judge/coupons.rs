//! What is judged of coupons.

use std::collections::BTreeSet;

use anyhow::Result;
use counterfoil_domain::{
    coupons::CouponState,
    ids::{CouponId, DeviceId, OperationId},
    time::Millis,
};
use counterfoil_head_office::coupons;
use sqlx::Row;

use super::{Judged, Violations, balance::Standing, journals::Used};

/// The word of what operations say they used.
pub const COUPON: &str = "coupon";

/// As many cases as uses less one, for every coupon.
pub async fn uses(judged: &Judged<'_>) -> Result<Violations> {
    let journals = judged.journals;
    let mut uses = journals.uses(COUPON);
    let mut snapshot = judged.app.db.snapshot().await?;
    let online = "SELECT h.coupon, n.id, n.ended_at FROM order_freezes n JOIN order_freeze_coupons h ON h.tenant = n.tenant AND h.order_id = n.id WHERE n.status = 'confirmed'";
    for row in sqlx::query(online).fetch_all(&mut *snapshot).await? {
        let coupon = CouponId::from_bytes(&row.try_get::<Vec<u8>, _>("coupon")?)?;
        uses.entry(coupon.0).or_default().push(Used {
            by: OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?,
            at: row.try_get("ended_at")?,
        });
    }
    let ids: Vec<CouponId> = uses.keys().copied().map(CouponId).collect();
    let mut violations = Violations::new();
    for coupon in coupons::rows::load(&mut snapshot, judged.world.base.tenant, &ids, "").await? {
        let holder = match coupon.state {
            CouponState::Redeemed { operation, .. } => Some(operation),
            _ => None,
        };
        let is = Standing {
            what: format!("coupon {}", coupon.code),
            holder,
            surplus: coupon.surplus.iter().map(|used| used.operation).collect(),
            perhaps: journals.perhaps_back((COUPON, coupon.id.0)),
            held: matches!(coupon.state, CouponState::Frozen { .. }),
            ends: Some(coupon.valid_until.unwrap_or(Millis::MAX)),
            owner: coupon.member,
        };
        violations.extend(journals.balance(&is, &uses.remove(&coupon.id.0).unwrap_or_default()));
    }
    Ok(violations)
}

/// A store in which something was used was told of it, whoever it belongs to.
pub async fn told(judged: &Judged<'_>) -> Result<Violations> {
    let (world, journals) = (judged.world, judged.journals);
    let mut violations = Violations::new();
    for (place, copy) in judged.copies {
        let store = world.tills[*place].store;
        let here: BTreeSet<DeviceId> = world
            .tills
            .iter()
            .filter(|till| till.store == store)
            .map(|till| till.device)
            .collect();
        let entries = journals.entries.iter();
        let used_here = entries.filter(|(id, entry)| !journals.is_no_use(id) && here.contains(&entry.device));
        let things = used_here.flat_map(|(_, entry)| &entry.said.used);
        let ids: BTreeSet<CouponId> = things
            .filter(|(word, _)| *word == COUPON)
            .map(|(_, id)| CouponId(*id))
            .collect();
        let ids: Vec<CouponId> = ids.into_iter().collect();
        let mut snapshot = judged.app.db.snapshot().await?;
        // What a restore lost, nobody can be told of.
        for coupon in coupons::rows::load(&mut snapshot, world.base.tenant, &ids, "").await? {
            let key = ("coupon".to_owned(), coupon.id.bytes().to_vec());
            if copy.get(&key).is_none_or(|(_, asked)| *asked) {
                violations.push(format!(
                    "till {place} was not told of coupon {}, used in its store",
                    coupon.code
                ));
            }
        }
    }
    Ok(violations)
}
