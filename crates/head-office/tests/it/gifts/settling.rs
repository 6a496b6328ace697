//! What comes back from who sends goods: returned or lost, once.

use counterfoil_domain::{gifts::Exchange, points::earning::EarningRule};
use counterfoil_head_office::{
    clock::SystemRandom,
    deed::{Actor, Deed},
    gifts::settled::SETTLED,
    outbox::{self, Outgoing},
    points,
};
use serde_json::{Value, json};

use super::{Shop, available, shop};
use crate::common::{HOUR, On, START};

counterfoil_head_office::on_both! {
    returned_gives_points_and_gift_back_and_lost_the_points,
    points_that_ended_on_the_way_live_on_for_the_days_of_grace,
    what_is_not_an_exchanges_is_left_alone_and_what_is_wrong_comes_again,
}

async fn tell(shop: &Shop, source: &str, body: Value) {
    let message = Outgoing {
        topic: "settled",
        key: source.to_owned(),
        source: source.to_owned(),
        body: body.to_string(),
    };
    let actor = Actor {
        tenant: shop.chain.tenant,
        name: "test".into(),
    };
    let mut lease = shop.app().db.lease().await.unwrap();
    let mut deed = Deed::new(lease.begin().await.unwrap(), &SystemRandom, actor, shop.now());
    assert!(deed.send(&message).await.unwrap());
    deed.commit("test").await.unwrap();
}

async fn turn(shop: &Shop) -> usize {
    outbox::turn(shop.app(), &[&SETTLED]).await.unwrap()
}

fn settled(exchange: &Exchange, outcome: &str) -> Value {
    json!({ "id": exchange.id, "kind": "exchange", "source": exchange.id, "outcome": outcome, "lines": [] })
}

async fn returned_gives_points_and_gift_back_and_lost_the_points(on: On) {
    for (outcome, stock) in [("returned", (10, 0)), ("lost", (9, 0))] {
        let shop = shop(on).await;
        let gift = shop.gift(|_| {}).await;
        shop.count(shop.warehouse, 10).await;
        shop.give(shop.chain.member, 5_000, None).await;
        let exchange = shop.exchange(gift, "k").await;
        tell(&shop, "first", settled(&exchange, outcome)).await;
        assert_eq!(turn(&shop).await, 1);
        assert_eq!(shop.balances(shop.chain.member).await, available(5_000));
        assert_eq!(shop.stock(shop.warehouse).await, stock);
        // The same booking told once more.
        tell(&shop, "second", settled(&exchange, outcome)).await;
        assert_eq!(turn(&shop).await, 1);
        assert_eq!(turn(&shop).await, 0);
        assert_eq!(shop.balances(shop.chain.member).await, available(5_000));
        assert_eq!(shop.stock(shop.warehouse).await, stock);
        shop.sound().await;
    }
}

async fn points_that_ended_on_the_way_live_on_for_the_days_of_grace(on: On) {
    for (days, stay) in [(0, 0), (7, 2_000)] {
        let shop = shop(on).await;
        let rule: EarningRule =
            serde_json::from_value(json!({ "version": 1, "time_zone": "Asia/Shanghai", "grace_days": days })).unwrap();
        let mut lease = shop.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let published = points::rows::Published {
            rule,
            at: START,
            by: None,
        };
        points::rows::insert_rule(&mut tx, shop.chain.tenant, &published)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        drop(lease);
        let gift = shop.gift(|_| {}).await;
        shop.count(shop.warehouse, 10).await;
        shop.give(shop.chain.member, 5_000, Some(START + 24 * HOUR)).await;
        let exchange = shop.exchange(gift, "k").await;
        shop.chain.clock.advance(48 * HOUR);
        assert_eq!(shop.balances(shop.chain.member).await, available(0));
        tell(&shop, "first", settled(&exchange, "returned")).await;
        assert_eq!(turn(&shop).await, 1);
        assert_eq!(shop.balances(shop.chain.member).await, available(stay));
        shop.sound().await;
        shop.chain.clock.advance(9 * 24 * HOUR);
        assert_eq!(shop.balances(shop.chain.member).await, available(0));
    }
}

async fn what_is_not_an_exchanges_is_left_alone_and_what_is_wrong_comes_again(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|_| {}).await;
    shop.count(shop.warehouse, 10).await;
    shop.give(shop.chain.member, 5_000, None).await;
    let exchange = shop.exchange(gift, "k").await;
    let mut purchase = settled(&exchange, "returned");
    purchase["kind"] = json!("purchase");
    tell(&shop, "purchase", purchase).await;
    assert_eq!(turn(&shop).await, 1);
    assert_eq!(shop.balances(shop.chain.member).await, available(3_000));
    let mut nobody = settled(&exchange, "returned");
    nobody["source"] = json!(shop.chain.tenant);
    let mut strange = settled(&exchange, "returned");
    strange["source"] = json!("x");
    let eaten = settled(&exchange, "eaten");
    for (name, body) in [("nobody", nobody), ("strange", strange), ("eaten", eaten)] {
        tell(&shop, name, body).await;
    }
    turn(&shop).await;
    let open = "SELECT COUNT(*) FROM outbox WHERE topic = 'settled' AND status <> 'confirmed'";
    assert_eq!(shop.chain.number(open).await, 3);
    assert_eq!(shop.balances(shop.chain.member).await, available(3_000));
    assert_eq!(shop.stock(shop.warehouse).await, (9, 0));
    shop.sound().await;
}
