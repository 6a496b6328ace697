//! Orders placed online: they freeze coupons, payment confirms, failure cancels, a refund voids.
//!
//! ```text
//!   nothing ──freeze──► frozen ──confirm──► confirmed ──void──► voided
//!      │                 │  ▲
//!      │ freeze          │  └─freeze (asked anew)─┐
//!      └──────► refused ─┼────────────────────────┘
//!      │           │     │
//!      └──cancel───┴─────┴──► cancelled
//! ```
//!
//! The id of an order's row follows from its number, so one order is one row whoever asks how often. Every step has
//! one effect: a step that was done is answered again, a step that does not fit changes nothing.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Answer, Changes, Decide, Fact, Key, NeedKeys, Row, State,
    accounts::{self, Books},
    uses::{self, Heard, Step},
};
use crate::{
    coupons::{Coupon, CouponState, HELD_BY_ORDER, ONLINE_DEVICE, ONLINE_STORE},
    ids::{CouponId, FreezeId, MemberId, OperationId, StoreId},
    planted,
    points::{self, Amounts, Asset, Cause, Origin, Source},
    surplus::Surplus,
    time::{MINUTE, Millis},
    verdict::{Circumstances, Reason, judge_coupon},
};

/// How long after its deadline an order's owner is asked for the first time: payments arrive late now and then.
pub const ASK_AFTER: Millis = MINUTE;

/// Where an order placed online stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum OnlineStatus {
    /// It holds its coupons until payment is known.
    Frozen,
    /// It got none of them; it may be asked for anew.
    Refused,
    /// It was paid: its coupons are used.
    Confirmed,
    /// It came to nothing: its coupons were given back.
    Cancelled,
    /// It was paid and refunded: its coupons were given back.
    Voided,
}

/// A coupon that an order holds or held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub coupon: CouponId,
    /// The counter's operation that honoured it all the same, and when.
    pub taken: Option<(OperationId, Millis)>,
}

/// Every reason against one of the coupons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The id or code as it was asked for; `points` or `balance` for those.
    pub coupon: String,
    /// All reasons.
    pub reasons: Vec<Reason>,
}

/// An order placed online, as far as coupons are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnlineOrder {
    /// Follows from the number.
    pub id: FreezeId,
    /// The shop's own number of the order.
    pub number: String,
    /// Where it stands.
    pub status: OnlineStatus,
    /// Name of the question that got this answer.
    pub question: String,
    /// Whose order it is.
    pub member: Option<MemberId>,
    /// What it comes to, minor units.
    pub amount: i64,
    /// Until when payment should be known.
    pub deadline: Millis,
    /// When it was asked for.
    pub asked_at: Millis,
    /// The operator who asked.
    pub asked_by: Uuid,
    /// Its coupons, sorted; of a refused one none.
    pub coupons: Vec<Held>,
    /// What it holds or held of its member's account; once it is paid, what was spent of that.
    pub amounts: Amounts,
    /// Of a refused one: what was against it.
    pub refusals: Vec<Refusal>,
    /// When it was confirmed, cancelled or voided, and by which operator; `None` = head office itself.
    pub ended: Option<(Millis, Option<Uuid>)>,
    /// When its owner is asked next.
    pub ask_at: Option<Millis>,
    /// How often its owner has been asked.
    pub asks: i64,
    /// Grows by one with every step.
    pub version: i64,
}

/// A coupon asked for: how it was named, and which it is, if there is such a one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The id or code as given.
    pub as_given: String,
    /// The coupon.
    pub coupon: Option<CouponId>,
}

/// What an order asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedOrder {
    /// Follows from the number.
    pub id: FreezeId,
    /// The shop's own number of the order.
    pub number: String,
    /// Name of this question.
    pub question: String,
    /// Whose order it is.
    pub member: Option<MemberId>,
    /// What it comes to, minor units.
    pub amount: i64,
    /// Until when payment should be known.
    pub deadline: Millis,
    /// The coupons, none twice.
    pub coupons: Vec<Named>,
    /// What it asks for of its member's account.
    pub amounts: Amounts,
    /// The operator who asks.
    pub by: Uuid,
}

impl AskedOrder {
    /// Whether the row that is known was asked for with the same words. A refused one does not know its coupons.
    fn is_same(&self, known: &OnlineOrder) -> bool {
        let same_coupons = || {
            let mut ids: Vec<CouponId> = self.coupons.iter().filter_map(|named| named.coupon).collect();
            ids.sort_unstable();
            ids.into_iter().eq(known.coupons.iter().map(|held| held.coupon))
        };
        (&self.number, self.member, self.amount, self.deadline)
            == (&known.number, known.member, known.amount, known.deadline)
            && (known.status != OnlineStatus::Frozen || known.amounts == self.amounts)
            && (known.status == OnlineStatus::Refused || same_coupons())
    }
}

/// How an order ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It was paid.
    Confirm,
    /// It came to nothing.
    Cancel,
    /// It was paid and is refunded.
    Void,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Confirm, Self::Cancel, Self::Void];

    fn status(self) -> OnlineStatus {
        match self {
            Self::Confirm => OnlineStatus::Confirmed,
            Self::Cancel => OnlineStatus::Cancelled,
            Self::Void => OnlineStatus::Voided,
        }
    }
}

/// An order whose coupon a counter honoured all the same: its owner must be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// The order.
    pub order: FreezeId,
    /// The coupon.
    pub coupon: CouponId,
    /// The counter's operation.
    pub operation: OperationId,
    /// Where.
    pub store: StoreId,
    /// When, by the counter's clock.
    pub at: Millis,
}

impl Row for OnlineOrder {
    type Key = FreezeId;
    type Version = i64;
    fn key(&self) -> FreezeId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

impl Fact for Taken {
    /// Where the order is known here, it has to hear of it as its row will.
    fn absorbed(&self, state: &mut State) {
        if let Some(Some(order)) = state.online.get_mut(&self.order) {
            for held in &mut order.coupons {
                if held.coupon == self.coupon {
                    held.taken = Some((self.operation, self.at));
                }
            }
        }
    }
}

/// An order placed online asks for its coupons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeOnline {
    /// What it asks for.
    pub asked: Arc<AskedOrder>,
    /// Now.
    pub now: Millis,
}

impl Decide for FreezeOnline {
    fn keys(&self) -> Vec<Key> {
        let coupons = self.asked.coupons.iter();
        let coupons = coupons.filter_map(|named| named.coupon.map(Key::Coupon));
        let account = self.asked.member.filter(|_| !self.asked.amounts.is_none());
        let account = account.into_iter().flat_map(|id| [Key::Account(id), Key::Member(id)]);
        [Key::Online(self.asked.id)]
            .into_iter()
            .chain(coupons)
            .chain(account)
            .collect()
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let Self { asked, now } = self;
        let now = *now;
        let mut changes = Changes::default();
        let mut version = 1;
        if let Some(known) = state.online(asked.id)? {
            match known.status {
                // The cancel may have overtaken the question, and then knows nothing of it: the door stays closed.
                OnlineStatus::Cancelled => return Ok((Answer::Order(Box::new(known.clone())), changes)),
                // The same question gets the same answer; a new one is judged by how things stand now.
                OnlineStatus::Refused if known.question != asked.question => version = known.version + 1,
                OnlineStatus::Frozen | OnlineStatus::Refused | OnlineStatus::Confirmed | OnlineStatus::Voided => {
                    let answer = if asked.is_same(known) {
                        Answer::Order(Box::new(known.clone()))
                    } else {
                        Answer::OrderTaken
                    };
                    return Ok((answer, changes));
                }
            }
        }
        let at = Circumstances {
            now,
            store: ONLINE_STORE,
            presented_by: asked.member,
        };
        let mut refusals = Vec::new();
        let mut found: Vec<Coupon> = Vec::new();
        let mut missing = Vec::new();
        for named in &asked.coupons {
            let reasons = match named.coupon.map(|id| state.coupon(id)).transpose() {
                Ok(Some(Some(coupon))) => match judge(state, coupon, at, &mut changes) {
                    Ok((coupon, reasons)) => {
                        found.push(coupon);
                        reasons
                    }
                    Err(NeedKeys(more)) => {
                        missing.extend(more);
                        continue;
                    }
                },
                Ok(_) => vec![Reason::UnknownCode],
                Err(NeedKeys(more)) => {
                    missing.extend(more);
                    continue;
                }
            };
            if !reasons.is_empty() {
                refusals.push(Refusal {
                    coupon: named.as_given.clone(),
                    reasons,
                });
            }
        }
        if !missing.is_empty() {
            return Err(NeedKeys(missing));
        }
        let account = hold_account(state, asked, now, &mut refusals)?;
        // Whoever names who was merged means whom they are one with.
        let holder = account.as_ref().map(|books| books.account().member);
        let member = holder.or(asked.member);
        let granted = refusals.is_empty();
        let mut coupons = Vec::new();
        if granted {
            for coupon in found {
                coupons.push(Held {
                    coupon: coupon.id,
                    taken: None,
                });
                let frozen = Coupon {
                    state: CouponState::Frozen {
                        freeze: asked.id,
                        until: HELD_BY_ORDER,
                        device: ONLINE_DEVICE,
                    },
                    ..coupon
                };
                let step = Step::online(asked.id, Some(asked.by), now);
                uses::write(state, frozen, "frozen", step, Heard::Everywhere, &mut changes)?;
            }
            coupons.sort_unstable_by_key(|held| held.coupon);
            if let Some(books) = account {
                books.close(state, None, &mut changes)?;
            }
        }
        let order = OnlineOrder {
            id: asked.id,
            number: asked.number.clone(),
            status: if granted {
                OnlineStatus::Frozen
            } else {
                OnlineStatus::Refused
            },
            question: asked.question.clone(),
            member,
            amount: asked.amount,
            deadline: asked.deadline,
            asked_at: now,
            asked_by: asked.by,
            coupons,
            amounts: if granted { asked.amounts } else { Amounts::default() },
            refusals,
            ended: None,
            ask_at: granted.then(|| asked.deadline.saturating_add(ASK_AFTER)),
            asks: 0,
            version,
        };
        changes.online.push(order.clone());
        Ok((Answer::Order(Box::new(order)), changes))
    }
}

/// How much of what an order holds was spent; `None` = all of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Points.
    pub points: Option<i64>,
    /// Stored value, minor units.
    pub balance: Option<i64>,
}

/// An order placed online was paid, came to nothing, or is refunded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndOnline {
    /// Which.
    pub id: FreezeId,
    /// Its number, where that is how it was named.
    pub number: Option<String>,
    /// How it ends.
    pub end: End,
    /// Where it is paid: how much of what it holds of the account is spent; the rest goes back.
    pub spent: Spent,
    /// The operator; `None` = head office itself, told by the order's owner.
    pub by: Option<Uuid>,
    /// Now.
    pub now: Millis,
}

impl Decide for EndOnline {
    fn keys(&self) -> Vec<Key> {
        vec![Key::Online(self.id)]
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let Self { id, end, by, now, .. } = *self;
        let number = self.number.as_deref();
        let mut changes = Changes::default();
        let Some(known) = state.online(id)? else {
            let (Some(number), End::Cancel) = (number, end) else {
                return Ok((Answer::UnknownOrder, changes));
            };
            // The cancel overtook its question: remember it, so that the question finds the door closed.
            let order = OnlineOrder {
                id,
                number: number.to_owned(),
                status: OnlineStatus::Cancelled,
                question: String::new(),
                member: None,
                amount: 0,
                deadline: now,
                asked_at: now,
                asked_by: by.unwrap_or_default(),
                coupons: Vec::new(),
                amounts: Amounts::default(),
                refusals: Vec::new(),
                ended: Some((now, by)),
                ask_at: None,
                asks: 0,
                version: 1,
            };
            changes.online.push(order.clone());
            return Ok((Answer::Order(Box::new(order)), changes));
        };
        match (known.status, end) {
            (status, end) if status == end.status() => {
                let same = |spent: Option<i64>, known| end != End::Confirm || spent.is_none_or(|spent| spent == known);
                let is_again =
                    same(self.spent.points, known.amounts.points) && same(self.spent.balance, known.amounts.balance);
                return Ok(if is_again {
                    (Answer::Order(Box::new(known.clone())), changes)
                } else {
                    (Answer::OrderEnded { status }, changes)
                });
            }
            (OnlineStatus::Frozen, End::Confirm | End::Cancel)
            | (OnlineStatus::Refused, End::Cancel)
            | (OnlineStatus::Confirmed, End::Void) => {}
            (status, _) => return Ok((Answer::OrderEnded { status }, changes)),
        }
        let mut missing = Vec::new();
        for held in &known.coupons {
            let done = match state.coupon(held.coupon) {
                Ok(Some(coupon)) => step(state, coupon, known.id, end, by, now, &mut changes),
                Ok(None) => Ok(()),
                Err(need) => Err(need),
            };
            if let Err(NeedKeys(more)) = done {
                missing.extend(more);
            }
        }
        if !missing.is_empty() {
            return Err(NeedKeys(missing));
        }
        let amounts = match end_account(state, known, self, &mut changes)? {
            Ok(amounts) => amounts,
            Err(over) => return Ok((Answer::OverHold(over), Changes::default())),
        };
        let order = OnlineOrder {
            amounts,
            status: end.status(),
            refusals: Vec::new(),
            ended: Some((now, by)),
            ask_at: None,
            version: known.version + 1,
            ..known.clone()
        };
        changes.online.push(order.clone());
        Ok((Answer::Order(Box::new(order)), changes))
    }
}

fn account_cause(order: FreezeId, reason: points::Reason, of: Origin, by: Option<Uuid>, at: Millis) -> Cause {
    Cause {
        reason,
        source: Some(Source { of, id: order.0 }),
        at,
        store: None,
        actor: by,
        note: None,
    }
}

/// Holds what an order asks for of its member's account; what is against it is among the refusals.
fn hold_account(
    state: &State,
    asked: &AskedOrder,
    now: Millis,
    refusals: &mut Vec<Refusal>,
) -> Result<Option<Books>, NeedKeys> {
    if asked.amounts.is_none() {
        return Ok(None);
    }
    let refused = |reasons| Refusal {
        coupon: if asked.amounts.points == 0 { "balance" } else { "points" }.to_owned(),
        reasons,
    };
    let books = match asked.member {
        Some(member) => Books::open(state, member, now)?,
        None => None,
    };
    let Some(mut books) = books else {
        refusals.push(refused(vec![Reason::UnknownCode]));
        return Ok(None);
    };
    let mut cause = account_cause(asked.id, points::Reason::Purchase, Origin::Order, Some(asked.by), now);
    cause.note = Some(Arc::from(asked.number.as_str()));
    let reasons = accounts::hold(
        &mut books,
        asked.id,
        ONLINE_DEVICE,
        HELD_BY_ORDER,
        asked.amounts,
        &cause,
    );
    if reasons.is_empty() {
        return Ok(Some(books));
    }
    refusals.push(refused(reasons));
    Ok(None)
}

/// What the end of an order does to its member's account: what was spent of what it held, or `Err` with what it holds
/// where more should be.
fn end_account(
    state: &State,
    order: &OnlineOrder,
    ending: &EndOnline,
    changes: &mut Changes,
) -> Result<Result<Amounts, Amounts>, NeedKeys> {
    let held = order.amounts;
    let spent = match ending.end {
        End::Confirm => Amounts {
            points: ending.spent.points.unwrap_or(held.points),
            balance: ending.spent.balance.unwrap_or(held.balance),
        },
        End::Cancel | End::Void => held,
    };
    let fits = |spent, held| (0..=held).contains(&spent);
    if !fits(spent.points, held.points) || !fits(spent.balance, held.balance) {
        return Ok(Err(held));
    }
    let (Some(member), false) = (order.member, held.is_none()) else {
        return Ok(Ok(held));
    };
    let Some(mut books) = Books::open(state, member, ending.now)? else {
        return Ok(Ok(held));
    };
    let cause = |reason, of| {
        let mut cause = account_cause(order.id, reason, of, ending.by, ending.now);
        cause.note = Some(Arc::from(order.number.as_str()));
        cause
    };
    let own = Source {
        of: Origin::Order,
        id: order.id.0,
    };
    // What an order holds is there until it ends, and it ends once: none of these is refused.
    for (asset, amount) in held.each() {
        let spent = match asset {
            Asset::Points => spent.points,
            Asset::Balance => spent.balance,
        };
        match ending.end {
            End::Confirm if spent > 0 && planted!("paid_without_points", false, true) => {
                let cause = cause(points::Reason::Purchase, Origin::Order);
                let _ = books.capture(asset, order.id, spent, own, cause);
            }
            End::Confirm | End::Cancel => {
                let cause = cause(points::Reason::Cancelled, Origin::Order);
                let _ = books.with(asset, |ledger, out| ledger.release(order.id, cause, out));
            }
            End::Void => {
                if let Some(known) = state.spent((asset, own))? {
                    let open = (known.amount() - known.given_back()).min(amount);
                    let _ = books.give_back(known, open, None, cause(points::Reason::Voided, Origin::Refund));
                }
            }
        }
    }
    books.close(state, None, changes)?;
    Ok(Ok(spent))
}

/// What the end of an order does to one of its coupons.
fn step(
    state: &State,
    coupon: &Coupon,
    order: FreezeId,
    end: End,
    by: Option<Uuid>,
    now: Millis,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    let holds = matches!(coupon.state, CouponState::Frozen { freeze, device, .. }
        if freeze == order && device == ONLINE_DEVICE);
    let taken = redemption(order);
    let step = Step::online(order, by, now);
    match end {
        // Given back by a counter that once had taken it: the order was paid with it all the same, and its time does not
        // matter now.
        End::Confirm if holds || matches!(coupon.state, CouponState::Available | CouponState::Expired) => {
            uses::use_up(state, coupon.clone(), taken, step, changes)?;
        }
        // Somebody else has it: the order's use waits behind theirs, and takes its place if that is undone.
        End::Confirm => {
            let used = Surplus {
                operation: taken,
                at: now,
                store: step.store,
                device: step.device,
                actor: step.actor,
                sale: false,
                broke: None,
            };
            uses::use_again(state, coupon.clone(), used, changes)?;
        }
        End::Cancel if holds => {
            uses::let_go(state, coupon, "unfrozen", step, now, Heard::Everywhere, changes)?;
        }
        End::Cancel => {}
        End::Void => {
            uses::give_back(state, coupon, taken, "voided", step, now, changes)?;
        }
    }
    Ok(())
}

/// A coupon as it stands once what lapsed no longer counts, and every reason against it.
fn judge(
    state: &State,
    coupon: &Coupon,
    at: Circumstances,
    changes: &mut Changes,
) -> Result<(Coupon, Vec<Reason>), NeedKeys> {
    let template = state
        .template((coupon.template, coupon.template_version))?
        .map(AsRef::as_ref);
    let coupon = uses::settled(state, coupon, at.now, changes)?;
    let reasons = judge_coupon(&coupon, template, at);
    Ok((coupon, reasons))
}

/// What stands for the operation where an order placed online has used a coupon.
pub fn redemption(order: FreezeId) -> OperationId {
    OperationId(order.0)
}
