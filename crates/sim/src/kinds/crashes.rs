//! Programs end, and are started again.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{step::Making, world::World};

/// The word of the faults.
const CRASH: &str = "crash";

/// Where a program ends: at its so manieth commit from now, before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    nth: u64,
    after: bool,
}

impl At {
    fn made(making: &mut Making<'_>) -> Self {
        Self {
            nth: making.dice.u64(1..=3),
            after: making.dice.bool(),
        }
    }
}

/// Head office ends at one of its next commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillOffice {
    at: At,
}

impl Kind for KillOffice {
    const WEIGHT: u32 = 10;
    const FAULT: Option<&'static str> = Some(CRASH);

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self { at: At::made(making) }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        if world.app().is_some() {
            world.office_doom.arm(self.at.nth, self.at.after);
            world.count("crash_office");
        }
        Ok(String::new())
    }
}

/// Head office is started again, if it is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartOffice;

impl Kind for StartOffice {
    const WEIGHT: u32 = 30;

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        world.start_office().await?;
        Ok(String::new())
    }
}

/// A counter ends at one of its next commits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KillTill {
    till: usize,
    at: At,
}

impl Kind for KillTill {
    const WEIGHT: u32 = 15;
    const FAULT: Option<&'static str> = Some(CRASH);

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            at: At::made(making),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        world.tills[place].doom.arm(self.at.nth, self.at.after);
        world.count("crash_till");
        Ok(String::new())
    }
}

/// A counter is started again, if it is down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTill {
    till: usize,
}

impl Kind for StartTill {
    const WEIGHT: u32 = 15;

    fn make(_: &mut Making<'_>, till: usize) -> Self {
        Self { till }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        world.start_till(self.till % world.tills.len()).await?;
        Ok(String::new())
    }
}
