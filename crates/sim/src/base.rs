//! The chain that every simulation begins with: made once, copied for each.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicI64},
};

use anyhow::{Context, Result, bail};
use argon2::password_hash::PasswordHasher;
use axum::http::Method;
use counterfoil_counter::{Counter, Parts};
use counterfoil_domain::ids::{AddressId, MemberId, StoreId, TemplateId, TenantId};
use counterfoil_head_office::{
    App, admin, capabilities,
    carriers::setting::{self, Adapter, NewSetting},
    db::Db,
    fulfilment::{
        Address,
        addresses::{self, Kept},
    },
    jobs,
    seed::{self, Plan},
    stores,
};
use serde_json::{Value, json};
use sqlx::Row;
use tempfile::TempDir;
use zeroize::Zeroizing;

use crate::{
    ambient::{Dice, Doom, OfficeClock, START, TillClock, Time},
    net::{Call, Net, Reached, Wire},
};

/// Devices of each store.
pub const DEVICES: [usize; 3] = [3, 2, 2];
/// Coupons that members may claim.
const CLAIMABLE: u64 = 400;
/// Printed coupons that end after two days.
const ENDING: u64 = 12;
/// How many of them are among those that most meet over.
const MET: usize = 3;
/// The PIN of everybody.
pub const PIN: &str = "246810";
/// Where every counter believes head office to be.
pub const ADDRESS: &str = "http://head-office.test";
/// Head office's file in a world's folder.
pub const FILE: &str = "head-office.db";

/// What was made.
#[derive(Debug)]
pub struct Base {
    pub folder: TempDir,
    pub tenant: TenantId,
    pub stores: Vec<StoreId>,
    /// Numbers of members.
    pub members: Vec<(MemberId, String)>,
    /// Codes of coupons.
    pub coupons: Vec<String>,
    /// Codes of pickup orders.
    pub orders: Vec<String>,
    pub skus: Vec<String>,
    /// A template that members may claim.
    pub claimable: TemplateId,
    pub operator: String,
    pub link_key: [u8; 32],
    /// Gifts: one that is collected, one that costs money besides, one that is shipped.
    pub gifts: Vec<String>,
    /// An address of each member.
    pub addresses: Vec<AddressId>,
}

/// A folder for the world's files: in memory where there is one, so that a sync costs nothing.
pub fn folder() -> Result<TempDir> {
    let shm = Path::new("/dev/shm");
    let made = if shm.is_dir() {
        tempfile::Builder::new().prefix("counterfoil-sim-").tempdir_in(shm)
    } else {
        tempfile::tempdir()
    };
    made.context("no folder for the simulation")
}

/// The folder of a counter.
pub fn till_folder(world: &Path, till: usize) -> PathBuf {
    world.join(format!("till-{till}"))
}

impl Base {
    /// Makes the chain and enrols its counters, over the real routes.
    pub async fn make() -> Result<Self> {
        let folder = folder()?;
        let time = Time::at(START);
        let (clock, dice) = (Arc::new(OfficeClock(time.clone())), Arc::new(Dice::new(0, 1)));
        let url = format!("sqlite:{}/{FILE}", folder.path().display());
        let db = Db::open_with(&url, clock.as_ref(), dice.as_ref(), 1, None).await?;
        let plan = Plan {
            stores: DEVICES.len() as u64,
            members: 9,
            coupons: 90,
            pickups: 30,
            ..Plan::DEMO
        };
        seed::seed(&db, clock.as_ref(), dice.as_ref(), &plan).await?;
        let app = App::on(db, clock.clone(), dice.clone(), false);
        let tenant = admin::find_tenant(&app.db, Some(seed::TENANT)).await?;
        cheap_pins(&app).await?;
        let mut base = Self::look(&app, tenant, folder).await?;

        let net = Arc::new(Net::default());
        net.connect(Some(Reached {
            router: capabilities::router(Arc::clone(&app), None),
            doom: Arc::new(Doom::default()),
        }));
        let offered = json!({ "template": base.claimable, "count": CLAIMABLE });
        ask(&net, &base.operator, "claimable", "/v1/batches", &offered).await?;
        let ending = json!({
            "name_zh": "快到期", "name_en": "Ends soon", "category": "01", "product_line": "10",
            "rule": { "kind": "threshold_off", "threshold": 0, "amount": 100 },
            "validity": { "days": 2 }, "offline": "floor_limit", "floor_limit": 10_000,
        });
        let ending = ask(&net, &base.operator, "ending", "/v1/templates", &ending).await?;
        let path = format!(
            "/v1/templates/{}/versions/1/publish",
            ending["id"].as_str().unwrap_or_default()
        );
        ask(&net, &base.operator, "publish", &path, &json!({})).await?;
        let printed = json!({ "template": ending["id"], "count": ENDING, "purpose": "print" });
        let printed = ask(&net, &base.operator, "printed", "/v1/batches", &printed).await?;
        while jobs::turn(&app, &[1; 16]).await? {}
        base.add_printed(&app, printed["batch"].as_str().unwrap_or_default())
            .await?;
        base.add_gifts(&app, &net).await?;
        let mut till = 0;
        for (place, count) in DEVICES.iter().enumerate() {
            for _ in 0..*count {
                let code = stores::enrol::make_code(&app.db, clock.as_ref(), dice.as_ref(), tenant, base.stores[place])
                    .await?;
                let off = Arc::new(AtomicI64::new(0));
                let parts = Parts {
                    clock: Arc::new(TillClock::new(time.clone(), off, "enrol".into())),
                    random: Arc::new(Dice::new(0, 100 + till as u64)),
                    transport: Arc::new(Wire {
                        net: Arc::clone(&net),
                        till,
                    }),
                    readers: Some(1),
                    faults: None,
                };
                let counter = Counter::open_with(&till_folder(base.folder.path(), till), parts).await?;
                counter.enrol(ADDRESS, &code, &format!("till {till}")).await?;
                counter.sync_once(std::time::Duration::from_secs(1)).await?;
                counter.end().await?;
                till += 1;
            }
        }
        net.connect(None);
        app.stopping.cancel();
        app.db.close().await;
        Ok(base)
    }

    /// Some of the printed coupons of this batch come first, the others last.
    async fn add_printed(&mut self, app: &App, batch: &str) -> Result<()> {
        let batch = batch.parse::<uuid::Uuid>().context("no batch")?;
        let mut snapshot = app.db.snapshot().await?;
        let codes: Vec<String> = sqlx::query_scalar("SELECT code FROM coupons WHERE batch = $1 ORDER BY code")
            .bind(batch.as_bytes().to_vec())
            .fetch_all(&mut *snapshot)
            .await?;
        let (first, last) = codes.split_at(MET.min(codes.len()));
        self.coupons.splice(0..0, first.iter().cloned());
        self.coupons.extend(last.iter().cloned());
        Ok(())
    }

    async fn look(app: &App, tenant: TenantId, folder: TempDir) -> Result<Self> {
        let mut snapshot = app.db.snapshot().await?;
        let mut ids = Vec::new();
        for row in sqlx::query("SELECT id FROM stores ORDER BY code")
            .fetch_all(&mut *snapshot)
            .await?
        {
            ids.push(StoreId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?);
        }
        let mut members = Vec::new();
        for row in sqlx::query("SELECT id, number FROM members ORDER BY number")
            .fetch_all(&mut *snapshot)
            .await?
        {
            members.push((
                MemberId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?,
                row.try_get("number")?,
            ));
        }
        // The first few are those that most meet over: printed ones among them, which belong to no member.
        let coupons = sqlx::query_scalar(
            "SELECT code FROM coupons WHERE state = 'available' ORDER BY ROW_NUMBER() OVER (PARTITION BY member IS NULL ORDER BY code), code",
        )
        .fetch_all(&mut *snapshot)
        .await?;
        let template: Vec<u8> = sqlx::query_scalar("SELECT template FROM coupons ORDER BY code LIMIT 1")
            .fetch_one(&mut *snapshot)
            .await?;
        let orders = sqlx::query_scalar("SELECT code FROM orders WHERE state = 'ready' ORDER BY code")
            .fetch_all(&mut *snapshot)
            .await?;
        let skus = sqlx::query_scalar("SELECT sku FROM products WHERE active = 1 ORDER BY sku LIMIT 6")
            .fetch_all(&mut *snapshot)
            .await?;
        drop(snapshot);
        let operator = admin::NewOperator {
            name: "simulator",
            role: counterfoil_domain::people::OperatorRole::Admin,
        };
        let (_, operator) =
            admin::add_operator(&app.db, app.clock.as_ref(), app.random.as_ref(), tenant, &operator).await?;
        let key = admin::make_link_key(&app.db, app.clock.as_ref(), app.random.as_ref(), tenant, true).await?;
        let mut link_key = [0; 32];
        hex::decode_to_slice(key, &mut link_key)?;
        Ok(Self {
            folder,
            tenant,
            stores: ids,
            members,
            coupons,
            orders,
            skus,
            claimable: TemplateId::from_bytes(&template)?,
            operator,
            link_key,
            gifts: Vec::new(),
            addresses: Vec::new(),
        })
    }

    /// Gifts of which there are few, and an address of each member to send them to.
    async fn add_gifts(&mut self, app: &App, net: &Net) -> Result<()> {
        let carrier = NewSetting {
            adapter: Adapter::Sandbox,
            // Nobody is there: the simulated carrier is asked in its place.
            url: "http://127.0.0.1:9",
            account: "",
            secret: &Zeroizing::default(),
            public: None,
        };
        setting::set(&app.db, app.clock.as_ref(), app.random.as_ref(), self.tenant, &carrier).await?;
        let warehouse = json!({ "name": "North" });
        let warehouse = ask(net, &self.operator, "warehouse", "/v1/warehouses", &warehouse).await?;
        let mut places: Vec<Value> = self.stores.iter().map(|store| json!(store)).collect();
        places.push(warehouse["id"].clone());
        for (place, n) in places.iter().zip(0..) {
            let stock = json!({ "location": place, "sku": "GIFT", "on_hand": 6, "reason": "first count" });
            ask(net, &self.operator, &format!("stock-{n}"), "/v1/stock", &stock).await?;
        }
        for (terms, n) in [
            json!({ "points": 40, "given": "collected" }),
            json!({ "points": 60, "given": "collected", "money": 500, "member_limit": 2 }),
            json!({ "points": 50, "given": "shipped", "location": warehouse["id"] }),
        ]
        .into_iter()
        .zip(0..)
        {
            let mut gift = terms;
            for (name, value) in [("sku", "GIFT"), ("name_zh", "杯"), ("name_en", "Cup")] {
                gift[name] = json!(value);
            }
            let gift = ask(net, &self.operator, &format!("gift-{n}"), "/v1/gifts", &gift).await?;
            let id = gift["id"].as_str().context("a gift without an id")?.to_owned();
            let publish = format!("/v1/gifts/{id}/publish");
            ask(net, &self.operator, &format!("publish-{n}"), &publish, &json!({})).await?;
            self.gifts.push(id);
        }
        let mut lease = app.db.lease().await?;
        let mut transaction = lease.begin().await?;
        for (member, _) in &self.members {
            let kept = Kept {
                id: AddressId(member.0),
                address: Address {
                    recipient: "王".into(),
                    phone: "13800001234".into(),
                    region: "上海".into(),
                    street: "1".into(),
                },
            };
            addresses::insert(&mut transaction, self.tenant, *member, &kept, START).await?;
            self.addresses.push(kept.id);
        }
        transaction.commit("addresses").await?;
        Ok(())
    }
}

/// Asks head office as its operator; what is not done is an error.
async fn ask(net: &Net, operator: &str, key: &str, path: &str, body: &Value) -> Result<Value> {
    let call = Call {
        method: Method::POST,
        path: path.to_owned(),
        headers: vec![
            ("authorization".into(), format!("Bearer {operator}")),
            ("idempotency-key".into(), key.to_owned()),
        ],
        body: serde_json::to_vec(body)?,
    };
    match net.ask(&call).await {
        Some((status, body)) if status < 300 => Ok(serde_json::from_slice(&body)?),
        answer => bail!("{path}: {answer:?}"),
    }
}

/// Everybody's PIN under the cheapest hash there is: what is simulated is not how long it takes.
async fn cheap_pins(app: &App) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| anyhow::anyhow!("no hash: {error}");
    let params = argon2::Params::new(8, 1, 1, None).map_err(|error| failed(&error))?;
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = hasher
        .hash_password_with_salt(PIN.as_bytes(), b"0123456789abcdef")
        .map_err(|error| failed(&error))?
        .to_string();
    let mut lease = app.db.lease().await?;
    let mut tx = lease.begin().await?;
    sqlx::query("UPDATE clerks SET pin_hash = $1")
        .bind(hash)
        .execute(&mut *tx)
        .await?;
    tx.commit("sim.pins").await?;
    Ok(())
}
