//! Counters exchange with head office.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use counterfoil_counter::{Error, Turn};
use counterfoil_domain::time::SECOND;
use serde::{Deserialize, Serialize};

use super::{Kind, operators};
use crate::{ambient::until, step::Making, world::World};

pub fn said(error: &Error) -> String {
    format!("error {}", error.code())
}

/// The counter exchanges with head office, so often at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sync {
    till: usize,
    turns: u32,
}

impl Kind for Sync {
    const WEIGHT: u32 = 180;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            turns: making.dice.u32(1..=3),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        sync(world, self.till % world.tills.len(), self.turns).await
    }
}

/// What one who is online does within a second: delivers, and reads what others did.
pub async fn keep_up(world: &mut World, place: usize, turns: u32) -> Result<()> {
    for _ in 0..turns {
        let Some(counter) = world.counter(place) else { break };
        match counter.sync_turn().await {
            Ok(Turn::Asked { more: false }) | Err(_) => break,
            Ok(Turn::Asked { more: true }) => {}
            // Head office had nothing to say a moment ago, and is asked again a moment later.
            Ok(Turn::Resting { .. }) => world.pass(SECOND).await,
        }
        if world.bury(place).await? {
            break;
        }
    }
    Ok(())
}

pub async fn sync(world: &mut World, place: usize, turns: u32) -> Result<String> {
    let mut words = String::new();
    for _ in 0..turns {
        let Some(counter) = world.counter(place) else {
            return Ok(words + "down");
        };
        match counter.sync_turn().await {
            Ok(Turn::Asked { more }) => {
                words.push_str(if more { "more " } else { "all " });
                if !more {
                    break;
                }
            }
            Ok(Turn::Resting { .. }) => {
                words.push_str("resting");
                break;
            }
            Err(error) => {
                words.push_str(&said(&error));
                break;
            }
        }
        if world.bury(place).await? {
            words.push_str("ended");
            break;
        }
    }
    Ok(words)
}

/// Several counters push, and head office takes them as one group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Together {
    tills: Vec<usize>,
    /// An operator revokes the first one's device while they wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    revoke: bool,
}

impl Kind for Together {
    const WEIGHT: u32 = 20;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            tills: (0..3).map(|_| making.till()).collect(),
            revoke: making.dice.u8(..40) == 0 && making.faults.has(operators::REVOKE),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let places: BTreeSet<usize> = self.tills.iter().map(|till| till % world.tills.len()).collect();
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        // Who of several hears first that a history has begun, or that the program ends, is up to threads: then they come one
        // by one.
        let one_by_one = world.restored > 0 || world.office_doom.is_armed();
        app.engine.gate().open(one_by_one);
        world.net.side_by_side(!one_by_one);
        let mut exchanges: Vec<(usize, tokio::task::JoinHandle<Result<Turn, Error>>)> = Vec::new();
        for place in &places {
            let Some(counter) = world.counter(*place) else { continue };
            let before = app.engine.submitted();
            // The next one begins when this one's operations wait, so that the order is always the same.
            let exchange = tokio::spawn(async move { counter.sync_turn().await });
            until(|| exchange.is_finished() || (!one_by_one && app.engine.submitted() > before)).await;
            exchanges.push((*place, exchange));
        }
        if self.revoke
            && let Some(first) = places.first()
        {
            operators::decide(world, *first, true).await?;
        }
        // What they ask besides goes one after the other, so that nobody reads now more, now less of the others'.
        world.net.queue(exchanges.iter().map(|(place, _)| *place).collect());
        app.engine.gate().open(true);
        let mut words = Vec::new();
        for (place, exchange) in exchanges {
            let ended = exchange.await.context("an exchange was cut off")?;
            world.net.done(place);
            words.push(match ended {
                Ok(turn) => match turn {
                    Turn::Asked { more } => format!("{more}"),
                    Turn::Resting { .. } => "resting".into(),
                },
                Err(error) => said(&error),
            });
        }
        world.net.side_by_side(false);
        Ok(words.join(" "))
    }
}
