//! What members claim: each coupon once, within their limit, with one answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use counterfoil_domain::{
    ids::{CouponId, MemberId, TemplateId},
    transition::{Answer, ClaimCoupon, ClaimKey, Command, LimitCounts, NotClaimable},
};
use counterfoil_head_office::{
    batches::{self, Purpose},
    claims,
};

use super::shop;
use crate::common::*;

counterfoil_head_office::on_both! {
    a_rush_on_a_batch_gives_each_coupon_once,
    what_is_held_follows_redemption_and_time,
    a_replay_gives_the_same_answer,
    nobody_can_use_a_coupon_that_waits,
    refusals_are_forgotten_after_a_week,
}

async fn a_rush_on_a_batch_gives_each_coupon_once(on: On) {
    let shop = Arc::new(shop(on, 200, 1, LimitCounts::Taken).await);
    let batch = shop.batch(100, Purpose::Claim).await;
    let mut tasks = Vec::new();
    for round in 0..5u8 {
        for who in shop.people.clone() {
            let shop = Arc::clone(&shop);
            tasks.push(tokio::spawn(async move { (who, shop.claim(who, round).await) }));
        }
    }
    let mut coupons = BTreeMap::new();
    let mut refused = 0;
    for task in tasks {
        let (who, answered) = task.await.unwrap();
        match answered.answer {
            Answer::Given { coupon, replayed } => {
                assert!(!replayed);
                let given = answered.given.unwrap();
                assert_eq!((given.id, given.member, given.code.len()), (coupon, Some(who), 18));
                assert_eq!(coupons.insert(coupon, who), None);
            }
            Answer::NotGiven { reasons, .. } => {
                assert!(!reasons.is_empty());
                refused += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((coupons.len(), refused), (100, 900));
    assert_eq!(coupons.values().collect::<BTreeSet<_>>().len(), 100);
    let expected: BTreeSet<CouponId> = (0..100).map(|position| batch.coupon(position)).collect();
    assert_eq!(coupons.keys().copied().collect::<BTreeSet<_>>(), expected);
    // Who was seen in a store has their coupon there.
    let told = shop
        .chain
        .number("SELECT COUNT(*) FROM feed WHERE entity = 'coupon'")
        .await;
    let seen = coupons
        .values()
        .filter(|who| shop.people.iter().position(|it| it == *who).unwrap() % 2 == 0);
    assert_eq!(told, seen.count() as i64);
    shop.sound().await;
}

async fn what_is_held_follows_redemption_and_time(on: On) {
    let shop = shop(on, 1, 1, LimitCounts::Held).await;
    shop.batch(10, Purpose::Claim).await;
    let who = shop.people[0];
    let full = vec![NotClaimable::LimitReached {
        limit: 1,
        counts: LimitCounts::Held,
    }];
    let first = shop.claim(who, 1).await.given.unwrap();
    assert_eq!(first.valid_until, Some(START + 30 * 24 * HOUR));
    assert_eq!(shop.refusal(who, 2).await, full);
    // Two at once: one of them.
    let mut counter = shop.chain.counter().await;
    let arrival = counter.make(shop.chain.redeem(first.id, None), START);
    shop.chain.push(std::slice::from_ref(&arrival)).await;
    let both = [3, 4].map(|key| {
        Command::Claim(ClaimCoupon {
            member: who,
            template: shop.chain.template,
            key: ClaimKey([key; 16]),
        })
    });
    let answers = shop.chain.submit(both.to_vec()).await;
    assert!(answers[0].given.is_some() && answers[1].given.is_none());
    // Its time ends by itself.
    assert_eq!(shop.refusal(who, 5).await, full);
    shop.chain.clock.advance(31 * 24 * HOUR);
    assert!(shop.claim(who, 6).await.given.is_some());
    assert_eq!(
        shop.chain.number("SELECT taken FROM holdings").await,
        3,
        "what was ever taken is counted too"
    );
    shop.sound().await;
}

async fn a_replay_gives_the_same_answer(on: On) {
    let shop = shop(on, 3, 1, LimitCounts::Taken).await;
    shop.batch(1, Purpose::Claim).await;
    let first = shop.claim(shop.people[0], 1).await;
    let Answer::Given { coupon, .. } = first.answer else {
        panic!("{first:?}")
    };
    let again = shop.claim(shop.people[0], 1).await;
    assert_eq!(again.answer, Answer::Given { coupon, replayed: true });
    assert_eq!(shop.refusal(shop.people[1], 1).await, vec![NotClaimable::OutOfStock]);
    // More stock later changes nothing of what was said; a new question gets a new answer.
    shop.batch(5, Purpose::Claim).await;
    assert_eq!(
        shop.claim(shop.people[1], 1).await.answer,
        Answer::NotGiven {
            reasons: vec![NotClaimable::OutOfStock],
            replayed: true
        }
    );
    assert!(shop.claim(shop.people[1], 2).await.given.is_some());
    // The same name for something else.
    let other = Command::Claim(ClaimCoupon {
        member: shop.people[0],
        template: TemplateId::new(START, random10()),
        key: ClaimKey([1; 16]),
    });
    assert_eq!(shop.chain.submit(vec![other]).await[0].answer, Answer::AnotherQuestion);
    let nobody = MemberId::new(START, random10());
    assert_eq!(shop.refusal(nobody, 1).await, vec![NotClaimable::UnknownMember]);
    shop.sound().await;
}

async fn nobody_can_use_a_coupon_that_waits(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let batch = shop.batch(2, Purpose::Claim).await;
    let mut reader = shop.app().db.reader().acquire().await.unwrap();
    let codes = batches::rows::codes(&mut reader, shop.chain.tenant, batch, 0, 10)
        .await
        .unwrap();
    let found = counterfoil_head_office::coupons::rows::by_code(&mut reader, shop.chain.tenant, &codes[0].0);
    assert!(found.await.unwrap().is_none());
    drop(reader);
    let mut counter = shop.chain.counter().await;
    let frozen = shop
        .chain
        .freeze(
            &counter,
            counterfoil_domain::ids::FreezeId::new(START, random10()),
            batch.coupon(0),
        )
        .await;
    assert!(matches!(frozen, Answer::Refused { .. }), "{frozen:?}");
    // A fact all the same leaves a case, and the coupon waits on.
    let arrival = counter.make(shop.chain.redeem(batch.coupon(0), None), START);
    shop.chain.push(&[arrival]).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM exceptions").await, 1);
    assert_eq!(shop.claim(shop.people[0], 1).await.given.unwrap().id, batch.coupon(0));
    shop.sound().await;
}

async fn refusals_are_forgotten_after_a_week(on: On) {
    let shop = shop(on, 2, 1, LimitCounts::Taken).await;
    shop.batch(1, Purpose::Claim).await;
    assert!(shop.claim(shop.people[0], 1).await.given.is_some());
    shop.refusal(shop.people[1], 1).await;
    let forget = async |now| {
        let mut lease = shop.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        assert!(!claims::rows::forget_refusals(&mut tx, now).await.unwrap());
        tx.commit("test").await.unwrap();
    };
    forget(START + claims::rows::REFUSALS_KEPT).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM claims").await, 2);
    forget(START + claims::rows::REFUSALS_KEPT + 1).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM claims").await, 1);
    shop.sound().await;
}
