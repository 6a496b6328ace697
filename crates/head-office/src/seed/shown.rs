//! What of the data is printed: enough to try everything by hand.

use counterfoil_domain::{
    coupons::{Coupon, CouponState, OfflinePolicy},
    ids::{CouponId, MemberId, OrderId},
    pickups::{Order, OrderState},
    time::DAY,
    tokens::{Bearer, Token},
    words::Word,
};

use super::{
    Seeded, SeededClerk, SeededCoupon, SeededMember, SeededProduct, SeededStore, TENANT, Work, products, words,
};
use crate::{coupons, db::DbError, members, pickups, tenants};

const COUPONS: usize = 12;
const PICKUPS: usize = 6;
const MEMBERS: usize = 4;
const PRODUCTS: usize = 6;
const COUPON_TOKENS: usize = 3;
const PICKUP_TOKENS: usize = 2;
/// How many of the first store's rows are looked at to find these.
const LOOKED_AT: u64 = 400;
const TOKEN_LASTS: i64 = 365 * DAY;

impl Work<'_> {
    /// What there is now.
    pub(super) async fn show(self) -> Result<Seeded, DbError> {
        let mut snapshot = self.db.snapshot().await?;
        // Every `stores`th row is one of the first store.
        let of_first = |count: u64| (0..count).step_by(usize::try_from(self.plan.stores).unwrap_or(usize::MAX));
        let look = usize::try_from(LOOKED_AT).unwrap_or(usize::MAX);
        let ids: Vec<CouponId> = of_first(self.plan.coupons)
            .take(look)
            .map(|index| self.coupon_id(index))
            .collect();
        let coupons = coupons::rows::load(&mut snapshot, self.tenant, &ids, "").await?;
        let coupons = self.usable(coupons);
        let ids: Vec<OrderId> = of_first(self.plan.pickups)
            .take(look)
            .map(|index| self.order_id(index))
            .collect();
        let mut orders = pickups::rows::load(&mut snapshot, self.tenant, &ids, "").await?;
        orders.retain(|order| {
            matches!(order.state, OrderState::Ready { .. }) && order.deadline.is_none_or(|deadline| self.now < deadline)
        });
        let mut members: Vec<MemberId> = Vec::new();
        for member in coupons.iter().filter_map(|(coupon, _)| coupon.member) {
            if members.len() < MEMBERS && !members.contains(&member) {
                members.push(member);
            }
        }
        let members = members::rows::load(&mut snapshot, self.tenant, &members, "").await?;
        let wares = products::all(self.ids, &self.currency);
        let skus: Vec<&str> = wares.iter().map(|(_, _, product)| product.sku.as_str()).collect();
        let products = crate::products::rows::by_sku(&mut snapshot, self.tenant, &skus).await?;
        let key = tenants::rows::signing_key(&mut snapshot, self.tenant).await?;
        drop(snapshot);

        let mut tokens = Vec::new();
        if let Some((key_id, key)) = key {
            let sign = |bearer, store| {
                let token = Token {
                    key_id,
                    bearer,
                    store,
                    issued_at: self.now,
                    expires_at: self.now + TOKEN_LASTS,
                };
                token.sign(&key)
            };
            for (coupon, _) in others(&coupons, COUPONS, COUPON_TOKENS) {
                let bearer = Bearer::Coupon {
                    coupon: coupon.id,
                    template: coupon.template,
                    template_version: u32::try_from(coupon.template_version).unwrap_or(0),
                };
                tokens.push(sign(bearer, None));
            }
            for order in others(&orders, PICKUPS, PICKUP_TOKENS) {
                tokens.push(sign(Bearer::Pickup(order.id), Some(order.store)));
            }
        }
        Ok(Seeded {
            tenant: TENANT.to_owned(),
            stores: self
                .stores
                .iter()
                .map(|store| SeededStore {
                    code: store.code.clone(),
                    name_zh: store.name_zh.clone(),
                    name_en: store.name_en.clone(),
                })
                .collect(),
            clerks: self
                .stores
                .iter()
                .flat_map(|store| words::CLERKS.map(|clerk| (store, clerk)))
                .map(|(store, (name, manager, pin))| SeededClerk {
                    store: store.code.clone(),
                    name: name.to_owned(),
                    pin: pin.to_owned(),
                    role: if manager { "manager" } else { "clerk" }.to_owned(),
                })
                .collect(),
            coupons: coupons
                .iter()
                .take(COUPONS)
                .map(|(coupon, shown)| SeededCoupon {
                    code: coupon.code.clone(),
                    ..shown.clone()
                })
                .collect(),
            pickups: orders
                .iter()
                .take(PICKUPS)
                .map(|order: &Order| order.code.clone())
                .collect(),
            members: members
                .into_iter()
                .map(|(_, member)| SeededMember {
                    code: member.number,
                    name: member.name,
                })
                .collect(),
            products: products
                .into_iter()
                .filter(|(_, product)| product.active)
                .filter_map(|(_, product)| {
                    Some(SeededProduct {
                        code: product.barcodes.first()?.clone(),
                        name_zh: product.name_zh,
                        name_en: product.name_en,
                    })
                })
                .take(PRODUCTS)
                .collect(),
            tokens,
            already_there: self.added == super::Added::default(),
            added: self.added,
        })
    }

    /// Those that the first store can redeem now, the policies in turn.
    fn usable(&self, coupons: Vec<Coupon>) -> Vec<(Coupon, SeededCoupon)> {
        let mut by_policy = [Vec::new(), Vec::new(), Vec::new()];
        for coupon in coupons {
            let in_time = coupon.valid_from.is_none_or(|from| from <= self.now) && !coupon.is_expired_at(self.now);
            if coupon.state != CouponState::Available || !in_time {
                continue;
            }
            let Some(new) = self.templates.iter().find(|new| new.template.id == coupon.template) else {
                continue;
            };
            let template = &new.template;
            let place = match template.offline {
                OfflinePolicy::HomeStore => 0,
                OfflinePolicy::FloorLimit => 1,
                OfflinePolicy::OnlineOnly => 2,
            };
            let shown = SeededCoupon {
                code: String::new(),
                name_zh: template.name_zh.clone(),
                name_en: template.name_en.clone(),
                offline: template.offline.as_str().to_owned(),
            };
            by_policy[place].push((coupon, shown));
        }
        let mut queues = by_policy.map(Vec::into_iter);
        let mut all = Vec::new();
        loop {
            let before = all.len();
            for queue in &mut queues {
                all.extend(queue.next());
            }
            if all.len() == before {
                return all;
            }
        }
    }
}

/// `wanted` rows behind the `shown` first ones, or, if there are too few, the last of all.
fn others<T>(rows: &[T], shown: usize, wanted: usize) -> &[T] {
    let from = shown.min(rows.len().saturating_sub(wanted));
    rows.get(from..rows.len().min(from + wanted)).unwrap_or_default()
}
