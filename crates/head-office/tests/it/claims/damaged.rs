//! `verify` finds what is wrong with claims, batches and grants.

use std::collections::BTreeSet;

use counterfoil_domain::transition::LimitCounts;
use counterfoil_head_office::{batches::Purpose, grants, jobs, verify::verify};

use super::shop;
use crate::common::*;

counterfoil_head_office::on_both! {
    verify_finds_what_is_wrong_with_claims,
}

async fn verify_finds_what_is_wrong_with_claims(on: On) {
    for (damage, names) in [
        (
            "UPDATE batches SET claimed = 0 WHERE purpose = 'claim'",
            vec!["batches_given"],
        ),
        ("UPDATE holdings SET taken = taken + 1", vec!["holdings"]),
        ("DELETE FROM holdings", vec!["holdings"]),
        (
            "UPDATE claims SET coupon = tenant WHERE coupon IS NOT NULL",
            vec!["claims"],
        ),
        (
            "UPDATE coupons SET member = NULL WHERE version = 1 AND batch IN (SELECT id FROM batches WHERE purpose = 'claim')",
            vec!["claims"],
        ),
        ("UPDATE grant_members SET coupon = tenant", vec!["grants"]),
        ("DELETE FROM grant_members", vec!["grants"]),
        ("UPDATE jobs SET done = 1 WHERE kind = 'batch'", vec!["jobs"]),
        ("UPDATE code_counters SET next = 1", vec!["code_counters"]),
    ] {
        let shop = shop(on, 2, 0, LimitCounts::Taken).await;
        shop.batch(5, Purpose::Claim).await;
        for who in &shop.people {
            assert!(shop.claim(*who, 1).await.given.is_some());
        }
        let made = shop.grant(Some(vec!["P0".into()])).await;
        grants::give(shop.app(), shop.chain.tenant, made.id, &made.at_once)
            .await
            .unwrap();
        shop.until(made.job.unwrap().id, jobs::Status::Done).await;
        shop.sound().await;
        shop.chain.run(damage).await;
        let mut broken = BTreeSet::new();
        verify(&shop.app().db, |check| {
            if !check.ok {
                broken.insert(check.check);
            }
        })
        .await
        .unwrap();
        for name in names {
            assert!(broken.contains(name), "{damage}: {broken:?}");
        }
    }
}
