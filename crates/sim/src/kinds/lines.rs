//! Counters' lines.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{step::Making, world::World};

/// A counter's line is cut, or mended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    till: usize,
    cut: bool,
}

impl Kind for Cut {
    const WEIGHT: u32 = 20;
    const FAULT: Option<&'static str> = Some("cut");
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            cut: making.dice.u8(..5) < 2,
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        world.net.cut(self.till % world.tills.len(), self.cut);
        if self.cut {
            world.count("cut");
        }
        Ok(String::new())
    }
}
