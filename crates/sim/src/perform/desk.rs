//! What clerks do at a counter.

use anyhow::Result;
use counterfoil_counter::{
    Basket, BasketLine, Confirmation, Error, Input, MemberAnswer, Selection, Settled, Tender, Turn,
};
use counterfoil_domain::{ids::OperationId, sales::ReturnPolicy, settlement::returns::Units};

use crate::{
    base::PIN,
    world::{World, pick},
};

pub(super) fn said(error: &Error) -> String {
    format!("error {}", error.code())
}

pub(super) async fn redeem(world: &mut World, place: usize, scanned: Input, what: &'static str) -> Result<String> {
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

pub(super) async fn sell(
    world: &mut World,
    place: usize,
    skus: &[usize],
    member: Option<usize>,
    coupons: &[usize],
) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    let base = std::sync::Arc::clone(&world.base);
    let member = match member {
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
        lines: skus
            .iter()
            .map(|sku| BasketLine {
                sku: base.skus[sku % base.skus.len()].clone(),
                quantity: 2,
                unit_price: None,
            })
            .collect(),
        member,
        coupons: coupons
            .iter()
            .map(|coupon| Input::CouponCode(pick(&world.coupons, *coupon).to_owned()))
            .collect(),
        select: Selection::Best,
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

pub(super) fn latest(world: &World, place: usize, back: usize) -> Option<OperationId> {
    let done = &world.tills[place].done;
    done.len().checked_sub(1 + back).and_then(|at| done.get(at)).copied()
}

pub(super) async fn void(world: &mut World, place: usize, back: usize) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    let Some(operation) = latest(world, place, back) else {
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

pub(super) async fn take_back(world: &mut World, place: usize, back: usize, units: i64) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    // Any sale that this store's counters know: also another counter's.
    let sales = match counter.sales(None).await {
        Ok(sales) => sales,
        Err(error) => return Ok(said(&error)),
    };
    let Some(sale) = sales.get(back).map(|sale| sale.op_id) else {
        return Ok("no sale".into());
    };
    let wanted = [Units {
        line: 0,
        quantity: units,
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

pub(super) async fn sync(world: &mut World, place: usize, turns: u32) -> Result<String> {
    let mut words = String::new();
    for _ in 0..turns {
        let Some(counter) = world.counter(place) else {
            return Ok(words + "down");
        };
        match counter.sync_turn().await {
            Ok(Turn::Asked { more }) => {
                words.push_str(if more { "more " } else { "all " });
                if !more {
                    break;
                }
            }
            Ok(Turn::Resting { .. }) => {
                words.push_str("resting");
                break;
            }
            Err(error) => {
                words.push_str(&said(&error));
                break;
            }
        }
        if world.bury(place).await? {
            words.push_str("ended");
            break;
        }
    }
    Ok(words)
}
