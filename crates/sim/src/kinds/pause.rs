//! Nothing is done.

use anyhow::Result;
use counterfoil_domain::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{step::Making, world::World};

/// Time goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    ms: Millis,
}

impl Kind for Wait {
    const WEIGHT: u32 = 50;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            ms: match making.dice.u8(..20) {
                0 if making.dice.u8(..20) == 0 => making.dice.i64(2 * DAY..30 * DAY),
                0 => making.dice.i64(HOUR..2 * DAY),
                1..=4 => making.dice.i64(MINUTE..20 * MINUTE),
                _ => making.dice.i64(SECOND..MINUTE),
            },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        world.pass(self.ms).await;
        Ok(String::new())
    }
}
