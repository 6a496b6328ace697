//! A ticket is settled once, whole or not at all.

use counterfoil_domain::time::MINUTE;

use super::{HOME, basket, codes, done, journaled, office, pay, refused, see, tender, usage, used};
use crate::{
    Error,
    basket::{Selection, Settled, Tender, settle},
    desk::Decision,
    honour::Delivery,
    testing::{Line, Shop, clerk_id},
};

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
            balance: 0,
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
