//! What operators decide about devices.

use anyhow::Result;
use counterfoil_domain::ids::OperationId;
use counterfoil_head_office::admin;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{
    judge::{Judged, Violations},
    step::Making,
    world::World,
};

/// The word of the fault.
pub const REVOKE: &str = "revoke";

/// An operator revokes a device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revoke {
    till: usize,
}

impl Kind for Revoke {
    const WEIGHT: u32 = 1;
    const FAULT: Option<&'static str> = Some(REVOKE);

    fn make(_: &mut Making<'_>, till: usize) -> Self {
        Self { till }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        decide(world, self.till % world.tills.len(), true).await
    }
    /// What a device delivers once it is revoked has no effect.
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let after = judged.journals.effective.iter().filter(|(device, operation)| {
            let known = judged.world.revoked.get(device);
            known.is_some_and(|known| !known.contains(operation))
        });
        Ok(after
            .map(|(device, operation)| format!("{operation} of revoked device {device} has its effect"))
            .collect())
    }
}

/// An operator lets a device whose journal forked go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decide {
    till: usize,
}

impl Kind for Decide {
    const WEIGHT: u32 = 8;

    fn make(_: &mut Making<'_>, till: usize) -> Self {
        Self { till }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        decide(world, self.till % world.tills.len(), false).await
    }
}

/// An operator revokes a device, or lets one go on whose journal forked.
pub async fn decide(world: &mut World, place: usize, revoke: bool) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let device = world.tills[place].device;
    let (clock, random) = (app.clock.as_ref(), app.random.as_ref());
    let decided = if revoke {
        world.count("revoke");
        let mut snapshot = app.db.snapshot().await?;
        let known = sqlx::query_scalar::<_, Vec<u8>>("SELECT id FROM operations WHERE device = $1")
            .bind(device.bytes().to_vec())
            .fetch_all(&mut *snapshot)
            .await?;
        drop(snapshot);
        let known = known
            .iter()
            .map(|id| OperationId::from_bytes(id))
            .collect::<Result<_, _>>()?;
        let revoked = admin::revoke(&app.db, clock, random, device).await;
        // One that nobody heard of is judged from the next time on.
        if revoked.is_ok() {
            world.revoked.entry(device).or_insert(known);
        }
        revoked
    } else {
        admin::new_epoch(&app.db, clock, random, device).await
    };
    Ok(match decided {
        Ok(_) => {
            // What a backup of before says of the device no longer holds.
            world.backup = None;
            "decided".into()
        }
        Err(error) => format!("error {}", error.code()),
    })
}
