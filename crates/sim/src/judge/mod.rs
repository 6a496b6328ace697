//! What must hold once faults have stopped. Judged by a plain reading of what is in the databases: journals are read
//! operation by operation into ordered maps, and what they come to is compared with what head office and the counters
//! say.

mod balance;
mod copies;
pub mod coupons;
pub mod journals;
pub mod orders;
pub mod stores;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use counterfoil_counter::Turn;
use counterfoil_domain::{
    time::{MINUTE, SECOND},
    transition::DeviceStatus,
};
use counterfoil_head_office::{App, stores::rows::load_devices, verify};

use crate::{
    kinds::{self, later, operators, parcels},
    world::World,
};
use copies::{Copy, copies};
use journals::{Journals, delivered};

/// Rounds in which everything has to be delivered.
const ROUNDS: usize = 30;

/// Exchanges of one counter in a round: a resync reads a page at a time.
const TURNS: usize = 40;

/// Whatever breaks a rule, in words.
pub type Violations = Vec<String>;

/// What there is to judge by, once everything is delivered and read.
pub struct Judged<'a> {
    pub world: &'a World,
    pub app: &'a App,
    pub journals: &'a Journals,
    /// What the counters hold, by their places.
    pub copies: &'a BTreeMap<usize, Copy>,
}

/// What must hold after every step.
pub async fn step(world: &mut World) -> Result<Option<String>> {
    let Some(app) = world.app() else { return Ok(None) };
    let history = app.db.history_of(world.base.tenant).await?;
    let before = world.history.replace((history, world.restored));
    // A history begins because a database was restored, and for no other reason.
    Ok(match before {
        Some((old, _)) if old != history && world.unsettled == 0 => {
            Some(format!("history {history} began, and nothing was restored"))
        }
        Some((old, _)) if old != history => {
            world.unsettled -= 1;
            None
        }
        _ => None,
    })
}

/// Ends all faults, lets everybody deliver and read, and judges.
pub async fn finale(world: &mut World) -> Result<Violations> {
    let mut violations = Violations::new();
    world.net.heal();
    // Nobody ends any more, whatever was begun.
    world.office_doom.disarm();
    world.start_office().await?;
    if let Some(app) = world.app() {
        app.db.fill_the_disk(false).await?;
    }
    world.net.deliver_late().await;
    for place in 0..world.tills.len() {
        world.set_clock(place, 0);
        world.tills[place].doom.disarm();
        world.start_till(place).await?;
        if let Some(counter) = world.counter(place) {
            counter.fill_the_disk(false).await?;
        }
    }
    // Counters' freezes lapse.
    world.pass(10 * MINUTE).await;
    if let Err(left) = quiet(world).await? {
        violations.push(format!("not everything was delivered: {left}"));
    }
    later::sweep(world).await?;
    violations.extend(parcels::quiet(world).await?);
    world.pass(MINUTE).await;
    if let Err(left) = quiet(world).await? {
        violations.push(format!("not everything was read: {left}"));
    }
    violations.extend(world.net.changed());

    let app = world.app().context("head office is up")?;
    verify::verify(&app.db, |check| {
        for broken in &check.broken {
            violations.push(format!("verify {}: {} {}", check.check, broken.id, broken.what));
        }
    })
    .await?;
    let journals = Journals::read(&app).await?;
    violations.extend(delivered(world, &journals, &excused(world).await?));
    if world.faults.is_calm() {
        for (operation, exception) in &journals.exceptions {
            violations.push(format!("{operation} ended in {exception}, and nothing ever went wrong"));
        }
    }
    let (differences, copies) = copies(world, &app).await?;
    violations.extend(differences);
    let judged = Judged {
        world,
        app: &app,
        journals: &journals,
        copies: &copies,
    };
    violations.extend(kinds::judge(&judged).await?);
    Ok(violations)
}

/// Counters of which nothing more is demanded: a revoked one whose journal forked is for nobody to decide, and one that has
/// delivered asks no more, so that it does not hear of a restore. What they have is theirs, and would have no effect.
async fn excused(world: &World) -> Result<BTreeSet<usize>> {
    let mut excused = BTreeSet::new();
    let Some(app) = world.app() else { return Ok(excused) };
    let mut snapshot = app.db.snapshot().await?;
    for (place, till) in world.tills.iter().enumerate() {
        let known = load_devices(&mut snapshot, world.base.tenant, &[till.device], "").await?;
        let revoked = known.iter().any(|device| device.status == DeviceStatus::Revoked);
        if revoked && (till.torn || world.restored > 0) {
            excused.insert(place);
        }
    }
    Ok(excused)
}

/// Lets every counter exchange until nothing is left; the counters that could not finish otherwise.
async fn quiet(world: &mut World) -> Result<Result<(), String>> {
    let mut left = String::new();
    let excused = excused(world).await?;
    for _ in 0..ROUNDS {
        left.clear();
        for place in 0..world.tills.len() {
            operators::decide(world, place, false).await?;
            for _ in 0..TURNS {
                let Some(counter) = world.counter(place) else { break };
                match counter.sync_turn().await {
                    Ok(Turn::Asked { more: true }) => {}
                    Ok(_) => break,
                    Err(error) => {
                        left.push_str(&format!("{place}: {} ", error.code()));
                        break;
                    }
                }
            }
            let Some(counter) = world.counter(place) else { continue };
            let status = counter.status().await?;
            let waits = status.queue.pending > 0;
            let behind = status
                .placed
                .is_some_and(|placed| placed.resyncing && placed.device_status == DeviceStatus::Active);
            if (waits || behind) && !excused.contains(&place) {
                left.push_str(&format!(
                    "till {place}: {} wait, resyncing {behind}, {:?}; ",
                    status.queue.pending, status.link.problem
                ));
            }
        }
        world.pass(35 * SECOND).await;
        if left.is_empty() {
            // Once more, so that everybody has read what the last one wrote.
            for place in 0..world.tills.len() {
                for _ in 0..TURNS {
                    let Some(counter) = world.counter(place) else { break };
                    if !matches!(counter.sync_turn().await, Ok(Turn::Asked { more: true })) {
                        break;
                    }
                }
            }
            return Ok(Ok(()));
        }
    }
    Ok(Err(left))
}
