//! What is stored of it, and what that costs.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use counterfoil_domain::{
    coupons::{Coupon, CouponState},
    ids::{CouponId, OperationId},
    operations::{Action, Outcome},
    sales::Sale,
    time::MINUTE,
    transition::Subject,
};
use counterfoil_protocol::{
    operation::Evidence,
    sync::{Cursor, Image, OperationOutcome, Page, Row as PageRow},
};
use proptest::prelude::*;
use sqlx::{Row, SqliteConnection};

use super::{
    super::{Here, gather, lay::lay_over, release, renew_all},
    COUPONS, Deed, ORDERS, action, deed, redemption,
};
use crate::{
    Clock, QueueState,
    honour::act,
    identity, intake,
    journal::{self, Alone, Draft, Place, Title},
    queue, replica,
    testing::{HeadOffice, NOW, Shop, clerk_id, coupon, coupon_id, store_id},
};

async fn who(shop: &Shop) -> identity::Identity {
    identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap()
}

fn draft(action: Action) -> Draft {
    Draft {
        action,
        clerk: Some(clerk_id(1)),
        clerk_name: "clerk 1".into(),
        title: Title::default(),
        member: None,
        evidence: Evidence::Code,
        confirmed: true,
        alone: Alone::default(),
    }
}

async fn act_here(shop: &Shop, action: Action) -> OperationId {
    let who = who(shop).await;
    let mut writer = shop.inner.db.write().await;
    let tx = writer.begin().await.unwrap();
    let receipt = act(&shop.inner, tx, &who, shop.clock.now(), draft(action), "test").await;
    receipt.unwrap().op_id
}

/// What is stored is what comes of all operations done to all rows at once.
async fn assert_laid(shop: &Shop) {
    let here = Here::of(&who(shop).await);
    let db: &mut SqliteConnection = &mut shop.inner.db.read().await.unwrap();
    let all: Vec<Subject> = gather::all_touched(db).await.unwrap().into_iter().collect();
    let group = gather::gather(db, &all, here).await.unwrap();
    let seen = lay_over(group.bases().unwrap(), &group.laid, &group.earlier, &group.rules).unwrap();
    for (subject, row) in &seen.rows {
        let key = replica::RowKey::of_subject(*subject);
        let stored: String = sqlx::query_scalar("SELECT image FROM replica WHERE entity = ? AND id = ?")
            .bind(key.entity)
            .bind(key.id)
            .fetch_one(&mut *db)
            .await
            .unwrap();
        assert_eq!(stored, row.write().unwrap(), "{subject:?}");
    }
    let marked: Vec<(i64, i64)> = sqlx::query_as("SELECT epoch, seq FROM journal WHERE conflict = 1")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let marked: BTreeSet<Place> = marked.into_iter().map(|(epoch, seq)| Place { epoch, seq }).collect();
    assert_eq!(marked, seen.conflicts);
    let bare: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM replica WHERE (base IS NULL) = EXISTS (SELECT 1 FROM touches t \
         WHERE t.entity = replica.entity AND t.id = replica.id)",
    )
    .fetch_one(db)
    .await
    .unwrap();
    assert_eq!(
        bare, 0,
        "a row has a base where, and only where, operations lie over it"
    );
}

#[derive(Debug, Clone)]
enum Happening {
    Here(Deed),
    RedeemElsewhere(u8),
    Exchange { push: u8, rows: u8, answered: bool },
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        5 => deed().prop_map(Happening::Here),
        1 => (0..COUPONS).prop_map(Happening::RedeemElsewhere),
        4 => (0u8..4, 1u8..6, prop::bool::weighted(0.8))
            .prop_map(|(push, rows, answered)| Happening::Exchange { push, rows, answered }),
    ]
}

async fn run(happenings: Vec<Happening>) {
    let mut office = HeadOffice::new(COUPONS, ORDERS);
    let shop = Shop::of(&mut office).await;
    let mut done = Vec::new();
    for happening in happenings {
        shop.clock.advance(MINUTE);
        office.now = shop.clock.now();
        match happening {
            Happening::Here(deed) => {
                let Some(action) = action(&deed, &done) else { continue };
                let id = act_here(&shop, action.clone()).await;
                done.push((id, action));
            }
            Happening::RedeemElsewhere(n) => office.elsewhere(redemption(coupon_id(n))),
            Happening::Exchange { push, rows, answered } => {
                shop.exchange(&mut office, push.into(), rows.into(), true, answered)
                    .await;
            }
        }
        assert_laid(&shop).await;
    }
    shop.settle(&mut office).await;
    assert_laid(&shop).await;
    let db: &mut SqliteConnection = &mut shop.inner.db.read().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM touches")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(left, 0);
    for coupon in office.state.coupons.values().flatten() {
        let held = replica::coupon(db, coupon.id).await.unwrap().unwrap();
        assert_eq!(held.row.state, coupon.state);
    }
    for sale in office.state.sales.values().flatten() {
        let held = replica::sale(db, sale.id).await.unwrap();
        assert_eq!(
            held.map(|row| Sale {
                told: sale.told.clone(),
                ..row
            }),
            Some(sale.clone())
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn what_is_stored_is_what_all_operations_make_of_all_rows(
        happenings in prop::collection::vec(happening(), 1..30),
    ) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(happenings));
    }
}

fn many(n: u16) -> CouponId {
    let [high, low] = n.to_be_bytes();
    CouponId::new(NOW - 1_000_000, [6, 0, 0, 0, 0, high, low, 0, 0, 1])
}

fn row(n: u16) -> PageRow {
    PageRow {
        version: i64::from(n) + 2,
        image: Image::Coupon(Coupon {
            id: many(n),
            code: format!("{:018}", u64::from(n) + 220_024_060_512_345_000),
            member: None,
            ..coupon(0, 1)
        }),
    }
}

/// A counter with so many operations that wait, each about a coupon of its own.
async fn with_pending(count: u16) -> Shop {
    let shop = Shop::new().await;
    let who = who(&shop).await;
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    for first in (0..count).step_by(500) {
        let rows: Vec<PageRow> = (first..count.min(first + 500))
            .map(|n| PageRow { version: 1, ..row(n) })
            .collect();
        replica::store(&mut tx, &rows, who.generation, false).await.unwrap();
    }
    for n in 0..count {
        let head = journal::head(&mut tx, who.epoch).await.unwrap();
        let mut moment = shop.inner.moment(&who, NOW).unwrap();
        moment.at += i64::from(n);
        journal::append(
            &mut tx,
            who.tenant,
            who.device,
            head,
            moment,
            &draft(redemption(many(n))),
        )
        .await
        .unwrap();
    }
    renew_all(&mut tx, Here::of(&who)).await.unwrap();
    tx.commit("test").await.unwrap();
    drop(writer);
    shop
}

/// Head office has applied the first of them, and says so.
async fn applied(shop: &Shop, count: i64) {
    let outcomes: Vec<OperationOutcome> = (1..=count)
        .map(|seq| OperationOutcome {
            epoch: 1,
            seq,
            op_id: OperationId::new(NOW, [9; 10]),
            outcome: Outcome::Applied,
            replayed: false,
            feed: 5,
        })
        .collect();
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    let news = journal::settle(&mut tx, &outcomes, NOW).await.unwrap();
    tx.commit("test").await.unwrap();
    assert_eq!(i64::try_from(news).unwrap(), count);
}

/// From now on the steps are counted that SQLite takes to write.
async fn count_steps(shop: &Shop) -> Arc<AtomicU64> {
    let count = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&count);
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    tx.lock_handle().await.unwrap().set_progress_handler(1, move || {
        counted.fetch_add(1, Ordering::Relaxed);
        true
    });
    tx.commit("test").await.unwrap();
    count
}

#[tokio::test]
async fn outcomes_and_pages_cost_what_is_in_them_however_many_operations_wait() {
    // Rows of operations that head office has taken, and of others that wait: some of those were too late.
    let rows = (0..150).map(|n| {
        let mut row = row(n);
        if let (Image::Coupon(coupon), 100..) = (&mut row.image, n) {
            coupon.state = CouponState::Redeemed {
                operation: OperationId::new(NOW, [8; 10]),
                at: NOW,
                store: store_id(2),
            };
        }
        row
    });
    let page = Page {
        rows: rows.collect(),
        cursor: Cursor {
            store_seq: 7,
            ..Cursor::default()
        },
        more: false,
        unread: Vec::new(),
    };
    let mut costs = Vec::new();
    for pending in [300, 10_000] {
        let shop = with_pending(pending).await;
        let steps = count_steps(&shop).await;
        applied(&shop, 100).await;
        let settled = steps.swap(0, Ordering::Relaxed);
        intake::apply_page(&shop.inner.db, &page, NOW).await.unwrap();
        costs.push((settled, steps.load(Ordering::Relaxed)));
        let db = &mut shop.inner.db.read().await.unwrap();
        let late = queue::page(db, Some(QueueState::ConflictExpected), None, 500)
            .await
            .unwrap();
        assert_eq!(late.len(), 50);
    }
    let [few, many] = costs[..] else { panic!("{costs:?}") };
    assert!(few.0 > 1_000 && few.1 > 1_000, "{costs:?}");
    assert!(many.0 < few.0 + few.0 / 10 && many.1 < few.1 + few.1 / 10, "{costs:?}");
}

/// How many operations each transaction lets go of, and how many rows it writes, at most.
#[tokio::test]
async fn a_long_page_is_written_in_many_short_transactions() {
    let shop = with_pending(300).await;
    applied(&shop, 300).await;
    let mut left = Vec::new();
    let mut more = true;
    while more {
        let who = who(&shop).await;
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        more = release(&mut tx, 5, Here::of(&who), who.generation, 50).await.unwrap();
        let count = sqlx::query("SELECT COUNT(*) FROM touches")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        left.push(count.get::<i64, _>(0));
        tx.commit("test").await.unwrap();
    }
    assert_eq!(left, [250, 200, 150, 100, 50, 0]);
    assert_laid(&shop).await;
}
