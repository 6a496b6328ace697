//! Counter and head office through faults: what is left when they stop. Here stands how that is looked at.

mod answers;
mod extremes;
mod journeys;
mod whatever;

use counterfoil_domain::{
    coupons::Coupon,
    operations::{Action, RedeemCoupon},
    pickups::Order,
    transition::{Fingerprint, genesis},
};
use counterfoil_protocol::operation::{fingerprint, open};
use serde::de::DeserializeOwned;
use sqlx::{Row as _, SqliteConnection};

use crate::{
    Confirmation, Decision, Input,
    desk::{confirm, look_up},
    testing::{HeadOffice, Shop, clerk_id, coupon_id, template_id},
};

async fn redeem_here(shop: &Shop, scanned: Input) -> Option<crate::Receipt> {
    shop.go_offline();
    let verdict = look_up(&shop.inner, &scanned, None).await.unwrap();
    let ticket = verdict.ticket?;
    assert_eq!(verdict.decision, Decision::HonourOffline);
    match confirm(&shop.inner, &ticket, clerk_id(1)).await.unwrap() {
        Confirmation::Done(receipt) => Some(receipt),
        Confirmation::Refused(verdict) => panic!("{verdict:?}"),
    }
}

fn redeem_elsewhere(n: u8) -> Action {
    Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(n),
        template: template_id(1),
        template_version: 1,
        worth: 2_000,
        member: None,
        freeze: None,
    })
}

/// The whole journal is one chain of untouched operations.
async fn assert_chain(shop: &Shop) -> usize {
    let mut db = shop.inner.db.read().await.unwrap();
    let rows = sqlx::query("SELECT body, fingerprint, prev_hash, epoch, seq FROM journal ORDER BY epoch, seq")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let mut last: Fingerprint = genesis();
    let mut place = (0, 0);
    for row in &rows {
        let body: String = row.get(0);
        let (_, arrival) = open(0, &body).unwrap();
        assert_eq!(arrival.prev_hash, last);
        assert_eq!(row.get::<Vec<u8>, _>(2), last);
        last = fingerprint(body.as_bytes());
        assert_eq!(row.get::<Vec<u8>, _>(1), last);
        let next = (row.get::<i64, _>(3), row.get::<i64, _>(4));
        assert_eq!(next, (arrival.epoch, arrival.seq));
        let follows = if next.0 == place.0 {
            next.1 == place.1 + 1
        } else {
            next.0 > place.0 && next.1 == 1
        };
        assert!(follows, "{place:?} {next:?}");
        place = next;
    }
    rows.len()
}

/// What the store holds copies of, in the order of their ids.
async fn copies<T: DeserializeOwned>(db: &mut SqliteConnection, entity: &str) -> Vec<T> {
    let images: Vec<String> = sqlx::query_scalar("SELECT image FROM replica WHERE entity = ? ORDER BY id")
        .bind(entity)
        .fetch_all(db)
        .await
        .unwrap();
    images
        .iter()
        .map(|image| serde_json::from_str(image).unwrap())
        .collect()
}

/// After quiescence the local copy is head office's view, without anything laid over it.
async fn assert_same(shop: &Shop, office: &HeadOffice) {
    let mut db = shop.inner.db.read().await.unwrap();
    let leftovers: (i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM touches), (SELECT COUNT(*) FROM replica WHERE base IS NOT NULL), \
         (SELECT COUNT(*) FROM journal WHERE state = 'pending' OR conflict = 1)",
    )
    .fetch_one(&mut *db)
    .await
    .unwrap();
    assert_eq!(leftovers, (0, 0, 0));
    let coupons: Vec<Coupon> = copies(&mut db, "coupon").await;
    // Uses too many, and who was told, are head office's to know.
    let theirs: Vec<Coupon> = office
        .state
        .coupons
        .values()
        .flatten()
        .map(|coupon| Coupon {
            surplus: Vec::new(),
            told: Vec::new(),
            ..coupon.clone()
        })
        .collect();
    assert_eq!(coupons, theirs);
    let orders: Vec<Order> = copies(&mut db, "order").await;
    let theirs: Vec<Order> = office
        .state
        .orders
        .values()
        .flatten()
        .map(|order| Order {
            surplus: Vec::new(),
            told: Vec::new(),
            ..order.clone()
        })
        .collect();
    assert_eq!(orders, theirs);
}
