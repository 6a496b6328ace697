//! What each step does, by what a person or a program would call.

mod desk;
mod machines;
mod office;

use std::collections::BTreeSet;

use anyhow::Result;
use counterfoil_counter::{Input, MemberAnswer};

use crate::{
    hostile,
    step::{At, Step, What},
    world::{World, pick},
};
use desk::{redeem, sell, sync, take_back, void};
pub use machines::sweep;
use machines::{back_up, clone, copy_till, restore, set_back};
pub use office::decide;
use office::{ask_again, claim, grant, in_one_group, online, supply};

/// Exchanges that deliver and read everything, as a rule.
const ENOUGH: u32 = 5;

/// Coupons and orders that a sweep looks at.
const SWEPT: i64 = 500;

/// Does one step; what came of it, in words that are the same in every run.
pub async fn perform(world: &mut World, step: &Step) -> Result<String> {
    // Who is online delivers at once, and has heard of what others did within a second.
    let online = step.what.till().filter(|_| world.faults.is_calm());
    if let Some(till) = online {
        sync(world, till % world.tills.len(), ENOUGH).await?;
    }
    // Whoever wants to use a counter that is off switches it on.
    if let Some(till) = step.what.till() {
        world.start_till(till % world.tills.len()).await?;
    }
    world.net.plan(&step.fates);
    let done = what(world, &step.what).await?;
    world.net.plan(&[]);
    if let Some(till) = online {
        sync(world, till % world.tills.len(), ENOUGH).await?;
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

async fn what(world: &mut World, what: &What) -> Result<String> {
    let tills = world.tills.len();
    match what {
        What::Redeem { till, coupon } => {
            let code = pick(&world.coupons, *coupon).to_owned();
            redeem(world, till % tills, Input::CouponCode(code), "redeem").await
        }
        What::Collect { till, order } => {
            let code = pick(&world.orders, *order).to_owned();
            redeem(world, till % tills, Input::PickupCode(code), "collect").await
        }
        What::Sell {
            till,
            skus,
            member,
            coupons,
        } => sell(world, till % tills, skus, *member, coupons).await,
        What::Void { till, back } => void(world, till % tills, *back).await,
        What::Return { till, back, units } => take_back(world, till % tills, *back, *units).await,
        What::Guess { till, code } => {
            redeem(world, till % tills, Input::PickupCode(format!("{code:08}")), "guess").await
        }
        What::Greet { till, member } => {
            let place = till % tills;
            let number = world.base.members[member % world.base.members.len()].1.clone();
            let Some(counter) = world.counter(place) else {
                return Ok("down".into());
            };
            let found = counter.find_member(&Input::MemberNumber(number)).await;
            Ok(match found {
                Ok(MemberAnswer::Found(card)) => format!("{} coupons", card.coupons.len()),
                Ok(MemberAnswer::Unknown(_)) => "unknown".into(),
                Err(error) => error.code().into(),
            })
        }
        What::Sync { till, turns } => sync(world, till % tills, *turns).await,
        What::Together {
            tills: together,
            revoke,
        } => {
            let places: BTreeSet<usize> = together.iter().map(|till| till % tills).collect();
            in_one_group(world, &places.into_iter().collect::<Vec<_>>(), *revoke).await
        }
        What::Wait { ms } => {
            world.pass(*ms).await;
            Ok(String::new())
        }
        What::Order { order, step, coupons } => online(world, *order, *step, coupons).await,
        What::AskAgain { question } => ask_again(world, *question).await,
        What::Claim { member } => claim(world, *member).await,
        What::Grant { member, like } => grant(world, *member, *like).await,
        What::Supply { store, member } => supply(world, *store, *member).await,
        What::Sweep => sweep(world).await,
        What::Deliver => {
            let late = world.net.late();
            world.net.deliver_late().await;
            Ok(format!("{late} late"))
        }
        What::KillOffice { at: At { nth, after } } => {
            if world.app().is_some() {
                world.office_doom.arm(*nth, *after);
                world.count("crash_office");
            }
            Ok(String::new())
        }
        What::StartOffice => {
            world.start_office().await?;
            Ok(String::new())
        }
        What::KillTill {
            till,
            at: At { nth, after },
        } => {
            world.tills[till % tills].doom.arm(*nth, *after);
            world.count("crash_till");
            Ok(String::new())
        }
        What::StartTill { till } => {
            world.start_till(till % tills).await?;
            Ok(String::new())
        }
        What::Cut { till, cut } => {
            world.net.cut(till % tills, *cut);
            if *cut {
                world.count("cut");
            }
            Ok(String::new())
        }
        What::BackUp => back_up(world).await,
        What::Restore => restore(world).await,
        What::CopyTill { till } => copy_till(world, till % tills).await,
        What::SetTillBack { till } => set_back(world, till % tills).await,
        What::Clone { till } => clone(world, till % tills).await,
        What::SetClock { till, off } => {
            world.set_clock(till % tills, *off);
            world.count("clock");
            Ok(String::new())
        }
        What::Revoke { till } => decide(world, till % tills, true).await,
        What::Decide { till } => decide(world, till % tills, false).await,
        What::FillOffice { full } => {
            let Some(app) = world.app() else {
                return Ok("down".into());
            };
            if world.office_full != *full {
                app.db.fill_the_disk(*full).await?;
                world.office_full = *full;
                if *full {
                    world.count("disk_office");
                }
            }
            Ok(String::new())
        }
        What::FillTill { till, full } => {
            let place = till % tills;
            let Some(counter) = world.counter(place) else {
                return Ok("down".into());
            };
            counter.fill_the_disk(*full).await?;
            world.tills[place].full = *full;
            if *full {
                world.count("disk_till");
            }
            Ok(String::new())
        }
        What::Attack { attack, coupon } => {
            world.count("hostile");
            hostile::attack(world, *attack, *coupon).await
        }
    }
}
