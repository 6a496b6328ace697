//! Who gets which code, and when a code may be had again.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::{ClerkId, FreezeId, OperationId, OrderId},
    operations::{Action, VoidRedemption},
    pickup_codes::{PickupPart, PickupPolicy, Shard},
    points::Amounts,
    time::DAY,
    transition::{AskFreeze, Command, Subject},
};
use counterfoil_head_office::{admin::AdminError, clock::Clock, jobs, pickups::full};

use super::{by_code, literal, order, order_of, policy, sound, with};
use crate::common::{Chain, HOUR, On, START, random10};

counterfoil_head_office::on_both! {
    a_shard_is_full_only_when_no_code_is_free,
    a_code_rests_before_it_is_used_again,
    a_hand_over_that_is_taken_back_has_its_code_again,
    a_code_wakes_also_where_a_freeze_follows_at_once,
    an_order_whose_number_is_its_code_has_one_again,
    half_a_shard_is_said_once,
}

/// A thousand codes, which no policy that is published may have: enough to fill it.
fn small() -> PickupPolicy {
    PickupPolicy {
        parts: vec![
            PickupPart::Fixed { text: "777".into() },
            PickupPart::Random { signs: 3 },
        ],
        ..policy(3, 1, 1)
    }
}

/// Takes all of its codes but those.
async fn fill(chain: &Chain, free: &[u64]) {
    let policy = small();
    let codes: Vec<String> = (0..policy.room())
        .filter(|draw| !free.contains(draw))
        .filter_map(|draw| policy.code(Shard::ZERO, draw))
        .collect();
    let id = literal(chain, OrderId::new(START, random10()).bytes());
    let values: Vec<String> = codes
        .iter()
        .map(|code| format!("((SELECT tenant FROM tenants), 0, '{code}', {id})"))
        .collect();
    chain
        .run(format!(
            "INSERT INTO pickup_codes (tenant, shard, code, order_id) VALUES {}",
            values.join(",")
        ))
        .await;
}

fn void(target: OperationId) -> Action {
    Action::VoidRedemption(VoidRedemption {
        target,
        reason: "the wrong one".into(),
        approved_by: ClerkId::new(START, random10()),
    })
}

async fn a_shard_is_full_only_when_no_code_is_free(on: On) {
    let chain = with(on, small()).await;
    // Five batches of candidates do not find two of a thousand but by luck.
    fill(&chain, &[3, 998]).await;
    let mut codes = BTreeSet::new();
    for number in ["A", "B"] {
        codes.insert(order(&chain, number).await.code);
    }
    assert_eq!(codes, BTreeSet::from(["777003".to_owned(), "777998".to_owned()]));
    let full = order_of(&chain, "C", None, None).await;
    assert!(matches!(full, Err(AdminError::CodesFull)), "{full:?}");
    assert_eq!(full.unwrap_err().code(), "pickup_codes_full");
    // Nothing is left of the one that got none.
    assert_eq!(chain.number("SELECT COUNT(*) FROM orders WHERE number = 'C'").await, 0);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM order_numbers WHERE number = 'C'")
            .await,
        0
    );
}

async fn a_code_rests_before_it_is_used_again(on: On) {
    let chain = with(on, small()).await;
    fill(&chain, &[500]).await;
    let first = order(&chain, "A").await;
    let mut till = chain.counter().await;
    let handed = till.make(chain.collect(first.id), START);
    chain.push(&[handed]).await;
    // It rests: a counter that was offline all the while may still hold the order under it.
    chain.clock.advance(30 * DAY - HOUR);
    assert!(order_of(&chain, "B", None, None).await.is_err());
    assert_eq!(by_code(&chain, &first.code).await.unwrap().id, first.id);
    chain.clock.advance(2 * HOUR);
    let second = order(&chain, "B").await;
    assert_eq!((&second.code, second.id == first.id), (&first.code, false));
    assert_eq!(by_code(&chain, &first.code).await.unwrap().id, second.id);
    // Such rows also go by themselves.
    let handed = till.make(chain.collect(second.id), chain.clock.now());
    chain.push(&[handed]).await;
    chain.clock.advance(31 * DAY);
    while jobs::upkeep::forget(&chain.app).await.unwrap() {}
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM pickup_codes WHERE rests_until IS NOT NULL")
            .await,
        0
    );
    assert_eq!(by_code(&chain, &first.code).await, None);
}

async fn a_hand_over_that_is_taken_back_has_its_code_again(on: On) {
    let chain = with(on, policy(6, 1, 1)).await;
    let order = order(&chain, "A").await;
    let mut till = chain.counter().await;
    let handed = till.make(chain.collect(order.id), START);
    chain.push(std::slice::from_ref(&handed)).await;
    let resting = "SELECT COUNT(*) FROM pickup_codes WHERE rests_until IS NOT NULL";
    assert_eq!(chain.number(resting).await, 1);
    let undo = till.make(void(handed.id), START + 1);
    chain.push(&[undo]).await;
    assert_eq!(chain.number(resting).await, 0);
    assert_eq!(by_code(&chain, &order.code).await.unwrap().id, order.id);
    sound(&chain).await;
    // So late that its code was given away meanwhile: it gets another one.
    let again = till.make(chain.collect(order.id), START + 2);
    chain.push(std::slice::from_ref(&again)).await;
    chain.clock.advance(31 * DAY);
    while jobs::upkeep::forget(&chain.app).await.unwrap() {}
    let other = order_of(&chain, "B", None, Some(&order.code)).await.unwrap();
    let undo = till.make(void(again.id), START + 3);
    chain.push(&[undo]).await;
    assert_eq!(by_code(&chain, &order.code).await.unwrap().id, other.id);
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let now = counterfoil_head_office::pickups::rows::load(&mut snapshot, chain.tenant, &[order.id], "")
        .await
        .unwrap()
        .remove(0);
    drop(snapshot);
    assert_ne!(now.code, order.code);
    assert_eq!(by_code(&chain, &now.code).await.unwrap().id, order.id);
    sound(&chain).await;
}

async fn half_a_shard_is_said_once(on: On) {
    let chain = with(on, small()).await;
    let alerts = "SELECT COUNT(*) FROM audit WHERE action = 'pickup_codes.half_full'";
    let now = || chain.clock.now();
    assert_eq!(full::sweep(&chain.app, now()).await.unwrap(), 0);
    // Three are there from the beginning.
    let many: Vec<u64> = (0..1_000).filter(|draw| *draw >= 496).collect();
    fill(&chain, &many).await;
    assert_eq!(full::sweep(&chain.app, now()).await.unwrap(), 0);
    order(&chain, "A").await;
    for more in [1, 0, 0] {
        assert_eq!(full::sweep(&chain.app, now()).await.unwrap(), more);
        chain.clock.advance(HOUR);
    }
    assert_eq!(chain.number(alerts).await, 1);
    assert_eq!(chain.number("SELECT used FROM pickup_shards").await, 500);
    // Once it is emptier, it may be said again.
    chain.run("DELETE FROM pickup_codes WHERE code < '777100'").await;
    assert_eq!(full::sweep(&chain.app, now()).await.unwrap(), 0);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM pickup_shards WHERE alerted_at IS NULL")
            .await,
        1
    );
}

async fn a_code_wakes_also_where_a_freeze_follows_at_once(on: On) {
    let chain = with(on, policy(6, 1, 1)).await;
    let order = order(&chain, "A").await;
    let mut till = chain.counter().await;
    let handed = till.make(chain.collect(order.id), START);
    chain.push(std::slice::from_ref(&handed)).await;
    let undo = till.make(void(handed.id), START + 1);
    let ask = AskFreeze {
        amounts: Amounts::default(),
        id: FreezeId::new(START, random10()),
        device: till.device,
        subject: Subject::Order(order.id),
        presented_by: None,
        now: START,
    };
    // Both in one group.
    chain.submit(vec![Command::Operation(undo), Command::Freeze(ask)]).await;
    let resting = "SELECT COUNT(*) FROM pickup_codes WHERE rests_until IS NOT NULL";
    assert_eq!(chain.number(resting).await, 0);
    sound(&chain).await;
}

async fn an_order_whose_number_is_its_code_has_one_again(on: On) {
    let number = PickupPolicy {
        version: 1,
        parts: vec![PickupPart::Number { signs: 10 }],
        ..PickupPolicy::default()
    };
    let chain = with(on, number).await;
    let order = order(&chain, "W-1").await;
    let mut till = chain.counter().await;
    let handed = till.make(chain.collect(order.id), START);
    chain.push(std::slice::from_ref(&handed)).await;
    chain.clock.advance(31 * DAY);
    while jobs::upkeep::forget(&chain.app).await.unwrap() {}
    let undo = till.make(void(handed.id), START + 1);
    chain.push(&[undo]).await;
    let found = super::by_number(&chain, "W-1").await.unwrap();
    assert_eq!((found.id, found.code.len()), (order.id, 10));
    assert_eq!(by_code(&chain, &found.code).await.unwrap().id, order.id);
    sound(&chain).await;
}
