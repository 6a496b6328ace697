//! What head office can be asked to do, and what it answers.

use enum_dispatch::enum_dispatch;

use super::{
    AskFreeze, CancelFreeze, Changes, ClaimCoupon, DeviceStatus, EndExchange, ExchangeGift, ExpireCoupon, Key, Lapse,
    NeedKeys, NotClaimable, PlaceOrder, Post, PostAnswer, Seen, SettleAccount, State, Swept, TakeGrant,
    journal::Arrival,
    online::{EndOnline, FreezeOnline, OnlineOrder, OnlineStatus},
};
use crate::{
    gifts::{Exchange, ExchangeStatus, NotExchangeable},
    ids::{CouponId, OrderId},
    operations::Outcome,
    points::Amounts,
    time::Millis,
    verdict::Reason,
};

/// What every kind of command says of itself.
#[enum_dispatch]
pub trait Decide {
    /// The rows it is sure to read. More may turn out to be needed: see [`NeedKeys`].
    fn keys(&self) -> Vec<Key>;

    /// The rows under whose keys it is found when somebody else was first with it. They are looked for only then.
    fn names(&self) -> Vec<Key> {
        Vec::new()
    }

    /// Decides it on the loaded rows. Changes nothing itself.
    ///
    /// # Errors
    /// [`NeedKeys`] when a row that matters was not loaded; load it and decide again.
    fn decide(&self, state: &State, received_at: Millis) -> Result<(Answer, Changes), NeedKeys>;
}

/// What head office is asked to do: one line a kind.
#[enum_dispatch(Decide)]
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every command is an operation: a box would be an allocation for each"
)]
pub enum Command {
    /// An operation arrived in a push.
    Operation(Arrival),
    /// A device asks for a freeze.
    Freeze(AskFreeze),
    /// A device gives a freeze back.
    CancelFreeze(CancelFreeze),
    /// A member claims a coupon.
    Claim(ClaimCoupon),
    /// A member gets their part of a grant.
    TakeGrant(TakeGrant),
    /// An order placed online asks for its coupons.
    FreezeOnline(FreezeOnline),
    /// An order placed online was paid, came to nothing, or is refunded.
    EndOnline(EndOnline),
    /// A coupon's time is up.
    ExpireCoupon(ExpireCoupon),
    /// A freeze may have lapsed over which something was used all the same.
    Lapse(Lapse),
    /// A member stands in a store: it holds them from now on.
    Seen(Seen),
    /// Something is posted to a member's account.
    Post(Post),
    /// What happened to an account by itself is written down.
    SettleAccount(SettleAccount),
    /// A member exchanges points for a gift.
    Exchange(ExchangeGift),
    /// An exchange was paid, came to nothing, or its gift came back or was lost.
    EndExchange(EndExchange),
    /// The shop's own site places an order that waits in a store.
    PlaceOrder(PlaceOrder),
}

/// What head office answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The operation ended so; `replayed` when it had ended so before.
    Done { outcome: Outcome, replayed: bool },
    /// Operations are missing before this one.
    Gap { expected: i64 },
    /// The journal has two branches; the device is frozen from now on.
    Fork,
    /// The freeze is granted until then, for this much worth.
    Granted { until: Millis },
    /// The freeze is refused.
    Refused { reasons: Vec<Reason> },
    /// The freeze is given back, or was none.
    Cancelled,
    /// The member has this coupon; `replayed` when it was given before.
    Given { coupon: CouponId, replayed: bool },
    /// The member gets none, and why; `replayed` when that was said before.
    NotGiven { reasons: Vec<NotClaimable>, replayed: bool },
    /// Neither yes nor no: the coupons are being made at this moment.
    ComeBack,
    /// The same id was used for another question.
    AnotherQuestion,
    /// The device may not ask: it is frozen or revoked.
    DeviceBarred { status: DeviceStatus },
    /// No such device.
    UnknownDevice,
    /// The pickup order is placed; `replayed` when it was placed before.
    Placed { order: OrderId, replayed: bool },
    /// The number is that of another pickup order.
    AnotherOrder,
    /// The order placed online, as it stands afterwards.
    Order(Box<OnlineOrder>),
    /// The number was used for an order that asked for something else.
    OrderTaken,
    /// The order has ended otherwise, so this step does not fit.
    OrderEnded { status: OnlineStatus },
    /// More is to be spent than the order holds, which is this much.
    OverHold(Amounts),
    /// No order of this number or id has asked for coupons.
    UnknownOrder,
    /// What became of a coupon whose time is up.
    Swept(Swept),
    /// What posting to an account came to.
    Posted(PostAnswer),
    /// The exchange, as it stands afterwards; `replayed` when it stood so before.
    Exchanged { exchange: Box<Exchange>, replayed: bool },
    /// The member can't have the gift, and why.
    NotExchanged { reasons: Vec<NotExchangeable> },
    /// The exchange stands so that this does not fit.
    ExchangeEnded { status: ExchangeStatus },
    /// No such exchange.
    UnknownExchange,
    /// It is noted.
    Noted,
}

/// Decides one command on the loaded rows. Changes nothing itself.
///
/// # Errors
/// [`NeedKeys`] when a row that matters was not loaded; load it and decide again.
pub fn decide(state: &State, command: &Command, received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
    command.decide(state, received_at)
}
