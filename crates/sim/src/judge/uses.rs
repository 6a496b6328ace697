//! What was used, by whom, and what there is to show for it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use counterfoil_domain::{
    ids::{CouponId, DeviceId, MemberId, OperationId, OrderId},
    operations::{Action, CollectOrder, RedeemCoupon, VoidRedemption},
    time::{MINUTE, Millis},
};
use counterfoil_head_office::{App, coupons, pickups};
use counterfoil_protocol::operation::open;
use sqlx::Row;

use super::{Violations, copies::Copy};
use crate::world::World;

/// A use of something by an operation, or by an order placed online.
#[derive(Debug, Clone)]
pub(super) struct Used {
    by: OperationId,
    at: Millis,
}

/// What the journals at head office say.
#[derive(Debug, Default)]
pub(super) struct Journals {
    known: BTreeSet<OperationId>,
    pub(super) exceptions: BTreeMap<OperationId, String>,
    /// What has its effect, by device.
    effective: Vec<(DeviceId, OperationId)>,
    actions: BTreeMap<OperationId, (DeviceId, Millis, Action)>,
}

impl Journals {
    pub(super) async fn read(app: &App) -> Result<Self> {
        let mut journals = Self::default();
        let mut snapshot = app.db.snapshot().await?;
        for row in sqlx::query("SELECT id, outcome, detail, body FROM operations ORDER BY id")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let id = OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?;
            journals.known.insert(id);
            let outcome: String = row.try_get("outcome")?;
            if outcome == "applied_with_exception" {
                journals.exceptions.insert(id, row.try_get("detail")?);
            }
            if outcome == "quarantined" {
                continue;
            }
            let body: Vec<u8> = row.try_get("body")?;
            let (_, arrival) = open(0, std::str::from_utf8(&body)?)?;
            journals.effective.push((arrival.device, id));
            if let Some(action) = arrival.action {
                journals
                    .actions
                    .insert(id, (arrival.device, arrival.occurred_at, action));
            }
        }
        for row in sqlx::query("SELECT body FROM branches")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let body: Vec<u8> = row.try_get("body")?;
            journals.known.insert(open(0, std::str::from_utf8(&body)?)?.1.id);
        }
        Ok(journals)
    }

    /// What has no right to an effect: what a device delivers once it is revoked, and what gives away less than nothing.
    pub(super) fn without_right(&self, world: &World) -> Violations {
        let after = self.effective.iter().filter(|(device, operation)| {
            let known = world.revoked.get(device);
            known.is_some_and(|known| !known.contains(operation))
        });
        let mut violations: Violations = after
            .map(|(device, operation)| format!("{operation} of revoked device {device} has its effect"))
            .collect();
        for (id, (.., action)) in &self.actions {
            if let Action::RedeemCoupon(RedeemCoupon { worth, .. }) = action
                && *worth < 0
            {
                violations.push(format!("{id} gives away {worth}"));
            }
        }
        violations
    }

    /// Who was undone: a void counts on the device that did it, and once.
    fn voided(&self) -> BTreeSet<OperationId> {
        let mut voided = BTreeSet::new();
        for (device, _, action) in self.actions.values() {
            if let Action::VoidRedemption(VoidRedemption { target, .. }) = action
                && self.actions.get(target).is_some_and(|(by, ..)| by == device)
            {
                voided.insert(*target);
            }
        }
        voided
    }

    /// A store in which something was used was told of it, whoever it belongs to.
    pub(super) async fn told(&self, world: &World, app: &App, place: usize, copy: &Copy) -> Result<Violations> {
        let store = world.tills[place].store;
        let here: BTreeSet<DeviceId> = world
            .tills
            .iter()
            .filter(|till| till.store == store)
            .map(|till| till.device)
            .collect();
        let mut coupons_used = BTreeSet::new();
        for (id, (device, _, action)) in &self.actions {
            // What nobody had, because a restore took the claim of it back, was not used, and nobody was told of it.
            let no_use = self.exceptions.get(id).is_some_and(|kind| kind == "state_conflict");
            if no_use || !here.contains(device) {
                continue;
            }
            match action {
                Action::RedeemCoupon(RedeemCoupon { coupon, .. }) => coupons_used.extend([*coupon]),
                Action::SettleSale(settled) => coupons_used.extend(settled.coupons.iter().map(|used| used.coupon)),
                _ => {}
            }
        }
        let ids: Vec<CouponId> = coupons_used.into_iter().collect();
        let mut snapshot = app.db.snapshot().await?;
        // What a restore lost, nobody can be told of.
        let known = coupons::rows::load(&mut snapshot, world.base.tenant, &ids, "").await?;
        Ok(known
            .iter()
            .filter(|coupon| {
                let key = ("coupon".to_owned(), coupon.id.bytes().to_vec());
                copy.get(&key).is_none_or(|(_, asked)| *asked)
            })
            .map(|coupon| format!("till {place} was not told of coupon {}, used in its store", coupon.code))
            .collect())
    }

    /// As many cases as uses less one, for every coupon and every order.
    pub(super) async fn uses(&self, app: &App, world: &World) -> Result<Violations> {
        let voided = self.voided();
        let mut of_coupons: BTreeMap<CouponId, Vec<Used>> = BTreeMap::new();
        let mut of_orders: BTreeMap<OrderId, Vec<Used>> = BTreeMap::new();
        let mut given_back: BTreeSet<(OperationId, CouponId)> = BTreeSet::new();
        // A return with a case may have come before its sale did, or after all had gone back.
        let mut perhaps: BTreeSet<(OperationId, CouponId)> = BTreeSet::new();
        for (id, (_, _, action)) in &self.actions {
            if let Action::ReturnSale(back) = action {
                let brought = back.coupons.iter().map(|coupon| (back.target, *coupon));
                match self.exceptions.contains_key(id) {
                    true => perhaps.extend(brought),
                    false => given_back.extend(brought),
                }
            }
        }
        for (id, (_, at, action)) in &self.actions {
            if voided.contains(id) {
                continue;
            }
            let used = Used { by: *id, at: *at };
            match action {
                Action::RedeemCoupon(RedeemCoupon { coupon, .. }) => of_coupons.entry(*coupon).or_default().push(used),
                Action::CollectOrder(CollectOrder { order, .. }) => of_orders.entry(*order).or_default().push(used),
                Action::SettleSale(settled) => {
                    for coupon in &settled.coupons {
                        if !given_back.contains(&(*id, coupon.coupon)) {
                            of_coupons.entry(coupon.coupon).or_default().push(used.clone());
                        }
                    }
                }
                _ => {}
            }
        }
        let mut snapshot = app.db.snapshot().await?;
        let online = "SELECT h.coupon, n.id, n.ended_at FROM order_freezes n JOIN order_freeze_coupons h ON h.tenant = n.tenant AND h.order_id = n.id WHERE n.status = 'confirmed'";
        for row in sqlx::query(online).fetch_all(&mut *snapshot).await? {
            let coupon = CouponId::from_bytes(&row.try_get::<Vec<u8>, _>("coupon")?)?;
            of_coupons.entry(coupon).or_default().push(Used {
                by: OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?,
                at: row.try_get("ended_at")?,
            });
        }
        let mut open_cases = BTreeSet::new();
        for row in sqlx::query("SELECT operation FROM exceptions WHERE status <> 'voided'")
            .fetch_all(&mut *snapshot)
            .await?
        {
            open_cases.insert(OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("operation")?)?);
        }
        let mut violations = Violations::new();
        let tenant = world.base.tenant;
        let ids: Vec<CouponId> = of_coupons.keys().copied().collect();
        for coupon in coupons::rows::load(&mut snapshot, tenant, &ids, "").await? {
            let holder = match coupon.state {
                counterfoil_domain::coupons::CouponState::Redeemed { operation, .. } => Some(operation),
                _ => None,
            };
            let held = matches!(coupon.state, counterfoil_domain::coupons::CouponState::Frozen { .. });
            let uses = of_coupons.remove(&coupon.id).unwrap_or_default();
            let is = Standing {
                what: format!("coupon {}", coupon.code),
                holder,
                surplus: coupon.surplus.iter().map(|used| used.operation).collect(),
                perhaps: perhaps
                    .iter()
                    .filter(|(_, other)| *other == coupon.id)
                    .map(|(id, _)| *id)
                    .collect(),
                held,
                ends: Some(coupon.valid_until.unwrap_or(Millis::MAX)),
                owner: coupon.member,
            };
            violations.extend(self.balance(&is, &uses, &open_cases));
        }
        let ids: Vec<OrderId> = of_orders.keys().copied().collect();
        for order in pickups::rows::load(&mut snapshot, tenant, &ids, "").await? {
            let holder = match order.state {
                counterfoil_domain::pickups::OrderState::Collected { operation, .. } => Some(operation),
                _ => None,
            };
            let held = matches!(
                order.state,
                counterfoil_domain::pickups::OrderState::Ready { freeze: Some(_) }
            );
            let uses = of_orders.remove(&order.id).unwrap_or_default();
            let is = Standing {
                what: format!("order {}", order.number),
                holder,
                surplus: order.surplus.iter().map(|used| used.operation).collect(),
                perhaps: BTreeSet::new(),
                held,
                // Handed over in another store, it is an exception of its own.
                ends: None,
                owner: None,
            };
            violations.extend(self.balance(&is, &uses, &open_cases));
        }
        Ok(violations)
    }
}

/// What head office says of a coupon or an order.
pub(super) struct Standing {
    what: String,
    holder: Option<OperationId>,
    surplus: BTreeSet<OperationId>,
    /// Sales whose use may have gone back.
    perhaps: BTreeSet<OperationId>,
    /// A freeze is on it still.
    held: bool,
    /// Its use alone may have broken a rule besides: when it was used, or by whom it was presented.
    ends: Option<Millis>,
    owner: Option<MemberId>,
}

impl Journals {
    fn balance(&self, is: &Standing, uses: &[Used], cases: &BTreeSet<OperationId>) -> Violations {
        let what = &is.what;
        let mut violations = Violations::new();
        let known: BTreeSet<OperationId> = is.holder.into_iter().chain(is.surplus.iter().copied()).collect();
        // Nobody had the coupon when it was used, so that it could not be: that has a case, and is no use. It may have
        // been claimed before a restore, and by somebody else since.
        let no_use = |by: &OperationId| {
            cases.contains(by) && self.exceptions.get(by).is_some_and(|kind| kind == "state_conflict")
        };
        let uses: Vec<&Used> = uses
            .iter()
            .filter(|used| known.contains(&used.by) || !(no_use(&used.by) || is.perhaps.contains(&used.by)))
            .collect();
        let by: BTreeSet<OperationId> = uses.iter().map(|used| used.by).collect();
        if by != known {
            violations.push(format!("{what}: used by {by:?}, and head office says {known:?}"));
        }
        if is.holder.is_none() && !is.held && !is.surplus.is_empty() {
            violations.push(format!("{what}: used, and belongs to nobody"));
        }
        for used in &uses {
            let has_case = cases.contains(&used.by);
            if Some(used.by) != is.holder {
                // An order placed online that came second was promised its coupon: it has no case.
                if !has_case && self.known.contains(&used.by) {
                    violations.push(format!("{what}: {} is one use too many without a case", used.by));
                }
                continue;
            }
            let sale = matches!(self.actions.get(&used.by), Some((.., Action::SettleSale(_))));
            let late = is.ends.is_none_or(|end| used.at >= end - 10 * MINUTE);
            // Claimed by somebody else since a restore took the claim back.
            let foreign = match self.actions.get(&used.by) {
                Some((.., Action::RedeemCoupon(RedeemCoupon { member, .. }))) => {
                    member.is_some() && is.owner.is_some() && *member != is.owner
                }
                _ => false,
            };
            let too_many = self
                .exceptions
                .get(&used.by)
                .is_some_and(|kind| ["double_redeem", "redeem_while_frozen", "double_pickup"].contains(&kind.as_str()));
            if has_case && too_many && !sale && !late && !foreign {
                let kind = self.exceptions.get(&used.by);
                violations.push(format!(
                    "{what}: {} is the use that counts, and has a case ({kind:?}); uses {uses:?}, beside it {:?}",
                    used.by, is.surplus
                ));
            }
        }
        violations
    }
}

/// Everything that a clerk was told is done is at head office, unless the only disk it was on was set back.
pub(super) fn delivered(world: &World, journals: &Journals, excused: &BTreeSet<usize>) -> Violations {
    world
        .acknowledged
        .iter()
        .filter(|(operation, _)| !journals.known.contains(operation) && !world.gone.contains(operation))
        .filter(|(operation, told)| {
            world.restored == 0 || !(world.fragile.contains(operation) || excused.contains(&told.till))
        })
        .map(|(operation, told)| format!("{} {operation} of till {} is lost", told.what, told.till))
        .collect()
}
