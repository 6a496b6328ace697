//! Whether counters hold what head office has.

use std::collections::BTreeMap;

use anyhow::Result;
use counterfoil_domain::{
    ids::{CouponId, MemberId, OperationId, OrderId},
    time::Millis,
    transition::DeviceStatus,
};
use counterfoil_head_office::{App, capabilities, coupons, feed::Item, feed::images::Viewer, members, sales, stores};
use counterfoil_protocol::sync::Image;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, Row};

use super::{Violations, quiet, uses::Journals};
use crate::{base::till_folder, world::World};

pub(super) type Copy = BTreeMap<(String, Vec<u8>), (Value, bool)>;

/// A counter's rows: the image, and whether it was only asked for.
pub(super) async fn held(folder: &std::path::Path) -> Result<Copy> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("counter.sqlite"));
    let mut db = options.connect().await?;
    let rows = sqlx::query(
        "SELECT entity, id, image, asked FROM replica WHERE entity IN ('coupon', 'order', 'sale', 'member') ORDER BY entity, id",
    )
    .fetch_all(&mut db)
    .await?;
    db.close().await?;
    let mut copy = Copy::new();
    for row in &rows {
        let image: Value = serde_json::from_str(&row.try_get::<String, _>("image")?)?;
        let asked: i64 = row.try_get("asked")?;
        copy.insert((row.try_get("entity")?, row.try_get("id")?), (image, asked != 0));
    }
    Ok(copy)
}

/// A counter's own freeze is told to nobody and is over after five minutes: lapsed, it is none.
pub(super) fn without_lapsed(mut image: Value, now: Millis) -> Value {
    if image["state"] == "frozen" && image["until"].as_i64().is_some_and(|until| until <= now) {
        image["state"] = "available".into();
        for field in ["freeze", "until", "device"] {
            if let Some(row) = image.as_object_mut() {
                row.remove(field);
            }
        }
    }
    if image["state"] == "ready"
        && image["freeze"]["until"].as_i64().is_some_and(|until| until <= now)
        && let Some(row) = image.as_object_mut()
    {
        row.remove("freeze");
    }
    if let Some(row) = image.as_object_mut() {
        // A step that is told to nobody counts all the same.
        row.remove("version");
    }
    image
}

/// Every counter holds what head office has, of what it holds; and a new counter that reads everything from the
/// beginning holds the same.
pub(super) async fn copies(world: &mut World, app: &App, journals: &Journals) -> Result<Violations> {
    let mut violations = Violations::new();
    let places = world.tills.len();
    let mut fresh = BTreeMap::new();
    for store in 0..world.base.stores.len() {
        let code = stores::enrol::make_code(
            &app.db,
            app.clock.as_ref(),
            app.random.as_ref(),
            world.base.tenant,
            world.base.stores[store],
        )
        .await?;
        let folder = till_folder(world.folder.path(), 100 + store);
        world.new_till(folder, store, &code).await?;
        fresh.insert(store, world.tills.len() - 1);
    }
    // Whoever joined is told of; everybody reads to the end.
    if let Err(left) = quiet(world).await? {
        violations.push(format!("a new counter could not read everything: {left}"));
    }
    let now = world.time.now();
    for place in 0..world.tills.len() {
        world.stop_till(place).await?;
    }
    for place in 0..places {
        let till = &world.tills[place];
        let (store, device) = (till.store, till.device);
        let mut snapshot = app.db.snapshot().await?;
        let known = stores::rows::load_devices(&mut snapshot, world.base.tenant, &[device], "").await?;
        drop(snapshot);
        if till.retired || known.first().is_none_or(|device| device.status != DeviceStatus::Active) {
            continue;
        }
        let copy = held(&till.folder).await?;
        violations.extend(true_to(world, app, place, &copy, now).await?);
        violations.extend(journals.told(world, app, place, &copy).await?);
        let anew = held(&world.tills[fresh[&store]].folder).await?;
        violations.extend(alike(place, &copy, &anew, now));
    }
    Ok(violations)
}

pub(super) async fn true_to(world: &World, app: &App, place: usize, copy: &Copy, now: Millis) -> Result<Violations> {
    let mut violations = Violations::new();
    let tenant = world.base.tenant;
    let viewer = Viewer {
        store: world.store(place),
        device: world.tills[place].device,
        now,
    };
    let mut snapshot = app.db.snapshot().await?;
    let mut items = Vec::new();
    for (entity, id) in copy.keys() {
        items.push(match entity.as_str() {
            "coupon" => Item::Coupon(CouponId::from_bytes(id)?),
            "order" => Item::Order(OrderId::from_bytes(id)?),
            "sale" => Item::Sale(OperationId::from_bytes(id)?),
            _ => Item::Member(MemberId::from_bytes(id)?),
        });
    }
    let mut truth: BTreeMap<(String, Vec<u8>), Value> = BTreeMap::new();
    for row in capabilities::gallery()
        .load(&mut snapshot, tenant, &items, viewer)
        .await?
    {
        let (entity, id, image) = match row.image {
            Image::Coupon(row) => ("coupon", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            Image::Order(row) => ("order", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            Image::Sale(row) => ("sale", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            Image::Member(row) => ("member", row.id.bytes().to_vec(), serde_json::to_value(row)?),
            _ => continue,
        };
        truth.insert((entity.to_owned(), id), image);
    }
    for (key, (image, asked)) in copy {
        // What was only asked for may have changed without a word.
        if *asked {
            continue;
        }
        let Some(right) = truth.get(key) else {
            violations.push(format!("till {place} holds a {} that does not exist", key.0));
            continue;
        };
        let (image, right) = (without_lapsed(image.clone(), now), without_lapsed(right.clone(), now));
        if image != right {
            violations.push(format!("till {place} holds a stale {}: {image} and is {right}", key.0));
        }
    }
    // What its store holds by right.
    let store = world.store(place);
    for (member, number) in &world.base.members {
        let found = members::rows::load(&mut snapshot, tenant, &[*member], "").await?;
        if !found.iter().any(|(_, member)| member.recent_stores.contains(&store)) {
            continue;
        }
        if !copy.contains_key(&("member".to_owned(), member.bytes().to_vec())) {
            violations.push(format!("till {place} does not hold member {number}"));
        }
        for coupon in coupons::rows::of_member(&mut snapshot, tenant, *member, 200).await? {
            if !copy.contains_key(&("coupon".to_owned(), coupon.id.bytes().to_vec())) {
                violations.push(format!(
                    "till {place} does not hold coupon {} of member {number}",
                    coupon.code
                ));
            }
        }
    }
    for sale in sales::rows::list(&mut snapshot, tenant, Some(store), None, 500).await? {
        if !copy.contains_key(&("sale".to_owned(), sale.id.bytes().to_vec())) {
            violations.push(format!("till {place} does not hold sale {}", sale.id));
        }
    }
    Ok(violations)
}

pub(super) fn alike(place: usize, copy: &Copy, anew: &Copy, now: Millis) -> Violations {
    let mut violations = Violations::new();
    for (key, (image, asked)) in copy {
        if *asked {
            continue;
        }
        match anew.get(key) {
            None => violations.push(format!("till {place} holds a {} that the feed does not lead to", key.0)),
            Some((other, _)) => {
                let (image, other) = (without_lapsed(image.clone(), now), without_lapsed(other.clone(), now));
                // Each device sees its own freezes.
                if image != other && image["state"] != "frozen" {
                    violations.push(format!("till {place} holds {image}, and read anew it is {other}"));
                }
            }
        }
    }
    for key in anew.keys() {
        if !copy.contains_key(key) {
            violations.push(format!("till {place} lacks a {} that the feed leads to", key.0));
        }
    }
    violations
}
