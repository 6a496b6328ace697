//! Operations are taken in order, once, and from whom they come.

use std::{sync::Arc, time::Duration};

use counterfoil_domain::{
    ids::FreezeId,
    operations::Outcome,
    transition::{DeviceStatus, Subject},
};
use counterfoil_protocol::{
    paths,
    questions::{FreezeRequest, FreezeResponse, LookupRequest, LookupResponse},
    signing,
    sync::{Image, SyncResponse},
};
use reqwest::{Method, StatusCode};

use super::{Answer, code_of, office};
use crate::common::{On, START, random10};

counterfoil_head_office::on_both! {
    pushes_and_pulls_go_together,
    operations_out_of_order_are_named,
    a_fork_is_refused_and_freezes_the_device,
    a_revoked_device_delivers_but_learns_nothing,
    overlapping_requests_of_one_device_stop_nobody,
}

async fn pushes_and_pulls_go_together(on: On) {
    let office = office(on, 2).await;
    let mut counter = office.chain.counter().await;
    let operation = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let first = office.sync(&counter, std::slice::from_ref(&operation)).await.unwrap();
    assert_eq!(first.outcomes.len(), 1);
    assert_eq!(
        (first.outcomes[0].outcome, first.outcomes[0].replayed),
        (Outcome::Applied, false)
    );
    assert_eq!(first.device.last_applied_seq, 1);
    let page = first.page.unwrap();
    assert!(page.cursor.store_seq >= first.outcomes[0].feed);
    assert!(matches!(&page.rows[0].image, Image::Coupon(coupon) if coupon.id == office.chain.coupons[0]));

    let again = office.sync(&counter, &[operation]).await.unwrap();
    assert_eq!(
        (again.outcomes[0].outcome, again.outcomes[0].replayed),
        (Outcome::Applied, true)
    );
    let mut ask = office.ask(&[]).await;
    ask.cursor = page.cursor;
    let later: SyncResponse = office.post(&counter, paths::SYNC, &ask).await.unwrap();
    assert_eq!(later.page.unwrap().rows, []);
}

async fn operations_out_of_order_are_named(on: On) {
    let office = office(on, 3).await;
    let mut counter = office.chain.counter().await;
    let [one, two, three] = [0, 1, 2].map(|n| counter.seal(office.chain.redeem(office.chain.coupons[n], None), START));
    let (_, gap) = office.sync(&counter, std::slice::from_ref(&three)).await.unwrap_err();
    assert_eq!(
        (gap.code.as_str(), gap.status, gap.expected_seq),
        ("journal_gap", 409, Some(1))
    );
    let partly = office.sync(&counter, &[one, three.clone()]).await.unwrap();
    assert_eq!(partly.outcomes.len(), 1);
    assert!(partly.stopped.is_some());
    assert_eq!(office.sync(&counter, &[two, three]).await.unwrap().outcomes.len(), 2);
    // Another device's operation in this device's push.
    let mut other = office.chain.counter().await;
    let foreign = other.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    assert_eq!(
        code_of(office.sync(&counter, &[foreign]).await),
        (400, "malformed".into())
    );
}

async fn a_fork_is_refused_and_freezes_the_device(on: On) {
    let office = office(on, 2).await;
    let mut counter = office.chain.counter().await;
    let one = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    office.sync(&counter, &[one]).await.unwrap();
    counter.seq = 0;
    counter.head = [0; 32];
    let branch = counter.seal(office.chain.redeem(office.chain.coupons[1], None), START);
    assert_eq!(
        code_of(office.sync(&counter, &[branch]).await),
        (422, "journal_fork".into())
    );
    assert_eq!(
        office.sync(&counter, &[]).await.unwrap().device.status,
        DeviceStatus::Frozen
    );
    let ask = FreezeRequest {
        amounts: counterfoil_domain::points::Amounts::default(),
        id: FreezeId::new(START, random10()),
        subject: Subject::Coupon(office.chain.coupons[1]),
        presented_by: None,
    };
    let body = serde_json::to_vec(&ask).unwrap();
    let key = ask.id.to_string();
    let answer: Answer<FreezeResponse> = office
        .send(&counter, Method::POST, paths::FREEZES, body, |r| {
            r.header(signing::IDEMPOTENCY_KEY, key)
        })
        .await;
    assert_eq!(code_of(answer), (403, "device_frozen".into()));
}

async fn a_revoked_device_delivers_but_learns_nothing(on: On) {
    let office = office(on, 1).await;
    let mut counter = office.chain.counter().await;
    office
        .chain
        .run("UPDATE devices SET status = 'revoked', version = version + 1")
        .await;
    let one = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let answer = office.sync(&counter, &[one]).await.unwrap();
    assert!(matches!(answer.outcomes[0].outcome, Outcome::Quarantined { .. }));
    assert_eq!(answer.device.status, DeviceStatus::Revoked);
    assert!(answer.page.is_none());
    let look: Answer<LookupResponse> = office
        .post(
            &counter,
            paths::LOOKUPS,
            &LookupRequest::CouponCode("000000000000000000".into()),
        )
        .await;
    assert_eq!(code_of(look), (403, "device_revoked".into()));
}

/// A time-out and a retry is all it takes to have two pushes of one device under way.
async fn overlapping_requests_of_one_device_stop_nobody(on: On) {
    let office = Arc::new(office(on, 20).await);
    let mut counter = office.chain.counter().await;
    let pushes: Vec<String> = office.chain.coupons[..10]
        .iter()
        .map(|coupon| counter.seal(office.chain.redeem(*coupon, None), START))
        .collect();
    let counter = Arc::new(counter);
    let mut running = tokio::task::JoinSet::new();
    for n in 0..100_usize {
        let (office, counter, pushes) = (Arc::clone(&office), Arc::clone(&counter), pushes.clone());
        running.spawn(async move {
            let request = async {
                match n % 4 {
                    // The same push, again and again, and its beginning.
                    0 => drop(office.sync(&counter, &pushes).await),
                    1 => drop(office.sync(&counter, &pushes[..5]).await),
                    2 => drop(office.sync(&counter, &[]).await),
                    _ => {
                        let question = FreezeRequest {
                            amounts: counterfoil_domain::points::Amounts::default(),
                            id: FreezeId::new(START, [u8::try_from(n).unwrap(); 10]),
                            subject: Subject::Coupon(office.chain.coupons[10 + n % 10]),
                            presented_by: None,
                        };
                        let _: Answer<FreezeResponse> = office.post(&counter, paths::FREEZES, &question).await;
                    }
                }
            };
            // Every third one is given up at once, or as soon as its connection is there.
            match n % 3 {
                0 => drop(tokio::time::timeout(Duration::from_millis(n as u64 % 7), request).await),
                _ => request.await,
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.unwrap();
    }
    let alive = tokio::time::timeout(
        Duration::from_secs(30),
        office.client.get(format!("{}/healthz", office.address)).send(),
    );
    assert_eq!(
        alive.await.expect("nobody answers any more").unwrap().status(),
        StatusCode::OK
    );
    // Whatever was given up is sent again, and has had its one effect.
    let answer = office.sync(&counter, &pushes).await.unwrap();
    assert_eq!(answer.outcomes.len(), pushes.len());
    assert!(answer.outcomes.iter().all(|ended| ended.outcome == Outcome::Applied));
    let applied = "SELECT COUNT(*) FROM operations WHERE outcome = 'applied'";
    assert_eq!(office.chain.number(applied).await, 10);
}
