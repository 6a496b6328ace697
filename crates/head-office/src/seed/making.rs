//! The rows themselves: what the `index`th member, coupon or order is. Nothing here reads or writes a database.

use counterfoil_domain::{
    codes::coupon_code,
    coupons::{Coupon, CouponState},
    ids::{BatchId, CouponId, MemberId, OrderId},
    people::Store,
    pickups::{Order, OrderState},
    time::{DAY, HOUR},
};

use super::{
    Work,
    numbers::{Kind, Numbers},
    words,
};
use crate::coupons::codes;

/// Coupon codes carry their day; demo coupons carry days that never are, one for each seed.
const DEMO_DAY: u64 = 900_000;

impl Work<'_> {
    pub(super) fn batch(&self, template: u64) -> BatchId {
        let (place, at, bytes) = self.ids.of(self.plan.seed, Kind::Batch, template);
        BatchId::placed(place, at, bytes)
    }

    /// The store of the `index`th thing.
    pub(super) fn store(&self, index: u64) -> Option<&Store> {
        let place = index % self.plan.stores;
        self.stores.get(usize::try_from(place).ok()?)
    }

    pub(super) fn member_id(&self, index: u64) -> MemberId {
        let (place, at, bytes) = self.ids.of(self.plan.seed, Kind::Member, index);
        MemberId::placed(place, at, bytes)
    }

    /// A member of the store at `place` for its `nth` coupon or order, and how many members that store has.
    pub(super) fn member_of(&self, place: u64, nth: u64) -> Option<(MemberId, u64)> {
        let count = (self.plan.members + self.plan.stores - 1 - place) / self.plan.stores;
        (count > 0).then(|| (self.member_id(place + self.plan.stores * (nth % count)), count))
    }

    pub(super) fn coupon_id(&self, index: u64) -> CouponId {
        let (place, at, bytes) = self.ids.of(self.plan.seed, Kind::Coupon, index);
        CouponId::placed(place, at, bytes)
    }

    pub(super) fn coupon(&self, index: u64) -> Option<Coupon> {
        let (place, nth) = (index % self.plan.stores, index / self.plan.stores);
        // One in sixteen is a shop's own flyer, which belongs to whoever holds it.
        let member = if nth % 16 == 15 {
            None
        } else {
            self.member_of(place, nth)
        };
        // A member's second coupon is another one than the first.
        let round = member.map_or(0, |(_, count)| nth / count);
        let kind = (nth + round) % u64::try_from(self.templates.len()).ok()?;
        let template = self.templates.get(usize::try_from(kind).ok()?)?;
        let prefix = codes::line_and_category(&template.product_line, &template.category);
        let day = u32::try_from(DEMO_DAY + self.plan.seed).ok()?;
        let (valid_from, valid_until) = match nth % 16 {
            13 => (self.now - 120 * DAY, self.now - 30 * DAY),
            7 => (self.now + 7 * DAY, self.now + 97 * DAY),
            _ => (self.now - HOUR, self.now + 365 * DAY),
        };
        Some(Coupon {
            id: self.coupon_id(index),
            code: coupon_code(&self.code_key, prefix, day, index)?,
            member: member.map(|(id, _)| id),
            template: template.template.id,
            template_version: template.template.version,
            batch: self.batch(kind),
            home_store: self.store(index).map(|store| store.id),
            valid_from: Some(valid_from),
            valid_until: Some(valid_until),
            state: CouponState::Available,
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        })
    }

    pub(super) fn order_id(&self, index: u64) -> OrderId {
        let (place, at, bytes) = self.ids.of(self.plan.seed, Kind::Order, index);
        OrderId::placed(place, at, bytes)
    }

    /// The order without its code.
    pub(super) fn order(&self, index: u64) -> Option<Order> {
        let (place, nth) = (index % self.plan.stores, index / self.plan.stores);
        let mut numbers = Numbers::of(self.plan.seed, Kind::Order, index);
        let member = self.member_of(place, nth).map(|(id, _)| id);
        Some(Order {
            id: self.order_id(index),
            number: format!("P{:05}-{index:06}", self.plan.seed),
            code: String::new(),
            store: self.store(index)?.id,
            member,
            collector: if member.is_some() {
                "会员本人 / the member"
            } else {
                "门店骑手 / the store's courier"
            }
            .to_owned(),
            // Some have waited too long.
            deadline: Some(if nth % 12 == 9 {
                self.now - 2 * DAY
            } else {
                self.now + 14 * DAY
            }),
            lines: words::lines(&mut numbers),
            state: if nth % 12 == 11 {
                OrderState::Cancelled
            } else {
                OrderState::Ready { freeze: None }
            },
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        })
    }
}
