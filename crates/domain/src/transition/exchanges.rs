//! Exchanges: points are deducted, the gift is taken from stock, and who hands it over is told, together or not at all.
//!
//! ```text
//!              ┌─paid──►  confirmed ──returned──► returned   (points and gift back)
//!  awaiting_payment            │  └───lost──────► lost       (points back)
//!              └─cancel─► cancelled
//! ```
//!
//! What costs points alone is confirmed at once. The id of an exchange's row follows from whose it is and what their
//! program called it, so asking again finds it. Every step has one effect: a step that was done is answered again, a step
//! that does not fit changes nothing.

use std::sync::Arc;

use serde_json::json;
use uuid::Uuid;

use super::{
    Answer, Changes, Decide, Key, NeedKeys, PostAnswer, Row, State,
    accounts::Books,
    online::ASK_AFTER,
    told::{seen, tell},
};
use crate::{
    coupons::{HELD_BY_ORDER, ONLINE_DEVICE},
    gifts::{Address, Exchange, ExchangeStatus, Gift, GivenBy, Had, NotExchangeable, judge},
    ids::{ExchangeId, FreezeId, GiftId, LocationId, MemberId, OrderId, StockId, StoreId},
    outbox::Outgoing,
    people::Member,
    pickups::{Order, OrderLine, OrderState},
    planted,
    points::{Asset, Cause, LedgerError, Origin, Reason, Source},
    stock::{MoveCause, MoveKind, Stock},
    time::{MINUTE, Millis},
};

/// The topic of what is asked of those who send goods.
pub const SHIP: &str = "ship";
/// How long a gift is held for a member who has to pay for it.
pub const PAY_WITHIN: Millis = 30 * MINUTE;

impl Row for Gift {
    type Key = GiftId;
    type Version = i64;
    fn key(&self) -> GiftId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

impl Row for Had {
    type Key = (MemberId, GiftId);
    type Version = i64;
    fn key(&self) -> (MemberId, GiftId) {
        (self.member, self.gift)
    }
    fn version(&self) -> i64 {
        self.version
    }
}

impl Row for Exchange {
    type Key = ExchangeId;
    type Version = i64;
    fn key(&self) -> ExchangeId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

/// Something that a member names, looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named<T> {
    /// They name none.
    Missing,
    /// They name one that there is not, or that is not theirs.
    Unknown,
    /// They name this one.
    Known(T),
}

impl<T> Named<T> {
    fn known(&self) -> Option<&T> {
        match self {
            Self::Known(known) => Some(known),
            Self::Missing | Self::Unknown => None,
        }
    }
}

/// What a member asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedExchange {
    /// Follows from whose it is and what their program calls it.
    pub id: ExchangeId,
    /// Whose.
    pub member: MemberId,
    /// For what.
    pub gift: GiftId,
    /// Where it should be sent, where it is sent.
    pub address: Named<Address>,
    /// Where it should wait, where it is collected.
    pub store: Named<StoreId>,
    /// A fresh id for its pickup order.
    pub order: OrderId,
    /// The stock that it would be taken from, as the gift was looked up: only so that it is loaded at once.
    pub stock: Option<StockId>,
}

/// A member exchanges points for a gift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeGift {
    /// What they ask for.
    pub asked: Arc<AskedExchange>,
    /// Now.
    pub now: Millis,
}

impl Decide for ExchangeGift {
    fn keys(&self) -> Vec<Key> {
        let asked = &self.asked;
        let keys = [
            Key::Exchange(asked.id),
            Key::Gift(asked.gift),
            Key::Had((asked.member, asked.gift)),
            Key::Account(asked.member),
            Key::Member(asked.member),
        ];
        keys.into_iter().chain(asked.stock.map(Key::Stock)).collect()
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let mut changes = Changes::default();
        let answer = exchange(state, &self.asked, self.now, &mut changes)?;
        if !matches!(answer, Answer::Exchanged { replayed: false, .. }) {
            changes = Changes::default();
        }
        Ok((answer, changes))
    }
}

fn not(reasons: Vec<NotExchangeable>) -> Answer {
    Answer::NotExchanged { reasons }
}

fn exchange(state: &State, asked: &AskedExchange, now: Millis, changes: &mut Changes) -> Result<Answer, NeedKeys> {
    if let Some(known) = state.exchange(asked.id)? {
        return Ok(
            if (known.member, known.gift) == (asked.member, asked.gift) && planted!("exchanges_again", false, true) {
                Answer::Exchanged {
                    exchange: Box::new(known.clone()),
                    replayed: true,
                }
            } else {
                Answer::AnotherQuestion
            },
        );
    }
    let gift = state.gift(asked.gift)?;
    let had = had(state, asked.member, asked.gift)?;
    let Some(mut books) = Books::open(state, asked.member, now)? else {
        return Ok(not(vec![NotExchangeable::UnknownMember]));
    };
    let Some(person) = state.member(asked.member)? else {
        return Ok(not(vec![NotExchangeable::UnknownMember]));
    };
    let place = gift.and_then(|gift| match gift.given {
        GivenBy::Shipped => gift.location,
        GivenBy::Collected => asked.store.known().copied().map(LocationId::from),
    });
    let stock = match (gift, place) {
        (Some(gift), Some(place)) => Some(stock(state, place, &gift.sku)?),
        _ => None,
    };
    let available = books.account().points.balances().available;
    let mut reasons = judge(gift, stock.as_ref(), had.taken, available, now);
    if let Some(gift) = gift {
        reasons.extend(match (gift.given, &asked.address, &asked.store) {
            (GivenBy::Shipped, Named::Missing, _) => Some(NotExchangeable::AddressMissing),
            (GivenBy::Shipped, Named::Unknown, _) => Some(NotExchangeable::UnknownAddress),
            (GivenBy::Collected, _, Named::Missing) => Some(NotExchangeable::StoreMissing),
            (GivenBy::Collected, _, Named::Unknown) => Some(NotExchangeable::UnknownStore),
            (GivenBy::Shipped, Named::Known(_), _) | (GivenBy::Collected, _, Named::Known(_)) => None,
        });
    }
    let (Some(gift), Some(mut stock), true) = (gift, stock, reasons.is_empty()) else {
        // A gift that is sent from nowhere has nothing to be taken from.
        if reasons.is_empty() {
            reasons.push(NotExchangeable::OutOfStock);
        }
        return Ok(not(reasons));
    };
    let collected = gift.given == GivenBy::Collected;
    let paid = gift.money == 0;
    let mut exchange = Exchange {
        id: asked.id,
        member: asked.member,
        gift: gift.id,
        stock: stock.id,
        location: stock.location,
        sku: gift.sku.clone(),
        name_zh: gift.name_zh.clone(),
        name_en: gift.name_en.clone(),
        points: gift.points,
        money: gift.money,
        worth: gift.worth,
        address: asked.address.known().filter(|_| !collected).cloned(),
        order: collected.then_some(asked.order),
        status: ExchangeStatus::AwaitingPayment,
        asked_at: now,
        deadline: (!paid).then(|| now.saturating_add(PAY_WITHIN)),
        confirmed_at: None,
        ended: None,
        ask_at: (!paid).then(|| now.saturating_add(PAY_WITHIN).saturating_add(ASK_AFTER)),
        asks: 0,
        version: 1,
    };
    let by = Some(asked.member.0);
    let cause = cause_of(&exchange, Reason::Exchange, by, now);
    let own = own(&exchange);
    let done = if paid {
        books.spend(Asset::Points, gift.points, own, cause)
    } else {
        books.with(Asset::Points, |ledger, out| {
            ledger.hold(hold_of(asked.id), ONLINE_DEVICE, HELD_BY_ORDER, gift.points, cause, out)
        })
    };
    if done.is_err() {
        return Ok(not(vec![NotExchangeable::PointsShort { available }]));
    }
    let taken = if paid {
        let cause = move_of(&exchange, MoveKind::Exchanged, by, now);
        stock.take(1, cause).map(Some)
    } else {
        stock.reserve(1).map(|()| None)
    };
    match taken {
        Ok(moved) => changes.moved.extend(moved),
        Err(_) => return Ok(not(vec![NotExchangeable::OutOfStock])),
    }
    changes.stocks.push(stock);
    changes.hads.push(Had {
        taken: planted!("limit_forgotten", had.taken, had.taken.saturating_add(1)),
        version: had.version + 1,
        ..had
    });
    if paid {
        confirm(state, &mut exchange, person, now, changes)?;
    }
    books.close(state, None, changes)?;
    changes.exchanges.push(exchange.clone());
    Ok(Answer::Exchanged {
        exchange: Box::new(exchange),
        replayed: false,
    })
}

/// How an exchange goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExchangeEnd {
    /// What it costs besides points was paid.
    Paid,
    /// It was not, or the gift that waits in a store is not wanted any more.
    Cancel,
    /// The gift came back, or never left.
    Returned,
    /// The gift was lost on its way.
    Lost,
}

impl ExchangeEnd {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Paid, Self::Cancel, Self::Returned, Self::Lost];
}

/// An exchange was paid, came to nothing, or its gift came back or was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndExchange {
    /// Which.
    pub id: ExchangeId,
    /// How it goes on.
    pub end: ExchangeEnd,
    /// The version of the rule that says for how long points live on that ended meanwhile; `None` = they don't.
    pub rule: Option<i64>,
    /// The operator; `None` = head office itself.
    pub by: Option<Uuid>,
    /// Now.
    pub now: Millis,
}

impl Decide for EndExchange {
    fn keys(&self) -> Vec<Key> {
        let rule = self.rule.map(Key::EarningRule);
        [Key::Exchange(self.id)].into_iter().chain(rule).collect()
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let mut changes = Changes::default();
        let answer = self.end(state, &mut changes)?;
        if !matches!(answer, Answer::Exchanged { replayed: false, .. }) {
            changes = Changes::default();
        }
        Ok((answer, changes))
    }
}

impl EndExchange {
    fn end(&self, state: &State, changes: &mut Changes) -> Result<Answer, NeedKeys> {
        let Some(known) = state.exchange(self.id)? else {
            return Ok(Answer::UnknownExchange);
        };
        let mut exchange = known.clone();
        let done = match (known.status, self.end) {
            (ExchangeStatus::AwaitingPayment, ExchangeEnd::Paid) => self.paid(state, &mut exchange, changes)?,
            (ExchangeStatus::AwaitingPayment, ExchangeEnd::Cancel) => self.cancelled(state, &mut exchange, changes)?,
            (ExchangeStatus::Confirmed, ExchangeEnd::Cancel) if known.order.is_some() => {
                if !called_off(state, &exchange, self.now, changes)? {
                    return Ok(Answer::ExchangeEnded { status: known.status });
                }
                self.back(state, &mut exchange, ExchangeStatus::Returned, changes)?
            }
            (ExchangeStatus::Confirmed, ExchangeEnd::Returned) if known.order.is_none() => {
                self.back(state, &mut exchange, ExchangeStatus::Returned, changes)?
            }
            (ExchangeStatus::Confirmed, ExchangeEnd::Lost) if known.order.is_none() => {
                self.back(state, &mut exchange, ExchangeStatus::Lost, changes)?
            }
            (ExchangeStatus::Confirmed, ExchangeEnd::Paid)
            | (ExchangeStatus::Cancelled, ExchangeEnd::Cancel)
            | (ExchangeStatus::Returned, ExchangeEnd::Returned)
            | (ExchangeStatus::Lost, ExchangeEnd::Lost) => {
                return Ok(Answer::Exchanged {
                    exchange: Box::new(exchange),
                    replayed: true,
                });
            }
            // What waited in a store and was called off has come back.
            (ExchangeStatus::Returned, ExchangeEnd::Cancel) if known.order.is_some() => {
                return Ok(Answer::Exchanged {
                    exchange: Box::new(exchange),
                    replayed: true,
                });
            }
            (status, _) => return Ok(Answer::ExchangeEnded { status }),
        };
        if let Err(error) = done {
            return Ok(Answer::Posted(PostAnswer::Refused(error)));
        }
        exchange.version += 1;
        changes.exchanges.push(exchange.clone());
        Ok(Answer::Exchanged {
            exchange: Box::new(exchange),
            replayed: false,
        })
    }

    fn paid(
        &self,
        state: &State,
        exchange: &mut Exchange,
        changes: &mut Changes,
    ) -> Result<Result<(), LedgerError>, NeedKeys> {
        let (now, by) = (self.now, self.by);
        let mut stock = stock(state, exchange.location, &exchange.sku)?;
        let (Some(mut books), Some(person)) = (
            Books::open(state, exchange.member, now)?,
            state.member(exchange.member)?,
        ) else {
            return Ok(Err(LedgerError::NoHold));
        };
        let cause = cause_of(exchange, Reason::Exchange, by, now);
        let hold = hold_of(exchange.id);
        if let Err(error) = books.capture(Asset::Points, hold, exchange.points, own(exchange), cause) {
            return Ok(Err(error));
        }
        // What was promised is there: nobody takes it away, and the stock has room below.
        if planted!("paid_gift_stays", false, true)
            && let Ok(moved) = stock.take_reserved(1, move_of(exchange, MoveKind::Exchanged, by, now))
        {
            changes.moved.push(moved);
            changes.stocks.push(stock);
        }
        confirm(state, exchange, person, now, changes)?;
        books.close(state, None, changes)?;
        Ok(Ok(()))
    }

    fn cancelled(
        &self,
        state: &State,
        exchange: &mut Exchange,
        changes: &mut Changes,
    ) -> Result<Result<(), LedgerError>, NeedKeys> {
        let (now, by) = (self.now, self.by);
        let mut stock = stock(state, exchange.location, &exchange.sku)?;
        let had = had(state, exchange.member, exchange.gift)?;
        let Some(mut books) = Books::open(state, exchange.member, now)? else {
            return Ok(Err(LedgerError::NoHold));
        };
        let cause = cause_of(exchange, Reason::Cancelled, by, now);
        let hold = hold_of(exchange.id);
        let released = books.with(Asset::Points, |ledger, out| ledger.release(hold, cause, out));
        if let Err(error) = released {
            return Ok(Err(error));
        }
        stock.release(planted!("cancelled_gift_stays", 0, 1));
        changes.stocks.push(stock);
        forget(had, changes);
        end(exchange, ExchangeStatus::Cancelled, by, now);
        books.close(state, None, changes)?;
        Ok(Ok(()))
    }

    /// Gives the points back, and the gift to its stock unless it is lost.
    fn back(
        &self,
        state: &State,
        exchange: &mut Exchange,
        status: ExchangeStatus,
        changes: &mut Changes,
    ) -> Result<Result<(), LedgerError>, NeedKeys> {
        let (now, by) = (self.now, self.by);
        let own = own(exchange);
        let mut stock = stock(state, exchange.location, &exchange.sku)?;
        let had = had(state, exchange.member, exchange.gift)?;
        let grace = match self.rule {
            Some(version) => state.earning_rule(version)?.and_then(|rule| rule.grace_until(now)),
            None => None,
        };
        let spent = state.spent((Asset::Points, own))?;
        let Some(mut books) = Books::open(state, exchange.member, now)? else {
            return Ok(Err(LedgerError::NoHold));
        };
        if let Some(spent) = spent {
            let cause = cause_of(exchange, Reason::NotShipped, by, now);
            let points = planted!("cheap_gift_back", (exchange.points - 1).max(1), exchange.points);
            if let Err(error) = books.give_back(spent, points, grace, cause) {
                return Ok(Err(error));
            }
        }
        if status == ExchangeStatus::Returned || planted!("lost_gift_back", true, false) {
            let cause = move_of(exchange, MoveKind::Returned, by, now);
            // So much was taken from it before; where it has filled up to the brim meanwhile, somebody will count it.
            if let Ok(moved) = stock.change(1, cause) {
                changes.moved.push(moved);
                changes.stocks.push(stock);
            }
        }
        forget(had, changes);
        end(exchange, status, by, now);
        books.close(state, None, changes)?;
        Ok(Ok(()))
    }
}

/// What finds what an exchange holds of points.
pub fn hold_of(exchange: ExchangeId) -> FreezeId {
    FreezeId(exchange.0)
}

/// What the points of an exchange are spent on.
pub fn spent_on(exchange: ExchangeId) -> Source {
    Source {
        of: Origin::Exchange,
        id: exchange.0,
    }
}

fn own(exchange: &Exchange) -> Source {
    spent_on(exchange.id)
}

fn cause_of(exchange: &Exchange, reason: Reason, by: Option<Uuid>, at: Millis) -> Cause {
    Cause {
        reason,
        source: Some(own(exchange)),
        at,
        store: None,
        actor: by,
        note: Some(Arc::from(exchange.number())),
    }
}

fn move_of(exchange: &Exchange, kind: MoveKind, by: Option<Uuid>, at: Millis) -> MoveCause {
    MoveCause {
        kind,
        source: Some(exchange.id.0),
        actor: by,
        note: None,
        at,
    }
}

fn stock(state: &State, location: LocationId, sku: &str) -> Result<Stock, NeedKeys> {
    let found = state.stock(StockId::of(location, sku))?;
    Ok(found.cloned().unwrap_or_else(|| Stock::none(location, sku)))
}

fn had(state: &State, member: MemberId, gift: GiftId) -> Result<Had, NeedKeys> {
    let none = Had {
        member,
        gift,
        taken: 0,
        version: 0,
    };
    Ok(state.had((member, gift))?.copied().unwrap_or(none))
}

/// It came to nothing: the member may have another one.
fn forget(had: Had, changes: &mut Changes) {
    changes.hads.push(Had {
        taken: (had.taken - 1).max(0),
        version: had.version + 1,
        ..had
    });
}

fn end(exchange: &mut Exchange, status: ExchangeStatus, by: Option<Uuid>, now: Millis) {
    exchange.status = status;
    exchange.ended = Some((now, by));
    exchange.ask_at = None;
}

/// The gift is the member's: who hands it over is told.
fn confirm(
    state: &State,
    exchange: &mut Exchange,
    person: &Member,
    now: Millis,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    exchange.status = ExchangeStatus::Confirmed;
    exchange.confirmed_at = Some(now);
    exchange.ask_at = None;
    let Some(order) = exchange.order else {
        changes.outgoing.push(ship(exchange));
        return Ok(());
    };
    let store = exchange.location.as_store();
    let collector = [&person.name, &person.number];
    let collector = collector.into_iter().find(|name| !name.trim().is_empty());
    let mut order = Order {
        id: order,
        number: exchange.number(),
        // Storage draws it.
        code: String::new(),
        store,
        member: Some(exchange.member),
        collector: collector.cloned().unwrap_or_default(),
        deadline: None,
        lines: vec![OrderLine {
            sku: exchange.sku.clone(),
            name_zh: exchange.name_zh.clone(),
            name_en: exchange.name_en.clone(),
            quantity: 1,
            unit_price: exchange.worth,
        }],
        state: OrderState::Ready { freeze: None },
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    };
    seen(state, exchange.member, store, changes)?;
    tell(state, &mut order, None, changes)?;
    changes.orders.push(order);
    Ok(())
}

/// What is asked of those who send goods: once, whatever becomes of it.
fn ship(exchange: &Exchange) -> Outgoing {
    let key = format!("exchange:{}", exchange.id);
    let body = json!({
        "kind": "exchange",
        "source": exchange.id,
        "member": exchange.member,
        "lines": [{ "sku": exchange.sku, "name": exchange.name(), "quantity": 1 }],
        "address": exchange.address,
    });
    Outgoing {
        topic: SHIP,
        source: key.clone(),
        key,
        body: body.to_string(),
    }
}

/// Calls off the pickup order of an exchange; false when it was handed over, or somebody is about to.
fn called_off(state: &State, exchange: &Exchange, now: Millis, changes: &mut Changes) -> Result<bool, NeedKeys> {
    let Some(id) = exchange.order else { return Ok(false) };
    let Some(order) = state.order(id)? else {
        return Ok(false);
    };
    let waits = matches!(order.state, OrderState::Ready { .. });
    if !waits || order.frozen_by(now).is_some() || !order.surplus.is_empty() {
        return Ok(false);
    }
    let mut order = order.clone();
    order.state = OrderState::Cancelled;
    tell(state, &mut order, None, changes)?;
    order.version += 1;
    changes.orders.push(order);
    Ok(true)
}
