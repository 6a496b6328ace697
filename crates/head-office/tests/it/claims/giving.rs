//! What is given to a list, and what to all.

use std::{collections::BTreeSet, sync::Arc};

use counterfoil_domain::{
    ids::MemberId,
    people::Member,
    transition::{LimitCounts, NotClaimable},
};
use counterfoil_head_office::{App, batches::Purpose, clock::SystemRandom, grants, jobs, members};

use super::shop;
use crate::common::*;

counterfoil_head_office::on_both! {
    a_grant_to_a_list_gives_each_one,
    a_grant_to_all_is_taken_when_they_show_up,
}

async fn a_grant_to_a_list_gives_each_one(on: On) {
    let shop = shop(on, 700, 1, LimitCounts::Taken).await;
    let everybody: Vec<String> = (0..700).map(|n| format!("P{n}")).collect();
    let made = shop.grant(Some(everybody)).await;
    assert!(made.at_once.is_empty());
    jobs::start(shop.app());
    // Somebody asks for theirs at the same time, again and again.
    for _ in 0..3 {
        let some: Vec<MemberId> = shop.people.iter().copied().step_by(7).collect();
        grants::give(shop.app(), shop.chain.tenant, made.id, &some)
            .await
            .unwrap();
    }
    let job = made.job.unwrap();
    shop.until(job.id, jobs::Status::Done).await;
    assert_eq!(shop.job(job.id).await.done, 700);
    let parts = shop.parts(made.id).await;
    let coupons: BTreeSet<_> = parts.values().flatten().collect();
    assert_eq!((parts.len(), coupons.len()), (700, 700));
    let all = "SELECT COUNT(*) FROM coupons c JOIN grants g ON g.tenant = c.tenant AND g.batch = c.batch";
    assert_eq!(shop.chain.number(all).await, 700);
    // A short one is given at once; who is not on it gets nothing.
    let small = shop.grant(Some(vec!["P3".into(), "P3 ".into()])).await;
    assert_eq!(small.at_once.len(), 1);
    let got = grants::give(
        shop.app(),
        shop.chain.tenant,
        small.id,
        &[shop.people[3], shop.people[4]],
    )
    .await
    .unwrap();
    // The job may have been quicker.
    assert!(matches!(&got[0].1, grants::Got::Coupon(_) | grants::Got::Before));
    assert_eq!(got[1].1, grants::Got::Nothing(vec![NotClaimable::NotListed]));
    // A gift does not count against what they may claim.
    shop.batch(1, Purpose::Claim).await;
    assert!(shop.claim(shop.people[3], 1).await.given.is_some());
    shop.sound().await;
}

async fn a_grant_to_all_is_taken_when_they_show_up(on: On) {
    let shop = shop(on, 3, 0, LimitCounts::Taken).await;
    let made = shop.grant(None).await;
    assert_eq!(shop.chain.number("SELECT COUNT(*) FROM grant_members").await, 0);
    let show_up = async |who| grants::show_up(shop.app(), shop.chain.tenant, who).await.unwrap();
    assert_eq!(show_up(shop.people[0]).await, 1);
    assert_eq!(show_up(shop.people[0]).await, 0);
    // Who joins later was not meant.
    let late = Member {
        id: MemberId::new(START, random10()),
        number: "late".into(),
        name: String::new(),
        phone: String::new(),
        recent_stores: vec![],
    };
    let mut lease = shop.app().db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    members::rows::insert(&mut tx, shop.chain.tenant, std::slice::from_ref(&late), START + HOUR)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    assert_eq!(show_up(late.id).await, 0);
    // Two processes, the same member, at once: one coupon.
    let other = App::open(&shop.chain.fresh.url, shop.chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let who = shop.people[1];
    let (one, two) = tokio::join!(
        grants::show_up(shop.app(), shop.chain.tenant, who),
        grants::show_up(&other, shop.chain.tenant, who)
    );
    assert_eq!(one.unwrap() + two.unwrap(), 1);
    // The template's end stops it.
    shop.chain.run("UPDATE templates SET status = 'retired'").await;
    let got = grants::give(shop.app(), shop.chain.tenant, made.id, &[shop.people[2]])
        .await
        .unwrap();
    assert_eq!(got[0].1, grants::Got::Nothing(vec![NotClaimable::Retired]));
    assert_eq!(shop.parts(made.id).await.len(), 2);
    shop.sound().await;
}
