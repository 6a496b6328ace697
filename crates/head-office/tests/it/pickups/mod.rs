//! Pickup orders and their codes on SQLite and on PostgreSQL. Here stands what the tests share.

mod drawn;
mod found;
mod issued;
mod placed;
mod policies;
mod ready;

use counterfoil_domain::{
    ids::MemberId,
    people::OperatorRole,
    pickup_codes::{Owner, PickupPart, PickupPolicy, Shards},
    pickups::{Order, OrderLine},
};
use counterfoil_head_office::{
    admin::{self, AdminError, NewOrder},
    clock::{Clock, SystemRandom},
    pickups::{policies as versions, rows},
    verify::verify,
};
use serde_json::{Value, json};

use crate::{
    api::Api,
    common::{Chain, On, chain},
};

/// A chain with this policy, as if an operator had published it.
async fn with(on: On, policy: PickupPolicy) -> Chain {
    let chain = chain(on, 0).await;
    publish(&chain, policy).await;
    chain
}

async fn publish(chain: &Chain, policy: PickupPolicy) {
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut transaction = lease.begin().await.unwrap();
    let published = versions::Published {
        policy,
        at: chain.clock.now(),
        by: None,
    };
    versions::insert(&mut transaction, chain.tenant, &published)
        .await
        .unwrap();
    transaction.commit("test").await.unwrap();
}

/// So many signs that look random, and the shard where there are several.
fn policy(signs: u8, databases: u8, tables: u8) -> PickupPolicy {
    PickupPolicy {
        version: 1,
        parts: vec![PickupPart::Random { signs }, PickupPart::Shard {}],
        shards: Shards { databases, tables },
        ..PickupPolicy::default()
    }
}

async fn order_of(chain: &Chain, number: &str, member: Option<&str>, code: Option<&str>) -> Result<Order, AdminError> {
    let new = NewOrder {
        store: chain.store,
        number,
        code,
        lines: vec![OrderLine {
            sku: "A".into(),
            name_zh: "甲".into(),
            name_en: "A".into(),
            quantity: 1,
            unit_price: 100,
        }],
        collector: "x",
        member,
        days: None,
    };
    let app = &chain.app;
    let added = admin::add_order(&app.db, app.clock.as_ref(), &SystemRandom, chain.tenant, &new).await?;
    let mut snapshot = app.db.snapshot().await.unwrap();
    Ok(rows::load(&mut snapshot, chain.tenant, &[added.id], "")
        .await
        .unwrap()
        .remove(0))
}

async fn order(chain: &Chain, number: &str) -> Order {
    order_of(chain, number, None, None).await.unwrap()
}

async fn by_code(chain: &Chain, code: &str) -> Option<Order> {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    rows::by_code(&mut snapshot, chain.tenant, code).await.unwrap()
}

async fn by_number(chain: &Chain, number: &str) -> Option<Order> {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    rows::by_number(&mut snapshot, chain.tenant, number).await.unwrap()
}

fn shard_of(chain: &Chain, policy: &PickupPolicy, owner: Owner<'_>) -> u8 {
    policy.shards.of(chain.tenant, owner).byte()
}

async fn member(chain: &Chain) -> (MemberId, String) {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let found = counterfoil_head_office::members::rows::load(&mut snapshot, chain.tenant, &[chain.member], "")
        .await
        .unwrap()
        .remove(0);
    (found.1.id, found.1.number)
}

async fn who(chain: &Chain, role: OperatorRole) -> Api {
    Api::new(chain, chain.operator(role).await)
}

/// Bytes as this engine writes them.
fn literal(chain: &Chain, bytes: &[u8]) -> String {
    let hex = hex::encode(bytes);
    if chain.fresh.url.starts_with("sqlite") {
        format!("x'{hex}'")
    } else {
        format!("'\\x{hex}'")
    }
}

/// Everything that `verify` knows holds.
async fn sound(chain: &Chain) {
    let holds = verify(&chain.app.db, |check| assert!(check.ok, "{check:?}"))
        .await
        .unwrap();
    assert!(holds);
}

fn eight() -> Value {
    json!({
        "parts": [{"kind": "random", "signs": 6}, {"kind": "shard"}],
        "shards": {"databases": 4, "tables": 4},
        "stores": 100, "orders_a_day": 50, "waiting_days": 3,
    })
}
