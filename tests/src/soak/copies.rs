//! Counters' copies against head office's rows.

use std::{collections::BTreeMap, time::Duration, time::Instant};

use counterfoil_domain::ids::{DeviceId, StoreId, TenantId};
use counterfoil_head_office::{
    capabilities,
    feed::{Item, TENANT_FEED, images::Viewer},
};
use serde_json::Value;
use sqlx::{AnyConnection, Connection, Row};

use super::clerk::Clerk;

/// How long reading the feeds to their end may take.
const PATIENCE: Duration = Duration::from_secs(90);

/// What was compared.
#[derive(Default)]
pub struct Compared {
    /// Rows.
    pub rows: usize,
    /// Those that differ, in words.
    pub violations: Vec<String>,
}

/// Who a counter is, and how far it has read.
struct Place {
    tenant: Vec<u8>,
    device: Vec<u8>,
    store: Vec<u8>,
    read: [i64; 2],
}

async fn counter(clerk: &Clerk) -> AnyConnection {
    let file = format!("sqlite:{}/counter.sqlite", clerk.folder.display());
    AnyConnection::connect(&file).await.unwrap()
}

async fn place(counter: &mut AnyConnection) -> Place {
    let row = sqlx::query("SELECT tenant, device, store ->> 'id' AS store, tenant_seq, store_seq FROM identity")
        .fetch_one(counter)
        .await
        .unwrap();
    let store: uuid::Uuid = row.get::<String, _>("store").parse().unwrap();
    Place {
        tenant: row.get("tenant"),
        device: row.get("device"),
        store: store.as_bytes().to_vec(),
        read: [row.get("tenant_seq"), row.get("store_seq")],
    }
}

async fn head(office: &mut AnyConnection, tenant: &[u8], store: &[u8]) -> i64 {
    let number: Option<i64> = sqlx::query_scalar("SELECT number FROM feed_heads WHERE tenant = $1 AND store = $2")
        .bind(tenant.to_vec())
        .bind(store.to_vec())
        .fetch_optional(office)
        .await
        .unwrap();
    number.unwrap_or_default()
}

/// Waits until every counter stands at the end of both its feeds.
pub async fn read_to_the_end(url: &str, clerks: &[Clerk]) -> Vec<String> {
    let mut office = AnyConnection::connect(url).await.unwrap();
    let begun = Instant::now();
    loop {
        let mut behind = Vec::new();
        for clerk in clerks {
            let mut counter = counter(clerk).await;
            let place = place(&mut counter).await;
            counter.close().await.unwrap();
            let heads = [
                head(&mut office, &place.tenant, TENANT_FEED.bytes()).await,
                head(&mut office, &place.tenant, &place.store).await,
            ];
            if place.read != heads {
                let folder = clerk.folder.display();
                behind.push(format!("{folder} has read to {:?} of {heads:?}", place.read));
            }
        }
        if behind.is_empty() || begun.elapsed() > PATIENCE {
            return behind;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Compares every row that counters hold by the feed.
pub async fn compare(url: &str, clerks: &[Clerk]) -> Compared {
    let mut compared = Compared::default();
    let mut office = AnyConnection::connect(url).await.unwrap();
    for clerk in clerks {
        let mut counter = counter(clerk).await;
        let place = place(&mut counter).await;
        // What was only asked for may have changed without a word. Products alone are filed by something else than feeds
        // call them by.
        let rows = sqlx::query(
            "SELECT entity, id, image FROM replica WHERE asked = 0 AND entity <> 'product' ORDER BY entity, id",
        )
        .fetch_all(&mut counter)
        .await
        .unwrap();
        let held: BTreeMap<(String, Vec<u8>), Value> = rows
            .iter()
            .map(|row| {
                let image = serde_json::from_str(&row.get::<String, _>("image")).unwrap();
                ((row.get("entity"), row.get("id")), image)
            })
            .collect();
        let truth = truth(&mut office, &place, held.keys()).await;
        for (key, image) in &held {
            let folder = clerk.folder.display();
            match truth.get(key) {
                None => compared
                    .violations
                    .push(format!("{folder} holds a {} that does not exist", key.0)),
                Some(right) if !alike(image, right) => compared
                    .violations
                    .push(format!("{folder} holds a stale {}: {image}, and it is {right}", key.0)),
                Some(_) => {}
            }
        }
        compared.rows += held.len();
    }
    compared
}

async fn truth(
    office: &mut AnyConnection,
    place: &Place,
    keys: impl Iterator<Item = &(String, Vec<u8>)>,
) -> BTreeMap<(String, Vec<u8>), Value> {
    let viewer = Viewer {
        store: StoreId::from_bytes(&place.store).unwrap(),
        device: DeviceId::from_bytes(&place.device).unwrap(),
        now: 0,
    };
    let tenant = TenantId::from_bytes(&place.tenant).unwrap();
    let mut truth = BTreeMap::new();
    for key in keys {
        let item = Item::parse(&key.0, &key.1).unwrap();
        let found = capabilities::gallery().load(office, tenant, &[item], viewer).await;
        for row in found.unwrap() {
            let mut image = serde_json::to_value(row.image).unwrap()["row"].take();
            if let Some(limits) = image.get_mut("limits") {
                image = limits.take();
            }
            truth.insert(key.clone(), image);
        }
    }
    truth
}

/// Versions count steps that are told to nobody, and a counter's freeze is one of these.
fn alike(held: &Value, right: &Value) -> bool {
    let frozen = |image: &Value| image["state"] == "frozen" || !image["freeze"].is_null();
    let leave_out: &[&str] = if frozen(held) || frozen(right) {
        &["version", "state", "freeze", "until", "device", "operation", "at"]
    } else {
        &["version"]
    };
    let plain = |image: &Value| {
        let mut image = image.clone();
        if let Some(fields) = image.as_object_mut() {
            for field in leave_out {
                fields.remove(*field);
            }
        }
        image
    };
    plain(held) == plain(right)
}
