//! Random histories: whatever the network does, both sides end equal.

use counterfoil_domain::{
    operations::{Action, CollectOrder},
    time::MINUTE,
    transition::DeviceStatus,
};
use proptest::prelude::*;

use super::{assert_chain, assert_same, redeem_elsewhere, redeem_here};
use crate::{
    Input,
    desk::void,
    queue,
    testing::{HeadOffice, PIN, Shop, clerk_id, coupon, order, order_id},
};

#[derive(Debug, Clone)]
enum Happening {
    Redeem(u8),
    Collect(u8),
    Void(u8),
    RedeemElsewhere(u8),
    CollectElsewhere(u8),
    Exchange {
        push: u8,
        rows: u8,
        arrives: bool,
        answered: bool,
    },
    TakeBackup,
    Restore,
    Newer(bool),
    Time(u8),
}

const COUPONS: u8 = 5;
const ORDERS: u8 = 3;

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        4 => (0..COUPONS).prop_map(Happening::Redeem),
        2 => (0..ORDERS).prop_map(Happening::Collect),
        2 => (0u8..8).prop_map(Happening::Void),
        2 => (0..COUPONS).prop_map(Happening::RedeemElsewhere),
        1 => (0..ORDERS).prop_map(Happening::CollectElsewhere),
        6 => (0u8..4, 1u8..6, prop::bool::weighted(0.8), prop::bool::weighted(0.8))
            .prop_map(|(push, rows, arrives, answered)| Happening::Exchange { push, rows, arrives, answered }),
        1 => Just(Happening::TakeBackup),
        1 => Just(Happening::Restore),
        1 => any::<bool>().prop_map(Happening::Newer),
        2 => (1u8..30).prop_map(Happening::Time),
    ]
}

async fn run(happenings: Vec<Happening>) {
    let mut office = HeadOffice::new(COUPONS, ORDERS);
    office.limits.max_per_member = 1_000;
    let shop = Shop::of(&mut office).await;
    let mut backup = None;
    let mut histories = 1u8;
    for happening in happenings {
        office.now = crate::Clock::now(&*shop.clock);
        match happening {
            Happening::Redeem(n) => {
                redeem_here(&shop, Input::CouponCode(coupon(n, 1).code)).await;
            }
            Happening::Collect(n) => {
                redeem_here(&shop, Input::PickupCode(order(n).code)).await;
            }
            Happening::Void(n) => {
                let entries = queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 50)
                    .await
                    .unwrap();
                if let Some(entry) = entries.iter().filter(|entry| entry.voidable).nth(usize::from(n)) {
                    void(&shop.inner, entry.op_id, "wrong one", clerk_id(2), PIN)
                        .await
                        .unwrap();
                }
            }
            Happening::RedeemElsewhere(n) => office.elsewhere(redeem_elsewhere(n)),
            Happening::CollectElsewhere(n) => {
                office.elsewhere(Action::CollectOrder(CollectOrder {
                    order: order_id(n),
                    worth: 1_000,
                    freeze: None,
                }));
            }
            Happening::Exchange {
                push,
                rows,
                arrives,
                answered,
            } => {
                shop.exchange(&mut office, push.into(), rows.into(), arrives, answered)
                    .await;
            }
            Happening::TakeBackup => backup = Some(office.clone()),
            Happening::Restore => {
                if let Some(backup) = &backup {
                    histories += 1;
                    office.restored_from(backup, histories);
                }
            }
            Happening::Newer(newer) => office.newer = newer,
            Happening::Time(minutes) => shop.clock.advance(i64::from(minutes) * MINUTE),
        }
        assert_chain(&shop).await;
    }
    shop.settle(&mut office).await;
    office.newer = false;
    let shop = shop.upgraded().await;
    shop.settle(&mut office).await;
    assert_same(&shop, &office).await;
    let operations = assert_chain(&shop).await;
    let device = office.state.devices[&crate::testing::device(1)].clone().unwrap();
    assert_eq!(device.last_seq, i64::try_from(operations).unwrap());
    assert_eq!(device.status, DeviceStatus::Active);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn whatever_the_network_does_both_sides_end_equal(happenings in prop::collection::vec(happening(), 1..40)) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(run(happenings));
    }
}
