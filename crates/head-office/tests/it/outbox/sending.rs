//! A message commits with what causes it, or not at all.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::{
    ids::FreezeId,
    transition::{Answer, Changes},
};
use counterfoil_head_office::{
    App,
    clock::{Clock, SystemRandom},
    db::{Db, DbError},
    engine::tables::{Place, Storing, Table},
    outbox::{self, table::Outbox},
};

use super::{PARCELS, Scripted, broken, deed, drain, effects, send, stand, to};
use crate::common::{On, START, chain, in_time, random10};

counterfoil_head_office::on_both! {
    a_deed_sends_a_message_once_or_not_at_all,
    a_command_sends_its_message_with_its_effect,
    who_hands_over_is_woken_by_the_commit,
    what_was_confirmed_long_ago_is_forgotten,
}

async fn a_deed_sends_a_message_once_or_not_at_all(on: On) {
    let chain = chain(on, 0).await;
    let (app, tenant) = (&chain.app, chain.tenant);
    {
        let mut lease = app.db.lease().await.unwrap();
        let mut undone = deed(app, tenant, &mut lease).await;
        assert!(undone.send(&to("a", "1")).await.unwrap());
        undone.rollback().await.unwrap();
    }
    assert_eq!(chain.number("SELECT COUNT(*) FROM outbox").await, 0);
    {
        let mut lease = app.db.lease().await.unwrap();
        let mut done = deed(app, tenant, &mut lease).await;
        assert!(done.send(&to("a", "1")).await.unwrap());
        assert!(!done.send(&to("b", "1")).await.unwrap(), "the same source");
        done.commit("test").await.unwrap();
    }
    let consumer = Scripted::willing();
    assert_eq!(drain(app, consumer).await, 1);
    {
        // Confirmed ones are remembered too.
        let mut lease = app.db.lease().await.unwrap();
        let mut again = deed(app, tenant, &mut lease).await;
        assert!(!again.send(&to("a", "1")).await.unwrap());
        again.commit("test").await.unwrap();
    }
    assert_eq!(drain(app, consumer).await, 0);
    assert_eq!((stand(&chain, "confirmed").await, effects(&chain).await), (1, 1));
    assert!(broken(&chain).await.is_empty());
}

/// Stores the outbox's part of a group in which each freeze that is granted sends a message.
struct Sending(Outbox);

#[async_trait]
impl Table for Sending {
    fn place(&self) -> Place {
        self.0.place()
    }
    async fn store(&mut self, storing: Storing<'_>) -> Result<(), DbError> {
        let frozen = storing.state.freezes.added();
        let facts = Changes {
            outgoing: frozen.iter().map(|freeze| to("same", &freeze.id.to_string())).collect(),
            ..Changes::default()
        };
        let storing = Storing {
            facts: &facts,
            ..storing
        };
        self.0.store(storing).await
    }
}

async fn a_command_sends_its_message_with_its_effect(on: On) {
    let mut chain = chain(on, 3).await;
    let counter = chain.counter().await;
    let db = Db::open(&chain.fresh.url, chain.clock.as_ref(), &SystemRandom)
        .await
        .unwrap();
    let app = App::with(db, chain.clock.clone(), Arc::new(SystemRandom), false, |settled| {
        let all = counterfoil_head_office::capabilities::ALL.iter();
        let tables = all.flat_map(|capability| (capability.tables)(settled));
        let others = tables.filter(|table| table.place() != Place::Outbox);
        others.chain([Box::new(Sending(Outbox)) as Box<dyn Table>]).collect()
    });
    chain.app = Arc::new(app);
    let mut bell = chain.app.db.broker().bell();
    let ids: Vec<FreezeId> = (0..3).map(|_| FreezeId::new(START, random10())).collect();
    for (id, coupon) in ids.iter().zip(&chain.coupons) {
        let answer = chain.freeze(&counter, *id, *coupon).await;
        assert!(matches!(answer, Answer::Granted { .. }), "{answer:?}");
    }
    in_time(bell.rung()).await;
    let numbers = "SELECT COUNT(DISTINCT number) FROM outbox WHERE key = 'same' AND number BETWEEN 1 AND 3";
    assert_eq!(chain.number(numbers).await, 3);
    // The second waits for the first, and the third for the second.
    let waiting = "SELECT COUNT(*) FROM outbox WHERE next_try_at IS NULL";
    assert_eq!(chain.number(waiting).await, 2);
    let consumer = Scripted::willing();
    assert_eq!(drain(&chain.app, consumer).await, 3);
    let heard: Vec<String> = consumer.heard().into_iter().map(|(source, _)| source).collect();
    assert_eq!(heard, ids.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert!(broken(&chain).await.is_empty());
}

async fn who_hands_over_is_woken_by_the_commit(on: On) {
    let chain = chain(on, 0).await;
    let mut bell = chain.app.db.broker().bell();
    {
        let mut lease = chain.app.db.lease().await.unwrap();
        let mut undone = deed(&chain.app, chain.tenant, &mut lease).await;
        assert!(undone.send(&to("a", "1")).await.unwrap());
        undone.rollback().await.unwrap();
        let mut other = deed(&chain.app, chain.tenant, &mut lease).await;
        other.audit("other", "").await.unwrap();
        other.commit("test").await.unwrap();
    }
    assert!(!bell.0.has_changed().unwrap());
    send(&chain.app, chain.tenant, &[to("a", "1")]).await;
    in_time(bell.rung()).await;
}

async fn what_was_confirmed_long_ago_is_forgotten(on: On) {
    let chain = chain(on, 0).await;
    let day = 24 * crate::common::HOUR;
    let consumer = Scripted::new(|message| match message.key.as_str() {
        "bad" => Err(outbox::NotDone::Bad("no".into())),
        _ => Ok(()),
    });
    send(&chain.app, chain.tenant, &[to("a", "1"), to("a", "2"), to("bad", "3")]).await;
    drain(&chain.app, consumer).await;
    chain.clock.advance(89 * day);
    counterfoil_head_office::jobs::upkeep::forget(&chain.app).await.unwrap();
    assert_eq!(stand(&chain, "confirmed").await, 2);
    chain.clock.advance(2 * day);
    while counterfoil_head_office::jobs::upkeep::forget(&chain.app).await.unwrap() {}
    assert_eq!(stand(&chain, "confirmed").await, 0);
    assert_eq!(chain.number("SELECT COUNT(*) FROM inbox").await, 0);
    // What is not confirmed is never forgotten.
    assert_eq!(stand(&chain, "sent").await, 1);
    // The key goes on, and so may the source.
    send(&chain.app, chain.tenant, &[to("a", "1")]).await;
    assert!(chain.clock.now() > START);
    drain(&chain.app, consumer).await;
    assert_eq!(stand(&chain, "confirmed").await, 1);
    let topics = chain.number("SELECT COUNT(DISTINCT topic) FROM outbox").await;
    assert_eq!((topics, PARCELS), (1, "parcels"));
    assert!(broken(&chain).await.is_empty());
}
