//! Baskets: quoted, settled with and without a line, once, whole or not at all. Here stands what the tests share.

mod alone;
mod asking;
mod once;
mod paying;
mod points;
mod quoting;

use counterfoil_domain::{
    coupons::{OfflinePolicy, Template},
    ids::{CouponId, OperationId},
    operations::Action,
    settlement::{Kind, Stacking},
};

use crate::{
    basket::{Basket, BasketLine, Quote, SaleRefusal, Selection, Settled, Tender, quote, settle},
    desk::Explained,
    honour::Receipt,
    journal,
    testing::{HeadOffice, Shop, clerk_id, coupon, member_id, template},
};

/// Templates 11, 12, ... take 1.00, 2.00, ... off; coupons of different ones may be used together.
fn stacking(n: u8, offline: OfflinePolicy) -> Template {
    Template {
        rule: Kind::AmountOff {
            amount: 100 * i64::from(n - 10),
        }
        .into(),
        stacking: Stacking::Group(Some(format!("group {n}"))),
        ..template(n, offline)
    }
}

/// A head office where member 1 has one coupon of each of these templates: coupon 11 of template 11, ...
fn office(policies: &[OfflinePolicy]) -> HeadOffice {
    let mut office = HeadOffice::new(0, 0);
    for (n, policy) in (11..).zip(policies) {
        office.put_template(stacking(n, *policy));
        office.put_coupon(coupon(n, n));
    }
    office
}

fn basket(select: Selection) -> Basket {
    let line = |n: i64, quantity| BasketLine {
        sku: format!("P{n}"),
        quantity,
        unit_price: None,
    };
    Basket {
        lines: vec![line(1, 2), line(3, 1)],
        member: Some(member_id(1)),
        coupons: Vec::new(),
        select,
        points: 0,
    }
}

async fn see(shop: &Shop, basket: &Basket) -> Quote {
    quote(&shop.inner, basket).await.unwrap()
}

fn tender() -> Tender {
    Tender {
        tender: "card".into(),
        receipt: "R-1".into(),
        balance: 0,
    }
}

async fn pay(shop: &Shop, quote: &Quote) -> Settled {
    settle(&shop.inner, quote.ticket.as_ref().unwrap(), &tender(), clerk_id(1))
        .await
        .unwrap()
}

fn done(settled: Settled) -> Receipt {
    match settled {
        Settled::Done(receipt) => receipt,
        Settled::Refused(refusal) => panic!("{refusal:?}"),
    }
}

fn refused(settled: Settled) -> SaleRefusal {
    match settled {
        Settled::Done(receipt) => panic!("{receipt:?}"),
        Settled::Refused(refusal) => *refusal,
    }
}

async fn journaled(shop: &Shop) -> i64 {
    journal::pending_count(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap()
}

async fn usage(shop: &Shop) -> (i64, i64) {
    let usage = journal::usage(&mut shop.inner.db.read().await.unwrap(), None)
        .await
        .unwrap();
    (usage.count, usage.amount)
}

async fn action(shop: &Shop, id: OperationId) -> Action {
    let (text, _) = journal::text(&mut shop.inner.db.read().await.unwrap(), id)
        .await
        .unwrap()
        .unwrap();
    counterfoil_protocol::operation::open(0, &text)
        .unwrap()
        .1
        .action
        .unwrap()
}

fn codes(reasons: &[Explained]) -> Vec<&str> {
    reasons.iter().map(|reason| reason.code.as_str()).collect()
}

fn used(quote: &Quote) -> Vec<CouponId> {
    let used = quote.coupons.iter().filter(|coupon| coupon.applied.is_some());
    used.map(|coupon| coupon.coupon.id).collect()
}

const HOME: OfflinePolicy = OfflinePolicy::HomeStore;
const ONLINE: OfflinePolicy = OfflinePolicy::OnlineOnly;
