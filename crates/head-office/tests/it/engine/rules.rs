//! What an operation comes to: uses, freezes, lateness, voids.

use counterfoil_domain::{
    coupons::{CouponState, FREEZE_LASTS},
    ids::{FreezeId, OperationId},
    operations::{Action, CollectOrder, ExceptionKind, VoidRedemption},
    transition::{Answer, AskFreeze, CancelFreeze, Command, Subject},
    verdict::Reason,
};
use counterfoil_head_office::clock::Clock;

use super::{APPLIED, exception};
use crate::common::{HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    the_second_shop_to_redeem_gets_a_case,
    a_freeze_holds_lapses_and_is_confirmed,
    a_cancel_that_overtakes_its_freeze_closes_the_door,
    being_late_is_judged_by_a_believable_time,
    only_a_freeze_that_was_granted_excuses_lateness,
    a_void_gives_back_what_its_own_operation_took,
    a_void_of_a_double_redemption_closes_its_case,
    an_order_is_handed_over_once,
}

async fn the_second_shop_to_redeem_gets_a_case(on: On) {
    let chain = chain(on, 1).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let one = first.make(chain.redeem(chain.coupons[0], None), START);
    let two = second.make(chain.redeem(chain.coupons[0], None), START);
    assert_eq!(chain.push(std::slice::from_ref(&one)).await, [APPLIED]);
    assert_eq!(chain.push(&[two]).await, [exception(ExceptionKind::DoubleRedeem)]);
    let CouponState::Redeemed { operation, .. } = chain.coupon(chain.coupons[0]).await.state else {
        panic!("the coupon is not redeemed");
    };
    assert_eq!(operation, one.id);
    assert_eq!(
        chain
            .number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions WHERE status = 'open'")
            .await,
        2_000
    );
}

async fn a_freeze_holds_lapses_and_is_confirmed(on: On) {
    let chain = chain(on, 2).await;
    let (mut first, second) = (chain.counter().await, chain.counter().await);
    let (mine, theirs) = (FreezeId::new(START, random10()), FreezeId::new(START, random10()));
    let until = START + FREEZE_LASTS;
    assert_eq!(
        chain.freeze(&first, mine, chain.coupons[0]).await,
        Answer::Granted { until }
    );
    assert_eq!(
        chain.freeze(&first, mine, chain.coupons[0]).await,
        Answer::Granted { until }
    );
    assert_eq!(
        chain.freeze(&first, mine, chain.coupons[1]).await,
        Answer::AnotherQuestion
    );
    let refused = Answer::Refused {
        reasons: vec![Reason::Frozen { until }],
    };
    assert_eq!(chain.freeze(&second, theirs, chain.coupons[0]).await, refused);
    // Asked again after the freeze has lapsed, the stored answer stays; a new question gets a new answer.
    chain.clock.advance(FREEZE_LASTS);
    assert_eq!(chain.freeze(&second, theirs, chain.coupons[0]).await, refused);
    let later = FreezeId::new(START, random10());
    let until = START + 2 * FREEZE_LASTS;
    assert_eq!(
        chain.freeze(&second, later, chain.coupons[0]).await,
        Answer::Granted { until }
    );

    // The first counter redeemed on its freeze, but the operation comes late: the other one holds the coupon now.
    let one = first.make(chain.redeem(chain.coupons[0], Some(mine)), START);
    assert_eq!(chain.push(&[one]).await, [exception(ExceptionKind::RedeemWhileFrozen)]);
    let confirmed = FreezeId::new(START, random10());
    chain.freeze(&first, confirmed, chain.coupons[1]).await;
    let two = first.make(chain.redeem(chain.coupons[1], Some(confirmed)), START);
    assert_eq!(chain.push(&[two]).await, [APPLIED]);
}

async fn a_cancel_that_overtakes_its_freeze_closes_the_door(on: On) {
    let chain = chain(on, 1).await;
    let counter = chain.counter().await;
    let id = FreezeId::new(START, random10());
    let cancel = Command::CancelFreeze(CancelFreeze {
        id,
        device: counter.device,
        now: START,
    });
    assert_eq!(chain.submit(vec![cancel.clone()]).await[0].answer, Answer::Cancelled);
    assert_eq!(chain.freeze(&counter, id, chain.coupons[0]).await, Answer::Cancelled);
    let id = FreezeId::new(START, random10());
    chain.freeze(&counter, id, chain.coupons[0]).await;
    let cancel = Command::CancelFreeze(CancelFreeze {
        id,
        device: counter.device,
        now: START,
    });
    assert_eq!(chain.submit(vec![cancel]).await[0].answer, Answer::Cancelled);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
}

async fn being_late_is_judged_by_a_believable_time(on: On) {
    let chain = chain(on, 3).await;
    let mut counter = chain.counter().await;
    // In time when it happened, delivered days later.
    let in_time = counter.make(chain.redeem(chain.coupons[0], None), START + 23 * HOUR);
    let late = counter.make(chain.redeem(chain.coupons[1], None), START + 25 * HOUR);
    chain.clock.advance(72 * HOUR);
    assert_eq!(
        chain.push(&[in_time, late]).await,
        [APPLIED, exception(ExceptionKind::Late)]
    );
    // A device that had nothing left at hour 72 can't have redeemed at hour 1.
    chain.app.engine.settled().set(counter.device, chain.clock.now());
    let back_dated = counter.make(chain.redeem(chain.coupons[2], None), START + HOUR);
    assert_eq!(chain.push(&[back_dated]).await, [exception(ExceptionKind::Late)]);
}

async fn only_a_freeze_that_was_granted_excuses_lateness(on: On) {
    let chain = chain(on, 3).await;
    let mut counter = chain.counter().await;
    let granted = FreezeId::new(START, random10());
    chain.freeze(&counter, granted, chain.coupons[0]).await;
    chain.clock.advance(25 * HOUR);
    // Asked again after its deadline, a granted freeze is no word any more.
    assert_eq!(
        chain.freeze(&counter, granted, chain.coupons[0]).await,
        Answer::Cancelled
    );
    let refused = FreezeId::new(START, random10());
    assert!(matches!(
        chain.freeze(&counter, refused, chain.coupons[1]).await,
        Answer::Refused { .. }
    ));
    let invented = FreezeId::new(START, random10());
    let late = START + 25 * HOUR;
    let pushed = [(0, granted), (1, refused), (2, invented)]
        .map(|(n, freeze)| counter.make(chain.redeem(chain.coupons[n], Some(freeze)), late));
    assert_eq!(
        chain.push(&pushed).await,
        [APPLIED, exception(ExceptionKind::Late), exception(ExceptionKind::Late)]
    );
}

fn void(target: OperationId) -> Action {
    Action::VoidRedemption(VoidRedemption {
        target,
        reason: "wrong article".into(),
        approved_by: counterfoil_domain::ids::ClerkId::new(START, random10()),
    })
}

async fn a_void_gives_back_what_its_own_operation_took(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let one = counter.make(chain.redeem(chain.coupons[0], None), START);
    let undo = counter.make(void(one.id), START);
    let again = counter.make(chain.redeem(chain.coupons[0], None), START);
    assert_eq!(
        chain.push(&[one.clone(), undo, again]).await,
        [APPLIED, APPLIED, APPLIED]
    );
    // The first redemption is void already; a second void does not touch the third operation's.
    let twice = counter.make(void(one.id), START);
    assert_eq!(chain.push(&[twice]).await, [exception(ExceptionKind::StateConflict)]);
    let order = counter.make(chain.collect(chain.orders[0]), START);
    let undo = counter.make(void(order.id), START);
    assert_eq!(chain.push(&[order]).await, [APPLIED]);
    assert_eq!(chain.push(&[undo]).await, [APPLIED]);
    assert_eq!(
        chain.number("SELECT COUNT(*) FROM orders WHERE state = 'ready'").await,
        3
    );
}

async fn a_void_of_a_double_redemption_closes_its_case(on: On) {
    let chain = chain(on, 1).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let one = first.make(chain.redeem(chain.coupons[0], None), START);
    let two = second.make(chain.redeem(chain.coupons[0], None), START);
    let undo = second.make(void(two.id), START);
    assert_eq!(
        chain.push(&[one, two, undo]).await,
        [APPLIED, exception(ExceptionKind::DoubleRedeem), APPLIED]
    );
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM exceptions WHERE status = 'voided'")
            .await,
        1
    );
    assert!(matches!(
        chain.coupon(chain.coupons[0]).await.state,
        CouponState::Redeemed { .. }
    ));
}

async fn an_order_is_handed_over_once(on: On) {
    let chain = chain(on, 0).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let id = FreezeId::new(START, random10());
    let subject = Subject::Order(chain.orders[0]);
    let ask = Command::Freeze(AskFreeze {
        amounts: counterfoil_domain::points::Amounts::default(),
        id,
        device: first.device,
        subject,
        presented_by: None,
        now: START,
    });
    assert_eq!(
        chain.submit(vec![ask]).await[0].answer,
        Answer::Granted {
            until: START + FREEZE_LASTS
        }
    );
    let one = first.make(
        Action::CollectOrder(CollectOrder {
            order: chain.orders[0],
            worth: 1_000,
            freeze: Some(id),
        }),
        START,
    );
    let two = second.make(chain.collect(chain.orders[0]), START);
    assert_eq!(
        chain.push(&[one, two]).await,
        [APPLIED, exception(ExceptionKind::DoublePickup)]
    );
}
