//! What an answer of head office changes here, and whether it says so.

use counterfoil_domain::{
    coupons::{Coupon, CouponState},
    operations::{Action, CollectOrder},
    people::{Member, Store},
    time::DAY,
    transition::DeviceStatus,
};
use counterfoil_protocol::{
    problem::{Code, Problem},
    questions::LookupResponse,
    sync::{DeviceView, Image, Page, Row, Stopped, SyncResponse},
};

use super::{assert_same, redeem_elsewhere, redeem_here};
use crate::{
    Input, identity, journal, replica,
    testing::{HeadOffice, NOW, Shop, coupon, coupon_id, history, member, order_id, store_id},
};

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
        unread: Vec::new(),
    };
    crate::intake::apply_page(&shop.inner.db, &page, 0).await.unwrap();
    assert_same(&shop, &office).await;
}

#[tokio::test]
async fn what_does_not_read_stops_nothing_and_a_newer_program_reads_it() {
    let mut office = HeadOffice::new(2, 1);
    let shop = Shop::of(&mut office).await;
    let program = async |shop: &Shop| {
        let status = crate::status::status(&shop.inner).await.unwrap();
        let problem = status.link.problem.map(|(code, _)| code);
        let checks = crate::doctor::doctor(shop.folder.path(), shop.clock.clone(), shop.inner.random.clone()).await;
        let fine = checks.iter().find(|check| check.name == "program").unwrap().ok;
        (status.placed.unwrap().unread, problem, fine)
    };
    assert_eq!(program(&shop).await, (Vec::new(), None, true));

    office.newer = true;
    for n in 0..2 {
        redeem_here(&shop, Input::CouponCode(coupon(n, 1).code)).await.unwrap();
    }
    office.put_coupon(coupon(3, 1));
    office.elsewhere(Action::CollectOrder(CollectOrder {
        order: order_id(0),
        worth: 1_000,
        freeze: None,
    }));
    shop.settle(&mut office).await;
    let mut db = shop.inner.db.read().await.unwrap();
    let counts = crate::queue::counts(&mut db).await.unwrap();
    assert_eq!((counts.pending, counts.delivered), (0, 2));
    // What it understands is here; of what it does not, it shows what it knows.
    assert!(replica::coupon(&mut db, coupon_id(3)).await.unwrap().is_some());
    let used = replica::coupon(&mut db, coupon_id(0)).await.unwrap().unwrap();
    assert!(matches!(used.row.state, CouponState::Redeemed { .. }) && used.touched);
    drop(db);
    let unread = vec!["coupon".to_owned(), "parcel".to_owned()];
    let outdated = Some("program_outdated".to_owned());
    assert_eq!(program(&shop).await, (unread.clone(), outdated.clone(), false));

    // Started anew it is no wiser, and does not read in vain.
    let before = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    let shop = shop.shut().await.open().await;
    let after = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((after.generation, after.cursor), (before.generation, before.cursor));
    assert_eq!(program(&shop).await, (unread.clone(), outdated, false));
    // A newer program that does not understand it either reads everything again once.
    let shop = shop.upgraded().await;
    shop.settle(&mut office).await;
    let again = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    assert_eq!((again.generation, again.resyncing), (before.generation + 1, false));
    assert_eq!(program(&shop).await.0, unread);

    office.newer = false;
    let shop = shop.upgraded().await;
    shop.settle(&mut office).await;
    assert_eq!(program(&shop).await, (Vec::new(), None, true));
    assert_same(&shop, &office).await;
}

#[test]
fn rows_that_were_asked_for_are_read_but_for_those_of_an_unknown_kind() {
    let known = serde_json::to_value(Row {
        version: 1,
        image: Image::Coupon(coupon(1, 1)),
    })
    .unwrap();
    let mut spoilt = known.clone();
    spoilt["row"]["state"] = "elsewhere".into();
    let strange = serde_json::json!({"entity": "parcel", "version": 1, "row": {}});
    let answer = |rows: &[&serde_json::Value]| {
        let answer = serde_json::json!({"server_time": 1, "rows": rows});
        serde_json::from_str::<LookupResponse>(&answer.to_string()).map(|answer| answer.rows.len())
    };
    assert_eq!(answer(&[&known, &strange]).unwrap(), 1);
    assert!(answer(&[&known, &spoilt]).is_err());
    assert!(answer(&[&serde_json::json!({})]).is_err());
}

/// A clock of head office that jumps takes nothing away that a restored one asks for again.
#[tokio::test]
async fn what_was_delivered_is_kept_for_90_days_by_both_clocks() {
    let mut office = HeadOffice::new(2, 0);
    let shop = Shop::of(&mut office).await;
    for n in 0..2 {
        redeem_here(&shop, Input::CouponCode(coupon(n, 1).code)).await.unwrap();
    }
    shop.settle(&mut office).await;
    let kept = async |days: i64| {
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        sqlx::query("UPDATE identity SET server_time = ?")
            .bind(NOW + days * DAY)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        drop(writer);
        crate::sync::driver::prune(&shop.inner).await.unwrap();
        let mut db = shop.inner.db.read().await.unwrap();
        sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM journal")
            .fetch_one(&mut *db)
            .await
            .unwrap()
    };
    assert_eq!(kept(400).await, 2);
    shop.clock.advance(400 * DAY);
    // The last one stays: the chain goes on from it.
    assert_eq!(kept(400).await, 1);
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
        unread: Vec::new(),
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
            unread: Vec::new(),
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
        let (request, _) = crate::sync::driver::compose(&shop.inner, &who, plan).await.unwrap();
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

#[tokio::test]
async fn an_epoch_that_can_not_be_is_not_taken_and_a_later_one_still_is() {
    let (_, shop) = delivered_one().await;
    let named = |epoch| SyncResponse {
        device: DeviceView {
            epoch,
            ..nothing_new(1).device
        },
        ..nothing_new(1)
    };
    for (epoch, taken) in [(i64::MAX, 1), (102, 1), (i64::MIN, 1), (3, 3), (2, 3), (103, 103)] {
        takes(&shop, &named(epoch)).await;
        let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
        assert_eq!(who.epoch, taken, "{epoch}");
    }
    assert_eq!(takes(&shop, &named(i64::MAX)).await, (false, 0));
}

#[tokio::test]
async fn a_clock_that_can_not_be_is_not_believed() {
    let (_, shop) = delivered_one().await;
    let before = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
    for server_time in [i64::MIN, -1, 253_402_300_800_000, i64::MAX] {
        let told = SyncResponse {
            server_time,
            ..nothing_new(1)
        };
        assert_eq!(takes(&shop, &told).await, (false, 0));
        let problem = Problem {
            server_time: Some(server_time),
            ..Problem::new(Code::ClockSkew)
        };
        crate::intake::problem(&shop.inner.db, &problem, NOW + 1).await.unwrap();
        let who = identity::load(&mut shop.inner.db.read().await.unwrap()).await.unwrap();
        assert_eq!((who.skew, who.server_time), (before.skew, before.server_time));
        assert_eq!(who.last_contact, Some(NOW + 1));
    }
}
