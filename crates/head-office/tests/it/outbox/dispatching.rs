//! Handed over until it is confirmed, in the order of its key.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use async_trait::async_trait;
use counterfoil_domain::{
    ids::FreezeId,
    transition::{Answer, AskFreeze, Command, Subject},
};
use counterfoil_head_office::{
    App,
    clock::Clock,
    db::Crash,
    outbox::{self, ALERT_AFTER, Consumer, Done, Message, NotDone, VISIBLE},
    processes::Role,
};

use super::{PARCELS, Scripted, broken, doomed, drain, effects, send, stand, to};
use crate::common::{On, START, chain, random10};

counterfoil_head_office::on_both! {
    a_confirmation_that_is_lost_repeats_nothing,
    an_effect_that_is_lost_is_done_again,
    it_is_tried_until_it_is_done_and_somebody_is_told_once,
    a_bad_message_keeps_only_its_own_key_waiting,
    what_fails_together_is_done_one_by_one,
    messages_of_a_key_are_handed_over_in_order,
    a_consumer_that_panics_is_handed_the_message_again,
    a_command_and_its_line_in_the_inbox_commit_together,
    verify_finds_what_is_wrong_with_messages,
}

const MINUTES: i64 = 60_000;

async fn a_confirmation_that_is_lost_repeats_nothing(on: On) {
    let chain = chain(on, 0).await;
    let (app, faults) = doomed(&chain).await;
    let consumer = Scripted::willing();
    send(&app, chain.tenant, &[to("a", "1"), to("a", "2"), to("b", "3")]).await;
    // The effects are kept, and the program ends before it has confirmed them.
    faults.at("outbox.settle", Crash::Before);
    assert!(outbox::turn(&app, &[consumer]).await.is_err());
    assert_eq!((stand(&chain, "sent").await, effects(&chain).await), (2, 2));
    // Whoever comes next can't know, and waits for as long as the other may need.
    assert_eq!(drain(&chain.app, consumer).await, 0);
    chain.clock.advance(VISIBLE);
    assert_eq!(drain(&chain.app, consumer).await, 3);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (3, 3));
    let mut heard = consumer.heard();
    heard.sort();
    let heard: Vec<(&str, i64)> = heard.iter().map(|(source, tries)| (source.as_str(), *tries)).collect();
    assert_eq!(heard, [("1", 1), ("1", 2), ("2", 1), ("3", 1), ("3", 2)]);

    // Nobody heard that it was kept: nothing is handed over again.
    send(&app, chain.tenant, &[to("a", "4")]).await;
    faults.at("outbox.settle", Crash::After);
    assert!(outbox::turn(&app, &[consumer]).await.is_err());
    chain.clock.advance(VISIBLE);
    assert_eq!(drain(&chain.app, consumer).await, 0);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (4, 4));
    assert!(broken(&chain).await.is_empty());
}

async fn an_effect_that_is_lost_is_done_again(on: On) {
    let chain = chain(on, 0).await;
    let (app, faults) = doomed(&chain).await;
    let consumer = Scripted::willing();
    send(&app, chain.tenant, &[to("a", "1")]).await;
    faults.at("outbox.consume", Crash::Before);
    assert_eq!(outbox::turn(&app, &[consumer]).await.unwrap(), 1);
    assert_eq!((stand(&chain, "sent").await, effects(&chain).await), (1, 0));
    chain.clock.advance(VISIBLE);
    // It was kept, and whoever did it never heard so.
    faults.at("outbox.consume", Crash::After);
    assert_eq!(outbox::turn(&app, &[consumer]).await.unwrap(), 1);
    assert_eq!((stand(&chain, "sent").await, effects(&chain).await), (1, 1));
    chain.clock.advance(VISIBLE);
    assert_eq!(drain(&chain.app, consumer).await, 1);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (1, 1));
    // Taken, and the program ended before it was handed over.
    send(&app, chain.tenant, &[to("a", "2")]).await;
    faults.at("outbox.take", Crash::After);
    assert!(outbox::turn(&app, &[consumer]).await.is_err());
    assert_eq!((stand(&chain, "sent").await, effects(&chain).await), (1, 1));
    chain.clock.advance(VISIBLE);
    assert_eq!(drain(&chain.app, consumer).await, 1);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (2, 2));
}

async fn it_is_tried_until_it_is_done_and_somebody_is_told_once(on: On) {
    let chain = chain(on, 0).await;
    let fails = ALERT_AFTER + 3;
    let consumer = Scripted::new(move |message| match message.tries {
        tries if tries <= fails => Err(NotDone::Later(format!("the carrier is away\0, {tries}"))),
        _ => Ok(()),
    });
    send(&chain.app, chain.tenant, &[to("a", "1")]).await;
    let alerts = "SELECT COUNT(*) FROM audit WHERE action = 'outbox.alert'";
    let mut longest = 1_000;
    for tries in 1..=fails {
        assert_eq!(drain(&chain.app, consumer).await, 1, "{tries}");
        let wait = chain.number("SELECT next_try_at FROM outbox").await - chain.clock.now();
        assert!((1..=longest).contains(&wait), "{tries}: {wait}");
        longest = (2 * longest).min(5 * MINUTES);
        assert_eq!(chain.number("SELECT tries FROM outbox").await, tries);
        assert_eq!(chain.number(alerts).await, i64::from(tries >= ALERT_AFTER), "{tries}");
        assert_eq!(
            chain
                .number("SELECT COUNT(*) FROM outbox WHERE last_error LIKE 'the carrier is away, %'")
                .await,
            1
        );
        chain.clock.advance(wait - 1);
        assert_eq!(drain(&chain.app, consumer).await, 0);
        chain.clock.advance(1);
    }
    let told = chain.number("SELECT alerted_at FROM outbox").await;
    assert!(told > START && told < chain.clock.now());
    assert_eq!(drain(&chain.app, consumer).await, 1);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (1, 1));
    assert!(broken(&chain).await.is_empty());
}

async fn a_bad_message_keeps_only_its_own_key_waiting(on: On) {
    let chain = chain(on, 0).await;
    let consumer = Scripted::new(|message| match message.read::<serde_json::Value>() {
        Ok(_) => Ok(()),
        Err(bad) => Err(bad),
    });
    let mut bad = to("a", "1");
    bad.body = "{".into();
    let mut messages = vec![bad, to("a", "2")];
    messages.extend((3..=40).map(|n| to(&format!("k{}", n % 7), &n.to_string())));
    send(&chain.app, chain.tenant, &messages).await;
    assert_eq!(drain(&chain.app, consumer).await, 39);
    assert_eq!(stand(&chain, "confirmed").await, 38);
    assert_eq!((stand(&chain, "sent").await, stand(&chain, "pending").await), (1, 1));
    // Nobody need wait for twelve tries to hear of it.
    let alerts = "SELECT COUNT(*) FROM audit WHERE action = 'outbox.alert'";
    assert_eq!(chain.number(alerts).await, 1);
    for _ in 0..5 {
        chain.clock.advance(5 * MINUTES);
        assert_eq!(drain(&chain.app, consumer).await, 1);
    }
    assert_eq!(chain.number(alerts).await, 1);
    // A newer program knows what to do.
    chain.clock.advance(5 * MINUTES);
    let newer = Scripted::willing();
    assert_eq!(drain(&chain.app, newer).await, 2);
    assert_eq!(newer.heard(), [("1".to_owned(), 7), ("2".to_owned(), 1)]);
    assert!(broken(&chain).await.is_empty());
}

/// Does several in one transaction, and comes to nothing when one of them is bad, or panics.
#[derive(Debug)]
struct Together;

impl Together {
    fn look(message: &Message) -> Result<(), NotDone> {
        match message.source.as_str() {
            "bad" => Err(NotDone::Bad("bad".into())),
            "panics" => panic!("as it does now and then"),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Consumer for Together {
    fn topic(&self) -> &'static str {
        PARCELS
    }
    fn role(&self) -> Role {
        Role::Jobs
    }
    fn together(&self) -> usize {
        4
    }
    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        self.handle_together(app, std::slice::from_ref(message)).await
    }
    async fn handle_together(&self, app: &Arc<App>, messages: &[Message]) -> Result<Done, NotDone> {
        Message::consume_together(messages, app, async |deed, messages| {
            for message in messages {
                Self::look(message)?;
                deed.audit("done", &message.source).await?;
            }
            Ok(())
        })
        .await
    }
}

async fn what_fails_together_is_done_one_by_one(on: On) {
    let chain = chain(on, 0).await;
    let mut messages: Vec<_> = (0..10).map(|n| to(&format!("k{n}"), &n.to_string())).collect();
    messages.push(to("b", "bad"));
    messages.push(to("p", "panics"));
    send(&chain.app, chain.tenant, &messages).await;
    assert_eq!(drain(&chain.app, &Together).await, 12);
    assert_eq!((stand(&chain, "confirmed").await, stand(&chain, "sent").await), (10, 2));
    assert_eq!(effects(&chain).await, 10);
    // Those that are confirmed and not remembered as such are not done again, whoever else stands beside them.
    chain.run("UPDATE outbox SET status = 'sent', confirmed_at = NULL, next_try_at = created_at WHERE source IN ('3', '4')").await;
    assert_eq!(drain(&chain.app, &Together).await, 2);
    assert_eq!(effects(&chain).await, 10);
    assert!(broken(&chain).await.is_empty());
}

async fn messages_of_a_key_are_handed_over_in_order(on: On) {
    let chain = chain(on, 0).await;
    let late = Arc::new(AtomicI64::new(0));
    let fails = Arc::clone(&late);
    let consumer = Scripted::new(move |message| match message.source.as_str() {
        "a2" if fails.fetch_add(1, Ordering::SeqCst) < 2 => Err(NotDone::Later("not now".into())),
        _ => Ok(()),
    });
    // Two are written at a time, and one after the first are confirmed.
    send(&chain.app, chain.tenant, &[to("a", "a1"), to("b", "b1"), to("a", "a2")]).await;
    send(&chain.app, chain.tenant, &[to("a", "a3"), to("b", "b2")]).await;
    assert_eq!(drain(&chain.app, consumer).await, 4);
    assert_eq!(stand(&chain, "confirmed").await, 3);
    send(&chain.app, chain.tenant, &[to("a", "a4"), to("b", "b3")]).await;
    for _ in 0..2 {
        drain(&chain.app, consumer).await;
        chain.clock.advance(5 * MINUTES);
    }
    drain(&chain.app, consumer).await;
    let heard: Vec<String> = consumer.heard().into_iter().map(|(source, _)| source).collect();
    let of = |key: &str| -> Vec<String> { heard.iter().filter(|source| source.starts_with(key)).cloned().collect() };
    assert_eq!(of("a"), ["a1", "a2", "a2", "a2", "a3", "a4"]);
    assert_eq!(of("b"), ["b1", "b2", "b3"]);
    assert_eq!(stand(&chain, "confirmed").await, 7);
    assert!(broken(&chain).await.is_empty());
}

async fn a_consumer_that_panics_is_handed_the_message_again(on: On) {
    let chain = chain(on, 0).await;
    let consumer = Scripted::new(|message| {
        assert!(message.source != "1" || message.tries > 1, "a consumer's own fault");
        Ok(())
    });
    send(&chain.app, chain.tenant, &[to("a", "1"), to("b", "2")]).await;
    assert_eq!(drain(&chain.app, consumer).await, 2);
    assert_eq!((stand(&chain, "confirmed").await, stand(&chain, "sent").await), (1, 1));
    chain.clock.advance(5 * MINUTES);
    assert_eq!(drain(&chain.app, consumer).await, 1);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (2, 2));
}

/// Freezes the coupon that a message names.
#[derive(Debug)]
struct Freezing {
    device: counterfoil_domain::ids::DeviceId,
    coupons: Vec<counterfoil_domain::ids::CouponId>,
}

#[async_trait]
impl Consumer for Freezing {
    fn topic(&self) -> &'static str {
        PARCELS
    }
    fn role(&self) -> Role {
        Role::Jobs
    }
    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        let coupon: usize = message.key.parse().map_err(|_| NotDone::Bad("no number".into()))?;
        let ask = Command::Freeze(AskFreeze {
            amounts: counterfoil_domain::points::Amounts::default(),
            id: FreezeId::new(START, random10()),
            device: self.device,
            subject: Subject::Coupon(self.coupons[coupon]),
            presented_by: None,
            now: app.clock.now(),
        });
        message
            .submit(app, ask, |answer| match answer {
                Answer::Granted { .. } => Ok(()),
                other => Err(NotDone::Later(format!("{other:?}"))),
            })
            .await
    }
}

async fn a_command_and_its_line_in_the_inbox_commit_together(on: On) {
    let chain = chain(on, 2).await;
    let counter = chain.counter().await;
    let consumer: &'static Freezing = Box::leak(Box::new(Freezing {
        device: counter.device,
        coupons: chain.coupons.clone(),
    }));
    let (app, faults) = doomed(&chain).await;
    send(&app, chain.tenant, &[to("0", "1"), to("1", "2")]).await;
    let granted = "SELECT COUNT(*) FROM freezes WHERE status = 'granted'";
    // Both are frozen, and nobody confirmed it.
    faults.at("outbox.settle", Crash::Before);
    assert!(outbox::turn(&app, &[consumer]).await.is_err());
    assert_eq!(chain.number(granted).await, 2);
    assert_eq!(chain.number("SELECT COUNT(*) FROM inbox").await, 2);
    // A question under another name would be refused; nobody asks it.
    chain.clock.advance(VISIBLE);
    assert_eq!(drain(&chain.app, consumer).await, 2);
    assert_eq!(stand(&chain, "confirmed").await, 2);
    // What is refused has no line, and comes again.
    send(&app, chain.tenant, &[to("0", "3")]).await;
    assert_eq!(drain(&chain.app, consumer).await, 1);
    assert_eq!(stand(&chain, "sent").await, 1);
    assert_eq!(chain.number("SELECT COUNT(*) FROM inbox").await, 2);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM outbox WHERE last_error LIKE 'Refused%'")
            .await,
        1
    );
    assert!(broken(&chain).await.is_empty());
}

async fn verify_finds_what_is_wrong_with_messages(on: On) {
    let chain = chain(on, 0).await;
    let consumer = Scripted::new(|message| match message.key.as_str() {
        "bad" => Err(NotDone::Later("no".into())),
        _ => Ok(()),
    });
    let messages = [
        to("a", "1"),
        to("a", "2"),
        to("bad", "3"),
        to("bad", "4"),
        to("bad", "5"),
    ];
    send(&chain.app, chain.tenant, &messages).await;
    drain(&chain.app, consumer).await;
    assert!(broken(&chain).await.is_empty());
    for (damage, heal, check) in [
        (
            "UPDATE outbox SET tries = 0 WHERE source = '1'",
            "UPDATE outbox SET tries = 1 WHERE source = '1'",
            "outbox",
        ),
        (
            "UPDATE outbox SET next_try_at = 1 WHERE source = '4'",
            "UPDATE outbox SET next_try_at = NULL WHERE source = '4'",
            "outbox",
        ),
        (
            "UPDATE outbox SET next_try_at = NULL WHERE source = '3'",
            "UPDATE outbox SET next_try_at = 1 WHERE source = '3'",
            "outbox",
        ),
        (
            "UPDATE outbox SET number = 9 WHERE source = '4'",
            "UPDATE outbox SET number = 2 WHERE source = '4'",
            "outbox",
        ),
        (
            "UPDATE inbox SET consumer = 'x'",
            "UPDATE inbox SET consumer = 'parcels'",
            "inbox",
        ),
        (
            "UPDATE outbox SET topic = 'x' WHERE source = '2'",
            "UPDATE outbox SET topic = 'parcels' WHERE source = '2'",
            "inbox",
        ),
        ("DELETE FROM inbox", "UPDATE outbox SET in_inbox = 0", "inbox"),
    ] {
        chain.run(damage).await;
        assert_eq!(broken(&chain).await, [check].into(), "{damage}");
        chain.run(heal).await;
        assert!(broken(&chain).await.is_empty(), "{heal}");
    }
}
