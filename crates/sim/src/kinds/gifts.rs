//! Gifts for points: exchanged, paid for, called off. What must hold of them is what `verify` checks, and that one question
//! is one exchange.

use anyhow::Result;
use counterfoil_domain::time::MINUTE;
use counterfoil_head_office::{
    gifts::id_of,
    members::sessions::{Link, begin},
};
use serde::{Deserialize, Serialize};
use serde_json::json;

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
    const WEIGHT: u32 = 70;

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
    const WEIGHT: u32 = 40;

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
