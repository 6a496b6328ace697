//! Points and stored value beside a basket: spent, earned, paid with.

use counterfoil_domain::{
    operations::{Action, Outcome},
    points::{Account, AccountUse, Balances, earning::EarningRule},
    time::HOUR,
};

use super::{HOME, action, basket, codes, done, journaled, office, pay, refused, see, tender, usage};
use crate::{
    basket::{Basket, Quote, Selection, Settled, Tender, settle},
    desk::Decision,
    honour::Delivery,
    points::AccountCard,
    testing::{HeadOffice, Line, Shop, account, clerk_id, member_id, rule},
};

fn with_points(points: i64) -> Basket {
    Basket {
        points,
        ..basket(Selection::Best)
    }
}

/// Member 1 has one coupon of 1.00, so many points and so much stored value.
fn rich(points: i64, balance: i64) -> HeadOffice {
    let mut office = office(&[HOME]);
    office.put_rule(rule());
    office.put_account(account(points, balance));
    office
}

async fn pay_with(shop: &Shop, quote: &Quote, balance: i64) -> Settled {
    let tender = Tender { balance, ..tender() };
    settle(&shop.inner, quote.ticket.as_ref().unwrap(), &tender, clerk_id(1))
        .await
        .unwrap()
}

async fn card(shop: &Shop) -> AccountCard {
    let card = crate::members::local_card(&shop.inner, member_id(1)).await.unwrap();
    card.unwrap().account.unwrap()
}

fn has(points: i64) -> Balances {
    Balances {
        available: points,
        ..Balances::default()
    }
}

async fn uses(shop: &Shop, id: counterfoil_domain::ids::OperationId) -> AccountUse {
    match action(shop, id).await {
        Action::SettleSale(settled) => settled.account,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn points_pay_what_the_rule_lets_them_and_head_office_books_what_was_shown() {
    let shop_office = &mut rich(1_000, 5_000);
    let shop = Shop::of(shop_office).await;
    let line = Line::of(&shop, shop_office.clone()).await;
    let negative = crate::basket::quote(&shop.inner, &with_points(-1)).await;
    assert_eq!(negative.unwrap_err().code(), "basket_invalid");
    // 50.00 less 1.00; points pay half of 49.00 at most, each 0.10.
    let none = see(&shop, &with_points(0)).await;
    let points = none.points.unwrap();
    assert_eq!((points.used, points.most, points.decision), (0, 245, Decision::Honour));
    assert_eq!((none.payable, none.earns), (4_900, 49));
    let quote = see(&shop, &with_points(999)).await;
    let points = quote.points.clone().unwrap();
    assert_eq!((points.used, points.amount, quote.payable), (245, 2_450, 2_450));
    // Nothing on what was paid with points.
    assert_eq!(quote.earns, 24);
    assert_eq!(quote.account.clone().unwrap().balance, has(5_000));
    for line in &quote.lines {
        assert_eq!(line.list - line.discount - line.points, line.net);
    }
    let receipt = done(pay_with(&shop, &quote, 1_000).await);
    assert_eq!(receipt.delivery, Delivery::Confirmed);
    assert_eq!((usage(&shop).await, line.count("POST /v1/freezes")), ((0, 0), 2));
    let used = uses(&shop, receipt.op_id).await;
    let (by_points, by_balance) = (used.points.unwrap(), used.balance.unwrap());
    assert_eq!(
        (by_points.points, by_points.minor_per_point, used.rule),
        (245, 10, Some(1))
    );
    assert_eq!(by_balance.amount, 1_000);
    // One word for both.
    assert!(by_points.freeze.is_some() && by_points.freeze == by_balance.freeze);
    let foreseen = card(&shop).await;
    assert_eq!((foreseen.points, foreseen.balance), (has(779), has(4_000)));
    assert_eq!(
        foreseen.lots.iter().map(|lot| lot.amount).collect::<Vec<_>>(),
        [24, 755]
    );
    assert!(foreseen.lots[0].ends_at.is_some());

    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    let applied = office.state.operations[&receipt.op_id].clone().unwrap();
    assert_eq!(applied.outcome, Outcome::Applied);
    let there = office.account(member_id(1));
    assert_eq!(
        (there.points.balances(), there.balance.balances()),
        (has(779), has(4_000))
    );
    assert_eq!(card(&shop).await, foreseen);
    let sale = office.state.sales[&receipt.op_id].clone().unwrap();
    assert_eq!((sale.payable, sale.account.earned.unwrap().points), (2_450, 24));
    let listed = crate::sales::of_day(&shop.inner, None).await.unwrap().remove(0);
    assert_eq!((listed.discount, listed.payable), (100, 2_450));
    let done = listed.account;
    assert_eq!(
        (done.points, done.points_money, done.balance, done.earned),
        (245, 2_450, 1_000, 24)
    );
}

#[tokio::test]
async fn nobody_pays_with_points_without_a_member_a_rule_or_an_account() {
    let mut office = office(&[]);
    let shop = Shop::of(&mut office).await;
    let quote = see(&shop, &with_points(10)).await;
    assert_eq!((quote.points.clone(), quote.earns, quote.payable), (None, 0, 5_000));
    done(pay(&shop, &quote).await);

    let mut office = office_with(EarningRule {
        spending: None,
        ..rule()
    });
    let shop = Shop::of(&mut office).await;
    let quote = see(&shop, &with_points(10)).await;
    assert_eq!((quote.points, quote.earns), (None, 50));
    let anybody = Basket {
        member: None,
        ..with_points(10)
    };
    let quote = see(&shop, &anybody).await;
    assert_eq!((quote.points, quote.earns, quote.account), (None, 0, None));
    for (balance, member) in [(1, false), (5_001, true), (-1, true)] {
        let wanted = if member { with_points(0) } else { anybody.clone() };
        let quote = see(&shop, &wanted).await;
        let tender = Tender { balance, ..tender() };
        let error = settle(&shop.inner, &quote.ticket.unwrap(), &tender, clerk_id(1))
            .await
            .unwrap_err();
        assert_eq!(error.code(), "basket_invalid", "{balance}");
    }
}

fn office_with(rule: EarningRule) -> HeadOffice {
    let mut office = office(&[]);
    office.put_rule(rule);
    office.put_account(account(100, 0));
    office
}

#[tokio::test]
async fn alone_earning_always_spending_up_to_the_limit_and_stored_value_never() {
    let mut office = rich(1_000, 5_000);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let quote = see(&shop, &with_points(999)).await;
    let points = quote.points.clone().unwrap();
    assert_eq!(
        (points.used, points.most, points.decision),
        (100, 100, Decision::HonourOffline)
    );
    let refusal = refused(pay_with(&shop, &quote, 1).await);
    assert_eq!(refusal.decision, Decision::Unconfirmed);
    assert_eq!(
        (codes(&refusal.points), codes(&refusal.balance)),
        (vec![], vec!["online_only"])
    );
    assert_eq!(journaled(&shop).await, 0);
    let receipt = done(pay(&shop, &quote).await);
    assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
    // The coupon and the points.
    assert_eq!(usage(&shop).await, (2, 1_100));
    assert_eq!(card(&shop).await.points, has(1_000 - 100 + 39));
    shop.settle(&mut office).await;
    assert_eq!(office.account(member_id(1)).points.balances(), has(939));

    // By the device's limits too, which name the reason.
    office.limits.max_each = 500;
    let mut strict = rich(1_000, 0);
    strict.limits.max_each = 500;
    let shop = Shop::of(&mut strict).await;
    shop.go_offline();
    let quote = see(&shop, &with_points(60)).await;
    let points = quote.points.clone().unwrap();
    assert_eq!(
        (points.used, points.most, points.decision),
        (0, 0, Decision::Unconfirmed)
    );
    assert_eq!(codes(&points.reasons), ["over_floor_limit"]);
    assert_eq!(see(&shop, &with_points(50)).await.points.unwrap().used, 50);

    // Off by default.
    let mut off = office_with(EarningRule {
        spending: rule()
            .spending
            .map(|spending| counterfoil_domain::points::earning::Spending {
                offline_limit: 0,
                ..spending
            }),
        ..rule()
    });
    let shop = Shop::of(&mut off).await;
    shop.go_offline();
    let quote = see(&shop, &with_points(50)).await;
    let points = quote.points.clone().unwrap();
    assert_eq!((points.used, codes(&points.reasons)), (0, vec!["online_only"]));
    let receipt = done(pay(&shop, &quote).await);
    assert_eq!(card(&shop).await.points, has(150), "earned all the same");
    assert_eq!(uses(&shop, receipt.op_id).await.rule, Some(1));
    assert_eq!(usage(&shop).await, (0, 0));
}

#[tokio::test]
async fn what_was_spent_here_and_not_delivered_yet_is_not_there_twice() {
    let mut office = rich(100, 0);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    // Quoted twice while all of it was there.
    let (first, second) = (see(&shop, &with_points(100)).await, see(&shop, &with_points(100)).await);
    done(pay(&shop, &first).await);
    let refusal = refused(pay(&shop, &second).await);
    assert_eq!(codes(&refusal.points), ["points_short"]);
    assert_eq!(refusal.points[0].params["available"], "39");
    assert_eq!(see(&shop, &with_points(100)).await.points.unwrap().used, 39);
}

#[tokio::test]
async fn lots_that_end_or_become_available_count_at_once() {
    let mut office = rich(100, 0);
    let mut account = office.account(member_id(1));
    let now = office.now;
    account.points.lots[0].ends_at = Some(now + HOUR);
    let later = counterfoil_domain::points::Lot {
        number: 2,
        amount: 30,
        free: 30,
        ready_at: Some(now + 2 * HOUR),
        ends_at: None,
        ..account.points.lots[0]
    };
    account.points.lots.push(later);
    office.put_account(Account { version: 2, ..account });
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let before = card(&shop).await;
    assert_eq!((before.points.available, before.points.pending), (100, 30));
    shop.clock.advance(HOUR);
    let ended = card(&shop).await;
    assert_eq!((ended.points.available, ended.points.pending), (0, 30));
    shop.clock.advance(HOUR);
    let ready = card(&shop).await;
    assert_eq!(
        (ready.points.available, ready.points.pending, ready.lots.len()),
        (30, 0, 1)
    );
    assert_eq!(see(&shop, &with_points(99)).await.points.unwrap().used, 30);
}
