//! Exchanges that race: never more than there are, never below zero, one effect each.

use std::{collections::BTreeMap, sync::Arc};

use counterfoil_domain::{
    gifts::{ExchangeStatus, NotExchangeable},
    ids::{GiftId, MemberId},
    transition::{Answer, Command, ExchangeEnd},
};
use counterfoil_head_office::{App, clock::SystemRandom};
use tokio::task::JoinSet;

use super::{Shop, available, shop, submit};
use crate::common::On;

counterfoil_head_office::on_both! {
    sixty_four_race_for_ten_gifts_and_ten_get_one,
    sixty_four_race_for_points_that_are_enough_for_three,
    payments_cancels_and_returns_that_race_have_one_effect,
    gifts_collected_in_a_store_have_a_code_each,
}

const CLIENTS: u32 = 64;

/// Another process on the same database.
async fn another(shop: &Shop) -> Arc<App> {
    App::open(&shop.chain.fresh.url, shop.chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap()
}

/// Everybody asks at once, each twice, at two programs; what each was told.
async fn all_at_once(shop: &Arc<Shop>, asked: Vec<(MemberId, GiftId, String)>) -> BTreeMap<String, Answer> {
    let other = another(shop).await;
    let mut tasks = JoinSet::new();
    for (member, gift, key) in asked {
        for app in [Arc::clone(shop.app()), Arc::clone(&other)] {
            let (shop, key) = (Arc::clone(shop), key.clone());
            tasks.spawn(async move {
                let command = shop.ask(member, gift, &key);
                (key, submit(&app, &shop.chain, command).await)
            });
        }
    }
    let mut told: BTreeMap<String, Answer> = BTreeMap::new();
    while let Some(answer) = tasks.join_next().await {
        let (key, answer) = answer.unwrap();
        // A refusal of the one and a yes to the other may both be true, one after the other; the yes stands.
        if matches!(answer, Answer::Exchanged { .. }) || !told.contains_key(&key) {
            told.insert(key, answer);
        }
    }
    other.db.close().await;
    told
}

fn granted(told: &BTreeMap<String, Answer>) -> usize {
    let yes = |answer: &&Answer| matches!(answer, Answer::Exchanged { .. });
    told.values().filter(yes).count()
}

async fn sixty_four_race_for_ten_gifts_and_ten_get_one(on: On) {
    let shop = Arc::new(shop(on).await);
    let gift = shop.gift(|gift| gift.member_limit = 1).await;
    shop.count(shop.warehouse, 10).await;
    let members = shop.members(CLIENTS).await;
    for member in &members {
        shop.give(*member, 5_000, None).await;
    }
    let asked = members.iter().map(|member| (*member, gift, member.to_string()));
    let told = all_at_once(&shop, asked.collect()).await;
    assert_eq!(granted(&told), 10);
    for answer in told.values() {
        match answer {
            Answer::Exchanged { .. } => {}
            Answer::NotExchanged { reasons } => assert_eq!(*reasons, [NotExchangeable::OutOfStock]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(shop.stock(shop.warehouse).await, (0, 0));
    let mut spent = 0;
    for member in members {
        spent += 5_000 - shop.balances(member).await.available;
    }
    assert_eq!(spent, 10 * 2_000);
    let sent = "SELECT COUNT(*) FROM outbox WHERE topic = 'ship'";
    assert_eq!(shop.chain.number(sent).await, 10);
    shop.sound().await;
}

async fn sixty_four_race_for_points_that_are_enough_for_three(on: On) {
    let shop = Arc::new(shop(on).await);
    let free = shop.gift(|_| {}).await;
    let priced = shop.gift(|gift| gift.money = 1).await;
    shop.count(shop.warehouse, 1_000).await;
    let member = shop.chain.member;
    shop.give(member, 6_999, None).await;
    let asked = (0..CLIENTS).map(|n| (member, if n % 2 == 0 { free } else { priced }, n.to_string()));
    let told = all_at_once(&shop, asked.collect()).await;
    assert_eq!(granted(&told), 3);
    let balances = shop.balances(member).await;
    assert_eq!(balances.available, 999);
    let awaiting = told.values().filter(|answer| {
        matches!(answer, Answer::Exchanged { exchange, .. } if exchange.status == ExchangeStatus::AwaitingPayment)
    });
    let awaiting = i64::try_from(awaiting.count()).unwrap();
    assert_eq!(balances.held, awaiting * 2_000);
    assert_eq!(shop.stock(shop.warehouse).await, (1_000 - (3 - awaiting), awaiting));
    shop.sound().await;
}

async fn payments_cancels_and_returns_that_race_have_one_effect(on: On) {
    const EXCHANGES: i64 = 20;
    let shop = Arc::new(shop(on).await);
    let gift = shop.gift(|gift| gift.money = 1).await;
    shop.count(shop.warehouse, EXCHANGES).await;
    let member = shop.chain.member;
    shop.give(member, EXCHANGES * 2_000, None).await;
    let mut exchanges = Vec::new();
    for n in 0..EXCHANGES {
        exchanges.push(shop.exchange(gift, &n.to_string()).await);
    }
    let other = another(&shop).await;
    let mut tasks = JoinSet::new();
    for exchange in exchanges {
        for app in [Arc::clone(shop.app()), Arc::clone(&other)] {
            for ends in [
                [ExchangeEnd::Paid, ExchangeEnd::Returned],
                [ExchangeEnd::Cancel, ExchangeEnd::Lost],
            ] {
                let (shop, exchange, app) = (Arc::clone(&shop), exchange.clone(), Arc::clone(&app));
                tasks.spawn(async move {
                    for end in ends {
                        let command: Command = shop.ends(&exchange, end);
                        let answer = submit(&app, &shop.chain, command).await;
                        let fits = matches!(answer, Answer::Exchanged { .. } | Answer::ExchangeEnded { .. });
                        assert!(fits, "{answer:?}");
                    }
                });
            }
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    other.db.close().await;
    // However it ended, the points are back; what was lost is not.
    assert_eq!(shop.balances(member).await, available(EXCHANGES * 2_000));
    let lost = shop
        .chain
        .number("SELECT COUNT(*) FROM exchanges WHERE status = 'lost'")
        .await;
    assert_eq!(shop.stock(shop.warehouse).await, (EXCHANGES - lost, 0));
    let open = "SELECT COUNT(*) FROM exchanges WHERE status IN ('awaiting_payment', 'confirmed')";
    assert_eq!(shop.chain.number(open).await, 0);
    shop.sound().await;
}

async fn gifts_collected_in_a_store_have_a_code_each(on: On) {
    let shop = Arc::new(shop(on).await);
    let gift = shop.collected().await;
    shop.count(shop.chain.store.into(), 40).await;
    let members = shop.members(CLIENTS).await;
    for member in &members {
        shop.give(*member, 2_000, None).await;
    }
    let asked = members.iter().map(|member| (*member, gift, member.to_string()));
    let told = all_at_once(&shop, asked.collect()).await;
    assert_eq!(granted(&told), 40);
    // Beside the three orders that every chain here begins with.
    let codes = "SELECT COUNT(DISTINCT code) FROM orders WHERE state = 'ready'";
    assert_eq!(shop.chain.number(codes).await, 40 + 3);
    assert_eq!(shop.stock(shop.chain.store.into()).await, (0, 0));
    shop.sound().await;
}
