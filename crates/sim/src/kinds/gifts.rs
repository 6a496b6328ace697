//! Gifts for points: exchanged, paid for, called off; and the parcels of those that are shipped. What must hold of them is
//! what `verify` checks.

use anyhow::Result;
use counterfoil_domain::time::MINUTE;
use counterfoil_head_office::{
    fulfilment::errands,
    gifts::id_of,
    members::sessions::{Link, begin},
    outbox,
    processes::Role,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Kind, questions::post};
use crate::{
    step::Making,
    world::{Question, World},
};

/// How a question that exchanges begins.
const EXCHANGE: &str = "exchange-";

/// A member exchanges points for a gift.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exchange {
    member: usize,
    gift: usize,
    store: usize,
}

impl Kind for Exchange {
    const WEIGHT: u32 = 40;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            member: making.dice.usize(..9),
            gift: making.dice.usize(..9),
            store: making.dice.usize(..9),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let place = self.member % world.base.members.len();
        let link = Link {
            tenant: counterfoil_head_office::seed::TENANT,
            member: &world.base.members[place].1,
            expires: app.clock.now() + 5 * MINUTE,
        };
        let signature = link.sign(&world.base.link_key);
        let Ok((token, _)) = begin(&app, &link, &signature).await else {
            return Ok("no session".into());
        };
        let asked_at = world.time.now();
        let gift = &world.base.gifts[self.gift % world.base.gifts.len()];
        let store = world.base.stores[self.store % world.base.stores.len()];
        let body = json!({ "gift": gift, "store": store, "address": world.base.addresses[place] });
        let key = format!("{EXCHANGE}{place}-{}-{}", self.gift, asked_at / (10 * MINUTE));
        let question = Question::new("/v1/member/exchanges".into(), body, asked_at);
        post(world, &token, key, question, None).await
    }
}

/// What becomes of an exchange that waits for money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Paid,
    Cancel,
}

/// The shop's own site says what became of the money, or somebody at head office calls it off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndExchange {
    nth: usize,
    end: End,
}

impl Kind for EndExchange {
    const WEIGHT: u32 = 25;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            nth: making.dice.usize(..50),
            end: if making.dice.bool() { End::Paid } else { End::Cancel },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let asked: Vec<String> = world
            .asked
            .keys()
            .filter(|key| key.starts_with(EXCHANGE))
            .cloned()
            .collect();
        // Lately asked for ones are the most likely to wait.
        let Some(key) = asked
            .len()
            .checked_sub(1)
            .and_then(|last| asked.get(last - self.nth % asked.len()))
        else {
            return Ok("nothing was exchanged".into());
        };
        let place: usize = key[EXCHANGE.len()..].split('-').next().unwrap_or_default().parse()?;
        let id = id_of(world.base.tenant, world.base.members[place].0, key);
        let (end, body) = match self.end {
            End::Paid => ("paid", json!({})),
            End::Cancel => ("cancel", json!({})),
        };
        let now = world.time.now();
        let token = world.base.operator.clone();
        let question = Question::new(format!("/v1/exchanges/{id}/{end}"), body, now);
        let key = format!("{end}-{id}-{}", now / (15 * MINUTE));
        post(world, &token, key, question, None).await
    }
}

/// What the warehouse does with a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    Waybill,
    Pack,
    HandOver,
    Returned,
    Lost,
    Cancel,
}

/// The warehouse does something with one of the parcels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    nth: usize,
    hand: Work,
}

impl Kind for Parcel {
    const WEIGHT: u32 = 40;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            nth: making.dice.usize(..6),
            hand: match making.dice.u8(..10) {
                0..=2 => Work::Waybill,
                3..=4 => Work::Pack,
                5..=6 => Work::HandOver,
                7 => Work::Returned,
                8 => Work::Lost,
                _ => Work::Cancel,
            },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let parcels: Vec<Vec<u8>> = {
            let mut reader = app.db.reader().acquire().await?;
            sqlx::query_scalar("SELECT id FROM parcels WHERE state IN ('waiting', 'packed', 'handed_over') ORDER BY id")
                .fetch_all(&mut *reader)
                .await?
        };
        drop(app);
        let Some(parcel) = parcels.get(self.nth % parcels.len().max(1)) else {
            return Ok("no parcel".into());
        };
        let id = Uuid::from_slice(parcel)?;
        let (path, body) = match self.hand {
            Work::Waybill => {
                let number = format!("SIM{}", hex::encode(&parcel[10..]));
                ("waybill", json!({ "carrier": "shunfeng", "number": number }))
            }
            Work::Pack => ("pack", json!({})),
            Work::HandOver => ("hand-over", json!({})),
            Work::Returned => ("settle", json!({ "outcome": "returned" })),
            Work::Lost => ("settle", json!({ "outcome": "lost" })),
            Work::Cancel => ("cancel", json!({})),
        };
        let now = world.time.now();
        let token = world.base.operator.clone();
        let question = Question::new(format!("/v1/parcels/{id}/{path}"), body, now);
        let key = format!("{:?}-{id}-{}", self.hand, now / (15 * MINUTE));
        post(world, &token, key, question, None).await
    }
}

/// Messages are handed over, and errands done, as far as they are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch;

impl Kind for Dispatch {
    const WEIGHT: u32 = 25;

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let consumers = outbox::consumers(&app, &Role::ALL);
        let handed = outbox::turn(&app, &consumers).await;
        let errands = errands::turn(&app).await;
        Ok(match (handed, errands) {
            (Ok(handed), Ok(errands)) => format!("{handed} handed over, {errands} errands"),
            _ => "error".into(),
        })
    }
}
