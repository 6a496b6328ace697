//! A member is told once that an order waits for them.
//!
//! The message that says so commits with the order. What it leads to commits with its line in the inbox: the member's own
//! message, and a further message of the outbox for each other channel, so that a site that is down keeps nobody else from
//! hearing. A site is told with the same id however often it is tried; only mail may come twice, if its server took it and
//! the answer was lost.

use std::sync::Arc;

use async_trait::async_trait;
use counterfoil_domain::{
    ids::{MessageId, OrderId},
    outbox::Outgoing,
    people::Store,
    pickups::{Order, OrderState},
    time::Millis,
    transition::READY,
};
use jiff::{Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use sqlx::AnyConnection;

use super::rows;
use crate::{
    app::App,
    db::DbError,
    members,
    messages::{
        self, Words,
        notify::{Channel, Notice, Notifiers},
    },
    outbox::{Consumer, Done, Message, NotDone},
    processes::Role,
    stores,
};

/// The topic of what other channels than the member's own messages tell.
const TELL: &str = "pickup_ready_told";

/// What a message says: which order.
#[derive(Debug, Serialize, Deserialize)]
struct Waits {
    order: OrderId,
}

/// The same, and by which channel it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    order: OrderId,
    /// When it was ready: the notice is the same by every channel.
    at: Millis,
    channel: String,
}

/// Puts it among the member's messages, and has the other channels told.
#[derive(Debug)]
pub struct Ready;

#[async_trait]
impl Consumer for Ready {
    fn topic(&self) -> &'static str {
        READY
    }

    fn role(&self) -> Role {
        Role::Jobs
    }

    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        let Waits { order } = message.read()?;
        // A process that calls nobody outside has none: then the member's own messages are all there is.
        let others: Vec<Channel> = match app.own.of::<Notifiers>().get() {
            Some(notifiers) => notifiers.iter().map(|notifier| notifier.channel()).collect(),
            None => Vec::new(),
        };
        message
            .consume(app, async |deed| {
                let (tenant, at) = (deed.tenant(), message.created_at);
                let Some(notice) = notice(deed, message, order, at).await? else {
                    return Ok(());
                };
                let own = messages::Message {
                    id: notice.id,
                    kind: notice.kind.to_owned(),
                    words: notice.words.clone(),
                    sent_at: notice.at,
                    sent_by: None,
                };
                messages::rows::insert(deed, tenant, &[(&own, None)]).await?;
                messages::rows::insert_own(deed, tenant, &[(notice.member, notice.id)], at).await?;
                for channel in others.iter().filter(|channel| **channel != Channel::Inbox) {
                    let channel: &str = channel.into();
                    let key = format!("{order}:{channel}");
                    let told = Told {
                        order,
                        at,
                        channel: channel.to_owned(),
                    };
                    let body = serde_json::to_string(&told).map_err(|error| NotDone::Bad(error.to_string()))?;
                    deed.send(&Outgoing {
                        topic: TELL,
                        key: key.clone(),
                        source: key,
                        body,
                    })
                    .await?;
                }
                Ok(())
            })
            .await
    }
}

/// Tells it by one other channel.
#[derive(Debug)]
pub struct Tell;

#[async_trait]
impl Consumer for Tell {
    fn topic(&self) -> &'static str {
        TELL
    }

    fn role(&self) -> Role {
        Role::Jobs
    }

    async fn handle(&self, app: &Arc<App>, message: &Message) -> Result<Done, NotDone> {
        let Told { order, at, channel } = message.read()?;
        let notifiers = app.own.of::<Notifiers>().get();
        let notifier = notifiers
            .into_iter()
            .flatten()
            .find(|notifier| <&str>::from(notifier.channel()) == channel);
        let Some(notifier) = notifier else {
            return Err(NotDone::Later(format!("no {channel} is set up here")));
        };
        let mut snapshot = app.db.snapshot().await?;
        let notice = notice(&mut snapshot, message, order, at).await?;
        drop(snapshot);
        let Some(notice) = notice else {
            return Ok(Done::KNOWN);
        };
        let told = notifier.tell(message.tenant, &[notice]).await.pop();
        match told {
            None | Some(Ok(())) => Ok(Done::KNOWN),
            Some(Err(error)) => Err(NotDone::Later(error.to_string())),
        }
    }
}

/// What is to be told; `None` where nothing is any more: it was collected or called off meanwhile, or its member has gone.
async fn notice(
    connection: &mut AnyConnection,
    message: &Message,
    order: OrderId,
    at: Millis,
) -> Result<Option<Notice>, DbError> {
    let tenant = message.tenant;
    let Some(order) = rows::load(connection, tenant, &[order], "").await?.pop() else {
        return Ok(None);
    };
    let (OrderState::Ready { .. }, Some(member)) = (&order.state, order.member) else {
        return Ok(None);
    };
    let Some((number, email)) = members::rows::contacts(connection, tenant, &[member])
        .await?
        .remove(&member)
    else {
        return Ok(None);
    };
    let store = stores::rows::load_stores(connection, tenant, &[order.store])
        .await?
        .pop();
    let Some(store) = store.map(|row| row.store) else {
        return Ok(None);
    };
    let digest: [u8; 32] = Sha256::new()
        .chain_update(b"pickup ready\0")
        .chain_update(order.id.bytes())
        .finalize()
        .into();
    let mut random = [0; 10];
    random.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Ok(Some(Notice {
        // The same however often it is tried.
        id: MessageId::placed(member.place(), at, random),
        kind: READY,
        member,
        number,
        email,
        words: words(&order, &store),
        data: json!({ "order": order.id, "number": order.number, "store": order.store, "deadline": order.deadline }),
        at,
    }))
}

/// The code is not in it, as mails and sites of others are no place for what opens the door; where a chain makes numbers the
/// codes, whoever knows the number may collect.
fn words(order: &Order, store: &Store) -> Words {
    let until = order.deadline.and_then(|deadline| {
        let zone = TimeZone::get(&store.time_zone).unwrap_or(TimeZone::UTC);
        let last = Timestamp::from_millisecond(deadline - 1).ok()?;
        Some(last.to_zoned(zone).date())
    });
    let (number, zh, en) = (&order.number, &store.name_zh, &store.name_en);
    let (body_zh, body_en) = match until {
        Some(until) => (
            format!("订单 {number} 已在{zh}备好，请于 {until} 前（含当日）凭取货码领取。"),
            format!("Order {number} waits for you at {en} until {until}. Show its pickup code."),
        ),
        None => (
            format!("订单 {number} 已在{zh}备好，请凭取货码领取。"),
            format!("Order {number} waits for you at {en}. Show its pickup code."),
        ),
    };
    Words {
        title_zh: "您的订单可以取货了".into(),
        title_en: "Your order is ready".into(),
        body_zh,
        body_en,
    }
}
