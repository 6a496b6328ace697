//! With money, points and gift are held until the payment is known.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use counterfoil_domain::{gifts::ExchangeStatus, ids::TenantId, people::OperatorRole, points::Balances};
use counterfoil_head_office::{
    gifts::sweep,
    online::{
        owner::{OrderOwner, Payment},
        rows::Overdue,
        sweep::Counts,
    },
};
use serde_json::json;

use super::{available, nothing, shop};
use crate::common::{HOUR, On, START};

counterfoil_head_office::on_both! {
    what_is_paid_is_the_members_and_what_is_not_goes_back,
    only_the_owners_word_ends_an_exchange_that_nobody_paid,
}

const MINUTE: i64 = HOUR / 60;

async fn what_is_paid_is_the_members_and_what_is_not_goes_back(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|gift| gift.money = 990).await;
    shop.count(shop.warehouse, 2).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let address = shop.address_of(shop.chain.member).await;
    let api = shop.member().await;
    let operator = shop.operator(OperatorRole::Operator).await;
    let body = json!({ "gift": gift, "address": address });
    let mut ids = Vec::new();
    for key in ["a", "b"] {
        let (status, said) = api.post("/v1/member/exchanges", key, &body).await;
        assert_eq!(
            (status, said["status"].as_str()),
            (201, Some("awaiting_payment")),
            "{said}"
        );
        assert_eq!(said["deadline"], START + 30 * MINUTE);
        ids.push(said["id"].as_str().unwrap().to_owned());
    }
    let held = Balances {
        available: 1_000,
        held: 4_000,
        ..Balances::default()
    };
    assert_eq!(shop.balances(shop.chain.member).await, held);
    assert_eq!(shop.stock(shop.warehouse).await, (2, 2));
    shop.sound().await;
    let step = async |id: &str, step: &str, key: &str| {
        let path = format!("/v1/exchanges/{id}/{step}");
        let (status, said) = operator.post(&path, key, &nothing()).await;
        (status, said["status"].as_str().unwrap_or_default().to_owned(), said)
    };
    for key in ["p", "q"] {
        let (status, stands, said) = step(&ids[0], "paid", key).await;
        assert_eq!((status, stands.as_str()), (200, "confirmed"), "{said}");
    }
    for key in ["r", "s"] {
        let (status, stands, said) = step(&ids[1], "cancel", key).await;
        assert_eq!((status, stands.as_str()), (200, "cancelled"), "{said}");
    }
    for (id, other) in [(&ids[0], "cancel"), (&ids[1], "paid")] {
        let (status, _, problem) = step(id, other, &format!("{other}-late")).await;
        assert_eq!((status, problem["code"].as_str()), (409, Some("state_conflict")));
    }
    assert_eq!(
        step(&ids[0].replace(&ids[0][..8], "00000000"), "paid", "nobody")
            .await
            .0,
        404
    );
    assert_eq!(shop.balances(shop.chain.member).await, available(3_000));
    assert_eq!(shop.stock(shop.warehouse).await, (1, 0));
    let sent = "SELECT COUNT(*) FROM outbox WHERE topic = 'ship'";
    assert_eq!(shop.chain.number(sent).await, 1);
    shop.sound().await;
}

/// An owner who says what the test wants.
#[derive(Debug)]
struct Owner(Mutex<Payment>, Mutex<Vec<Overdue>>);

impl OrderOwner for Owner {
    fn payment<'a>(&'a self, _: TenantId, order: &'a Overdue) -> Pin<Box<dyn Future<Output = Payment> + Send + 'a>> {
        self.1.lock().unwrap().push(order.clone());
        let payment = *self.0.lock().unwrap();
        Box::pin(async move { payment })
    }
}

async fn only_the_owners_word_ends_an_exchange_that_nobody_paid(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|gift| gift.money = 990).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 6_000, Some(START + 24 * HOUR)).await;
    for key in ["a", "b", "c"] {
        shop.exchange(gift, key).await;
    }
    let owner = Arc::new(Owner(Mutex::new(Payment::Unknown), Mutex::default()));
    let asking: Arc<dyn OrderOwner> = owner.clone();
    let sweep_at = async |now: i64, limit: i64| {
        shop.chain.clock.advance(now - shop.now());
        sweep::sweep(shop.app(), &asking, now, limit).await.unwrap()
    };
    // Nobody is asked before the deadline.
    assert_eq!(sweep_at(START + 30 * MINUTE, 10).await, Counts::default());
    let mut now = START + 32 * MINUTE;
    for _ in 0..4 {
        assert_eq!(sweep_at(now, 10).await.unknown, 3);
        // Asked again later, not at once.
        assert_eq!(sweep_at(now, 10).await, Counts::default());
        now += 2 * HOUR;
    }
    let first = owner.1.lock().unwrap()[0].clone();
    assert_eq!((first.kind, first.amount), ("exchange_payment", 990));
    assert_eq!(shop.stock(shop.warehouse).await, (10, 3));
    *owner.0.lock().unwrap() = Payment::Paid;
    assert_eq!(sweep_at(now, 1).await.confirmed, 1);
    // What was pinned ended long ago, and ends now that it is let go of; what was paid stays spent.
    now = START + 30 * HOUR;
    *owner.0.lock().unwrap() = Payment::Failed;
    assert_eq!(sweep_at(now, 10).await.cancelled, 2);
    assert_eq!(sweep_at(now + 100 * HOUR, 10).await, Counts::default());
    assert_eq!(shop.balances(shop.chain.member).await, available(0));
    assert_eq!(shop.stock(shop.warehouse).await, (9, 0));
    let mut snapshot = shop.app().db.snapshot().await.unwrap();
    let which = counterfoil_head_office::gifts::rows::Wanted::Standing(ExchangeStatus::Cancelled);
    let cancelled = counterfoil_head_office::gifts::rows::page(&mut snapshot, shop.chain.tenant, which, None, 10)
        .await
        .unwrap();
    assert_eq!(cancelled.len(), 2);
    drop(snapshot);
    shop.sound().await;
}
