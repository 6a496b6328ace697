//! Baskets: quoted, settled with and without a line, once, whole or not at all.

use std::sync::{Arc, atomic::Ordering};

use counterfoil_domain::{
    coupons::{CouponState, OfflinePolicy},
    ids::OperationId,
    operations::{Action, Outcome, RedeemCoupon},
    settlement::{Kind, Stacking},
    time::MINUTE,
    transition::Subject,
};
use proptest::prelude::*;
use tokio::sync::Barrier;

use super::*;
use crate::{
    Error,
    desk::Delivery,
    journal, queue,
    testing::{HeadOffice, Line, Shop, clerk_id, coupon, coupon_id, member_id, template},
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
    }
}

async fn see(shop: &Shop, basket: &Basket) -> Quote {
    quote(&shop.inner, basket).await.unwrap()
}

fn tender() -> Tender {
    Tender {
        tender: "card".into(),
        receipt: "R-1".into(),
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

#[tokio::test]
async fn a_quote_says_what_each_coupon_does_and_why_the_others_do_not() {
    let mut office = office(&[HOME, HOME]);
    // Two of one group; one from far too much; one for somebody else's basket.
    let same_group = Template {
        stacking: Stacking::Group(Some("group 11".into())),
        ..stacking(13, HOME)
    };
    let dear = Template {
        rule: Kind::ThresholdOff {
            threshold: 6_200,
            amount: 500,
            basis: settlement::Basis::Net,
        }
        .into(),
        ..stacking(14, HOME)
    };
    office.put_template(same_group);
    office.put_template(dear);
    office.put_coupon(coupon(13, 13));
    office.put_coupon(coupon(14, 14));
    let shop = Shop::of(&mut office).await;
    let quote = see(&shop, &basket(Selection::Best)).await;
    // 2 x 10 + 30, less 2.00 and 3.00.
    assert_eq!((quote.subtotal, quote.discount, quote.payable), (5_000, 500, 4_500));
    assert_eq!(quote.currency, "CNY");
    let mut best = used(&quote);
    best.sort_unstable();
    assert_eq!(best, [coupon_id(12), coupon_id(13)]);
    let reasons: Vec<(CouponId, Vec<String>)> = quote
        .coupons
        .iter()
        .filter(|coupon| coupon.applied.is_none())
        .map(|coupon| {
            (
                coupon.coupon.id,
                coupon
                    .refused
                    .iter()
                    .map(|why| format!("{} {:?}", why.code(), why.params()))
                    .collect(),
            )
        })
        .collect();
    assert_eq!(reasons.len(), 2);
    let of = |id| reasons.iter().find(|(coupon, _)| *coupon == id).unwrap().1.join("; ");
    assert!(
        of(coupon_id(11)).contains("excluded_by") && of(coupon_id(11)).contains("coupon 13"),
        "{reasons:?}"
    );
    assert!(
        of(coupon_id(14)).contains("below_threshold") && of(coupon_id(14)).contains("1200"),
        "{reasons:?}"
    );
    // Line by line as in all.
    for line in &quote.lines {
        assert_eq!(line.list - line.discount, line.net);
        assert_eq!(line.shares.iter().map(|share| share.amount).sum::<i64>(), line.discount);
    }
    assert_eq!(quote.lines.iter().map(|line| line.net).sum::<i64>(), quote.payable);

    let by_hand = see(&shop, &basket(Selection::Given(vec![coupon_id(11)]))).await;
    assert_eq!((used(&by_hand), by_hand.discount), (vec![coupon_id(11)], 100));
    let unused = by_hand
        .coupons
        .iter()
        .find(|coupon| coupon.coupon.id == coupon_id(13))
        .unwrap();
    assert!(unused.refused.is_empty(), "it could be chosen: {unused:?}");
    assert_eq!(journaled(&shop).await, 0);

    // A price by hand, a coupon that is shown, things that are none.
    let mut other = basket(Selection::Best);
    other.member = None;
    other.lines[0].unit_price = Some(1);
    other.coupons = vec![
        Scanned::CouponCode(coupon(12, 12).code),
        Scanned::CouponCode(coupon(12, 12).code),
        Scanned::Other("4006381333931".into()),
    ];
    let quote = see(&shop, &other).await;
    assert_eq!((quote.subtotal, quote.discount), (3_002, 200));
    assert_eq!((quote.coupons.len(), quote.coupons[0].presented), (1, true));
    assert_eq!(
        (quote.unread.len(), codes(&quote.unread[0].reasons)),
        (1, vec!["not_a_code"])
    );

    let wrong = async |change: fn(&mut Basket)| {
        let mut basket = basket(Selection::Best);
        change(&mut basket);
        super::quote(&shop.inner, &basket).await
    };
    let error = wrong(|basket| basket.lines[0].sku = "nothing".into())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.params()["sku"].as_str()),
        ("product_unknown", "nothing")
    );
    let error = wrong(|basket| basket.lines[0].quantity = 0).await.unwrap_err();
    assert_eq!(
        (error.code(), error.params()["path"].as_str()),
        ("basket_invalid", "$.lines[0].quantity")
    );
    let error = wrong(|basket| basket.lines[0].unit_price = Some(-1)).await.unwrap_err();
    assert_eq!(error.code(), "basket_invalid");
    let error = wrong(|basket| basket.lines[0].quantity = i64::MAX).await.unwrap_err();
    assert_eq!(error.code(), "basket_invalid");
    let empty = wrong(|basket| basket.lines.clear()).await.unwrap();
    assert_eq!((empty.ticket, empty.payable), (None, 0));
}

#[tokio::test]
async fn alone_a_sale_is_one_operation_and_each_coupon_counts_against_the_limits() {
    let mut office = office(&[HOME, HOME, HOME, ONLINE]);
    office.limits.max_per_member = 2;
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let quote = see(&shop, &basket(Selection::Best)).await;
    // Three may be used alone, but only two of one member; the fourth needs a word.
    assert_eq!(used(&quote).len(), 2);
    let unconfirmed: Vec<_> = quote
        .coupons
        .iter()
        .filter(|coupon| coupon.decision == Decision::Unconfirmed)
        .collect();
    let why: Vec<_> = unconfirmed.iter().flat_map(|coupon| codes(&coupon.reasons)).collect();
    assert_eq!(why.len(), 2, "{why:?}");
    assert!(
        why.contains(&"online_only") && why.contains(&"member_operations_limit"),
        "{why:?}"
    );

    let receipt = done(pay(&shop, &quote).await);
    assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
    assert_eq!(done(pay(&shop, &quote).await), receipt, "twice is once");
    assert_eq!(journaled(&shop).await, 1);
    assert_eq!(usage(&shop).await, (2, quote.discount));
    let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
        panic!()
    };
    assert_eq!(settled.payable, quote.payable);
    assert_eq!((settled.tender.as_str(), settled.receipt.as_str()), ("card", "R-1"));
    assert!(settled.nets().is_some());

    // Nothing more of this member, neither in a basket nor by itself.
    let again = see(&shop, &basket(Selection::Best)).await;
    assert!(used(&again).is_empty());
    shop.settle(&mut office).await;
    assert_eq!(journaled(&shop).await, 0);
    let sale = office.state.sales[&receipt.op_id].clone().unwrap();
    assert_eq!((sale.payable, sale.coupons.len()), (quote.payable, 2));
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.delivered, counts.exceptions), (1, 0));
    shop.go_offline();
    assert_eq!(used(&see(&shop, &basket(Selection::Best)).await).len(), 1);
}

#[tokio::test]
async fn amounts_that_are_given_away_alone_are_limited_by_what_is_really_taken_off() {
    let mut office = HeadOffice::new(0, 0);
    let percent = Template {
        rule: Kind::PercentOff {
            percent_bp: 1_000,
            threshold: None,
            max_discount: None,
            basis: settlement::Basis::Net,
        }
        .into(),
        worth_unbounded: 1,
        ..stacking(11, OfflinePolicy::FloorLimit)
    };
    office.put_template(Template {
        floor_limit: 450,
        ..percent
    });
    office.put_coupon(coupon(11, 11));
    office.limits.max_each = 480;
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    // 10% of 50.00 is more than may be given away alone, whatever the template says it is worth.
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert!(used(&quote).is_empty());
    assert_eq!(
        codes(&quote.coupons[0].reasons),
        ["over_floor_limit", "over_floor_limit"]
    );
    let mut smaller = basket(Selection::Best);
    smaller.lines.truncate(1);
    assert_eq!(used(&see(&shop, &smaller).await).len(), 1);
}

#[tokio::test]
async fn online_every_coupon_is_asked_for_at_once_and_the_sale_is_confirmed() {
    let mut office = office(&[HOME, ONLINE, HOME]);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    // Nobody is answered before all three are there.
    *line.together.lock().unwrap() = Some(Arc::new(Barrier::new(3)));
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert_eq!(used(&quote).len(), 3);
    let receipt = done(pay(&shop, &quote).await);
    assert_eq!(receipt.delivery, Delivery::Confirmed);
    assert_eq!(line.count("POST /v1/freezes"), 3);
    assert_eq!(line.most.load(Ordering::SeqCst), 3);
    assert_eq!(usage(&shop).await, (0, 0));
    let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
        panic!()
    };
    assert!(settled.coupons.iter().all(|used| used.freeze.is_some()));
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    for n in 11..14 {
        let state = office.state.coupons[&coupon_id(n)].clone().unwrap().state;
        assert!(
            matches!(state, CouponState::Redeemed { operation, .. } if operation == receipt.op_id),
            "{n}"
        );
    }
    let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((counts.delivered, counts.exceptions), (1, 0));
    assert_eq!(line.count("DELETE"), 0);
}

#[tokio::test]
async fn one_coupon_refused_means_nothing_journaled_and_every_freeze_given_back() {
    let mut office = office(&[HOME, HOME, HOME]);
    let shop = Shop::of(&mut office).await;
    // Used at another store since this counter last heard.
    office.elsewhere(Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(12),
        template: crate::testing::template_id(12),
        template_version: 1,
        worth: 200,
        member: None,
        freeze: None,
    }));
    let line = Line::of(&shop, office).await;
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert_eq!(used(&quote).len(), 3);
    let refusal = refused(pay(&shop, &quote).await);
    assert_eq!(refusal.decision, Decision::Refuse);
    assert_eq!(refusal.coupons.len(), 1);
    assert_eq!(
        (refusal.coupons[0].coupon, codes(&refusal.coupons[0].reasons)),
        (coupon_id(12), vec!["redeemed"])
    );
    assert_eq!(journaled(&shop).await, 0);
    line.nothing_frozen().await;
    assert_eq!(line.count("DELETE"), 2);

    // The next quote knows, and goes through without it.
    let quote = see(&shop, &basket(Selection::Best)).await;
    assert_eq!(used(&quote).len(), 2);
    assert_eq!(done(pay(&shop, &quote).await).delivery, Delivery::Confirmed);
    assert_eq!(journaled(&shop).await, 1);
}

#[tokio::test]
async fn a_coupon_whose_question_goes_unanswered_goes_by_its_policy() {
    for (policy, goes) in [(HOME, true), (ONLINE, false)] {
        let mut office = office(&[HOME, policy]);
        let shop = Shop::of(&mut office).await;
        let line = Line::of(&shop, office).await;
        line.deaf.lock().unwrap().push(Subject::Coupon(coupon_id(12)));
        let quote = see(&shop, &basket(Selection::Best)).await;
        assert_eq!(used(&quote).len(), 2);
        let settled = pay(&shop, &quote).await;
        if goes {
            let receipt = done(settled);
            assert_eq!(receipt.delivery, Delivery::ToBeDelivered);
            // Only the one without a word counts against the limits, and its freeze is named: it may have been granted.
            assert_eq!(usage(&shop).await, (1, 200));
            let Action::SettleSale(settled) = action(&shop, receipt.op_id).await else {
                panic!()
            };
            assert!(settled.coupons.iter().all(|used| used.freeze.is_some()));
            let mut office = line.office.lock().unwrap().clone();
            shop.settle(&mut office).await;
            let counts = queue::counts(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
            assert_eq!((counts.delivered, counts.exceptions), (1, 0));
        } else {
            let refusal = refused(settled);
            assert_eq!(refusal.decision, Decision::Unconfirmed);
            assert_eq!(codes(&refusal.coupons[0].reasons), ["online_only"]);
            assert_eq!(journaled(&shop).await, 0);
            line.nothing_frozen().await;
        }
    }
}

#[tokio::test]
async fn a_ticket_is_worth_what_was_shown_and_only_while_that_is_so() {
    let mut office = office(&[HOME, HOME]);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let (first, second) = (
        see(&shop, &basket(Selection::Best)).await,
        see(&shop, &basket(Selection::Best)).await,
    );
    done(pay(&shop, &first).await);
    // The same coupons, shown twice: the second is judged again.
    let refusal = refused(pay(&shop, &second).await);
    assert_eq!(refusal.decision, Decision::Refuse);
    assert_eq!(refusal.coupons.len(), 2);
    assert!(
        refusal
            .coupons
            .iter()
            .all(|coupon| codes(&coupon.reasons) == ["redeemed"])
    );
    assert_eq!(journaled(&shop).await, 1);

    let plain = see(&shop, &basket(Selection::Best)).await;
    let settle = async |ticket: &str, tender: Tender, clerk: u8| -> Error {
        settle(&shop.inner, ticket, &tender, clerk_id(clerk)).await.unwrap_err()
    };
    let ticket = plain.ticket.clone().unwrap();
    assert_eq!(settle("made up", tender(), 1).await.code(), "ticket_stale");
    assert_eq!(settle(&ticket, tender(), 9).await.code(), "not_allowed");
    for (tender, receipt) in [("", "R"), ("card", " ")] {
        let words = Tender {
            tender: tender.into(),
            receipt: receipt.into(),
        };
        assert_eq!(settle(&ticket, words, 1).await.code(), "receipt_missing");
    }
    // No coupons, no question: a sale all the same.
    assert_eq!(done(pay(&shop, &plain).await).delivery, Delivery::ToBeDelivered);
    assert_eq!(usage(&shop).await.0, 2);
    let late = see(&shop, &basket(Selection::Best)).await;
    shop.clock.advance(10 * MINUTE);
    assert_eq!(settle(&late.ticket.unwrap(), tender(), 1).await.code(), "ticket_stale");
    assert_eq!(journaled(&shop).await, 2);
}

#[tokio::test]
async fn many_at_once_settle_one_ticket_once_and_rivals_share_no_coupon() {
    let mut office = office(&[HOME]);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let one = see(&shop, &basket(Selection::Best)).await;
    let mut tickets = vec![one.ticket.clone().unwrap(); 4];
    for _ in 0..4 {
        tickets.push(see(&shop, &basket(Selection::Best)).await.ticket.unwrap());
    }
    let tasks: Vec<_> = tickets
        .into_iter()
        .map(|ticket| {
            let inner = shop.inner.clone();
            tokio::spawn(async move { settle(&inner, &ticket, &tender(), clerk_id(1)).await.unwrap() })
        })
        .collect();
    let mut receipts = Vec::new();
    for task in tasks {
        if let Settled::Done(receipt) = task.await.unwrap() {
            receipts.push(receipt.op_id);
        }
    }
    receipts.dedup();
    assert_eq!((receipts.len(), journaled(&shop).await), (1, 1));
}

async fn room(shop: &Shop, pages: Option<i64>) {
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    let pages = match pages {
        Some(pages) => pages,
        None => sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&mut *tx)
            .await
            .unwrap(),
    };
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    sqlx::query(sql).execute(&mut *tx).await.unwrap();
    tx.commit("test").await.unwrap();
}

#[tokio::test]
async fn on_a_full_disk_nothing_is_half_sold_and_with_room_the_same_ticket_goes_through() {
    let mut office = office(&[HOME, HOME]);
    let shop = Shop::of(&mut office).await;
    let line = Line::of(&shop, office).await;
    let mut big = basket(Selection::Best);
    big.lines = vec![big.lines[0].clone(); 400];
    let quote = see(&shop, &big).await;
    assert_eq!(used(&quote).len(), 2);
    let ticket = quote.ticket.clone().unwrap();
    room(&shop, None).await;
    let error = settle(&shop.inner, &ticket, &tender(), clerk_id(1)).await.unwrap_err();
    assert_eq!(error.code(), "disk_full");
    assert_eq!(journaled(&shop).await, 0);
    // Both freezes go back, and both coupons are still there to be used.
    line.nothing_frozen().await;
    assert_eq!(used(&see(&shop, &basket(Selection::Best)).await).len(), 2);

    room(&shop, Some(1_000_000)).await;
    let receipt = done(settle(&shop.inner, &ticket, &tender(), clerk_id(1)).await.unwrap());
    assert_eq!(journaled(&shop).await, 1);
    let mut office = line.office.lock().unwrap().clone();
    shop.settle(&mut office).await;
    assert_eq!(journaled(&shop).await, 0);
    assert_eq!(office.state.sales[&receipt.op_id].clone().unwrap().coupons.len(), 2);
}

#[tokio::test]
async fn a_coupon_that_two_counters_honour_alone_ends_in_one_exception_and_is_foreseen() {
    let mut office = office(&[HOME, HOME]);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let receipt = done(pay(&shop, &see(&shop, &basket(Selection::Best)).await).await);
    office.elsewhere(Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(12),
        template: crate::testing::template_id(12),
        template_version: 1,
        worth: 200,
        member: None,
        freeze: None,
    }));
    // The page comes before the operation is sent.
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    let entry = queue::find(&mut shop.inner.db.read().await.unwrap(), receipt.op_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(entry.state, queue::QueueState::ConflictExpected);
    shop.settle(&mut office).await;
    let entry = queue::find(&mut shop.inner.db.read().await.unwrap(), receipt.op_id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (entry.state, entry.exception.as_deref()),
        (queue::QueueState::Exception, Some("double_redeem"))
    );
    let sale = office.state.sales[&receipt.op_id].clone().unwrap();
    let broken: Vec<_> = sale.coupons.iter().filter(|sold| sold.exception.is_some()).collect();
    assert_eq!((broken.len(), broken[0].used.coupon), (1, coupon_id(12)));
    // The copy of the sale is head office's in the end.
    let held = crate::replica::sale(&mut shop.inner.db.read().await.unwrap(), receipt.op_id)
        .await
        .unwrap();
    assert_eq!(held, Some(sale));
}

fn arrived(office: &HeadOffice, id: OperationId) -> Option<Outcome> {
    office
        .state
        .operations
        .get(&id)
        .cloned()
        .flatten()
        .map(|applied| applied.outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever is sold with whatever coupons: head office reads the same sums out of the operation, and nothing of it
    /// is an exception.
    #[test]
    fn what_was_shown_is_what_head_office_books(
        lines in prop::collection::vec((1u8..4, 1i64..5, prop::option::of(0i64..5_000)), 1..6),
        coupons in 0usize..5,
        online in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let mut office = office(&vec![HOME; coupons]);
            office.limits.max_per_member = 9;
            let shop = Shop::of(&mut office).await;
            if !online {
                shop.go_offline();
            }
            let line = Line::of(&shop, office).await;
            let wanted = Basket {
                lines: lines.iter().map(|(n, quantity, unit_price)| BasketLine {
                    sku: format!("P{n}"),
                    quantity: *quantity,
                    unit_price: *unit_price,
                }).collect(),
                ..basket(Selection::Best)
            };
            let quote = see(&shop, &wanted).await;
            let receipt = done(pay(&shop, &quote).await);
            let mut office = line.office.lock().unwrap().clone();
            shop.settle(&mut office).await;
            assert_eq!(arrived(&office, receipt.op_id), Some(Outcome::Applied));
            let sale = office.state.sales[&receipt.op_id].clone().unwrap();
            assert_eq!(sale.payable, quote.payable);
            let nets: Vec<i64> = sale.lines.iter().map(|line| line.net).collect();
            assert_eq!(nets, quote.lines.iter().map(|line| line.net).collect::<Vec<_>>());
            let mut before = used(&quote);
            let mut after: Vec<_> = sale.coupons.iter().map(|sold| sold.used.coupon).collect();
            before.sort_unstable();
            after.sort_unstable();
            assert_eq!(before, after);
            let held = crate::replica::sale(&mut shop.inner.db.read().await.unwrap(), receipt.op_id).await.unwrap();
            assert_eq!(held, Some(sale));
        });
    }
}
