//! `verify` finds what is wrong with accounts and the ledger.

use std::collections::BTreeSet;

use counterfoil_domain::{
    ids::FreezeId,
    points::Amounts,
    transition::{AskFreeze, Command, Subject},
};
use counterfoil_head_office::verify::verify;

use super::{gift, holds, posted, spend};
use crate::common::{HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    every_damage_of_the_ledger_is_found,
}

async fn every_damage_of_the_ledger_is_found(on: On) {
    for (damage, found_by) in [
        (
            "UPDATE accounts SET points_available = points_available + 1",
            "accounts",
        ),
        (
            "UPDATE accounts SET points_entries = points_entries - 1",
            "ledger_entries",
        ),
        ("UPDATE accounts SET points_entries = points_entries + 1", "accounts"),
        ("UPDATE accounts SET points_debt = 5", "accounts"),
        ("DELETE FROM accounts", "ledger_entries"),
        ("UPDATE ledger_lots SET free = free + 1 WHERE lot = 2", "ledger_lots"),
        ("DELETE FROM ledger_lots WHERE lot = 2", "ledger_lots"),
        ("DELETE FROM ledger_shares WHERE entry = 3 AND lot = 2", "ledger_lots"),
        (
            "UPDATE ledger_entries SET kind = 'spend' WHERE entry = 1",
            "ledger_lots",
        ),
        (
            "UPDATE ledger_entries SET amount = amount + 1 WHERE entry = 2",
            "ledger_entries",
        ),
        (
            "UPDATE ledger_entries SET pending = pending + 1 WHERE entry = 2",
            "ledger_entries",
        ),
        (
            "UPDATE ledger_entries SET debt = debt + 1 WHERE entry = 2",
            "ledger_entries",
        ),
        ("DELETE FROM ledger_entries WHERE entry = 2", "ledger_entries"),
        (
            "UPDATE ledger_shares SET given_back = 1000 WHERE entry = 3",
            "ledger_entries",
        ),
        ("UPDATE ledger_holds SET amount = amount + 1", "ledger_holds"),
        ("DELETE FROM ledger_holds", "ledger_holds"),
        ("UPDATE ledger_holds SET member = tenant", "ledger_holds"),
        ("UPDATE earnings SET amount = amount + 1", "earnings"),
        ("UPDATE earnings SET member = tenant", "earnings"),
        ("UPDATE earnings SET source = tenant", "earnings"),
        ("UPDATE point_days SET day = day + 1", "point_days"),
        ("UPDATE point_days SET member = tenant", "point_days"),
    ] {
        let chain = chain(on, 0).await;
        let member = chain.member;
        posted(&chain, gift(&chain, member, "a", 300, None)).await;
        posted(&chain, gift(&chain, member, "b", 500, Some(START + 10 * 24 * HOUR))).await;
        posted(&chain, spend(&chain, member, "x", 400)).await;
        let counter = chain.counter().await;
        let ask = Command::Freeze(AskFreeze {
            id: FreezeId::new(START, random10()),
            device: counter.device,
            subject: Subject::Account(member),
            amounts: Amounts { points: 50, balance: 0 },
            presented_by: None,
            now: START,
        });
        chain.submit(vec![ask]).await;
        holds(&chain).await;
        // One that both columns and the rest bear.
        let damage = match damage {
            "UPDATE earnings SET source = tenant" => "UPDATE earnings SET source = tenant WHERE entry = 1",
            other => other,
        };
        chain.run(damage).await;
        let mut broken = BTreeSet::new();
        verify(&chain.app.db, |check| {
            if !check.ok {
                broken.insert(check.check);
            }
        })
        .await
        .unwrap();
        assert!(broken.contains(found_by), "{damage}: {broken:?}");
    }
}
