//! Disks that are full.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{step::Making, world::World};

/// The word of the faults.
const DISK: &str = "disk";

/// Head office's disk is full, or has room again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillOffice {
    full: bool,
}

impl Kind for FillOffice {
    const WEIGHT: u32 = 5;
    const FAULT: Option<&'static str> = Some(DISK);

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            full: making.dice.u8(..3) == 0,
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        if world.office_full != self.full {
            app.db.fill_the_disk(self.full).await?;
            world.office_full = self.full;
            if self.full {
                world.count("disk_office");
            }
        }
        Ok(String::new())
    }
}

/// A counter's disk is full, or has room again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FillTill {
    till: usize,
    full: bool,
}

impl Kind for FillTill {
    const WEIGHT: u32 = 8;
    const FAULT: Option<&'static str> = Some(DISK);

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            full: making.dice.u8(..3) == 0,
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let Some(counter) = world.counter(place) else {
            return Ok("down".into());
        };
        counter.fill_the_disk(self.full).await?;
        world.tills[place].full = self.full;
        if self.full {
            world.count("disk_till");
        }
        Ok(String::new())
    }
}
