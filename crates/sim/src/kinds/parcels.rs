//! Parcels: what is to be sent, the warehouse's hands, messages and errands, and a carrier that does what carriers do.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use counterfoil_domain::{
    ids::ParcelId,
    time::{DAY, MINUTE},
};
use counterfoil_head_office::{
    carriers::sandbox::Fault,
    fulfilment::{carrier_key, errands},
    outbox,
    processes::Role,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use uuid::Uuid;

use super::{Kind, questions::post};
use crate::{
    judge::{Judged, Violations},
    step::Making,
    world::{Question, World},
};

/// Numbers of orders that are to be sent.
const ORDERS: usize = 8;
/// Turns in which everything that is due is done.
const TURNS: usize = 60;

/// Something that was bought online is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ship {
    order: usize,
    lines: usize,
}

impl Kind for Ship {
    const WEIGHT: u32 = 8;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            order: making.dice.usize(..ORDERS),
            lines: making.dice.usize(1..4),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let now = world.time.now();
        let lines: Vec<_> = (0..self.lines)
            .map(|n| json!({ "sku": format!("L-{n}"), "name": "Tea", "quantity": n + 2 }))
            .collect();
        let body = json!({
            "source": format!("S-{}-{}", self.order, now / (2 * DAY)), "member": null, "lines": lines,
            "address": { "recipient": "王", "phone": "13800001234", "region": "上海", "street": "1" },
        });
        let key = format!("ship-{}-{}-{}", self.order, self.lines, now / (15 * MINUTE));
        let token = world.base.operator.clone();
        post(
            world,
            &token,
            key,
            Question::new("/v1/shipments".into(), body, now),
            None,
        )
        .await
    }
}

/// What the warehouse does with a parcel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Work {
    Waybill,
    Pack,
    Split,
    HandOver,
    Returned,
    Lost,
    Address,
    Cancel,
    CancelAll,
}

/// The warehouse does something with one of the parcels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parcel {
    nth: usize,
    hand: Work,
}

impl Kind for Parcel {
    const WEIGHT: u32 = 100;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            nth: making.dice.usize(..4),
            hand: match making.dice.u8(..16) {
                0 => Work::Waybill,
                1..=4 => Work::Pack,
                5 => Work::Split,
                6..=9 => Work::HandOver,
                10 => Work::Returned,
                11 => Work::Lost,
                12..=13 => Work::Address,
                14 => Work::Cancel,
                _ => Work::CancelAll,
            },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let parcels: Vec<(Vec<u8>, Vec<u8>)> = {
            let mut reader = app.db.reader().acquire().await?;
            sqlx::query_as(
                "SELECT id, shipment FROM parcels WHERE state IN ('waiting', 'packed', 'handed_over') ORDER BY id DESC",
            )
            .fetch_all(&mut *reader)
            .await?
        };
        drop(app);
        // Lately made ones are the most likely to wait.
        let Some((parcel, shipment)) = parcels.get(self.nth % parcels.len().max(1)) else {
            return Ok("no parcel".into());
        };
        let id = Uuid::from_slice(parcel)?;
        let of = Uuid::from_slice(shipment)?;
        let (path, body) = match self.hand {
            Work::Waybill => {
                let number = format!("SIM{}", hex::encode(&parcel[10..]));
                let body = json!({ "carrier": "shunfeng", "number": number });
                (format!("parcels/{id}/waybill"), body)
            }
            Work::Pack => (format!("parcels/{id}/pack"), json!({})),
            Work::Split => {
                let out = json!({ "lines": [{ "line": 0, "quantity": 1 }] });
                (format!("parcels/{id}/split"), out)
            }
            Work::HandOver => (format!("parcels/{id}/hand-over"), json!({})),
            Work::Returned => (format!("parcels/{id}/settle"), json!({ "outcome": "returned" })),
            Work::Lost => (format!("parcels/{id}/settle"), json!({ "outcome": "lost" })),
            Work::Address => {
                let street = format!("{}", self.nth + 2);
                let body = json!({ "recipient": "王", "phone": "13800001234", "region": "上海", "street": street });
                (format!("shipments/{of}/address"), body)
            }
            Work::Cancel => (format!("parcels/{id}/cancel"), json!({})),
            Work::CancelAll => (format!("shipments/{of}/cancel"), json!({})),
        };
        let now = world.time.now();
        let token = world.base.operator.clone();
        let question = Question::new(format!("/v1/{path}"), body, now);
        let key = format!("{:?}-{id}-{}", self.hand, now / (15 * MINUTE));
        post(world, &token, key, question, None).await
    }
}

/// Messages are handed over, and errands done, as far as they are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispatch;

impl Kind for Dispatch {
    const WEIGHT: u32 = 60;

    fn make(_: &mut Making<'_>, _: usize) -> Self {
        Self
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(app) = world.app() else {
            return Ok("down".into());
        };
        let consumers = outbox::consumers(&app, &Role::ALL);
        let handed = outbox::turn(&app, &consumers).await;
        let errands = errands::turn(&app).await;
        Ok(match (handed, errands) {
            (Ok(handed), Ok(errands)) => format!("{handed} handed over, {errands} errands"),
            _ => "error".into(),
        })
    }

    /// Whatever is shipped arrives at its end: one request, one waybill a parcel, and what came back is known of.
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let mut violations = messages(judged).await?;
        violations.extend(waybills(judged).await?);
        Ok(violations)
    }
}

/// A question to the carrier goes wrong, or what hung there is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarrierTrouble {
    /// Nothing: what hangs is done.
    fault: Option<Fault>,
}

impl Kind for CarrierTrouble {
    const WEIGHT: u32 = 30;
    const FAULT: Option<&'static str> = Some("carrier");

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            fault: match making.dice.u8(..8) {
                0..=1 => None,
                2 => Some(Fault::Hang),
                3 => Some(Fault::Fail),
                4..=5 => Some(Fault::Twice),
                6 => Some(Fault::Lose),
                _ => Some(Fault::Refuse),
            },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let Some(fault) = self.fault else {
            return Ok(format!("{} done late", world.carrier.release()));
        };
        world.carrier.plan(fault);
        Ok("planned".into())
    }
}

/// Ends the carrier's faults and does everything that is due, until nothing is; what is left otherwise.
pub async fn quiet(world: &mut World) -> Result<Violations> {
    world.carrier.heal();
    world.carrier.release();
    for _ in 0..TURNS {
        let Some(app) = world.app() else { break };
        Dispatch.perform(world).await?;
        let left: i64 = {
            let mut reader = app.db.reader().acquire().await?;
            sqlx::query_scalar(
                "SELECT (SELECT COUNT(*) FROM outbox WHERE status <> 'confirmed') \
                 + (SELECT COUNT(*) FROM parcel_generations WHERE errand IS NOT NULL)",
            )
            .fetch_one(&mut *reader)
            .await?
        };
        if left == 0 {
            return Ok(Violations::new());
        }
        world.pass(MINUTE).await;
    }
    Ok(vec!["messages or errands are left, however often they are done".into()])
}

/// Every message came to what it asks for.
async fn messages(judged: &Judged<'_>) -> Result<Violations> {
    let mut snapshot = judged.app.db.snapshot().await?;
    let mut violations = Violations::new();
    let shipments: BTreeMap<String, (String, bool)> = sqlx::query(
        "SELECT s.source, COALESCE(p.state, 'none') AS state, s.cancelled_at IS NOT NULL AS cancelled FROM shipments s \
         LEFT JOIN parcels p ON p.tenant = s.tenant AND p.shipment = s.id WHERE s.kind = 'exchange'",
    )
    .fetch_all(&mut *snapshot)
    .await?
    .iter()
    .map(|row| {
        let cancelled: i64 = row.try_get("cancelled")?;
        Ok((row.try_get("source")?, (row.try_get("state")?, cancelled == 1)))
    })
    .collect::<Result<_>>()?;
    let exchanges: Vec<(Vec<u8>, String)> = sqlx::query_as(
        "SELECT id, status FROM exchanges WHERE address IS NOT NULL AND confirmed_at IS NOT NULL ORDER BY id",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    for (id, status) in exchanges {
        let id = Uuid::from_slice(&id)?;
        let Some((state, cancelled)) = shipments.get(&id.to_string()) else {
            violations.push(format!("exchange {id} is confirmed, and nobody sends it"));
            continue;
        };
        let due = match (state.as_str(), *cancelled) {
            ("returned", _) | ("cancelled", true) => "returned",
            ("lost", _) => "lost",
            _ => "confirmed",
        };
        if status != due {
            violations.push(format!("exchange {id} is {status}, and its parcel {state}"));
        }
    }
    Ok(violations)
}

/// A parcel that goes anywhere has one waybill, and the carrier knows of no other.
async fn waybills(judged: &Judged<'_>) -> Result<Violations> {
    let mut violations = Violations::new();
    // What a restored head office has forgotten may travel still.
    if judged.world.restored > 0 {
        return Ok(violations);
    }
    let mut snapshot = judged.app.db.snapshot().await?;
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
    let rows = sqlx::query(
        "SELECT p.id, p.generation, p.state, w.carrier, w.number FROM parcels p \
         LEFT JOIN waybills w ON w.tenant = p.tenant AND w.parcel = p.id AND w.status = 'live' ORDER BY p.id",
    )
    .fetch_all(&mut *snapshot)
    .await?;
    for row in &rows {
        let id: Vec<u8> = row.try_get("id")?;
        let id = ParcelId(Uuid::from_slice(&id)?);
        let state: String = row.try_get("state")?;
        let number: Option<String> = row.try_get("number")?;
        match number {
            None if state != "cancelled" => violations.push(format!("parcel {id} is {state} without a waybill")),
            Some(number) if row.try_get::<String, _>("carrier")? == "sandbox" => {
                wanted.insert(carrier_key(id, row.try_get("generation")?), number);
            }
            _ => {}
        }
    }
    let had = judged.world.carrier.waybills();
    for (key, ordered) in &had {
        let live: Vec<&String> = ordered
            .iter()
            .filter(|one| !one.cancelled)
            .map(|one| &one.number)
            .collect();
        let wanted: Vec<&String> = wanted.get(key).into_iter().collect();
        if live != wanted {
            violations.push(format!("the carrier has {live:?} of {key}, and {wanted:?} is wanted"));
        }
    }
    for (key, number) in &wanted {
        had.get(key)
            .with_context(|| format!("waybill {number} of {key}: the carrier never had one"))?;
    }
    Ok(violations)
}
