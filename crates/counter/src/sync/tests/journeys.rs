//! What becomes of an operation, through everything that can happen to its journal.

use counterfoil_domain::{coupons::CouponState, time::DAY, transition::DeviceStatus};
use counterfoil_protocol::operation::open;

use super::{assert_chain, assert_same, redeem_elsewhere, redeem_here};
use crate::{
    Decision, Input, QueueState,
    desk::{confirm, look_up},
    identity, journal, queue,
    testing::{HeadOffice, Shop, clerk_id, coupon, coupon_id, order},
};

#[tokio::test]
async fn an_offline_redemption_is_delivered_and_the_rows_agree() {
    let mut office = HeadOffice::new(4, 2);
    let shop = Shop::of(&mut office).await;
    let receipt = redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    assert_eq!(receipt.place.seq, 1);
    redeem_here(&shop, Input::PickupCode(order(1).code)).await.unwrap();
    // It is used up at once, here, before anybody was told.
    let again = look_up(&shop.inner, &Input::CouponCode(coupon(0, 1).code), None)
        .await
        .unwrap();
    assert_eq!(
        (again.decision, again.reasons[0].code.as_str()),
        (Decision::Refuse, "redeemed")
    );
    shop.settle(&mut office).await;
    assert_same(&shop, &office).await;
    assert_eq!(assert_chain(&shop).await, 2);
    let entries = queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 50)
        .await
        .unwrap();
    assert_eq!(
        entries.iter().map(|entry| entry.state).collect::<Vec<_>>(),
        [QueueState::Applied; 2]
    );
}

#[tokio::test]
async fn a_coupon_used_elsewhere_meanwhile_becomes_an_exception_and_is_announced_before() {
    let mut office = HeadOffice::new(2, 0);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    office.elsewhere(redeem_elsewhere(0));
    // Only pulled: the operation has not been delivered, but the row has come.
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    let state = async || {
        queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 50)
            .await
            .unwrap()[0]
            .state
    };
    assert_eq!(state().await, QueueState::ConflictExpected);
    shop.settle(&mut office).await;
    assert_eq!(state().await, QueueState::Exception);
    assert_same(&shop, &office).await;
}

#[tokio::test]
async fn a_row_that_comes_before_its_outcome_is_no_conflict() {
    let mut office = HeadOffice::new(1, 0);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    shop.exchange(&mut office, 200, 1_000, true, false).await;
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    let entries = queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 50)
        .await
        .unwrap();
    assert_eq!(entries[0].state, QueueState::Pending);
    shop.settle(&mut office).await;
    assert_same(&shop, &office).await;
}

#[tokio::test]
async fn head_office_restored_from_a_backup_gets_everything_again() {
    let mut office = HeadOffice::new(5, 0);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    shop.settle(&mut office).await;
    let backup = office.clone();
    redeem_here(&shop, Input::CouponCode(coupon(1, 1).code)).await.unwrap();
    redeem_here(&shop, Input::CouponCode(coupon(3, 1).code)).await.unwrap();
    shop.settle(&mut office).await;
    office.restored_from(&backup, 2);
    assert_eq!(
        office.state.coupons[&coupon_id(1)].as_ref().unwrap().state,
        CouponState::Available
    );
    shop.exchange(&mut office, 200, 1_000, true, true).await;
    // Sent again, not usable again meanwhile.
    let verdict = look_up(&shop.inner, &Input::CouponCode(coupon(1, 1).code), None)
        .await
        .unwrap();
    assert_eq!(verdict.decision, Decision::Refuse);
    shop.settle(&mut office).await;
    assert_same(&shop, &office).await;
    assert!(matches!(
        office.state.coupons[&coupon_id(1)].as_ref().unwrap().state,
        CouponState::Redeemed { .. }
    ));
    let entries = queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 50)
        .await
        .unwrap();
    assert!(
        entries.iter().all(|entry| entry.state == QueueState::Applied),
        "{entries:?}"
    );
    let earlier: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM journal WHERE earlier_outcome = 'applied'")
        .fetch_one(&mut *shop.inner.db.read().await.unwrap())
        .await
        .unwrap();
    assert_eq!(earlier, 2);
}

#[tokio::test]
async fn a_forked_journal_goes_on_in_a_new_epoch() {
    let mut office = HeadOffice::new(6, 0);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    // A clone of this disk delivered something else as number 1.
    let cloned = {
        let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
        let batch = journal::pending(&mut shop.inner.db.read().await.unwrap(), 1, 1 << 20)
            .await
            .unwrap();
        let (_, mut arrival) = open(0, &batch.texts[0]).unwrap();
        arrival.id = counterfoil_domain::ids::OperationId::new(1, [9; 10]);
        arrival.fingerprint = [9; 32];
        arrival.action = Some(redeem_elsewhere(4));
        assert_eq!(who.epoch, 1);
        arrival
    };
    office.arrive(&cloned);
    shop.settle(&mut office).await;
    let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!(who.device_status, DeviceStatus::Frozen);
    let scanned = Input::CouponCode(coupon(1, 1).code);
    let ticket = look_up(&shop.inner, &scanned, None).await.unwrap().ticket.unwrap();
    assert_eq!(
        confirm(&shop.inner, &ticket, clerk_id(1)).await.unwrap_err().code(),
        "device_frozen"
    );

    // A person decides: a new epoch.
    let device = office
        .state
        .devices
        .get_mut(&crate::testing::device(1))
        .unwrap()
        .as_mut()
        .unwrap();
    device.status = DeviceStatus::Active;
    device.epoch = 2;
    device.last_seq = 0;
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    let receipt = redeem_here(&shop, scanned).await.unwrap();
    assert_eq!((receipt.place.epoch, receipt.place.seq), (2, 1));
    shop.settle(&mut office).await;
    assert_chain(&shop).await;
    assert_same(&shop, &office).await;
    let states: Vec<_> = queue::page(&mut shop.inner.db.read().await.unwrap(), None, None, 50)
        .await
        .unwrap();
    assert_eq!(
        states.iter().map(|entry| entry.state).collect::<Vec<_>>(),
        [QueueState::Applied, QueueState::Quarantined]
    );
    assert_eq!(
        office.state.devices[&crate::testing::device(1)]
            .as_ref()
            .unwrap()
            .status,
        DeviceStatus::Active
    );
}

#[tokio::test]
async fn a_revoked_device_delivers_into_quarantine_and_forgets_its_members() {
    let mut office = HeadOffice::new(2, 1);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    office
        .state
        .devices
        .get_mut(&crate::testing::device(1))
        .unwrap()
        .as_mut()
        .unwrap()
        .status = DeviceStatus::Revoked;
    shop.settle(&mut office).await;
    let mut db = shop.inner.db.read().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM replica WHERE entity IN ('member', 'coupon', 'order')")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(left, 0);
    let entries = queue::page(&mut db, None, None, 50).await.unwrap();
    assert_eq!(entries[0].state, QueueState::Quarantined);
    drop(db);
    let refused = look_up(&shop.inner, &Input::CouponCode(coupon(1, 1).code), None).await;
    assert_eq!(refused.unwrap_err().code(), "device_revoked");
}

#[tokio::test]
async fn delivered_operations_go_after_ninety_days_and_not_before() {
    let mut office = HeadOffice::new(3, 0);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    redeem_here(&shop, Input::CouponCode(coupon(1, 1).code)).await.unwrap();
    shop.settle(&mut office).await;
    let prune = async || {
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        let who = identity::load(&mut tx).await.unwrap();
        let pruned = journal::prune(&mut tx, who.server_time).await.unwrap();
        tx.commit("test").await.unwrap();
        pruned
    };
    assert_eq!(prune().await, 0);
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    let early = sqlx::query("DELETE FROM journal WHERE seq = 1").execute(&mut *tx).await;
    assert!(early.unwrap_err().to_string().contains("90 days"));
    let edited = sqlx::query("UPDATE journal SET body = '{}' WHERE seq = 1")
        .execute(&mut *tx)
        .await;
    assert!(edited.unwrap_err().to_string().contains("written once"));
    drop(tx);
    drop(writer);
    shop.clock.advance(91 * DAY);
    shop.settle(&mut office).await;
    // The head stays: the chain goes on from it.
    assert_eq!(prune().await, 1);
    assert_eq!(prune().await, 0);
}

/// A line on which the program itself fails at first.
#[derive(Debug, Default)]
struct Panicking {
    sent: std::sync::atomic::AtomicUsize,
    again: tokio::sync::Notify,
}

impl crate::transport::Transport for Panicking {
    fn send(&self, _: crate::transport::Outgoing) -> crate::transport::Answering<'_> {
        Box::pin(async {
            if self.sent.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                panic!("no such header");
            }
            self.again.notify_one();
            Err(crate::error::Unanswered::TimedOut)
        })
    }
}

#[tokio::test]
async fn a_panic_of_the_sync_is_shown_and_the_sync_goes_on() {
    let shut = Shop::new().await.shut().await;
    let line = std::sync::Arc::new(Panicking::default());
    let parts = crate::Parts {
        transport: line.clone(),
        ..crate::Parts::new(shut.clock.clone(), shut.random.clone()).unwrap()
    };
    let inner = std::sync::Arc::new(crate::inner::Inner::open_with(shut.folder.path(), parts).await.unwrap());
    inner.set_key(ed25519_dalek::SigningKey::from_bytes(&[7; 32]));
    let mut changes = inner.changes();
    let sync = crate::sync::driver::start(inner.clone());
    while inner.trouble().is_none() {
        changes.changed().await.unwrap();
    }
    assert_eq!(inner.trouble().unwrap().0, "panicked");
    inner.wake.notify_one();
    line.again.notified().await;
    sync.stop().await;
}
