//! What a basket is paid with is held before the till takes money.

use counterfoil_domain::{
    coupons::CouponState,
    ids::FreezeId,
    operations::{Action, RedeemCoupon},
    time::{MINUTE, SECOND},
    transition::{AskFreeze, Command, Subject},
};

use super::{HOME, ONLINE, action, basket, codes, done, journaled, office, see, tender, used};
use crate::{
    basket::{Basket, Opened, Payment, Quote, SaleRefusal, Selection, Settled, Tender, close, open, settle},
    desk::Decision,
    honour::Delivery,
    testing::{HeadOffice, Line, Shop, account, bytes, clerk_id, coupon_id, device, member_id, rule, template_id},
};

fn rich(points: i64, balance: i64) -> HeadOffice {
    let mut office = office(&[HOME, ONLINE]);
    office.put_rule(rule());
    office.put_account(account(points, balance));
    office
}

fn with_points(points: i64) -> Basket {
    Basket {
        points,
        ..basket(Selection::Best)
    }
}

async fn opened(shop: &Shop, quote: &Quote, balance: i64) -> Opened {
    open(&shop.inner, quote.ticket.as_ref().unwrap(), balance)
        .await
        .unwrap()
}

async fn held(shop: &Shop, quote: &Quote, balance: i64) -> Payment {
    match opened(shop, quote, balance).await {
        Opened::Held(payment) => *payment,
        Opened::Refused(refusal) => panic!("{refusal:?}"),
    }
}

async fn not_held(shop: &Shop, quote: &Quote, balance: i64) -> SaleRefusal {
    match opened(shop, quote, balance).await {
        Opened::Held(payment) => panic!("{payment:?}"),
        Opened::Refused(refusal) => *refusal,
    }
}

async fn take(shop: &Shop, quote: &Quote, balance: i64) -> Settled {
    let tender = Tender { balance, ..tender() };
    settle(&shop.inner, quote.ticket.as_ref().unwrap(), &tender, clerk_id(1))
        .await
        .unwrap()
}

fn used_elsewhere(n: u8) -> Action {
    Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(n),
        template: template_id(n),
        template_version: 1,
        worth: 200,
        member: None,
        freeze: None,
    })
}

#[tokio::test]
async fn opening_holds_all_and_settling_names_the_same_freezes() {
    let mut office = rich(1_000, 5_000);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    let quote = see(&shop, &with_points(100)).await;
    let payment = held(&shop, &quote, 1_500).await;
    assert_eq!((payment.decision, payment.renew_after), (Decision::Honour, 4 * MINUTE));
    assert_eq!((payment.payable, payment.balance, payment.till), (3_700, 1_500, 2_200));
    let there = line.office.lock().unwrap().account(member_id(1));
    assert_eq!(
        (there.points.balances().held, there.balance.balances().held),
        (100, 1_500)
    );
    assert_eq!(line.count("POST /v1/freezes"), 3);
    // Opened once more, nothing is asked.
    shop.clock.advance(MINUTE);
    assert_eq!(held(&shop, &quote, 1_500).await.renew_after, 3 * MINUTE);
    assert_eq!(line.count("POST /v1/freezes"), 3);
    // More of the stored value: of the account alone.
    assert_eq!(held(&shop, &quote, 2_000).await.till, 1_700);
    assert_eq!((line.count("POST /v1/freezes"), line.count("DELETE")), (4, 1));
    let frozen: Vec<FreezeId> = {
        let office = line.office.lock().unwrap();
        let coupons = office.state.coupons.values().flatten();
        let coupons = coupons.filter_map(|coupon| match coupon.state {
            CouponState::Frozen { freeze, .. } => Some(freeze),
            _ => None,
        });
        let account = office.account(member_id(1));
        coupons.chain(account.points.holds.iter().map(|hold| hold.id)).collect()
    };
    let receipt = done(take(&shop, &quote, 2_000).await);
    assert_eq!(receipt.delivery, Delivery::Confirmed);
    assert_eq!((line.count("POST /v1/freezes"), line.count("DELETE")), (4, 1));
    let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
        panic!()
    };
    let mut named: Vec<FreezeId> = settled.coupons.iter().filter_map(|used| used.freeze).collect();
    named.extend(settled.account.freezes());
    let sorted = |mut ids: Vec<FreezeId>| {
        ids.sort_unstable();
        ids
    };
    assert_eq!(sorted(named), sorted(frozen));
    // It is a sale now.
    let late = open(&shop.inner, quote.ticket.as_ref().unwrap(), 0).await.unwrap_err();
    assert_eq!(late.code(), "ticket_stale");
    close(&shop.inner, quote.ticket.as_ref().unwrap()).await.unwrap();
    assert_eq!(line.count("DELETE"), 1);
}

#[tokio::test]
async fn a_no_is_said_before_the_till_takes_money_and_gives_everything_back() {
    let mut office = rich(1_000, 5_000);
    let shop = Shop::of(&mut office).await;
    office.elsewhere(used_elsewhere(12));
    // Another counter holds most of the points and half of the stored value at this moment.
    let theirs = Command::Freeze(AskFreeze {
        id: FreezeId::new(office.now, bytes(40, 1)),
        device: device(2),
        subject: Subject::Account(member_id(1)),
        amounts: counterfoil_domain::points::Amounts {
            points: 950,
            balance: 2_500,
        },
        presented_by: Some(member_id(1)),
        now: office.now,
    });
    office.ask(&theirs);
    let line = Line::of(&shop, office).await;
    let quote = see(&shop, &with_points(100)).await;
    assert_eq!(used(&quote).len(), 2);
    let refusal = not_held(&shop, &quote, 3_000).await;
    assert_eq!(refusal.decision, Decision::Refuse);
    assert_eq!(refusal.coupons.len(), 1);
    assert_eq!(codes(&refusal.coupons[0].reasons), ["redeemed"]);
    assert_eq!(
        (codes(&refusal.points), codes(&refusal.balance)),
        (vec!["points_short"], vec!["balance_short"])
    );
    assert_eq!(refusal.points[0].params["available"], "50");
    assert_eq!(refusal.balance[0].params["available"], "2500");
    assert_eq!(journaled(&shop).await, 0);
    line.nothing_frozen().await;
    // The next quote knows of the coupon; as many points as there are go through.
    let quote = see(&shop, &with_points(50)).await;
    assert_eq!(used(&quote).len(), 1);
    assert_eq!(held(&shop, &quote, 2_500).await.decision, Decision::Honour);
    assert_eq!(done(take(&shop, &quote, 2_500).await).delivery, Delivery::Confirmed);
}

#[tokio::test]
async fn closing_gives_back_and_what_is_old_is_asked_for_anew() {
    let mut office = rich(1_000, 5_000);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    let quote = see(&shop, &with_points(100)).await;
    let ticket = quote.ticket.clone().unwrap();
    held(&shop, &quote, 0).await;
    close(&shop.inner, &ticket).await.unwrap();
    line.nothing_frozen().await;
    assert_eq!(line.count("DELETE"), 3);
    close(&shop.inner, &ticket).await.unwrap();
    close(&shop.inner, "made up").await.unwrap();
    assert_eq!(line.count("DELETE"), 3);

    held(&shop, &quote, 0).await;
    assert_eq!(line.count("POST /v1/freezes"), 6);
    shop.clock.advance(4 * MINUTE);
    line.office.lock().unwrap().now = shop.clock.time();
    // The same things, held by the same counter: let go of first.
    assert_eq!(held(&shop, &quote, 0).await.decision, Decision::Honour);
    assert_eq!((line.count("POST /v1/freezes"), line.count("DELETE")), (9, 6));
    // Nobody asked in time: settling does.
    shop.clock.advance(4 * MINUTE + SECOND);
    line.office.lock().unwrap().now = shop.clock.time();
    assert_eq!(done(take(&shop, &quote, 0).await).delivery, Delivery::Confirmed);
    assert_eq!((line.count("POST /v1/freezes"), line.count("DELETE")), (12, 9));
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    assert_eq!(office.account(member_id(1)).points.balances().held, 0);
}

#[tokio::test]
async fn without_an_answer_what_goes_by_the_offline_rules_is_said() {
    let mut office = rich(1_000, 5_000);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    line.deaf.lock().unwrap().push(Subject::Coupon(coupon_id(11)));
    line.deaf.lock().unwrap().push(Subject::Account(member_id(1)));
    let quote = see(&shop, &with_points(100)).await;
    let payment = held(&shop, &quote, 0).await;
    assert_eq!(
        (payment.decision, payment.points_alone),
        (Decision::HonourOffline, true)
    );
    assert_eq!(
        payment.alone.iter().map(|title| title.en.as_str()).collect::<Vec<_>>(),
        ["coupon 11"]
    );
    let receipt = done(take(&shop, &quote, 0).await);
    assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
    let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
        panic!()
    };
    // They may have been granted all the same.
    assert!(settled.coupons.iter().all(|used| used.freeze.is_some()));
    assert!(settled.account.points.unwrap().freeze.is_some());
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    let there = office.account(member_id(1));
    assert_eq!(
        (there.points.balances().held, there.points.balances().available),
        (0, 937)
    );

    // Stored value and what needs a word: not without one.
    let mut office = rich(1_000, 5_000);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    line.deaf.lock().unwrap().push(Subject::Account(member_id(1)));
    let quote = see(&shop, &with_points(101)).await;
    let refusal = not_held(&shop, &quote, 100).await;
    assert_eq!(refusal.decision, Decision::Unconfirmed);
    assert_eq!(
        (codes(&refusal.points), codes(&refusal.balance)),
        (vec!["points_short"], vec!["online_only"])
    );
    assert_eq!(refusal.points[0].params["available"], "100");
    line.nothing_frozen().await;
}
