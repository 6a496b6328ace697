//! What clerks do at a counter.

use anyhow::Result;
use counterfoil_counter::{Basket, BasketLine, Confirmation, Input, MemberAnswer, Selection, Settled, Tender};
use counterfoil_domain::{ids::OperationId, operations::Action, sales::ReturnPolicy, settlement::returns::Units};
use serde::{Deserialize, Serialize};

use super::{Kind, exchange::said};
use crate::{
    base::PIN,
    judge::{
        Judged, Violations,
        coupons::{self, COUPON},
        journals::Said,
        orders::{self, ORDER},
        stores,
    },
    step::Making,
    world::{World, pick},
};

/// A clerk looks a coupon up and confirms what is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redeem {
    till: usize,
    coupon: usize,
}

impl Kind for Redeem {
    const WEIGHT: u32 = 170;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            coupon: making.thing(),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let code = pick(&world.coupons, self.coupon).to_owned();
        redeem(world, self.till, Input::CouponCode(code), "redeem").await
    }
    fn says(action: &Action, said: &mut Said) {
        if let Action::RedeemCoupon(redeemed) = action {
            said.used.push((COUPON, redeemed.coupon.0));
            said.by = redeemed.member;
        }
    }
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let mut violations = coupons::uses(judged).await?;
        violations.extend(coupons::told(judged).await?);
        Ok(violations)
    }
}

/// A clerk hands an order over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collect {
    till: usize,
    order: usize,
}

impl Kind for Collect {
    const WEIGHT: u32 = 60;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            order: making.thing(),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let code = pick(&world.orders, self.order).to_owned();
        redeem(world, self.till, Input::PickupCode(code), "collect").await
    }
    fn says(action: &Action, said: &mut Said) {
        if let Action::CollectOrder(collected) = action {
            said.used.push((ORDER, collected.order.0));
        }
    }
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        orders::uses(judged).await
    }
}

/// Somebody types a code that nobody has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guess {
    till: usize,
    code: u32,
}

impl Kind for Guess {
    const WEIGHT: u32 = 10;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            code: making.dice.u32(..90_000_000),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let code = format!("{:08}", self.code);
        redeem(world, self.till, Input::PickupCode(code), "guess").await
    }
}

async fn redeem(world: &mut World, till: usize, scanned: Input, what: &'static str) -> Result<String> {
    let place = till % world.tills.len();
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    let clerk = world.tills[place].clerk;
    let verdict = match counter.look_up(&scanned, None).await {
        Ok(verdict) => verdict,
        Err(error) => return Ok(said(&error)),
    };
    let Some(ticket) = verdict.ticket else {
        let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.code.clone()).collect();
        return Ok(format!("{:?} {}", verdict.decision, reasons.join(" ")));
    };
    match counter.confirm(&ticket, clerk).await {
        Ok(Confirmation::Done(receipt)) => {
            world.acknowledge(place, receipt.op_id, what);
            Ok(format!("done {} {:?}", receipt.op_id, receipt.delivery))
        }
        Ok(Confirmation::Refused(verdict)) => Ok(format!("refused {:?}", verdict.decision)),
        Err(error) => Ok(said(&error)),
    }
}

/// A clerk sells, with a member's coupons and others laid beside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sell {
    till: usize,
    skus: Vec<usize>,
    member: Option<usize>,
    coupons: Vec<usize>,
}

impl Kind for Sell {
    const WEIGHT: u32 = 80;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            skus: (0..making.dice.usize(1..4)).map(|_| making.dice.usize(..6)).collect(),
            member: making.dice.bool().then(|| making.dice.usize(..9)),
            coupons: (0..making.dice.usize(..3)).map(|_| making.thing()).collect(),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let Some(counter) = world.counter(place) else {
            return Ok("down".into());
        };
        let base = std::sync::Arc::clone(&world.base);
        let member = match self.member {
            None => None,
            Some(member) => {
                let number = base.members[member % base.members.len()].1.clone();
                match counter.find_member(&Input::MemberNumber(number)).await {
                    Ok(MemberAnswer::Found(card)) => Some(card.member.id),
                    Ok(MemberAnswer::Unknown(_)) => None,
                    Err(error) => return Ok(said(&error)),
                }
            }
        };
        let basket = Basket {
            lines: self
                .skus
                .iter()
                .map(|sku| BasketLine {
                    sku: base.skus[sku % base.skus.len()].clone(),
                    quantity: 2,
                    unit_price: None,
                })
                .collect(),
            member,
            coupons: self
                .coupons
                .iter()
                .map(|coupon| Input::CouponCode(pick(&world.coupons, *coupon).to_owned()))
                .collect(),
            select: Selection::Best,
            points: 0,
        };
        let quote = match counter.quote(&basket).await {
            Ok(quote) => quote,
            Err(error) => return Ok(said(&error)),
        };
        let Some(ticket) = quote.ticket else {
            return Ok("nothing to sell".into());
        };
        let tender = Tender {
            tender: "cash".into(),
            receipt: format!("R-{}", world.acknowledged.len()),
            balance: 0,
        };
        let clerk = world.tills[place].clerk;
        match counter.settle(&ticket, &tender, clerk).await {
            Ok(Settled::Done(receipt)) => {
                world.acknowledge(place, receipt.op_id, "sell");
                Ok(format!("done {} {}", receipt.op_id, quote.discount))
            }
            Ok(_) => Ok("refused".into()),
            Err(error) => Ok(said(&error)),
        }
    }
    fn says(action: &Action, said: &mut Said) {
        if let Action::SettleSale(settled) = action {
            said.used
                .extend(settled.coupons.iter().map(|used| (COUPON, used.coupon.0)));
            said.more = true;
        }
    }
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        stores::sales(judged).await
    }
}

/// A manager undoes one of this counter's own operations, counted from the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Void {
    till: usize,
    back: usize,
}

impl Kind for Void {
    const WEIGHT: u32 = 70;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            back: making.dice.usize(..4),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let Some(counter) = world.counter(place) else {
            return Ok("down".into());
        };
        let Some(operation) = latest(world, place, self.back) else {
            return Ok("nothing to undo".into());
        };
        let manager = world.tills[place].manager;
        match counter.void(operation, "by mistake", manager, PIN).await {
            Ok(receipt) => {
                world.acknowledge(place, receipt.op_id, "void");
                Ok(format!("done {}", receipt.op_id))
            }
            Err(error) => Ok(said(&error)),
        }
    }
    fn says(action: &Action, said: &mut Said) {
        if let Action::VoidRedemption(void) = action {
            said.undone = Some(void.target);
        }
    }
}

fn latest(world: &World, place: usize, back: usize) -> Option<OperationId> {
    let done = &world.tills[place].done;
    done.len().checked_sub(1 + back).and_then(|at| done.get(at)).copied()
}

/// Goods of one of this store's sales come back, counted from the latest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Return {
    till: usize,
    back: usize,
    units: i64,
}

impl Kind for Return {
    const WEIGHT: u32 = 30;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            back: making.dice.usize(..3),
            units: making.dice.i64(1..=2),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let Some(counter) = world.counter(place) else {
            return Ok("down".into());
        };
        // Any sale that this store's counters know: also another counter's.
        let sales = match counter.sales(None).await {
            Ok(sales) => sales,
            Err(error) => return Ok(said(&error)),
        };
        let Some(sale) = sales.get(self.back).map(|sale| sale.op_id) else {
            return Ok("no sale".into());
        };
        let wanted = [Units {
            line: 0,
            quantity: self.units,
        }];
        let preview = match counter.return_preview(sale, &wanted, ReturnPolicy::Keep).await {
            Ok(preview) => preview,
            Err(error) => return Ok(said(&error)),
        };
        let manager = world.tills[place].manager;
        let done = counter
            .return_sale(
                sale,
                &wanted,
                ReturnPolicy::Keep,
                preview.refund,
                "broken",
                manager,
                PIN,
            )
            .await;
        match done {
            Ok(receipt) => {
                world.acknowledge(place, receipt.op_id, "return");
                Ok(format!("done {} {}", receipt.op_id, preview.refund))
            }
            Err(error) => Ok(said(&error)),
        }
    }
    fn says(action: &Action, said: &mut Said) {
        if let Action::ReturnSale(back) = action {
            let brought = back.coupons.iter().map(|coupon| (back.target, (COUPON, coupon.0)));
            said.given_back.extend(brought);
        }
    }
}

/// A member says their number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greet {
    till: usize,
    member: usize,
}

impl Kind for Greet {
    const WEIGHT: u32 = 30;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            member: making.dice.usize(..9),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let number = world.base.members[self.member % world.base.members.len()].1.clone();
        let Some(counter) = world.counter(place) else {
            return Ok("down".into());
        };
        let found = counter.find_member(&Input::MemberNumber(number)).await;
        Ok(match found {
            Ok(MemberAnswer::Found(card)) => format!("{} coupons", card.coupons.len()),
            Ok(MemberAnswer::Unknown(_)) => "unknown".into(),
            Err(error) => error.code().into(),
        })
    }
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        stores::members(judged).await
    }
}
