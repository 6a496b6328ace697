//! Several programs, and calls that don't come back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use counterfoil_head_office::{
    App,
    outbox::{self, Consumer, Done, Message, NotDone},
    processes::Role,
};
use tokio::sync::{Notify, watch};

use super::{PARCELS, Scripted, another, broken, deed, effects, send, stand, to};
use crate::common::{On, chain, in_time, until};

counterfoil_head_office::on_both! {
    two_programs_hand_each_message_over_once_and_in_order,
    a_call_that_hangs_keeps_nobody_else_waiting,
    who_dies_between_effect_and_confirmation_is_taken_over,
    two_programs_that_write_to_one_key_get_two_numbers,
}

async fn two_programs_hand_each_message_over_once_and_in_order(on: On) {
    let chain = chain(on, 0).await;
    let other = another(&chain).await;
    let consumer = Scripted::willing();
    for app in [&chain.app, &other] {
        outbox::start(app, &[consumer]);
    }
    let (keys, each) = (20, 10);
    for n in 0..each {
        // Both write as well: whoever hands it over hears of it by the bell or by looking.
        let app = if n % 2 == 0 { &chain.app } else { &other };
        let messages: Vec<_> = (0..keys)
            .map(|key| to(&format!("k{key}"), &format!("k{key}:{n}")))
            .collect();
        send(app, chain.tenant, &messages).await;
    }
    until(async || stand(&chain, "confirmed").await == keys * each).await;
    let heard = consumer.heard();
    assert_eq!(heard.len(), usize::try_from(keys * each).unwrap());
    assert!(heard.iter().all(|(_, tries)| *tries == 1), "{heard:?}");
    let mut of: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
    for (source, _) in &heard {
        let (key, n) = source.split_once(':').unwrap();
        of.entry(key).or_default().push(n.parse().unwrap());
    }
    let in_order: Vec<i64> = (0..each).collect();
    assert!(of.values().all(|numbers| *numbers == in_order), "{of:?}");
    assert_eq!(effects(&chain).await, keys * each);
    assert!(broken(&chain).await.is_empty());
    for app in [&chain.app, &other] {
        app.stopping.cancel();
    }
}

/// Does what is asked once its gate is open, but for messages of the key `free`.
#[derive(Debug)]
struct Hanging {
    topic: &'static str,
    gate: watch::Receiver<bool>,
    hangs: Mutex<BTreeSet<String>>,
}

#[async_trait]
impl Consumer for Hanging {
    fn topic(&self) -> &'static str {
        self.topic
    }
    fn role(&self) -> Role {
        Role::Fulfilment
    }
    fn at_once(&self) -> usize {
        4
    }
    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        if message.key != "free" {
            self.hangs.lock().unwrap().insert(message.key.clone());
            let _ = self.gate.clone().wait_for(|open| *open).await;
        }
        message
            .consume(app, async |deed| Ok(deed.audit("done", &message.source).await?))
            .await
    }
}

async fn a_call_that_hangs_keeps_nobody_else_waiting(on: On) {
    let chain = chain(on, 0).await;
    let (open, gate) = watch::channel(false);
    let hanging: &'static Hanging = Box::leak(Box::new(Hanging {
        topic: PARCELS,
        gate,
        hangs: Mutex::default(),
    }));
    let other: &'static Hanging = Box::leak(Box::new(Hanging {
        topic: "others",
        gate: hanging.gate.clone(),
        hangs: Mutex::default(),
    }));
    outbox::start(&chain.app, &[hanging, other]);
    // Three calls hang, and a place is left.
    let stuck: Vec<_> = (0..3).map(|n| to(&format!("h{n}"), &format!("h{n}"))).collect();
    send(&chain.app, chain.tenant, &stuck).await;
    until(async || hanging.hangs.lock().unwrap().len() == 3).await;
    let free: Vec<_> = (0..10).map(|n| to("free", &format!("f{n}"))).collect();
    send(&chain.app, chain.tenant, &free).await;
    until(async || stand(&chain, "confirmed").await == 10).await;
    // No place is left: those of another consumer go on all the same.
    send(&chain.app, chain.tenant, &[to("h3", "h3"), to("h4", "h4")]).await;
    until(async || hanging.hangs.lock().unwrap().len() == 4).await;
    let mut elsewhere: Vec<_> = (0..10).map(|n| to("free", &format!("o{n}"))).collect();
    elsewhere.iter_mut().for_each(|message| message.topic = "others");
    send(&chain.app, chain.tenant, &elsewhere).await;
    until(async || stand(&chain, "confirmed").await == 20).await;
    assert_eq!((stand(&chain, "sent").await, stand(&chain, "pending").await), (4, 1));
    open.send_replace(true);
    until(async || stand(&chain, "confirmed").await == 25).await;
    assert_eq!(effects(&chain).await, 25);
    assert_eq!(chain.number("SELECT MAX(tries) FROM outbox").await, 1);
    chain.app.stopping.cancel();
}

/// Does what is asked, and then says nothing any more.
#[derive(Debug, Default)]
struct Silent(Notify);

#[async_trait]
impl Consumer for Silent {
    fn topic(&self) -> &'static str {
        PARCELS
    }
    fn role(&self) -> Role {
        Role::Fulfilment
    }
    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        message
            .consume(app, async |deed| Ok(deed.audit("done", &message.source).await?))
            .await?;
        self.0.notify_one();
        std::future::pending().await
    }
}

async fn who_dies_between_effect_and_confirmation_is_taken_over(on: On) {
    let chain = chain(on, 0).await;
    let silent: &'static Silent = Box::leak(Box::default());
    send(&chain.app, chain.tenant, &[to("a", "1")]).await;
    {
        let consumers: [&'static dyn Consumer; 1] = [silent];
        let turn = outbox::turn(&chain.app, &consumers);
        tokio::pin!(turn);
        tokio::select! {
            _ = &mut turn => panic!("it can't have ended"),
            () = in_time(silent.0.notified()) => {}
        }
    }
    assert_eq!((stand(&chain, "sent").await, effects(&chain).await), (1, 1));
    let other = another(&chain).await;
    let consumer = Scripted::willing();
    assert_eq!(super::drain(&other, consumer).await, 0);
    chain.clock.advance(outbox::VISIBLE);
    assert_eq!(super::drain(&other, consumer).await, 1);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (1, 1));
    assert_eq!(consumer.heard(), [("1".to_owned(), 2)]);
    assert!(broken(&chain).await.is_empty());
}

/// Whoever comes second waits for the first, or is told to come back; nobody's message is lost or overtakes.
async fn two_programs_that_write_to_one_key_get_two_numbers(on: On) {
    let chain = chain(on, 0).await;
    let other = another(&chain).await;
    send(&chain.app, chain.tenant, &[to("a", "first")]).await;
    let write = async |app: &App, name: &str| {
        let mut written = 0;
        while written < 10 {
            let mut lease = app.db.lease().await.unwrap();
            let mut deed = deed(app, chain.tenant, &mut lease).await;
            match deed.send(&to("a", &format!("{name}{written}"))).await {
                Ok(_) => {
                    deed.commit("test").await.unwrap();
                    written += 1;
                }
                Err(error) => {
                    assert_eq!(error.trouble(), counterfoil_head_office::db::Trouble::Again, "{error}");
                    deed.rollback().await.unwrap();
                }
            }
        }
    };
    let consumer = Scripted::willing();
    outbox::start(&chain.app, &[consumer]);
    tokio::join!(write(&chain.app, "x"), write(&other, "y"));
    until(async || stand(&chain, "confirmed").await == 21).await;
    let numbers = "SELECT COUNT(DISTINCT number) FROM outbox WHERE number BETWEEN 1 AND 21";
    assert_eq!(chain.number(numbers).await, 21);
    for name in ["x", "y"] {
        let heard: Vec<String> = consumer.heard().into_iter().map(|(source, _)| source).collect();
        let of: Vec<&String> = heard.iter().filter(|source| source.starts_with(name)).collect();
        assert_eq!(
            of,
            (0..10)
                .map(|n| format!("{name}{n}"))
                .collect::<Vec<_>>()
                .iter()
                .collect::<Vec<_>>()
        );
    }
    assert!(broken(&chain).await.is_empty());
    chain.app.stopping.cancel();
}
