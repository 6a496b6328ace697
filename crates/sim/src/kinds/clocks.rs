//! Counters' clocks.

use anyhow::Result;
use counterfoil_domain::time::{DAY, MINUTE, Millis};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{step::Making, world::World};

/// A counter's clock is set, off by so much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetClock {
    till: usize,
    off: Millis,
}

impl Kind for SetClock {
    const WEIGHT: u32 = 8;
    const FAULT: Option<&'static str> = Some("clock");

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            off: match making.dice.u8(..6) {
                0 => making.dice.i64(-3 * 365 * DAY..3 * 365 * DAY),
                1 | 2 => making.dice.i64(-10 * MINUTE..10 * MINUTE),
                _ => 0,
            },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        world.set_clock(self.till % world.tills.len(), self.off);
        world.count("clock");
        Ok(String::new())
    }
}
