//! Counter and head office through faults: what is left when they stop.

use counterfoil_domain::{
    coupons::{Coupon, CouponState},
    operations::{Action, CollectOrder, RedeemCoupon},
    people::{Member, Store},
    pickups::Order,
    time::{DAY, MINUTE},
    transition::{DeviceStatus, Fingerprint, genesis},
};
use counterfoil_protocol::{
    operation::{fingerprint, open},
    problem::{Code, Problem},
    sync::{DeviceView, Image, Page, Row, Stopped, SyncResponse},
};
use proptest::prelude::*;
use sqlx::Row as _;

use crate::{
    Confirmation, Decision, Input, QueueState,
    desk::{confirm, look_up, void},
    identity, journal, queue,
    testing::{
        HeadOffice, NOW, PIN, Shop, clerk_id, coupon, coupon_id, history, member, order, order_id, store_id,
        template_id,
    },
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
    let coupons: Vec<String> = sqlx::query_scalar("SELECT image FROM replica WHERE entity = 'coupon' ORDER BY id")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let coupons: Vec<Coupon> = coupons
        .iter()
        .map(|image| serde_json::from_str(image).unwrap())
        .collect();
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
    let orders: Vec<String> = sqlx::query_scalar("SELECT image FROM replica WHERE entity = 'order' ORDER BY id")
        .fetch_all(&mut *db)
        .await
        .unwrap();
    let orders: Vec<Order> = orders
        .iter()
        .map(|image| serde_json::from_str(image).unwrap())
        .collect();
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

#[tokio::test]
async fn an_old_row_never_overwrites_a_newer_one() {
    let mut office = HeadOffice::new(1, 0);
    let shop = Shop::of(&mut office).await;
    let stale = office.clone();
    office.elsewhere(redeem_elsewhere(0));
    shop.settle(&mut office).await;
    let page = Page {
        rows: vec![Row {
            version: 1,
            image: Image::Coupon(stale.state.coupons[&coupon_id(0)].clone().unwrap()),
        }],
        cursor: identity::load(&mut shop.inner.db.read().await.unwrap())
            .await
            .unwrap()
            .cursor,
        more: false,
    };
    crate::intake::apply_page(&shop.inner.db, &page, 0).await.unwrap();
    assert_same(&shop, &office).await;
}

#[tokio::test]
async fn a_member_whom_the_store_holds_no_more_goes_with_their_coupons_but_not_with_its_own() {
    let mut office = HeadOffice::new(2, 0);
    let shop = Shop::of(&mut office).await;
    shop.settle(&mut office).await;
    let cursor = identity::load(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap()
        .cursor;
    let page = |rows: Vec<Image>| Page {
        rows: rows.into_iter().map(|image| Row { version: 7, image }).collect(),
        cursor,
        more: false,
    };
    let held = async |id| {
        let mut db = shop.inner.db.read().await.unwrap();
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM replica WHERE entity = 'coupon' AND id = ?")
            .bind::<Vec<u8>>(id)
            .fetch_one(&mut *db)
            .await
            .unwrap()
    };
    // One coupon is good everywhere, the other is this store's own.
    let everywhere = Coupon {
        home_store: None,
        ..coupon(0, 1)
    };
    let own = coupon(1, 1);
    let rows = vec![
        Image::Member(member(1)),
        Image::Coupon(everywhere.clone()),
        Image::Coupon(own.clone()),
    ];
    crate::intake::apply_page(&shop.inner.db, &page(rows), 0).await.unwrap();
    let bytes = |coupon: &Coupon| coupon.id.bytes().to_vec();
    assert_eq!((held(bytes(&everywhere)).await, held(bytes(&own)).await), (1, 1));

    let elsewhere = Member {
        recent_stores: vec![store_id(2)],
        ..member(1)
    };
    let rows = vec![Image::Member(elsewhere)];
    crate::intake::apply_page(&shop.inner.db, &page(rows), 0).await.unwrap();
    assert_eq!((held(bytes(&everywhere)).await, held(bytes(&own)).await), (0, 1));
    let mut db = shop.inner.db.read().await.unwrap();
    let members: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM replica WHERE entity = 'member'")
        .fetch_one(&mut *db)
        .await
        .unwrap();
    assert_eq!(members, 0);
}

/// What head office answers to a counter that has nothing to say.
fn nothing_new(last_applied_seq: i64) -> SyncResponse {
    SyncResponse {
        history_id: history(1),
        server_time: NOW,
        device: DeviceView {
            status: DeviceStatus::Active,
            epoch: 1,
            last_applied_seq,
        },
        outcomes: Vec::new(),
        stopped: None,
        page: None,
    }
}

/// Whether it says that something changed, and how many operations wait afterwards.
async fn takes(shop: &Shop, response: &SyncResponse) -> (bool, i64) {
    let applied = crate::intake::answer(&shop.inner.db, 0, response, NOW).await.unwrap();
    let mut reader = shop.inner.db.read().await.unwrap();
    (applied.changed, journal::pending_count(&mut reader).await.unwrap())
}

async fn delivered_one() -> (HeadOffice, Shop) {
    let mut office = HeadOffice::new(2, 0);
    let shop = Shop::of(&mut office).await;
    redeem_here(&shop, Input::CouponCode(coupon(0, 1).code)).await.unwrap();
    shop.settle(&mut office).await;
    (office, shop)
}

#[tokio::test]
async fn an_answer_says_whether_anything_that_is_shown_changed() {
    let (office, shop) = delivered_one().await;
    assert_eq!(takes(&shop, &nothing_new(1)).await, (false, 0));
    let cursor = identity::load(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap()
        .cursor;
    let with = |rows: Vec<Row>| SyncResponse {
        page: Some(Page {
            rows,
            cursor,
            more: false,
        }),
        ..nothing_new(1)
    };
    assert_eq!(takes(&shop, &with(Vec::new())).await, (false, 0));
    let row = Row {
        version: 9,
        image: Image::Coupon(office.state.coupons[&coupon_id(1)].clone().unwrap()),
    };
    assert_eq!(takes(&shop, &with(vec![row])).await, (true, 0));
    // The next page begins where this one ended.
    let mut moved = with(Vec::new());
    moved.page.as_mut().unwrap().cursor.store_seq += 5;
    takes(&shop, &moved).await;
    let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!(who.cursor.store_seq, cursor.store_seq + 5);
    // An outcome is news once.
    redeem_here(&shop, Input::CouponCode(coupon(1, 1).code)).await.unwrap();
    let outcome = {
        let mut office = office.clone();
        let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
        let plan = crate::line::Plan {
            push: 1,
            page_rows: 0,
            wait: 0,
        };
        let (request, _) = super::driver::compose(&shop.inner, &who, plan).await.unwrap();
        office.sync(&request).unwrap().outcomes
    };
    let told = SyncResponse {
        outcomes: outcome,
        ..nothing_new(2)
    };
    assert_eq!(takes(&shop, &told).await, (true, 0));
    assert_eq!(takes(&shop, &told).await, (false, 0));
}

#[tokio::test]
async fn what_head_office_asks_for_again_waits_again_and_nothing_else_does() {
    let gap = |expected_seq| SyncResponse {
        stopped: Some(Stopped::Gap { expected_seq }),
        ..nothing_new(expected_seq - 1)
    };
    let less = |status, epoch, last_applied_seq| SyncResponse {
        device: DeviceView {
            status,
            epoch,
            last_applied_seq,
        },
        ..nothing_new(0)
    };
    let active = DeviceStatus::Active;
    for (response, again) in [
        (gap(1), true),
        // It asks for what was never written.
        (gap(2), false),
        // Less than it acknowledged: it was restored in a way that its marks don't show.
        (less(active, 1, 0), true),
        (less(active, 1, 1), false),
        (less(active, 1, 2), false),
    ] {
        let (_, shop) = delivered_one().await;
        let waits = i64::from(again);
        assert_eq!(takes(&shop, &response).await, (again, waits), "{response:?}");
        // It lies over head office's row again.
        let mut reader = shop.inner.db.read().await.unwrap();
        let touches: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM touches")
            .fetch_one(&mut *reader)
            .await
            .unwrap();
        assert_eq!(touches, waits, "{response:?}");
    }
    // Nobody knows yet how a frozen journal goes on, nor what a new epoch begins with.
    for response in [less(DeviceStatus::Frozen, 1, 0), less(active, 2, 0)] {
        let (_, shop) = delivered_one().await;
        assert_eq!(takes(&shop, &response).await, (true, 0), "{response:?}");
    }
}

#[tokio::test]
async fn its_own_store_is_as_head_office_says_and_no_other_is() {
    let mut office = HeadOffice::new(1, 0);
    let shop = Shop::of(&mut office).await;
    let own = identity::load(&mut shop.inner.db.read().await.unwrap())
        .await
        .unwrap()
        .store;
    let told = |store: Store| SyncResponse {
        page: Some(Page {
            rows: vec![Row {
                version: 9,
                image: Image::Store(store),
            }],
            ..Page::default()
        }),
        ..nothing_new(0)
    };
    let moved = Store {
        name_en: "Moved".into(),
        ..own.clone()
    };
    let other = Store {
        id: store_id(2),
        ..moved.clone()
    };
    for (store, now) in [(other, &own), (moved.clone(), &moved)] {
        takes(&shop, &told(store)).await;
        let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
        assert_eq!(who.store, *now);
    }
}

#[tokio::test]
async fn a_problem_that_says_what_to_do_is_followed() {
    let (_, shop) = delivered_one().await;
    let follows = async |problem: &Problem| crate::intake::problem(&shop.inner.db, problem, NOW).await.unwrap();
    let waiting = async || {
        journal::pending_count(&mut shop.inner.db.read().await.unwrap())
            .await
            .unwrap()
    };
    let gap = |expected_seq| Problem {
        expected_seq: Some(expected_seq),
        ..Problem::new(Code::JournalGap)
    };
    assert!(!follows(&gap(2)).await);
    assert_eq!(waiting().await, 0);
    assert!(follows(&gap(1)).await);
    assert_eq!(waiting().await, 1);

    let state = async || {
        let mut reader = shop.inner.db.read().await.unwrap();
        let held: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM replica WHERE entity = 'coupon'")
            .fetch_one(&mut *reader)
            .await
            .unwrap();
        (identity::load(&mut reader).await.unwrap().device_status, held)
    };
    let (active, held) = state().await;
    assert_eq!((active, held > 0), (DeviceStatus::Active, true));
    // What is said again is no news. Who is frozen keeps what is here; who is revoked does not.
    let frozen = Problem::new(Code::DeviceFrozen);
    assert!(follows(&frozen).await && !follows(&frozen).await);
    assert_eq!(state().await, (DeviceStatus::Frozen, held));
    let revoked = Problem::new(Code::DeviceRevoked);
    assert!(follows(&revoked).await && !follows(&revoked).await);
    assert_eq!(state().await, (DeviceStatus::Revoked, 0));
    assert!(!follows(&Problem::new(Code::Busy)).await);
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
    let sync = super::driver::start(inner.clone());
    while inner.trouble().is_none() {
        changes.changed().await.unwrap();
    }
    assert_eq!(inner.trouble().unwrap().0, "panicked");
    inner.wake.notify_one();
    line.again.notified().await;
    sync.stop().await;
}

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
            Happening::Time(minutes) => shop.clock.advance(i64::from(minutes) * MINUTE),
        }
        assert_chain(&shop).await;
    }
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
