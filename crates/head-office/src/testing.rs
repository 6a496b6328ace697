//! For tests and benchmarks: a small chain on a fresh database of either engine, and a device that makes operations
//! as a counter does. Only with the feature `testing`, which no shipped program has.

#![expect(missing_debug_implementations, reason = "nobody prints a fixture")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a fixture that fails fails its test"
)]

mod baskets;
mod many;
mod waiting;

use std::sync::Arc;

pub use baskets::heavy_basket;
pub use many::{MANY_END, Spelling, many, nth_coupon, nth_member};
pub use waiting::{in_time, until};

use crate::{
    admin,
    app::App,
    clock::{Clock, ManualClock, SystemRandom},
    coupons,
    engine::Answered,
    members::{
        self,
        sessions::{Link, begin},
    },
    pickups, stores,
};
use counterfoil_domain::{
    coupons::{Coupon, CouponState, OfflinePolicy},
    ids::{BatchId, CouponId, DeviceId, FreezeId, MemberId, OperationId, OrderId, StoreId, TemplateId, TenantId},
    operations::{Action, CollectOrder, OperationKind, RedeemCoupon},
    people::{Member, OperatorRole, Store},
    pickups::{Order, OrderLine, OrderState},
    settlement::{Kind, Rule},
    transition::{Answer, Arrival, AskFreeze, Command, genesis},
    words::Word,
};
use counterfoil_protocol::operation::{Envelope, Evidence, open, seal};
use ed25519_dalek::SigningKey;
use sqlx::{AnyConnection, Connection, Row};

/// Which engine a test runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    Sqlite,
    Postgres,
}

/// Declares the same test for both engines.
#[macro_export]
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {
        mod sqlite { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name($crate::testing::On::Sqlite).await; })+ }
        mod postgres { $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)] async fn $name() { super::$name($crate::testing::On::Postgres).await; })+ }
    };
}

/// A fresh database that goes when this is dropped.
pub struct Fresh {
    pub url: String,
    _home: Home,
}

/// Where a fresh database is.
enum Home {
    /// In a folder, which is removed with it.
    Folder { _folder: tempfile::TempDir },
    /// On a server, which holds hundreds of them in one run of the tests if they stay: gigabytes.
    Server { server: String, name: String },
}

impl Drop for Home {
    fn drop(&mut self) {
        let Self::Server { server, name } = self else { return };
        let (server, name) = (std::mem::take(server), std::mem::take(name));
        // A thread of its own: whoever drops this is in the middle of a runtime, or at the end of one.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(sqlx::Error::Io)?;
            runtime.block_on(async {
                let mut admin = AnyConnection::connect(&server).await?;
                sqlx::query(sqlx::AssertSqlSafe(format!(
                    "DROP DATABASE IF EXISTS {name} WITH (FORCE)"
                )))
                .execute(&mut admin)
                .await?;
                admin.close().await?;
                Ok::<_, crate::db::DbError>(())
            })
        });
        if !matches!(dropped.join(), Ok(Ok(()))) {
            eprintln!("a test's database could not be removed");
        }
    }
}

pub async fn fresh(on: On) -> Fresh {
    sqlx::any::install_default_drivers();
    match on {
        On::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            Fresh {
                url: format!("sqlite:{}/head-office.db", folder.path().display()),
                _home: Home::Folder { _folder: folder },
            }
        }
        On::Postgres => {
            let server = std::env::var("COUNTERFOIL_TEST_POSTGRES")
                .expect("no PostgreSQL for the tests: run `cargo xtask test`, which starts one");
            let name = format!("cf_{}", hex::encode(crate::clock::bytes::<8>(&SystemRandom).unwrap()));
            let mut admin = AnyConnection::connect(&server).await.unwrap();
            sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}")))
                .execute(&mut admin)
                .await
                .unwrap();
            admin.close().await.unwrap();
            let (base, _) = server.rsplit_once('/').unwrap();
            Fresh {
                url: format!("{base}/{name}"),
                _home: Home::Server { name, server },
            }
        }
    }
}

pub const START: i64 = 1_795_000_000_000;
pub const HOUR: i64 = 3_600_000;

/// A tenant with one store, one template, some coupons and orders, all of one member.
pub struct Chain {
    pub fresh: Fresh,
    pub clock: Arc<ManualClock>,
    pub app: Arc<App>,
    pub tenant: TenantId,
    pub store: StoreId,
    pub member: MemberId,
    pub template: TemplateId,
    pub coupons: Vec<CouponId>,
    pub orders: Vec<OrderId>,
}

/// Asks over HTTP.
pub fn web() -> reqwest::ClientBuilder {
    reqwest::Client::builder().tls_backend_preconfigured(crate::site::tls::config().unwrap())
}

pub fn random10() -> [u8; 10] {
    crate::clock::bytes(&SystemRandom).unwrap()
}

pub async fn chain(on: On, coupon_count: usize) -> Chain {
    chain_at(on, coupon_count, START).await
}

/// The same, with everything made at another time.
pub async fn chain_at(on: On, coupon_count: usize, now: i64) -> Chain {
    let fresh = fresh(on).await;
    let clock = Arc::new(ManualClock::at(now));
    let app = App::open(&fresh.url, clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let tenant = TenantId::new(now, random10());
    let store = StoreId::new(now, random10());
    let member = MemberId::new(now, random10());
    let template = TemplateId::new(now, random10());
    let batch = BatchId::new(now, random10());
    let mut lease = app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    sqlx::query("INSERT INTO tenants (tenant, code, name, currency, code_key, created_at) VALUES ($1, 'demo', 'Demo', 'CNY', $2, $3)")
        .bind(tenant.bytes().to_vec()).bind(vec![7u8; 32]).bind(now).execute(&mut *tx).await.unwrap();
    let shop = Store {
        id: store,
        code: "s-01".into(),
        name_zh: "一店".into(),
        name_en: "First".into(),
        time_zone: "Asia/Shanghai".into(),
    };
    stores::rows::insert_store(&mut tx, tenant, &shop, &Default::default(), now)
        .await
        .unwrap();
    let person = Member {
        id: member,
        number: "M1".into(),
        name: "王小明".into(),
        phone: "13800000000".into(),
        recent_stores: vec![store],
    };
    members::rows::insert(&mut tx, tenant, &[person], now).await.unwrap();
    sqlx::query("INSERT INTO templates (tenant, id, template_version, status, name_zh, name_en, category, product_line, currency, rule, scope, stacking, member_limit, limit_counts, offline, floor_limit, worth_unbounded, created_at, version) VALUES ($1, $2, 1, 'published', '减', 'Off', 'c', 'p', 'CNY', $3, '{\"all\":true}', '{\"group\":\"amount_off\"}', 0, 'taken', $4, 0, 0, $5, 1)")
        .bind(tenant.bytes().to_vec()).bind(template.bytes().to_vec())
        .bind(serde_json::to_string(&Rule::from(Kind::AmountOff { amount: 2_000 })).unwrap())
        .bind(OfflinePolicy::HomeStore.as_str().to_owned())
        .bind(now).execute(&mut *tx).await.unwrap();
    sqlx::query("INSERT INTO batches (tenant, id, template, template_version, size, made, claimed, status, created_at) VALUES ($1, $2, $3, 1, $5, $5, $5, 'ready', $4)")
        .bind(tenant.bytes().to_vec()).bind(batch.bytes().to_vec()).bind(template.bytes().to_vec()).bind(now).bind(i64::try_from(coupon_count).unwrap()).execute(&mut *tx).await.unwrap();
    let made: Vec<Coupon> = (0..coupon_count)
        .map(|n| Coupon {
            // As a batch makes them: ids in the order of time, which is what keeps the indexes' pages together.
            id: CouponId::new(now + i64::try_from(n).unwrap(), random10()),
            code: format!("{n:018}"),
            member: Some(member),
            template,
            template_version: 1,
            batch,
            home_store: Some(store),
            valid_from: None,
            valid_until: Some(now + 24 * HOUR),
            state: CouponState::Available,
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        })
        .collect();
    if !made.is_empty() {
        assert_eq!(
            coupons::rows::insert(&mut tx, tenant, &made).await.unwrap(),
            made.len() as u64
        );
        coupons::days::insert(&mut tx, tenant, &made, now).await.unwrap();
    }
    let orders: Vec<Order> = (0..3)
        .map(|n| Order {
            id: OrderId::new(now, random10()),
            number: format!("O{n}"),
            code: format!("{n:06}00"),
            store,
            member: Some(member),
            collector: "member".into(),
            deadline: None,
            lines: vec![OrderLine {
                sku: "A".into(),
                name_zh: "甲".into(),
                name_en: "A".into(),
                quantity: 2,
                unit_price: 500,
            }],
            state: OrderState::Ready { freeze: None },
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        })
        .collect();
    pickups::rows::insert(&mut tx, tenant, &orders, now).await.unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    Chain {
        fresh,
        clock,
        app,
        tenant,
        store,
        member,
        template,
        coupons: made.iter().map(|c| c.id).collect(),
        orders: orders.iter().map(|o| o.id).collect(),
    }
}

/// A device that makes operations as a counter does.
pub struct Counter {
    pub tenant: TenantId,
    pub device: DeviceId,
    pub key: SigningKey,
    pub epoch: i64,
    pub seq: i64,
    pub head: [u8; 32],
}

impl Chain {
    /// A new device of the first store.
    pub async fn counter(&self) -> Counter {
        let key = SigningKey::from_bytes(&crate::clock::bytes(&SystemRandom).unwrap());
        let device = DeviceId::new(START, random10());
        let mut lease = self.app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        sqlx::query("INSERT INTO devices (tenant, id, store, name, public_key, status, epoch, last_seq, last_hash, enrolled_at, version) VALUES ($1, $2, $3, 'd', $4, 'active', 1, 0, $5, $6, 1)")
            .bind(self.tenant.bytes().to_vec()).bind(device.bytes().to_vec()).bind(self.store.bytes().to_vec())
            .bind(key.verifying_key().to_bytes().to_vec()).bind(genesis().to_vec()).bind(START).execute(&mut *tx).await.unwrap();
        tx.commit("test").await.unwrap();
        Counter {
            tenant: self.tenant,
            device,
            key,
            epoch: 1,
            seq: 0,
            head: genesis(),
        }
    }

    pub fn redeem(&self, coupon: CouponId, freeze: Option<FreezeId>) -> Action {
        Action::RedeemCoupon(RedeemCoupon {
            coupon,
            template: self.template,
            template_version: 1,
            worth: 2_000,
            member: None,
            freeze,
        })
    }

    pub fn collect(&self, order: OrderId) -> Action {
        Action::CollectOrder(CollectOrder {
            order,
            worth: 1_000,
            freeze: None,
        })
    }

    pub async fn submit(&self, commands: Vec<Command>) -> Vec<Answered> {
        self.app.engine.submit(self.tenant, commands).await.unwrap()
    }

    pub async fn push(&self, arrivals: &[Arrival]) -> Vec<Answer> {
        let commands = arrivals.iter().cloned().map(Command::Operation).collect();
        self.submit(commands)
            .await
            .into_iter()
            .map(|answered| answered.answer)
            .collect()
    }

    pub async fn freeze(&self, counter: &Counter, id: FreezeId, coupon: CouponId) -> Answer {
        let subject = counterfoil_domain::transition::Subject::Coupon(coupon);
        let command = Command::Freeze(AskFreeze {
            amounts: counterfoil_domain::points::Amounts::default(),
            id,
            device: counter.device,
            subject,
            presented_by: None,
            now: self.clock.now(),
        });
        self.submit(vec![command]).await.remove(0).answer
    }

    /// The token of a new operator.
    pub async fn operator(&self, role: OperatorRole) -> String {
        let name = format!("{}-{}", role.as_str(), hex::encode(random10()));
        let new = admin::NewOperator { name: &name, role };
        let (_, token) = admin::add_operator(&self.app.db, self.clock.as_ref(), &SystemRandom, self.tenant, &new)
            .await
            .unwrap();
        token
    }

    /// The token of a new session of the member with this number.
    pub async fn session(&self, member: &str) -> String {
        let db = &self.app.db;
        let key = admin::make_link_key(db, self.clock.as_ref(), &SystemRandom, self.tenant, true)
            .await
            .unwrap();
        let mut bytes = [0; 32];
        hex::decode_to_slice(key, &mut bytes).unwrap();
        let link = Link {
            tenant: "demo",
            member,
            expires: self.clock.now() + HOUR / 10,
        };
        let (token, _) = begin(&self.app, &link, &link.sign(&bytes)).await.unwrap();
        token
    }

    pub async fn number(&self, sql: &'static str) -> i64 {
        let mut snapshot = self.app.db.snapshot().await.unwrap();
        sqlx::query(sql)
            .fetch_one(&mut *snapshot)
            .await
            .unwrap()
            .try_get(0)
            .unwrap()
    }

    pub async fn run(&self, sql: impl Into<String>) {
        let mut lease = self.app.db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let sql = sqlx::AssertSqlSafe(sql.into());
        sqlx::raw_sql(sql).execute(&mut *tx).await.unwrap();
        tx.commit("test").await.unwrap();
    }

    pub async fn coupon(&self, id: CouponId) -> Coupon {
        let mut snapshot = self.app.db.snapshot().await.unwrap();
        coupons::rows::load(&mut snapshot, self.tenant, &[id], "")
            .await
            .unwrap()
            .remove(0)
    }
}

impl Counter {
    /// The next operation of this journal, as it arrives.
    pub fn make(&mut self, action: Action, occurred_at: i64) -> Arrival {
        open(0, &self.seal(action, occurred_at)).unwrap().1
    }

    /// The next operation of this journal, as it is sent.
    pub fn seal(&mut self, action: Action, occurred_at: i64) -> String {
        self.seq += 1;
        let envelope = Envelope {
            op_id: OperationId::new(occurred_at, random10()),
            tenant: self.tenant,
            device: self.device,
            epoch: self.epoch,
            seq: self.seq,
            prev_hash: self.head,
            version: action.version(),
            actor: None,
            occurred_at,
            monotonic: self.seq,
            boot_id: "boot".into(),
            evidence: Evidence::Code,
            action,
        };
        let sealed = seal(&envelope).unwrap();
        self.head = sealed.fingerprint;
        sealed.text
    }
}
