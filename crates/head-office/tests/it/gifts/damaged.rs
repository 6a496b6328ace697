//! `verify` finds what is wrong with exchanges, stock and limits.

use std::collections::BTreeSet;

use counterfoil_domain::transition::ExchangeEnd;
use counterfoil_head_office::verify::verify;

use super::shop;
use crate::common::On;

counterfoil_head_office::on_both! {
    every_damage_of_exchanges_and_stock_is_found,
}

async fn every_damage_of_exchanges_and_stock_is_found(on: On) {
    let shop = shop(on).await;
    let gift = shop.gift(|_| {}).await;
    let priced = shop.gift(|gift| gift.money = 990).await;
    let collected = shop.collected().await;
    shop.count(shop.warehouse, 10).await;
    shop.count(shop.chain.store.into(), 10).await;
    shop.give(shop.chain.member, 50_000, None).await;
    // One of everything.
    shop.exchange(gift, "confirmed").await;
    shop.exchange(priced, "awaiting").await;
    shop.exchange(collected, "collected").await;
    for (gift, end) in [
        (gift, ExchangeEnd::Returned),
        (gift, ExchangeEnd::Lost),
        (priced, ExchangeEnd::Cancel),
        (collected, ExchangeEnd::Cancel),
    ] {
        let exchange = shop.exchange(gift, &format!("{gift} {end:?}")).await;
        shop.submit(shop.ends(&exchange, end)).await;
    }
    shop.sound().await;
    let tables = [
        "stocks",
        "stock_moves",
        "exchanges",
        "gift_members",
        "ledger_entries",
        "ledger_holds",
    ];
    for table in tables {
        shop.chain
            .run(format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}"))
            .await;
    }
    for (table, damage, found_by) in [
        ("stocks", "UPDATE stocks SET on_hand = on_hand + 1", "stocks"),
        ("stocks", "UPDATE stocks SET moves = moves + 1", "stocks"),
        ("stocks", "UPDATE stocks SET reserved = reserved + 1", "exchanged_goods"),
        ("stock_moves", "DELETE FROM stock_moves WHERE number = 1", "stocks"),
        (
            "stock_moves",
            "UPDATE stock_moves SET stock = tenant WHERE number = 5",
            "stocks",
        ),
        (
            "stock_moves",
            "UPDATE stock_moves SET source = tenant WHERE number = 5",
            "exchanged_goods",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET points = points + 1 WHERE status = 'confirmed'",
            "exchanges",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET points = points + 1 WHERE status = 'awaiting_payment'",
            "exchanges",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET points = points + 1 WHERE status = 'lost'",
            "exchanges",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET status = 'lost' WHERE status = 'returned'",
            "exchanged_goods",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET status = 'confirmed', ended_at = NULL WHERE status = 'lost'",
            "exchanges",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET status = 'cancelled', ended_at = 1, ask_at = NULL WHERE status = 'awaiting_payment'",
            "exchanges",
        ),
        (
            "exchanges",
            "DELETE FROM exchanges WHERE status = 'confirmed'",
            "gift_limits",
        ),
        (
            "exchanges",
            "DELETE FROM exchanges WHERE status = 'returned'",
            "exchanges",
        ),
        (
            "exchanges",
            "UPDATE exchanges SET pickup = tenant WHERE pickup IS NOT NULL",
            "exchanges",
        ),
        (
            "gift_members",
            "UPDATE gift_members SET taken = taken + 1",
            "gift_limits",
        ),
        ("gift_members", "DELETE FROM gift_members", "gift_limits"),
        (
            "ledger_entries",
            "DELETE FROM ledger_entries WHERE source_of = 'exchange' AND kind = 'spend'",
            "exchanges",
        ),
        ("ledger_holds", "DELETE FROM ledger_holds", "exchanges"),
        ("orders", "UPDATE orders SET state = 'cancelled'", "exchanges"),
    ] {
        shop.chain.run(damage).await;
        let mut broken = BTreeSet::new();
        verify(&shop.app().db, |check| {
            if !check.ok {
                broken.insert(check.check);
            }
        })
        .await
        .unwrap();
        assert!(broken.contains(found_by), "{damage}: {broken:?}");
        // Others refer to orders, so they come last and stay as they are.
        if table != "orders" {
            shop.chain
                .run(format!(
                    "DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}"
                ))
                .await;
        }
    }
}
