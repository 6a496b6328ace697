//! Batches are made in slices, with codes of their own.

use std::collections::BTreeSet;

use counterfoil_domain::{
    code_policy::CodePolicy,
    transition::{Answer, LimitCounts, NotClaimable},
};
use counterfoil_head_office::{
    admin,
    batches::{self, Purpose},
    clock::SystemRandom,
    coupons,
    jobs::{self, Work as _},
};

use super::shop;
use crate::common::*;

counterfoil_head_office::on_both! {
    a_batch_survives_being_dropped_at_any_slice,
    a_job_is_paused_resumed_and_cancelled,
    printed_coupons_are_anybodys,
    codes_go_on_where_older_ones_ended,
    codes_follow_the_tenants_policy,
}

async fn a_batch_survives_being_dropped_at_any_slice(on: On) {
    let shop = shop(on, 0, 0, LimitCounts::Taken).await;
    let (batch, id) = shop.create(3_000, Purpose::Claim).await;
    let app = shop.app();
    let take = async |owner: [u8; 16], now: i64| {
        let mut lease = app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let job = jobs::rows::lease(&mut tx, &owner, now).await.unwrap();
        tx.commit("test").await.unwrap();
        job
    };
    let mut first = take([1; 16], START).await.unwrap();
    assert!(take([2; 16], START).await.is_none(), "one process at a time");
    let mut work = batches::job::Work::begin(app, &first).await.unwrap();
    // The transaction of a slice that is cut off leaves nothing behind.
    {
        let mut lease = app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let mut first = first.clone();
        let moved = jobs::rows::advance(&mut tx, &[1; 16], &mut first, 7, None, false, START);
        assert!(moved.await.unwrap());
    }
    assert_eq!(shop.job(id).await.done, 0);
    // It is silent for too long: another takes over, and the first one finds out with its next slice.
    let later = START + jobs::LEASE;
    shop.chain.clock.advance(jobs::LEASE);
    let mut second = take([2; 16], later).await.unwrap();
    let mut other = batches::job::Work::begin(app, &second).await.unwrap();
    assert_eq!(other.slice(app, &[2; 16], &mut second).await.unwrap(), jobs::Step::Done);
    assert_eq!(work.slice(app, &[1; 16], &mut first).await.unwrap(), jobs::Step::Lost);
    assert_eq!(shop.job(id).await.done, 3_000);
    let count = "SELECT COUNT(DISTINCT code) FROM coupons WHERE version = 0";
    assert_eq!(shop.chain.number(count).await, 3_000);
    let mut reader = app.db.reader().acquire().await.unwrap();
    let codes = batches::rows::codes(&mut reader, shop.chain.tenant, batch, 0, 10_000)
        .await
        .unwrap();
    assert_eq!(codes.len(), 3_000);
    assert!(codes.iter().all(|(_, state)| state == "waiting"));
    drop(reader);
    shop.sound().await;
}

async fn a_job_is_paused_resumed_and_cancelled(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let (_, id) = shop.create(1_000, Purpose::Claim).await;
    let decide = async |next| {
        let mut lease = shop.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let done = jobs::rows::decide(&mut tx, shop.chain.tenant, id, next, START)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        done
    };
    assert!(decide(jobs::Status::Paused).await);
    assert!(!decide(jobs::Status::Paused).await);
    // While there are none yet, the answer is neither yes nor no.
    assert_eq!(shop.claim(shop.people[0], 1).await.answer, Answer::ComeBack);
    jobs::start(shop.app());
    assert!(decide(jobs::Status::Queued).await);
    shop.app().jobs.notify_one();
    shop.until(id, jobs::Status::Done).await;
    assert!(!decide(jobs::Status::Cancelled).await);
    assert!(shop.claim(shop.people[0], 1).await.given.is_some());
    shop.sound().await;
}

async fn printed_coupons_are_anybodys(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let batch = shop.batch(5, Purpose::Print).await;
    assert_eq!(shop.refusal(shop.people[0], 1).await, vec![NotClaimable::OutOfStock]);
    let coupon = shop.chain.coupon(batch.coupon(4)).await;
    assert_eq!((coupon.member, coupon.version), (None, 1));
    assert_eq!(coupon.valid_until, Some(START + 30 * 24 * HOUR));
    let mut counter = shop.chain.counter().await;
    let arrival = counter.make(shop.chain.redeem(coupon.id, None), START);
    let answers = shop.chain.push(&[arrival]).await;
    assert!(
        matches!(&answers[0], Answer::Done { outcome, .. } if *outcome == counterfoil_domain::operations::Outcome::Applied)
    );
    shop.sound().await;
    // They end like the chain's ten others, the used one aside.
    let ended = coupons::expiry::sweep(shop.app(), START + 30 * 24 * HOUR, 1_000)
        .await
        .unwrap();
    assert_eq!((ended.expired, ended.settled, ended.later), (10 + 4, 1, 0));
    shop.sound().await;
}

async fn codes_go_on_where_older_ones_ended(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let new = counterfoil_head_office::admin::NewGrant {
        member: "M1",
        template: shop.chain.template,
        count: 3,
    };
    let app = shop.app();
    let grant = async || {
        counterfoil_head_office::admin::grant_coupons(
            &app.db,
            app.clock.as_ref(),
            &SystemRandom,
            shop.chain.tenant,
            &new,
        )
        .await
        .unwrap()
    };
    let first = grant().await;
    // As if they were made by a version without counters.
    shop.chain.run("DELETE FROM code_counters").await;
    let second = grant().await;
    shop.batch(50, Purpose::Claim).await;
    let codes: BTreeSet<_> = first
        .coupons
        .iter()
        .chain(&second.coupons)
        .map(|(_, code)| code)
        .collect();
    assert_eq!(codes.len(), 6);
    assert_eq!(shop.chain.number("SELECT next FROM code_counters").await, 56);
    shop.sound().await;
}

async fn codes_follow_the_tenants_policy(on: On) {
    let shop = shop(on, 1, 0, LimitCounts::Taken).await;
    let app = shop.app();
    let set = async |parts: Option<&str>| {
        let policy = parts.map(|parts| serde_json::from_str(parts).unwrap());
        admin::code_policy(&app.db, app.clock.as_ref(), &SystemRandom, shop.chain.tenant, policy)
            .await
            .unwrap()
    };
    assert_eq!(set(None).await, CodePolicy::default());
    // A batch that was begun keeps the policy that it was begun with.
    let (begun, job) = shop.create(20, Purpose::Claim).await;
    let parts = r#"[{"kind":"fixed","text":"86"},{"kind":"random","digits":9},{"kind":"date","shuffled":false},{"kind":"check"}]"#;
    let policy = set(Some(parts)).await;
    assert_eq!(set(None).await, policy);
    let after = shop.batch(20, Purpose::Claim).await;
    shop.until(job, jobs::Status::Done).await;
    let mut reader = app.db.reader().acquire().await.unwrap();
    for (batch, length) in [(begun, 18), (after, 18)] {
        let codes = batches::rows::codes(&mut reader, shop.chain.tenant, batch, 0, 100)
            .await
            .unwrap();
        assert!(codes.iter().all(|(code, _)| code.len() == length), "{codes:?}");
        assert_eq!(codes.iter().all(|(code, _)| code.starts_with("86")), batch == after);
    }
    drop(reader);
    shop.sound().await;
}
