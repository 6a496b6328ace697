//! Redeeming a coupon.

use serde::{Deserialize, Serialize};

use super::{
    Applied, AskFreeze, Changes, Device, Doing, Fact, Freeze, FreezeStatus, Key, NeedKeys, Row, State, Subject,
    cases::open_case,
    online::Taken,
    subjects::About,
    uses::{self, GivenBack, Heard, Step},
};
use crate::{
    coupons::{Coupon, CouponState, Template},
    ids::{ClerkId, CouponId, DeviceId, FreezeId, MemberId, OperationId, StoreId, TemplateId},
    operations::{ExceptionKind, OperationKind, Outcome},
    planted,
    surplus::Surplus,
    time::Millis,
    verdict::{Circumstances, Reason, judge_coupon},
};

impl Row for Coupon {
    type Key = CouponId;
    type Version = i64;
    fn key(&self) -> CouponId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
    /// One that waits in its batch for somebody to claim it is nobody's.
    fn is_there(&self) -> bool {
        self.is_issued()
    }
}

impl Row for Template {
    type Key = (TemplateId, i64);
    type Version = ();
    fn key(&self) -> (TemplateId, i64) {
        (self.id, self.version)
    }
    fn version(&self) {}
}

/// One line of a coupon's own record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CouponEntry {
    /// Which coupon.
    pub coupon: CouponId,
    /// The coupon's version after it: the line's number.
    pub version: i64,
    /// What happened: `redeemed`, `voided`, `returned`, `frozen`, `unfrozen`, `expired`.
    pub what: &'static str,
    /// When, by the clock of whoever did it.
    pub at: Millis,
    /// Where.
    pub store: StoreId,
    /// On which device.
    pub device: DeviceId,
    /// By whom.
    pub actor: Option<ClerkId>,
    /// The operation or freeze behind it.
    pub source: uuid::Uuid,
}

impl Fact for CouponEntry {}

/// A coupon was honoured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RedeemCoupon {
    /// Which.
    pub coupon: CouponId,
    /// Its template.
    pub template: TemplateId,
    /// And which version of it.
    pub template_version: i64,
    /// What it is worth, minor units; the loss if it turns out to be used twice.
    pub worth: i64,
    /// The member who presented it, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
    /// Head office's word, when the line was up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freeze: Option<FreezeId>,
}

impl OperationKind for RedeemCoupon {
    fn subject(&self, _own: OperationId) -> Option<Subject> {
        Some(Subject::Coupon(self.coupon))
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    fn keys(&self) -> Vec<Key> {
        vec![Key::Coupon(self.coupon)]
    }

    fn freezes(&self) -> Vec<FreezeId> {
        self.freeze.into_iter().collect()
    }

    fn worth(&self) -> i64 {
        self.worth
    }

    fn is_sound(&self) -> bool {
        self.worth >= 0 || planted!("worth_not_checked", true, false)
    }

    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        let used = Use {
            coupon: self.coupon,
            member: self.member,
            freeze: self.freeze,
            sale: false,
        };
        let subject = Some(Subject::Coupon(self.coupon));
        Ok(redeem(state, used, doing, changes)?.and_then(|kind| open_case(changes, doing, kind, subject, self.worth)))
    }
}

/// A coupon being used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub(super) coupon: CouponId,
    /// Who presented it, when known.
    pub(super) member: Option<MemberId>,
    /// Head office's word.
    pub(super) freeze: Option<FreezeId>,
    /// Whether it is part of a sale.
    pub(super) sale: bool,
}

/// Redeems a coupon; the rule that this broke, if any. The case is the caller's.
pub(super) fn redeem(
    state: &State,
    used: Use,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<Option<ExceptionKind>, NeedKeys> {
    let id = used.coupon;
    let Some(coupon) = state.coupon(id)? else {
        // Head office has never heard of it, or lost it in a restore: the goods are gone all the same.
        return Ok(Some(ExceptionKind::StateConflict));
    };
    let received = doing.times.received_at;
    let coupon = uses::settled(state, coupon, received, changes)?;
    let owned = |freeze: FreezeId, device: DeviceId| {
        used.freeze == Some(freeze) && planted!("foreign_freeze", true, device == doing.device)
    };
    let again = match coupon.state {
        CouponState::Redeemed { .. } => ExceptionKind::DoubleRedeem,
        // A freeze is its owner's alone: whoever else names it has no word.
        CouponState::Frozen { freeze, device, .. } if owned(freeze, device) => {
            uses::use_up(state, coupon, doing.operation, doing.into(), changes)?;
            return Ok(None);
        }
        CouponState::Frozen { until, .. } if received < until => {
            if let Some(order) = coupon.state.order() {
                changes.taken.push(Taken {
                    order,
                    coupon: id,
                    operation: doing.operation,
                    store: doing.store,
                    at: doing.times.occurred_at,
                });
            }
            ExceptionKind::RedeemWhileFrozen
        }
        CouponState::Available | CouponState::Frozen { .. } | CouponState::Expired => {
            let broke = broken_alone(state, &coupon, used, doing);
            uses::use_up(state, coupon, doing.operation, doing.into(), changes)?;
            return Ok(broke);
        }
    };
    let surplus = Surplus {
        operation: doing.operation,
        at: doing.times.occurred_at,
        store: doing.store,
        device: doing.device,
        actor: doing.actor,
        sale: used.sale,
        broke: broken_alone(state, &coupon, used, doing),
    };
    uses::use_again(state, coupon, surplus, changes)?;
    Ok(Some(again))
}

/// The rule that using this coupon breaks by itself, whoever has it.
fn broken_alone(state: &State, coupon: &Coupon, used: Use, doing: &Doing) -> Option<ExceptionKind> {
    let when = doing.times.believable();
    let in_time =
        coupon.valid_until.is_none_or(|until| when < until) && coupon.valid_from.is_none_or(|from| when >= from);
    let owner = match (coupon.member, used.member) {
        (Some(owner), Some(presenter)) => owner == presenter,
        _ => true,
    };
    if !in_time && !is_granted(state, used.freeze, Subject::Coupon(coupon.id), doing) {
        Some(ExceptionKind::Late)
    } else if !owner {
        Some(ExceptionKind::StateConflict)
    } else {
        None
    }
}

/// Takes back what this very operation did to a coupon.
pub(super) fn give_back(
    state: &State,
    id: CouponId,
    redeemed_by: OperationId,
    what: &'static str,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<GivenBack, NeedKeys> {
    match state.coupon(id)? {
        Some(coupon) => uses::give_back(
            state,
            coupon,
            redeemed_by,
            what,
            doing.into(),
            doing.times.received_at,
            changes,
        ),
        None => Ok(GivenBack::Nothing),
    }
}

/// Whether head office gave its word for this, which then was in time. A counter that forecasts an effect holds no
/// freezes and takes its own operation at its word.
fn is_granted(state: &State, freeze: Option<FreezeId>, subject: Subject, doing: &Doing) -> bool {
    freeze.is_some_and(|id| match state.freezes.get(&id) {
        None => true,
        Some(known) => known.as_ref().is_some_and(|known| {
            known.device == doing.device
                && known.subject == Some(subject)
                && matches!(known.status, FreezeStatus::Granted { .. })
        }),
    })
}

impl About for CouponId {
    fn freeze(
        &self,
        state: &State,
        asked: &AskFreeze,
        asker: &Device,
        until: Millis,
        changes: &mut Changes,
    ) -> Result<Vec<Reason>, NeedKeys> {
        let Some(coupon) = state.coupon(*self)? else {
            return Ok(vec![Reason::UnknownCode]);
        };
        let coupon = uses::settled(state, coupon, asked.now, changes)?;
        let template = state.template((coupon.template, coupon.template_version))?;
        let at = Circumstances {
            now: asked.now,
            store: asker.store,
            presented_by: asked.presented_by,
        };
        let reasons = judge_coupon(&coupon, template.map(AsRef::as_ref), at);
        if reasons.is_empty() {
            let frozen = Coupon {
                state: CouponState::Frozen {
                    freeze: asked.id,
                    until,
                    device: asked.device,
                },
                ..coupon
            };
            let step = Step::of_freeze(asker, asked.id, asked.now);
            uses::write(state, frozen, "frozen", step, Heard::Nowhere, changes)?;
        }
        Ok(reasons)
    }

    fn release(
        &self,
        state: &State,
        freeze: &Freeze,
        owner: &Device,
        now: Millis,
        changes: &mut Changes,
    ) -> Result<(), NeedKeys> {
        if let Some(coupon) = state.coupon(*self)?
            && matches!(coupon.state, CouponState::Frozen { freeze: held, device, .. }
                if held == freeze.id && device == owner.id)
        {
            let step = Step::of_freeze(owner, freeze.id, now);
            uses::let_go(state, coupon, "unfrozen", step, now, Heard::Nowhere, changes)?;
        }
        Ok(())
    }

    fn settle(&self, state: &State, now: Millis, changes: &mut Changes) -> Result<(), NeedKeys> {
        if let Some(coupon) = state.coupon(*self)? {
            uses::settled(state, coupon, now, changes)?;
        }
        Ok(())
    }

    fn undo(
        &self,
        state: &State,
        undone: &Applied,
        doing: &Doing,
        changes: &mut Changes,
    ) -> Result<(bool, i64), NeedKeys> {
        let given = give_back(state, *self, undone.id, "voided", doing, changes)?;
        // One use too many less closes its own case.
        Ok((given == GivenBack::Owned || undone.outcome != Outcome::Applied, 0))
    }
}
