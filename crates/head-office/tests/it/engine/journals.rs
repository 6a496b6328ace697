//! Journals: in order, once, whole, and from devices that may deliver.

use counterfoil_domain::{
    coupons::CouponState,
    ids::FreezeId,
    operations::{Outcome, QuarantineReason},
    transition::Answer,
};

use super::{AGAIN, APPLIED, done};
use crate::common::{On, START, chain, random10};

counterfoil_head_office::on_both! {
    a_redemption_has_one_effect_and_replays_its_outcome,
    what_is_about_something_unknown_here_replays_its_outcome,
    a_push_may_hold_the_same_operation_twice,
    a_gap_is_named_and_changes_nothing,
    a_second_branch_freezes_the_device_and_is_kept,
    what_a_revoked_device_delivers_is_quarantined,
    what_does_not_read_keeps_its_place,
}

async fn a_redemption_has_one_effect_and_replays_its_outcome(on: On) {
    let chain = chain(on, 300).await;
    let mut counter = chain.counter().await;
    let pushed: Vec<_> = chain
        .coupons
        .iter()
        .map(|id| counter.make(chain.redeem(*id, None), START))
        .collect();
    let answers = chain.push(&pushed).await;
    assert!(answers.iter().all(|answer| *answer == APPLIED), "{answers:?}");
    let entries = chain.number("SELECT COUNT(*) FROM coupon_entries").await;
    let feed = chain.number("SELECT COUNT(*) FROM feed").await;
    assert_eq!(entries, 300);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        300
    );

    let answers = chain.push(&pushed).await;
    assert!(answers.iter().all(|answer| *answer == AGAIN), "{answers:?}");
    assert_eq!(chain.number("SELECT COUNT(*) FROM coupon_entries").await, entries);
    assert_eq!(chain.number("SELECT COUNT(*) FROM feed").await, feed);
    assert_eq!(chain.number("SELECT COUNT(*) FROM operations").await, 300);
}

async fn what_is_about_something_unknown_here_replays_its_outcome(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let [one, two] = [0, 1].map(|n| counter.make(chain.redeem(chain.coupons[n], None), START));
    assert_eq!(chain.push(std::slice::from_ref(&one)).await, [APPLIED]);
    // As a newer head office that serves the same database has stored it.
    chain.run("UPDATE operations SET subject_kind = 'stamp'").await;
    assert_eq!(chain.push(&[one, two]).await, [AGAIN, APPLIED]);
}

async fn a_push_may_hold_the_same_operation_twice(on: On) {
    let chain = chain(on, 1).await;
    let mut counter = chain.counter().await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    assert_eq!(chain.push(&[one.clone(), one]).await, [APPLIED, AGAIN]);
}

async fn a_gap_is_named_and_changes_nothing(on: On) {
    let chain = chain(on, 3).await;
    let mut counter = chain.counter().await;
    let [one, two, three] = [0, 1, 2].map(|n| counter.make(chain.redeem(chain.coupons[n], None), START));
    assert_eq!(
        chain.push(std::slice::from_ref(&two)).await,
        [Answer::Gap { expected: 1 }]
    );
    assert_eq!(chain.number("SELECT COUNT(*) FROM operations").await, 0);
    assert_eq!(
        chain.push(&[one, three.clone()]).await,
        [APPLIED, Answer::Gap { expected: 2 }]
    );
    assert_eq!(chain.push(&[two, three]).await, [APPLIED, APPLIED]);
}

async fn a_second_branch_freezes_the_device_and_is_kept(on: On) {
    let chain = chain(on, 4).await;
    let mut counter = chain.counter().await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    let (seq, head) = (counter.seq, counter.head);
    let two = counter.make(chain.redeem(chain.coupons[1], None), START);
    assert_eq!(chain.push(&[one, two]).await, [APPLIED, APPLIED]);

    // The disk was cloned after the first operation: the clone goes on by itself.
    (counter.seq, counter.head) = (seq, head);
    let other_two = counter.make(chain.redeem(chain.coupons[2], None), START);
    let other_three = counter.make(chain.redeem(chain.coupons[3], None), START);
    assert_eq!(
        chain.push(&[other_two.clone(), other_three]).await,
        [Answer::Fork, Answer::Fork]
    );
    assert_eq!(chain.coupon(chain.coupons[2]).await.state, CouponState::Available);
    assert_eq!(chain.number("SELECT COUNT(*) FROM branches").await, 2);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM devices WHERE status = 'frozen'")
            .await,
        1
    );
    assert_eq!(chain.push(&[other_two]).await, [Answer::Fork]);
    assert_eq!(chain.number("SELECT COUNT(*) FROM branches").await, 2);
}

async fn what_a_revoked_device_delivers_is_quarantined(on: On) {
    let chain = chain(on, 1).await;
    let mut counter = chain.counter().await;
    chain
        .run("UPDATE devices SET status = 'revoked', version = version + 1")
        .await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    let revoked = Outcome::Quarantined {
        reason: QuarantineReason::DeviceRevoked,
    };
    assert_eq!(chain.push(std::slice::from_ref(&one)).await, [done(revoked, false)]);
    assert_eq!(chain.push(&[one]).await, [done(revoked, true)]);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    let id = FreezeId::new(START, random10());
    assert!(matches!(
        chain.freeze(&counter, id, chain.coupons[0]).await,
        Answer::DeviceBarred { .. }
    ));
}

async fn what_does_not_read_keeps_its_place(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let mut one = counter.make(chain.redeem(chain.coupons[0], None), START);
    one.action = None;
    let two = counter.make(chain.redeem(chain.coupons[1], None), START);
    let unreadable = Outcome::Quarantined {
        reason: QuarantineReason::Unreadable,
    };
    assert_eq!(chain.push(&[one, two]).await, [done(unreadable, false), APPLIED]);
}
