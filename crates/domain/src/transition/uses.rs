//! How coupons and pickup orders are used, and how a use goes away. See [`crate::surplus`] for the rule about uses that
//! are one too many.

use uuid::Uuid;

use super::{Case, Changes, Closed, CouponEntry, Device, Doing, Excused, NeedKeys, State, Subject, told::tell};
use crate::{
    coupons::{Coupon, CouponState, ONLINE_DEVICE, ONLINE_STORE},
    ids::{ClerkId, DeviceId, FreezeId, OperationId, StoreId},
    operations::ExceptionKind,
    planted,
    sales::Sale,
    surplus::Surplus,
    time::Millis,
};

/// Who takes a step, where, when: a line of the coupon's own record.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) at: Millis,
    pub(super) store: StoreId,
    pub(super) device: DeviceId,
    pub(super) actor: Option<ClerkId>,
    /// The operation or freeze behind it.
    pub(super) source: Uuid,
}

impl Step {
    /// A step of head office itself: of an order placed online, or of time.
    pub(super) fn online(source: FreezeId, by: Option<Uuid>, at: Millis) -> Self {
        Self {
            at,
            store: ONLINE_STORE,
            device: ONLINE_DEVICE,
            actor: by.map(ClerkId),
            source: source.0,
        }
    }

    /// A step of a device's freeze.
    pub(super) fn of_freeze(owner: &Device, freeze: FreezeId, at: Millis) -> Self {
        Self {
            at,
            store: owner.store,
            device: owner.id,
            actor: None,
            source: freeze.0,
        }
    }

    /// The store that sees it happen.
    fn place(&self) -> Option<StoreId> {
        (self.store != ONLINE_STORE).then_some(self.store)
    }
}

impl From<&Doing> for Step {
    fn from(doing: &Doing) -> Self {
        Self {
            at: doing.times.occurred_at,
            store: doing.store,
            device: doing.device,
            actor: doing.actor,
            source: doing.operation.0,
        }
    }
}

impl From<&Surplus> for Step {
    fn from(used: &Surplus) -> Self {
        Self {
            at: used.at,
            store: used.store,
            device: used.device,
            actor: used.actor,
            source: used.operation.0,
        }
    }
}

/// Whether the step is told to counters: a counter's own freeze is over before it would be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Everywhere,
    Nowhere,
}

/// Writes one step of a coupon: the row, a line of its record, and who hears of it.
pub(super) fn write(
    state: &State,
    mut coupon: Coupon,
    what: &'static str,
    step: Step,
    heard: Heard,
    changes: &mut Changes,
) -> Result<Coupon, NeedKeys> {
    if heard == Heard::Everywhere {
        tell(state, &mut coupon, step.place(), changes)?;
    }
    coupon.version = coupon.version.saturating_add(1);
    changes.entries.push(CouponEntry {
        coupon: coupon.id,
        version: coupon.version,
        what,
        at: step.at,
        store: step.store,
        device: step.device,
        actor: step.actor,
        source: step.source,
    });
    changes.coupons.push(coupon.clone());
    Ok(coupon)
}

/// The coupon belongs to this use from now on.
pub(super) fn use_up(
    state: &State,
    coupon: Coupon,
    operation: OperationId,
    step: Step,
    changes: &mut Changes,
) -> Result<Coupon, NeedKeys> {
    let coupon = Coupon {
        state: CouponState::Redeemed {
            operation,
            at: step.at,
            store: step.store,
        },
        ..coupon
    };
    write(state, coupon, "redeemed", step, Heard::Everywhere, changes)
}

/// The coupon was used once more, while it belonged to somebody else.
pub(super) fn use_again(
    state: &State,
    mut coupon: Coupon,
    used: Surplus,
    changes: &mut Changes,
) -> Result<Coupon, NeedKeys> {
    if planted!("surplus_forgotten", false, true) {
        coupon.surplus.push(used);
    }
    write(
        state,
        coupon,
        "used_again",
        Step::from(&used),
        Heard::Everywhere,
        changes,
    )
}

/// Whoever had the coupon lets go of it: it is free, or it belongs to the first of those who used it meanwhile.
pub(super) fn let_go(
    state: &State,
    coupon: &Coupon,
    what: &'static str,
    step: Step,
    now: Millis,
    heard: Heard,
    changes: &mut Changes,
) -> Result<Coupon, NeedKeys> {
    let next = Coupon {
        state: coupon.state_when_given_back(now),
        ..coupon.clone()
    };
    let coupon = write(state, next, what, step, heard, changes)?;
    hand_on(state, coupon, changes)
}

/// A coupon that nobody has any more belongs to the first of those who used it meanwhile, whose case is closed.
fn hand_on(state: &State, mut coupon: Coupon, changes: &mut Changes) -> Result<Coupon, NeedKeys> {
    if coupon.surplus.is_empty() || planted!("surplus_not_handed_on", true, false) {
        return Ok(coupon);
    }
    let first = coupon.surplus.remove(0);
    let coupon = use_up(state, coupon, first.operation, Step::from(&first), changes)?;
    excuse(state, &first, Subject::Coupon(coupon.id), changes)?;
    Ok(coupon)
}

/// The coupon as it is once a freeze that lapsed no longer keeps it from whoever used it meanwhile.
pub(super) fn settled(state: &State, coupon: &Coupon, now: Millis, changes: &mut Changes) -> Result<Coupon, NeedKeys> {
    match coupon.state {
        CouponState::Frozen { freeze, device, .. }
            if coupon.used_beside_lapsed(now).is_some() && planted!("lapse_forgotten", false, true) =>
        {
            let step = Step {
                device,
                ..Step::online(freeze, None, now)
            };
            let_go(state, coupon, "unfrozen", step, now, Heard::Everywhere, changes)
        }
        CouponState::Available | CouponState::Frozen { .. } | CouponState::Redeemed { .. } | CouponState::Expired => {
            Ok(coupon.clone())
        }
    }
}

/// What taking a use back came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenBack {
    /// The coupon was this operation's.
    Owned,
    /// Its use was one too many, and is none now.
    Surplus,
    /// It had not used it, or no longer.
    Nothing,
}

/// Takes back a use: of the operation that the coupon belongs to, or one that was too many.
pub(super) fn give_back(
    state: &State,
    coupon: &Coupon,
    redeemed_by: OperationId,
    what: &'static str,
    step: Step,
    now: Millis,
    changes: &mut Changes,
) -> Result<GivenBack, NeedKeys> {
    if matches!(coupon.state, CouponState::Redeemed { operation, .. } if operation == redeemed_by) {
        let_go(state, coupon, what, step, now, Heard::Everywhere, changes)?;
        return Ok(GivenBack::Owned);
    }
    let mut left = coupon.clone();
    if planted!("withdrawn_use_stays", false, true) {
        left.surplus.retain(|used| used.operation != redeemed_by);
    }
    if left.surplus.len() < coupon.surplus.len() {
        if planted!("paid_and_gone", coupon.state.order().is_some(), false) {
            left.state = coupon.state_when_given_back(now);
        }
        write(state, left, "use_withdrawn", step, Heard::Everywhere, changes)?;
        return Ok(GivenBack::Surplus);
    }
    Ok(GivenBack::Nothing)
}

/// A use that was too many counts from now on: its case is closed without loss. If it broke another rule besides, the case
/// stays, and that of a sale becomes one by that rule: others of its coupons may have broken either.
pub(super) fn excuse(state: &State, used: &Surplus, subject: Subject, changes: &mut Changes) -> Result<(), NeedKeys> {
    if planted!("case_never_closed", true, false) {
        return Ok(());
    }
    if !used.sale {
        if used.broke.is_none() {
            changes.closed_cases.push(Closed::all(used.operation));
        }
        return Ok(());
    }
    let Subject::Coupon(id) = subject else { return Ok(()) };
    let Some(mut sale) = current_sale(state, used.operation, changes)? else {
        return Ok(());
    };
    let Some(sold) = sale.coupons.iter_mut().find(|sold| sold.used.coupon == id) else {
        return Ok(());
    };
    let was = std::mem::replace(&mut sold.exception, used.broke);
    let discount = sold.used.discount;
    if let Some(kind) = was {
        excuse_of_sale(&sale, kind, discount, changes);
    }
    // What it broke besides is what is left of it now.
    if let Some(kind) = used.broke {
        changes.more_cases.push(Case {
            operation: sale.id,
            kind,
            store: sale.store,
            subject: Some(Subject::Sale(sale.id)),
            loss: discount,
        });
    }
    sale.version = sale.version.saturating_add(1);
    tell(state, &mut sale, None, changes)?;
    changes.sales.push(sale);
    Ok(())
}

/// One coupon of a sale no longer breaks this rule: what is left of the case is what its others broke by it.
pub(super) fn excuse_of_sale(sale: &Sale, kind: ExceptionKind, discount: i64, changes: &mut Changes) {
    if sale.coupons.iter().any(|sold| sold.breaks(kind)) {
        changes.excused.push(Excused {
            operation: sale.id,
            kind,
            loss: discount,
        });
    } else {
        changes.closed_cases.push(Closed {
            operation: sale.id,
            kind: Some(kind),
        });
    }
}

/// A sale as this command has left it so far.
fn current_sale(state: &State, id: OperationId, changes: &Changes) -> Result<Option<Sale>, NeedKeys> {
    match changes.sales.iter().rev().find(|sale| sale.id == id) {
        Some(sale) => Ok(Some(sale.clone())),
        None => Ok(state.sale(id)?.cloned()),
    }
}
