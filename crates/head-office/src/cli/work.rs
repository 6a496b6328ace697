//! `seed`, `verify`, `device`, and what a person decides or makes by hand.

use std::process::ExitCode;

use counterfoil_domain::pickups::OrderLine;
use counterfoil_protocol::enrolment::CODE_LASTS;
use jiff::Timestamp;
use serde_json::json;

use super::{
    CliError,
    arguments::work::{DecideDevice, EnrolCode, GrantOptions, NewOrder, Seed},
    print,
};
use crate::{
    admin,
    clock::{Clock, SystemClock, SystemRandom},
    db::{Db, Place},
    seed::{self, Plan},
    stores, verify,
};

/// Opens the database, and makes it when there is none.
pub(super) async fn open_or_make(database: &str) -> Result<Db, CliError> {
    Ok(Db::open(database, &SystemClock, &SystemRandom).await?)
}

/// Opens a database for something that must be in it already: a misspelt name must not leave an empty one behind.
pub(super) async fn open(database: &str) -> Result<Db, CliError> {
    if let Some(file) = Place::parse(database)?.missing() {
        return Err(CliError::input(
            "not_found",
            format!(
                "There is no database file {}. Name it with --database, or begin one with `admin tenant add`.",
                file.display()
            ),
        ));
    }
    open_or_make(database).await
}

pub(super) async fn seed(database: &str, options: &Seed) -> Result<(), CliError> {
    let none = Plan {
        seed: 0,
        stores: 1,
        members: 0,
        coupons: 0,
        pickups: 0,
    };
    let nothing_said = [options.stores, options.members, options.coupons, options.pickups]
        .iter()
        .all(Option::is_none);
    if nothing_said && !options.demo {
        return Err(CliError::input(
            "nothing_to_do",
            "Say how much there is to be with --stores, --members, --coupons, --pickups, or use --demo.",
        ));
    }
    let default = if options.demo { Plan::DEMO } else { none };
    let plan = Plan {
        seed: options.seed,
        stores: options.stores.unwrap_or(default.stores),
        members: options.members.unwrap_or(default.members),
        coupons: options.coupons.unwrap_or(default.coupons),
        pickups: options.pickups.unwrap_or(default.pickups),
    };
    plan.check()?;
    let db = open_or_make(database).await?;
    let seeded = seed::seed(&db, &SystemClock, &SystemRandom, &plan).await?;
    db.close().await;
    if seeded.already_there {
        eprintln!("already there: nothing was added");
    }
    let text = serde_json::to_string(&seeded)
        .map_err(|error| CliError::failed("internal", format!("The answer can't be written: {error}.")))?;
    print(&text)
}

pub(super) async fn verify(database: &str) -> Result<ExitCode, CliError> {
    // Opening would make an empty one, in which nothing is broken.
    if let Some(file) = Place::parse(database)?.missing() {
        return Err(CliError::input(
            "database_missing",
            format!("There is no database file {}. Name it with --database.", file.display()),
        ));
    }
    let db = open(database).await?;
    let mut said = Ok(());
    let holds = verify::verify(&db, |check| {
        if said.is_ok() {
            said = serde_json::to_string(check)
                .map_err(|error| CliError::failed("internal", format!("A check can't be written: {error}.")))
                .and_then(|line| print(&line));
        }
    })
    .await?;
    db.close().await;
    said?;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

pub(super) async fn enrol_code(database: &str, options: &EnrolCode) -> Result<(), CliError> {
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let store = admin::find_store(&db, tenant, &options.store).await?;
    let code = stores::enrol::make_code(&db, &SystemClock, &SystemRandom, tenant, store).await?;
    db.close().await;
    // Scripts take the code as it stands; the rest is for people.
    print(&code)?;
    let until = Timestamp::from_millisecond(SystemClock.now() + CODE_LASTS).map_or_else(
        |_| String::new(),
        |at| format!(", until {}", at.strftime("%H:%M:%S UTC")),
    );
    eprintln!(
        "for one counter of store {}, within {} minutes{until}",
        options.store,
        CODE_LASTS / counterfoil_domain::time::MINUTE
    );
    Ok(())
}

pub(super) async fn decide_device(database: &str, action: DecideDevice) -> Result<(), CliError> {
    let db = open(database).await?;
    let (device, decided) = match action {
        DecideDevice::Revoke(options) => (
            options.device,
            admin::revoke(&db, &SystemClock, &SystemRandom, options.device).await?,
        ),
        DecideDevice::NewEpoch(options) => {
            let device = options.of.device;
            let decided = if options.damaged {
                admin::new_epoch_of_damaged(&db, &SystemClock, &SystemRandom, device).await?
            } else {
                admin::new_epoch(&db, &SystemClock, &SystemRandom, device).await?
            };
            (device, decided)
        }
        DecideDevice::Readmit(options) => {
            let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
            let lost = admin::LostDevice {
                id: options.device,
                store: admin::find_store(&db, tenant, &options.store).await?,
                public_key: &options.public_key,
                name: &options.name,
            };
            (
                lost.id,
                admin::readmit(&db, &SystemClock, &SystemRandom, tenant, &lost).await?,
            )
        }
    };
    db.close().await;
    let line = json!({
        "id": device,
        "status": decided.status,
        "epoch": decided.epoch,
        "changed": decided.changed,
    });
    print(&line.to_string())
}

pub(super) async fn add_order(database: &str, options: NewOrder) -> Result<(), CliError> {
    let lines: Vec<OrderLine> = serde_json::from_str(&options.lines)
        .map_err(|error| CliError::input("malformed", format!("--lines does not read: {error}.")))?;
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let store = admin::find_store(&db, tenant, &options.store).await?;
    let new = admin::NewOrder {
        store,
        number: &options.number,
        code: options.code.as_deref(),
        lines,
        collector: &options.collector,
        member: options.member.as_deref(),
        days: options.days,
    };
    let added = admin::add_order(&db, &SystemClock, &SystemRandom, tenant, &new).await?;
    db.close().await;
    print(&json!({ "id": added.id, "number": options.number, "code": added.code }).to_string())
}

pub(super) async fn grant(database: &str, options: &GrantOptions) -> Result<(), CliError> {
    let db = open(database).await?;
    let tenant = admin::find_tenant(&db, options.tenant.tenant.as_deref()).await?;
    let new = admin::NewGrant {
        member: &options.member,
        template: options.template,
        count: options.count,
    };
    let granted = admin::grant_coupons(&db, &SystemClock, &SystemRandom, tenant, &new).await?;
    db.close().await;
    let coupons: Vec<_> = granted
        .coupons
        .iter()
        .map(|(id, code)| json!({ "id": id, "code": code }))
        .collect();
    print(&json!({ "batch": granted.batch, "coupons": coupons }).to_string())
}
