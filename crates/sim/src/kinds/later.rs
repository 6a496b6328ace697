//! What happens by itself at its time.

use anyhow::Result;
use counterfoil_head_office::{coupons::expiry, exceptions::lapse, jobs::upkeep, points};
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::{step::Making, world::World};

/// Coupons and orders that a sweep looks at.
const SWEPT: i64 = 500;

/// What head office does by itself at its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sweep;

impl Kind for Sweep {
    const WEIGHT: u32 = 10;

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        sweep(world).await
    }
}

/// What head office does by itself, once.
pub async fn sweep(world: &mut World) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let now = app.clock.now();
    let lapsed = lapse::sweep(&app, now, SWEPT).await;
    let expired = expiry::sweep(&app, now, SWEPT).await;
    let settled = points::sweep::sweep(&app, now, SWEPT).await;
    let forgotten = upkeep::forget(&app).await;
    Ok(match (lapsed, expired, settled, forgotten) {
        (Ok(lapsed), Ok(expired), Ok(settled), Ok(_)) => {
            format!("{lapsed} lapsed, {} expired, {settled} settled", expired.expired)
        }
        _ => "error".into(),
    })
}

/// What was held up on the way arrives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliver;

impl Kind for Deliver {
    const WEIGHT: u32 = 10;

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let late = world.net.late();
        world.net.deliver_late().await;
        Ok(format!("{late} late"))
    }
}
