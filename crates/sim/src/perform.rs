//! What is done before and after each step.

use anyhow::Result;

use crate::{kinds::exchange::keep_up, step::Step, world::World};

/// Exchanges that deliver and read everything, as a rule.
const ENOUGH: u32 = 5;

/// Does one step; what came of it, in words that are the same in every run.
pub async fn perform(world: &mut World, step: &Step) -> Result<String> {
    // Who is online delivers at once, and has heard of what others did within a second.
    let online = step.what.till().filter(|_| world.faults.is_calm());
    if let Some(till) = online {
        keep_up(world, till % world.tills.len(), ENOUGH).await?;
    }
    // Whoever wants to use a counter that is off switches it on.
    if let Some(till) = step.what.till() {
        world.start_till(till % world.tills.len()).await?;
    }
    world.net.plan(&step.fates);
    let done = step.what.perform(world).await?;
    world.net.plan(&[]);
    if let Some(till) = online {
        keep_up(world, till % world.tills.len(), ENOUGH).await?;
    }
    for place in 0..world.tills.len() {
        world.settle(place).await;
        world.bury(place).await?;
    }
    if world.office_doom.struck() {
        world.stop_office().await;
    }
    Ok(done)
}
