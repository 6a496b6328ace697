//! Where a counter stands in what it reads, and when a database begins a new history.

use std::time::Duration;

use counterfoil_domain::ids::TenantId;
use counterfoil_protocol::{
    paths,
    sync::{Cursor, SyncRequest, SyncResponse},
};

use super::{Answer, office};
use crate::common::{On, START, random10};

counterfoil_head_office::on_both! {
    a_long_poll_ends_when_there_is_news,
    a_restored_database_begins_a_new_history,
    a_made_up_claim_costs_nobody_else_anything,
    an_epoch_lost_with_a_backup_waits_for_a_person,
}

async fn a_long_poll_ends_when_there_is_news(on: On) {
    let office = office(on, 1).await;
    let (waiting, mut busy) = (office.chain.counter().await, office.chain.counter().await);
    let mut ask = office.ask(&[]).await;
    ask.wait = 20_000;
    let poll = office.post::<_, SyncResponse>(&waiting, paths::SYNC, &ask);
    let work = async {
        // The poll has to be there first; if it is not, the news is found by its first look.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let one = busy.seal(office.chain.redeem(office.chain.coupons[0], None), START);
        office.sync(&busy, &[one]).await.unwrap();
    };
    let both = async { tokio::join!(poll, work) };
    let (answer, ()) = tokio::time::timeout(Duration::from_secs(15), both)
        .await
        .expect("the poll went on waiting");
    assert_eq!(answer.unwrap().page.unwrap().rows.len(), 1);
}

async fn a_restored_database_begins_a_new_history(on: On) {
    let office = office(on, 3).await;
    let mut counter = office.chain.counter().await;
    let mut cursors = Vec::new();
    for coupon in &office.chain.coupons {
        let one = counter.seal(office.chain.redeem(*coupon, None), START);
        let mut ask = office.ask(&[one]).await;
        ask.page_rows = 1_000;
        let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &ask).await;
        cursors.push(answer.unwrap().page.unwrap().cursor);
    }
    let old = office.chain.app.db.history_of(office.chain.tenant).await.unwrap();
    // Restored from a backup of before the last two: their numbers are as if they had never been given, and one of them
    // is given anew in another commit.
    office.chain.run("DELETE FROM feed WHERE number > 2").await;
    office
        .chain
        .run("UPDATE feed_heads SET number = 2 WHERE number > 2")
        .await;
    let begins = |ask: SyncRequest| {
        let (office, counter) = (&office, &counter);
        async move {
            let (_, problem) = office
                .post::<_, SyncResponse>(counter, paths::SYNC, &ask)
                .await
                .unwrap_err();
            assert_eq!(problem.code, "history_changed");
            problem.history_id
        }
    };
    // A device that may not work proves nothing to others; what it read is lost all the same, so it reads again, alone.
    let set = |status: &str| office.chain.run(format!("UPDATE devices SET status = '{status}'"));
    set("frozen").await;
    let mut ask = office.ask(&[]).await;
    ask.cursor = cursors[2];
    assert_eq!(begins(ask).await, Some(old));
    set("active").await;
    let mut ask = office.ask(&[]).await;
    ask.cursor = cursors[2];
    let present = begins(ask).await;
    assert_ne!(present, Some(old));
    assert_eq!(
        Some(office.chain.app.db.history_of(office.chain.tenant).await.unwrap()),
        present
    );
    // Other chains of the same database go on as they were.
    let other = TenantId::new(START, random10());
    assert_eq!(office.chain.app.db.history_of(other).await.unwrap(), old);
    // Somebody who still speaks of the first history is told of the present one, and begins none.
    let mut ask = office.ask(&[]).await;
    ask.history_id = old;
    ask.cursor = cursors[2];
    assert_eq!(begins(ask).await, present);
    // The lost mark proves one restore, not a second one: whoever keeps it reads everything again alone.
    for _ in 0..3 {
        let mut ask = office.ask(&[]).await;
        ask.cursor = cursors[2];
        assert_eq!(Some(ask.history_id), present);
        assert_eq!(begins(ask).await, present);
    }
    assert_eq!(
        Some(office.chain.app.db.history_of(office.chain.tenant).await.unwrap()),
        present
    );
}

/// Whoever claims what it can't prove reads everything again, alone.
async fn a_made_up_claim_costs_nobody_else_anything(on: On) {
    let office = office(on, 3).await;
    let (mut counter, honest) = (office.chain.counter().await, office.chain.counter().await);
    let one = counter.seal(office.chain.redeem(office.chain.coupons[0], None), START);
    let mut ask = office.ask(&[one]).await;
    ask.page_rows = 1_000;
    let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &ask).await;
    let read = answer.unwrap().page.unwrap().cursor;
    let history = office.chain.app.db.history_of(office.chain.tenant).await.unwrap();
    let claims = [
        (
            Cursor {
                store_seq: 1,
                store_mark: 42,
                ..Cursor::default()
            },
            0,
        ),
        (
            Cursor {
                tenant_seq: 7,
                tenant_mark: read.store_mark,
                ..read
            },
            0,
        ),
        (
            Cursor {
                store_seq: read.store_seq + 1,
                ..read
            },
            0,
        ),
        // The mark of one feed for the other.
        (
            Cursor {
                tenant_seq: read.store_seq,
                tenant_mark: read.store_mark,
                ..Cursor::default()
            },
            0,
        ),
        (
            Cursor {
                store_seq: i64::MAX,
                store_mark: i64::MIN,
                ..read
            },
            0,
        ),
        // Outcomes that were never given.
        (read, 5),
        (Cursor::default(), i64::MAX),
    ];
    for (cursor, acknowledged_seq) in claims {
        let mut ask = office.ask(&[]).await;
        (ask.cursor, ask.acknowledged_seq) = (cursor, acknowledged_seq);
        let (_, problem) = office
            .post::<_, SyncResponse>(&counter, paths::SYNC, &ask)
            .await
            .unwrap_err();
        assert_eq!(
            (problem.code.as_str(), problem.history_id, problem.expected_seq),
            ("history_changed", Some(history), Some(2)),
            "{cursor:?} {acknowledged_seq}"
        );
    }
    assert_eq!(
        office.chain.app.db.history_of(office.chain.tenant).await.unwrap(),
        history
    );
    let mut ask = office.ask(&[]).await;
    ask.cursor = read;
    let answer: Answer<SyncResponse> = office.post(&honest, paths::SYNC, &ask).await;
    assert_eq!(answer.unwrap().history_id, history);
    // A cursor of before marks had keys is known by its line.
    office.chain.run("UPDATE feed SET mark = 77 WHERE number = 1").await;
    let mut ask = office.ask(&[]).await;
    ask.cursor = Cursor {
        store_seq: 1,
        store_mark: 77,
        ..Cursor::default()
    };
    let answer: Answer<SyncResponse> = office.post(&honest, paths::SYNC, &ask).await;
    assert_eq!(answer.unwrap().history_id, history);
}

async fn an_epoch_lost_with_a_backup_waits_for_a_person(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let history = office.chain.app.db.history().await.unwrap();
    let mut ask = office.ask(&[]).await;
    ask.epoch = 2;
    for _ in 0..2 {
        let answer: Answer<SyncResponse> = office.post(&counter, paths::SYNC, &ask).await;
        if let Err((_, problem)) = answer {
            assert_eq!(problem.code, "device_frozen");
        }
    }
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM devices WHERE status = 'frozen'")
            .await,
        1
    );
    assert_eq!(
        office.chain.app.db.history().await.unwrap(),
        history,
        "one device begins no new history"
    );
}
