//! Sales after they were settled: listed, undone, taken back.

use counterfoil_domain::{
    coupons::{CouponState, OfflinePolicy},
    ids::ClerkId,
    sales::ReturnPolicy,
    settlement::{Basis, Kind, returns::Units},
    time::{DAY, HOUR},
};

use super::*;
use crate::{
    Settled, Tender,
    basket::{Basket, BasketLine, Selection, quote, settle},
    desk::void,
    journal,
    testing::{HeadOffice, Line, PIN, Shop, account, clerk_id, coupon, coupon_id, member_id, rule, template},
};

/// 20.00 off from 60.00.
fn office() -> HeadOffice {
    let mut office = HeadOffice::new(0, 0);
    office.put_template(counterfoil_domain::coupons::Template {
        rule: Kind::ThresholdOff {
            threshold: 6_000,
            amount: 2_000,
            basis: Basis::Net,
        }
        .into(),
        ..template(11, OfflinePolicy::HomeStore)
    });
    office.put_coupon(coupon(11, 11));
    office
}

/// 4 x 10.00 and 1 x 30.00, less 20.00: 50.00.
async fn sell(shop: &Shop, receipt: &str) -> OperationId {
    let line = |n: u8, quantity| BasketLine {
        sku: format!("P{n}"),
        quantity,
        unit_price: None,
    };
    let basket = Basket {
        lines: vec![line(1, 4), line(3, 1)],
        member: Some(member_id(1)),
        coupons: Vec::new(),
        select: Selection::Best,
        points: 0,
    };
    let quote = quote(&shop.inner, &basket).await.unwrap();
    let tender = Tender {
        tender: "cash".into(),
        receipt: receipt.into(),
        balance: 0,
    };
    match settle(&shop.inner, &quote.ticket.unwrap(), &tender, clerk_id(1))
        .await
        .unwrap()
    {
        Settled::Done(receipt) => receipt.op_id,
        Settled::Refused(refusal) => panic!("{refusal:?}"),
    }
}

async fn today(shop: &Shop) -> Vec<SaleEntry> {
    of_day(&shop.inner, None).await.unwrap()
}

async fn back(shop: &Shop, id: OperationId, units: &[Units], refund: i64, manager: ClerkId) -> Result<OperationId> {
    let approval = Approval {
        reason: "too small",
        manager,
        pin: PIN,
    };
    let receipt = take_back(&shop.inner, id, units, ReturnPolicy::Keep, refund, approval).await?;
    Ok(receipt.op_id)
}

async fn coupon_is_there(shop: &Shop) -> bool {
    let held = replica::coupon(&mut shop.inner.db.read().await.unwrap(), coupon_id(11))
        .await
        .unwrap();
    held.unwrap().row.state == CouponState::Available
}

fn units(line: i64, quantity: i64) -> Units {
    Units { line, quantity }
}

#[tokio::test]
async fn todays_sales_are_those_of_the_stores_own_day() {
    let mut office = office();
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let first = sell(&shop, "R-1").await;
    shop.clock.advance(HOUR);
    let second = sell(&shop, "R-2").await;
    let listed = today(&shop).await;
    assert_eq!(
        listed.iter().map(|sale| sale.op_id).collect::<Vec<_>>(),
        [second, first]
    );
    let sale = &listed[1];
    assert_eq!(
        (sale.subtotal, sale.discount, sale.payable, sale.units),
        (7_000, 2_000, 5_000, 5)
    );
    assert_eq!(
        (sale.receipt.as_str(), sale.clerk.as_str(), sale.own),
        ("R-1", "clerk 1", true)
    );
    assert_eq!(
        (sale.voidable, sale.returnable, sale.state),
        (true, true, QueueState::Pending)
    );
    // The coupon was used by the first.
    assert_eq!(listed[0].discount, 0);
    let zone = TimeZone::get("Asia/Shanghai").unwrap();
    let day = Timestamp::from_millisecond(listed[1].at).unwrap().to_zoned(zone).date();
    assert_eq!(of_day(&shop.inner, Some(&day.to_string())).await.unwrap().len(), 2);
    shop.clock.advance(DAY);
    assert!(today(&shop).await.is_empty());
    assert_eq!(of_day(&shop.inner, Some(&day.to_string())).await.unwrap().len(), 2);
    let wrong = of_day(&shop.inner, Some("yesterday")).await.unwrap_err();
    assert_eq!(wrong.code(), "day_invalid");
}

#[test]
fn a_day_has_23_hours_where_the_clocks_go_forward() {
    let (from, to) = bounds("Europe/Berlin", Some("2026-03-29"), 0).unwrap();
    assert_eq!(to - from, 23 * HOUR);
    let (from, to) = bounds("Mars/Olympus", Some("2026-03-29"), 0).unwrap();
    assert_eq!((to - from, from % DAY), (24 * HOUR, 0));
}

#[tokio::test]
async fn a_void_gives_every_coupon_back_and_is_done_once() {
    let mut office = office();
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let id = sell(&shop, "R-1").await;
    assert!(!coupon_is_there(&shop).await);
    let refused = void(&shop.inner, id, "wrong", clerk_id(1), PIN).await.unwrap_err();
    assert_eq!(refused.code(), "not_allowed");
    void(&shop.inner, id, "wrong basket", clerk_id(2), PIN).await.unwrap();
    assert!(coupon_is_there(&shop).await);
    let sale = today(&shop).await.remove(0);
    assert_eq!((sale.voided, sale.voidable, sale.returnable), (true, false, false));
    assert_eq!(
        void(&shop.inner, id, "again", clerk_id(2), PIN)
            .await
            .unwrap_err()
            .code(),
        "operation_not_voidable"
    );
    let late = preview(&shop.inner, id, &[units(0, 1)], ReturnPolicy::Keep)
        .await
        .unwrap_err();
    assert_eq!(late.code(), "operation_not_returnable");
    // What was undone counts against no limit.
    let usage = journal::usage(&mut shop.inner.db.read().await.unwrap(), None)
        .await
        .unwrap();
    assert_eq!((usage.count, usage.amount), (0, 0));
    shop.settle(&mut office).await;
    let there = office.state.sales[&id].clone().unwrap();
    assert!(there.voided_by.is_some());
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.pending, counts.delivered, counts.exceptions), (0, 2, 0));
    assert!(coupon_is_there(&shop).await);
    // Once more, after head office has it, and before the void is delivered.
    let again = sell(&shop, "R-2").await;
    shop.settle(&mut office).await;
    void(&shop.inner, again, "wrong basket", clerk_id(2), PIN)
        .await
        .unwrap();
    assert!(coupon_is_there(&shop).await);
    shop.settle(&mut office).await;
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.pending, counts.exceptions), (0, 0));
    assert!(coupon_is_there(&shop).await);
}

#[tokio::test]
async fn goods_come_back_for_what_was_paid_and_the_coupon_with_the_last_of_them() {
    let mut office = office();
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let id = sell(&shop, "R-1").await;
    // 20.00 over 40.00 and 30.00: 11.43 and 8.57 by largest remainder.
    let detail = detail(&shop.inner, id).await.unwrap();
    assert_eq!(
        detail.lines.iter().map(|line| line.net).collect::<Vec<_>>(),
        [2_857, 2_143]
    );
    let keep = preview(&shop.inner, id, &[units(0, 1)], ReturnPolicy::Keep)
        .await
        .unwrap();
    assert_eq!((keep.refund, keep.left_paid, keep.lines[0].left), (714, 4_286, 3));
    assert!(keep.coupons.iter().all(|coupon| !coupon.given_back));
    // Quoted again, the rest no longer reaches 60.00 after the second: 50.00 paid, 50.00 due.
    let requote = preview(&shop.inner, id, &[units(0, 2)], ReturnPolicy::Requote)
        .await
        .unwrap();
    assert_eq!(requote.refund, 0);
    assert!(requote.coupons.iter().all(|coupon| coupon.given_back));
    for (units, code) in [
        (vec![], "return_invalid"),
        (vec![units(0, 5)], "return_invalid"),
        (vec![units(0, 0)], "return_invalid"),
        (vec![units(2, 1)], "return_invalid"),
        (vec![units(0, 1), units(0, 1)], "return_invalid"),
    ] {
        let error = preview(&shop.inner, id, &units, ReturnPolicy::Keep).await.unwrap_err();
        assert_eq!(error.code(), code, "{units:?}");
    }
    assert_eq!(
        back(&shop, id, &[units(0, 1)], 714, clerk_id(1))
            .await
            .unwrap_err()
            .code(),
        "not_allowed"
    );
    assert_eq!(
        back(&shop, id, &[units(0, 1)], 713, clerk_id(2))
            .await
            .unwrap_err()
            .code(),
        "ticket_stale"
    );
    back(&shop, id, &[units(0, 1)], 714, clerk_id(2)).await.unwrap();
    let sale = today(&shop).await.remove(0);
    assert_eq!(
        (sale.refunded, sale.returned, sale.voidable, sale.returnable),
        (714, 1, false, true)
    );
    let error = void(&shop.inner, id, "too late", clerk_id(2), PIN).await.unwrap_err();
    assert_eq!(error.code(), "operation_not_voidable");
    assert!(!coupon_is_there(&shop).await);

    // Delivered in between, the rest comes back; every cent that was paid, and the coupon.
    shop.settle(&mut office).await;
    let rest = [units(0, 3), units(1, 1)];
    let due = preview(&shop.inner, id, &rest, ReturnPolicy::Keep).await.unwrap();
    assert_eq!((due.refund, due.left_paid), (4_286, 0));
    back(&shop, id, &rest, 4_286, clerk_id(2)).await.unwrap();
    assert!(coupon_is_there(&shop).await);
    let sale = today(&shop).await.remove(0);
    assert_eq!((sale.refunded, sale.returnable), (5_000, false));
    shop.settle(&mut office).await;
    let there = office.state.sales[&id].clone().unwrap();
    assert_eq!(there.paid_back(), 5_000);
    assert!(coupon_is_there(&shop).await);
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.pending, counts.delivered, counts.exceptions), (0, 3, 0));
    assert_eq!(today(&shop).await.remove(0).refunded, 5_000);
}

#[tokio::test]
async fn head_office_restored_from_a_backup_hears_of_the_sale_again() {
    let mut office = office();
    let shop = Shop::of(&mut office).await;
    let before = office.clone();
    shop.go_offline();
    let id = sell(&shop, "R-1").await;
    shop.settle(&mut office).await;
    office.restored_from(&before, 2);
    shop.settle(&mut office).await;
    let sale = today(&shop).await.remove(0);
    assert_eq!((sale.op_id, sale.payable, sale.discount), (id, 5_000, 2_000));
    assert_eq!(office.state.sales[&id].clone().unwrap().payable, 5_000);
    assert!(!coupon_is_there(&shop).await);
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.pending, counts.exceptions), (0, 0));
}

/// 4 x 10.00 and 1 x 30.00, of which 350 points pay 35.00 and stored value 20.00.
async fn sell_for_points(shop: &Shop) -> OperationId {
    let line = |n: u8, quantity| BasketLine {
        sku: format!("P{n}"),
        quantity,
        unit_price: None,
    };
    let basket = Basket {
        lines: vec![line(1, 4), line(3, 1)],
        member: Some(member_id(1)),
        coupons: Vec::new(),
        select: Selection::Given(Vec::new()),
        points: 350,
    };
    let quote = quote(&shop.inner, &basket).await.unwrap();
    assert_eq!((quote.payable, quote.earns), (3_500, 35));
    let tender = Tender {
        tender: "cash".into(),
        receipt: "R-9".into(),
        balance: 2_000,
    };
    match settle(&shop.inner, &quote.ticket.unwrap(), &tender, clerk_id(1))
        .await
        .unwrap()
    {
        Settled::Done(receipt) => receipt.op_id,
        Settled::Refused(refusal) => panic!("{refusal:?}"),
    }
}

#[tokio::test]
async fn a_return_gives_and_takes_points_and_fills_stored_value_first() {
    let mut office = office();
    office.put_rule(rule());
    office.put_account(account(400, 2_500));
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    let id = sell_for_points(&shop).await;
    for policy in [ReturnPolicy::Keep, ReturnPolicy::Requote] {
        let one = preview(&shop.inner, id, &[units(0, 1)], policy).await.unwrap();
        // Of 40.00 points pay 20.00: a fourth of each; 30.00 stays paid and has earned 30.
        assert_eq!(
            (one.refund, one.to_balance, one.left_paid),
            (500, 500, 3_000),
            "{policy:?}"
        );
        assert_eq!((one.points_back, one.earned_back), (50, Some(5)), "{policy:?}");
    }
    back(&shop, id, &[units(0, 1)], 500, clerk_id(2)).await.unwrap();
    let sale = today(&shop).await.remove(0).account;
    assert_eq!((sale.points_back, sale.balance_back, sale.earned_back), (50, 500, 5));
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    let has = |office: &HeadOffice| {
        let account = office.account(member_id(1));
        let (points, balance) = (account.points.balances(), account.balance.balances());
        (points.available, balance.available, points.debt)
    };
    // 400 - 350 + 35, then 50 back and 5 taken back; 25.00 - 20.00 and 5.00 back.
    assert_eq!(has(&office), (130, 1_000, 0));
    let rest = [units(0, 3), units(1, 1)];
    let due = preview(&shop.inner, id, &rest, ReturnPolicy::Keep).await.unwrap();
    assert_eq!(
        (due.refund, due.to_balance, due.points_back, due.earned_back),
        (3_000, 1_500, 300, Some(30))
    );
    back(&shop, id, &rest, 3_000, clerk_id(2)).await.unwrap();
    shop.settle(&mut office).await;
    // Bought and brought back: nothing is left of it.
    assert_eq!(has(&office), (400, 2_500, 0));
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.pending, counts.delivered, counts.exceptions), (0, 3, 0));
    let card = crate::members::local_card(&shop.inner, member_id(1)).await.unwrap();
    let card = card.unwrap().account.unwrap();
    assert_eq!((card.points.available, card.balance.available), (400, 2_500));

    // A void of another one does as much at once.
    *line.office.lock().unwrap() = office;
    let id = sell_for_points(&shop).await;
    void(&shop.inner, id, "wrong basket", clerk_id(2), PIN).await.unwrap();
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    assert_eq!(has(&office), (400, 2_500, 0));
}
