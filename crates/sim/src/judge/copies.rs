//! Whether counters hold what head office has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use counterfoil_domain::{time::Millis, transition::DeviceStatus};
use counterfoil_head_office::{
    App, capabilities,
    feed::{self, Head, Item, TENANT_FEED, images::Viewer},
    stores,
};
use serde::Deserialize;
use serde_json::Value;
use sqlx::{ConnectOptions, Connection, Row};
use uuid::Uuid;

use super::{Violations, quiet};
use crate::{base::till_folder, world::World};

/// What a counter holds: by the word of its kind and its key, the image, and whether it was only asked for.
pub type Copy = BTreeMap<(String, Vec<u8>), (Value, bool)>;

/// The rows of all kinds.
async fn held(folder: &std::path::Path) -> Result<Copy> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("counter.sqlite"));
    let mut db = options.connect().await?;
    let rows = sqlx::query("SELECT entity, id, image, asked FROM replica ORDER BY entity, id")
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
fn without_lapsed(mut image: Value, now: Millis) -> Value {
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
pub(super) async fn copies(world: &mut World, app: &App) -> Result<(Violations, BTreeMap<usize, Copy>)> {
    let mut violations = Violations::new();
    let places = world.tills.len();
    let mut fresh = BTreeMap::new();
    let mut copies = BTreeMap::new();
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
        let anew = held(&world.tills[fresh[&store]].folder).await?;
        violations.extend(alike(place, &copy, &anew, now));
        copies.insert(place, copy);
    }
    Ok((violations, copies))
}

/// Everything that the feeds tell this store of, as this device may see it.
#[derive(Debug, Default)]
struct Truth {
    rows: Vec<(String, Value)>,
    /// Places of the rows in which a field is this, by their kind.
    named: BTreeMap<(String, String), Vec<usize>>,
}

impl Truth {
    async fn read(world: &World, app: &App, place: usize, now: Millis) -> Result<Self> {
        let (tenant, store) = (world.base.tenant, world.store(place));
        let mut snapshot = app.db.snapshot().await?;
        let mut items = BTreeSet::new();
        for feed in [TENANT_FEED, store] {
            let piece = feed::read(&mut snapshot, tenant, feed, Head::default(), i64::MAX - 1).await?;
            items.extend(piece.items);
        }
        let items: Vec<Item> = items.into_iter().collect();
        let viewer = Viewer {
            store,
            device: world.tills[place].device,
            now,
        };
        let mut truth = Self::default();
        for row in capabilities::gallery()
            .load(&mut snapshot, tenant, &items, viewer)
            .await?
        {
            let Tagged { entity, row } = serde_json::from_value(serde_json::to_value(row.image)?)?;
            for field in row.as_object().into_iter().flat_map(|row| row.values()) {
                let places = truth.named.entry((entity.clone(), field.to_string())).or_default();
                places.push(truth.rows.len());
            }
            truth.rows.push((entity, row));
        }
        Ok(truth)
    }

    /// Rows of this kind that have all parts of this key, as counters file them, among their fields.
    fn find(&self, entity: &str, key: &[u8]) -> Vec<&Value> {
        let has = |part: &Value| -> BTreeSet<usize> {
            let places = self.named.get(&(entity.to_owned(), part.to_string()));
            places.into_iter().flatten().copied().collect()
        };
        let mut found = BTreeSet::new();
        for parts in readings(key) {
            let mut places = parts.iter().map(has);
            let first = places.next().unwrap_or_default();
            found.extend(places.fold(first, |all, some| &all & &some));
        }
        found.into_iter().map(|place| &self.rows[place].1).collect()
    }
}

/// A row as it is sent.
#[derive(Debug, Deserialize)]
struct Tagged {
    entity: String,
    row: Value,
}

/// What the bytes of a key may be: an id, an id and a number, a number, a word.
fn readings(key: &[u8]) -> Vec<Vec<Value>> {
    let mut readings: Vec<Vec<Value>> = Vec::new();
    if let Some((id, rest)) = key.split_first_chunk() {
        let mut parts = vec![Uuid::from_bytes(*id).to_string().into()];
        if let Ok(number) = rest.try_into() {
            parts.push(i64::from_be_bytes(number).into());
        }
        if rest.is_empty() || parts.len() > 1 {
            readings.push(parts);
        }
    }
    readings.extend(
        key.try_into()
            .ok()
            .map(|number| vec![u32::from_be_bytes(number).into()]),
    );
    readings.extend(std::str::from_utf8(key).ok().map(|word| vec![word.into()]));
    readings
}

async fn true_to(world: &World, app: &App, place: usize, copy: &Copy, now: Millis) -> Result<Violations> {
    let mut violations = Violations::new();
    let truth = Truth::read(world, app, place, now).await?;
    for ((entity, key), (image, asked)) in copy {
        // What was only asked for may have changed without a word.
        if *asked {
            continue;
        }
        let found = truth.find(entity, key);
        if found.is_empty() {
            violations.push(format!("till {place} holds a {entity} that does not exist"));
            continue;
        }
        let image = without_lapsed(image.clone(), now);
        // What is the only one of its kind in a store is filed without saying whose it is.
        let alone = found.iter().filter_map(|row| row.get(entity));
        let mut rights = found.iter().copied().chain(alone);
        if !rights.any(|right| without_lapsed(right.clone(), now) == image) {
            violations.push(format!("till {place} holds a stale {entity}: {image} and is {found:?}"));
        }
    }
    Ok(violations)
}

fn alike(place: usize, copy: &Copy, anew: &Copy, now: Millis) -> Violations {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{base::Base, step::Faults};

    /// Whatever kinds of rows there are: another image is seen, and another key.
    #[tokio::test]
    async fn every_kind_of_row_is_compared() {
        let base = Arc::new(Base::make().await.unwrap());
        let mut world = World::new(1, base, Faults::none()).await.unwrap();
        world.stop_till(0).await.unwrap();
        let (app, now) = (world.app().unwrap(), world.time.now());
        let copy = held(&world.tills[0].folder).await.unwrap();
        let none = Violations::new();
        assert_eq!(true_to(&world, &app, 0, &copy, now).await.unwrap(), none);
        let held: BTreeSet<&String> = copy.keys().map(|(entity, _)| entity).collect();
        let truth = Truth::read(&world, &app, 0, now).await.unwrap();
        assert_eq!(held, truth.rows.iter().map(|(entity, _)| entity).collect());
        assert!(held.len() > 5, "{held:?}");
        for entity in held {
            let (key, (image, asked)) = copy.iter().find(|((other, _), _)| other == entity).unwrap();
            let one = |key: (String, Vec<u8>), image: Value| Copy::from([(key, (image, *asked))]);
            let mut changed = image.clone();
            changed["changed"] = true.into();
            let said = true_to(&world, &app, 0, &one(key.clone(), changed), now).await.unwrap();
            assert!(
                said.len() == 1 && said[0].contains(&format!("a stale {entity}")),
                "{said:?}"
            );
            let mut elsewhere = key.clone();
            elsewhere.1[0] ^= 1;
            let said = true_to(&world, &app, 0, &one(elsewhere, image.clone()), now)
                .await
                .unwrap();
            assert_eq!(said, [format!("till 0 holds a {entity} that does not exist")]);
        }
        world.end().await.unwrap();
    }
}
