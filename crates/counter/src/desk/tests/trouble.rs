//! A full disk, a deaf head office, wrong PINs.

use super::*;

#[tokio::test]
async fn a_full_disk_refuses_and_leaves_nothing_half_done() {
    let mut office = HeadOffice::new(60, 0);
    office.limits.max_per_member = 1_000;
    let shop = offline_shop(&mut office).await;
    {
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count")
            .fetch_one(&mut *tx)
            .await
            .unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}")))
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
    }
    let mut done = 0;
    let error = loop {
        let n = (0..60).filter(|n| n % 3 != 2).nth(done).unwrap();
        let ticket = see(&shop, &code(&coupon(n, 1))).await.ticket.unwrap();
        match confirm(&shop.inner, &ticket, clerk_id(1)).await {
            Ok(_) => done += 1,
            Err(error) => {
                assert_eq!(see(&shop, &code(&coupon(n, 1))).await.decision, Decision::HonourOffline);
                break error;
            }
        }
    };
    assert_eq!(error.code(), "disk_full");
    assert_eq!(journaled(&shop).await, i64::try_from(done).unwrap());
    // Room again: it goes on where it was.
    {
        let mut writer = shop.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1000000")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
    }
    let n = (0..60).filter(|n| n % 3 != 2).nth(done).unwrap();
    assert!(matches!(
        redeem(&shop, &code(&coupon(n, 1))).await,
        Confirmation::Done(_)
    ));
}

#[tokio::test]
async fn five_wrong_pins_lock_for_a_quarter_of_an_hour_also_after_a_restart() {
    let mut office = HeadOffice::new(0, 0);
    let shop = Shop::of(&mut office).await;
    let wrong =
        async |inner: &crate::inner::Inner| crate::people::sign_in(inner, clerk_id(1), "111111").await.unwrap_err();
    for left in (1..5).rev() {
        let error = wrong(&shop.inner).await;
        assert_eq!(
            (error.code(), error.params()["left"].clone()),
            ("wrong_pin", left.to_string())
        );
    }
    assert_eq!(
        crate::people::sign_in(&shop.inner, clerk_id(1), "12")
            .await
            .unwrap_err()
            .code(),
        "pin_too_short"
    );
    let error = wrong(&shop.inner).await;
    assert_eq!(
        (error.code(), error.params()["until"].clone()),
        ("pin_locked", (NOW + 15 * MINUTE).to_string())
    );
    let again = crate::inner::Inner::open(shop.folder.path(), shop.clock.clone(), shop.inner.random.clone())
        .await
        .unwrap();
    assert_eq!(
        crate::people::sign_in(&again, clerk_id(1), PIN)
            .await
            .unwrap_err()
            .code(),
        "pin_locked"
    );
    let people = crate::people::everybody(&again).await.unwrap();
    assert_eq!(
        people
            .iter()
            .map(|person| person.locked_until.is_some())
            .collect::<Vec<_>>(),
        [true, false]
    );
    // Nobody gains time by setting the clock, and nobody loses it.
    for by in [DAY, -2 * DAY, DAY] {
        shop.clock.set(by);
        let error = crate::people::sign_in(&again, clerk_id(1), PIN).await.unwrap_err();
        assert_eq!(error.code(), "pin_locked", "{by}");
    }
    shop.clock.advance(15 * MINUTE);
    let person = crate::people::sign_in(&again, clerk_id(1), PIN).await.unwrap();
    assert_eq!((person.role, person.name), (Role::Clerk, clerk(1, Role::Clerk).name));
    assert!(again.session.current(shop.inner.clock.monotonic(), true).is_some());
    shop.clock.advance(11 * MINUTE);
    assert!(again.session.current(shop.inner.clock.monotonic(), true).is_none());
}

#[tokio::test]
async fn enrolment_keeps_its_key_and_says_what_is_wrong() {
    let folder = TempDir::new().unwrap();
    let clock = std::sync::Arc::new(crate::testing::TestClock::default());
    let random = std::sync::Arc::new(crate::testing::TestRandom::default());
    let counter = crate::Counter::open(folder.path(), clock, random).await.unwrap();
    assert_eq!(counter.clerks().await.unwrap_err().code(), "not_enrolled");
    assert_eq!(
        counter.enrol("ftp://x", "AB", "till").await.unwrap_err().code(),
        "address_invalid"
    );
    let nowhere = counter
        .enrol(crate::testing::NOWHERE, "ABCD-EFGH", "till")
        .await
        .unwrap_err();
    assert_eq!(nowhere.code(), "unreachable");
    let key = std::fs::read_to_string(folder.path().join(crate::key::KEY_FILE)).unwrap();
    assert_eq!(
        counter
            .enrol(crate::testing::NOWHERE, "ABCD-EFGH", "till")
            .await
            .unwrap_err()
            .code(),
        "unreachable"
    );
    assert_eq!(
        std::fs::read_to_string(folder.path().join(crate::key::KEY_FILE)).unwrap(),
        key
    );
    let checks = crate::doctor(folder.path(), counter.0.clock.clone(), counter.0.random.clone()).await;
    let names: Vec<_> = checks.iter().map(|check| (check.name, check.ok)).collect();
    assert_eq!(
        names,
        [
            ("disk", true),
            ("database", true),
            ("key", true),
            ("head_office", false)
        ]
    );
}

/// Somebody who takes every question and answers none.
async fn deaf_head_office(shop: &Shop) -> tokio::net::TcpListener {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut writer = shop.inner.db.write().await;
    let mut tx = writer.begin().await.unwrap();
    sqlx::query("UPDATE identity SET address = ?")
        .bind(format!("http://{}", listener.local_addr().unwrap()))
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    listener
}

#[tokio::test]
async fn a_freeze_whose_answer_is_lost_is_named_or_given_back() {
    let mut office = HeadOffice::new(3, 0);
    let shop = Shop::of(&mut office).await;
    let listener = deaf_head_office(&shop).await;
    // The line is believed to be up, so both are shown as honourable.
    let home = see(&shop, &code(&coupon(0, 1))).await;
    let online_only = see(&shop, &code(&coupon(2, 2))).await;
    assert_eq!(
        (home.decision, online_only.decision),
        (Decision::Honour, Decision::Honour)
    );

    let done = confirm(&shop.inner, &home.ticket.unwrap(), clerk_id(1)).await.unwrap();
    assert!(matches!(done, Confirmation::Done(receipt) if receipt.delivery == Delivery::ToBeDelivered));
    let batch = journal::pending(&mut shop.inner.db.read().await.unwrap(), 9, 1 << 20)
        .await
        .unwrap();
    // Head office may have granted it: then the redemption must not meet its own freeze as somebody else's.
    assert!(batch.texts[0].contains("\"freeze\""), "{}", batch.texts[0]);
    let usage = crate::status::limits_usage(&mut shop.inner.db.read().await.unwrap(), NOW)
        .await
        .unwrap();
    assert_eq!(usage.count, 1);

    // The breaker is open now: nobody waits for a second time-out.
    let refused = confirm(&shop.inner, &online_only.ticket.unwrap(), clerk_id(1))
        .await
        .unwrap();
    let Confirmation::Refused(verdict) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (verdict.decision, codes(&verdict)),
        (Decision::Unconfirmed, vec!["online_only"])
    );
    assert_eq!(journaled(&shop).await, 1);
    drop(listener);
}
