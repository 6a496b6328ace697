//! Only its owner's word ends an order that is overdue.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use counterfoil_domain::{
    coupons::CouponState,
    ids::TenantId,
    transition::online::{End, OnlineOrder, OnlineStatus},
};
use counterfoil_head_office::{
    admin,
    clock::{Clock, SystemRandom},
    online::{
        id_of,
        owner::{OrderOwner, Payment},
        rows::Overdue,
        sweep,
    },
    outside::Outside,
    site,
};
use serde_json::{Value, json};

use super::{MINUTE, asked, ends, holds, site::a_site, submit};
use crate::common::{HOUR, On, START, chain};

counterfoil_head_office::on_both! {
    only_the_owners_word_ends_an_overdue_order,
    the_owner_is_asked_over_http_and_signed,
}

/// An owner who says what the test wants.
#[derive(Debug)]
struct Owner(Mutex<Payment>, Mutex<Vec<String>>);

impl OrderOwner for Owner {
    fn payment<'a>(&'a self, _: TenantId, order: &'a Overdue) -> Pin<Box<dyn Future<Output = Payment> + Send + 'a>> {
        self.1.lock().unwrap().push(order.number.clone());
        let payment = *self.0.lock().unwrap();
        Box::pin(async move { payment })
    }
}

async fn only_the_owners_word_ends_an_overdue_order(on: On) {
    let chain = chain(on, 3).await;
    for n in 0..3 {
        submit(&chain.app, chain.tenant, asked(&chain, &format!("W-{n}"), n, "q")).await;
    }
    submit(&chain.app, chain.tenant, ends(&chain, "W-2", End::Confirm)).await;
    let owner = Arc::new(Owner(Mutex::new(Payment::Unknown), Mutex::default()));
    let asking: Arc<dyn OrderOwner> = owner.clone();
    let sweep_at = async |now: i64| sweep::sweep(&chain.app, &asking, now, 10).await.unwrap();
    // Nobody is asked before the deadline.
    assert_eq!(sweep_at(START + 15 * MINUTE).await, sweep::Counts::default());
    let mut now = START + 17 * MINUTE;
    for round in 1..=6 {
        let counts = sweep_at(now).await;
        assert_eq!(
            (counts.unknown, counts.confirmed, counts.cancelled),
            (2, 0, 0),
            "{round}"
        );
        // Asked again later, not at once.
        assert_eq!(sweep_at(now).await, sweep::Counts::default());
        now += 2 * HOUR;
    }
    assert_eq!(owner.1.lock().unwrap().len(), 12);
    // Long after the deadline, and still held.
    let frozen = "SELECT COUNT(*) FROM coupons WHERE state = 'frozen'";
    assert_eq!(chain.number(frozen).await, 2);
    holds(&chain).await;

    *owner.0.lock().unwrap() = Payment::Failed;
    let counts = sweep::sweep(&chain.app, &asking, now, 1).await.unwrap();
    assert_eq!((counts.cancelled, counts.unknown), (1, 0));
    *owner.0.lock().unwrap() = Payment::Paid;
    assert_eq!(sweep_at(now).await.confirmed, 1);
    assert_eq!(sweep_at(now + 100 * HOUR).await, sweep::Counts::default());
    assert_eq!(chain.number(frozen).await, 0);
    let status = async |number: &str| -> OnlineStatus {
        let mut snapshot = chain.app.db.snapshot().await.unwrap();
        let ids = [id_of(chain.tenant, number)];
        let found: Vec<OnlineOrder> =
            counterfoil_head_office::online::rows::load(&mut snapshot, chain.tenant, &ids, "")
                .await
                .unwrap();
        found[0].status
    };
    let mut ended = [status("W-0").await, status("W-1").await];
    ended.sort_unstable();
    assert_eq!(ended, [OnlineStatus::Confirmed, OnlineStatus::Cancelled]);
    assert_eq!(status("W-2").await, OnlineStatus::Confirmed);
    holds(&chain).await;
}

async fn the_owner_is_asked_over_http_and_signed(on: On) {
    let chain = chain(on, 1).await;
    let site = a_site().await;
    let secret = admin::set_webhook(
        &chain.app.db,
        chain.clock.as_ref(),
        &SystemRandom,
        chain.tenant,
        &site.url,
    )
    .await
    .unwrap();
    submit(&chain.app, chain.tenant, asked(&chain, "W-1", 0, "q")).await;
    let outside = Outside::new(&chain.app, None).unwrap();
    let mut now = START + 17 * MINUTE;
    // Whatever is no clear word, a redirect included, leaves the coupon where it is.
    for (status, body) in [
        (500, ""),
        (302, ""),
        (200, ""),
        (200, "{}"),
        (200, r#"{"payment":"maybe"}"#),
        (200, r#"{"payment":"unknown"}"#),
    ] {
        site.answers(status, body);
        let counts = sweep::sweep(&chain.app, &outside.owner, now, 10).await.unwrap();
        assert_eq!(
            (counts.unknown, counts.cancelled, counts.confirmed),
            (1, 0, 0),
            "{body}"
        );
        now += 2 * HOUR;
    }
    let heard = site.heard();
    assert_eq!(heard.len(), 6);
    let (headers, body) = &heard[0];
    let id = headers[site::ID].parse().unwrap();
    let time: i64 = headers[site::TIME].parse().unwrap();
    assert_eq!(time, chain.clock.now());
    let expected = site::sign(secret.as_bytes(), time, id, body.as_bytes());
    assert_eq!(headers[site::SIGNATURE], expected);
    let sent = json!({
        "kind": "order_payment", "order": "W-1", "order_freeze": id_of(chain.tenant, "W-1"),
        "amount": 1, "deadline": START + 15 * MINUTE,
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), sent);

    site.answers(200, r#"{"payment":"failed"}"#);
    let counts = sweep::sweep(&chain.app, &outside.owner, now, 10).await.unwrap();
    assert_eq!(counts.cancelled, 1);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    holds(&chain).await;
}
