//! For tests: a clock that stands, randomness that repeats, and a head office in memory.

mod line;
mod office;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
};

use argon2::password_hash::PasswordHasher;
use counterfoil_domain::{
    coupons::{Coupon, CouponState, OfflinePolicy, Template},
    ids::{
        BatchId, ClerkId, CouponId, DeviceId, HistoryId, MemberId, OperationId, OrderId, StoreId, TemplateId, TenantId,
    },
    offline::OfflineLimits,
    operations::{Action, Outcome},
    people::{Clerk, Member, Role, Store, mask_phone},
    pickups::{Order, OrderLine, OrderState},
    points::{
        Account, Amounts, Asset, Cause, Earned, EntryKind, Reason,
        earning::{EarningRule, EndOf, Life, Rate, Rounding, Spending},
    },
    products::Product,
    settlement::{Kind, Scope, Stacking},
    time::Millis,
    transition::{Answer, Arrival, Card, Changes, Command, Device, DeviceStatus, Entity, State, decide, genesis},
};
use counterfoil_protocol::{
    enrolment::EnrolResponse,
    operation::open,
    problem::{Code, Problem},
    questions::LookupRequest,
    sync::{Cursor, DeviceView, Image, OperationOutcome, Page, Row, Stopped, SyncRequest, SyncResponse},
};
use ed25519_dalek::SigningKey;
pub use line::Line;
pub use office::HeadOffice;
use tempfile::TempDir;

use crate::{
    ambient::{Clock, NoRandomness, Random},
    http::{Failure, Unanswered},
    identity,
    inner::Inner,
};

pub const NOW: Millis = 1_795_000_000_000;
pub const PIN: &str = "246810";
/// Nobody listens there.
pub const NOWHERE: &str = "http://127.0.0.1:9";

/// A clock that stands until it is moved.
#[derive(Debug)]
pub struct TestClock {
    time: AtomicI64,
    /// How far somebody has moved the wall clock.
    moved: AtomicI64,
}

impl Default for TestClock {
    fn default() -> Self {
        Self {
            time: AtomicI64::new(NOW),
            moved: AtomicI64::new(0),
        }
    }
}

impl TestClock {
    pub fn advance(&self, by: Millis) {
        self.time.fetch_add(by, Ordering::SeqCst);
    }
    /// What it is, whatever somebody has set.
    pub fn time(&self) -> Millis {
        self.time.load(Ordering::SeqCst)
    }
    /// Somebody sets the device's clock.
    pub fn set(&self, by: Millis) {
        self.moved.fetch_add(by, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Millis {
        self.time.load(Ordering::SeqCst) + self.moved.load(Ordering::SeqCst)
    }
    fn monotonic(&self) -> Millis {
        self.time.load(Ordering::SeqCst) - NOW + 1_000_000
    }
    fn boot_id(&self) -> String {
        "test".into()
    }
}

/// The same bytes in every run, never the same twice.
#[derive(Debug, Default)]
pub struct TestRandom(AtomicU64);

impl Random for TestRandom {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), NoRandomness> {
        for chunk in buffer.chunks_mut(8) {
            let n = self
                .0
                .fetch_add(1, Ordering::SeqCst)
                .wrapping_add(1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15);
            chunk.copy_from_slice(&n.to_be_bytes()[..chunk.len()]);
        }
        Ok(())
    }
}

/// An id that only depends on a number.
pub fn bytes(kind: u8, n: u8) -> [u8; 10] {
    [0, 0, kind, n, 0, 0, 0, 0, 0, 1]
}
macro_rules! id {
    ($type:ident, $kind:literal, $n:expr) => {
        $type::new(NOW - 1_000_000, $crate::testing::bytes($kind, $n))
    };
}
pub fn tenant() -> TenantId {
    id!(TenantId, 1, 0)
}
pub fn store_id(n: u8) -> StoreId {
    id!(StoreId, 2, n)
}
pub fn device(n: u8) -> DeviceId {
    id!(DeviceId, 3, n)
}
pub fn clerk_id(n: u8) -> ClerkId {
    id!(ClerkId, 4, n)
}
pub fn member_id(n: u8) -> MemberId {
    id!(MemberId, 5, n)
}
pub fn coupon_id(n: u8) -> CouponId {
    id!(CouponId, 6, n)
}
pub fn order_id(n: u8) -> OrderId {
    id!(OrderId, 7, n)
}
pub fn template_id(n: u8) -> TemplateId {
    id!(TemplateId, 8, n)
}
pub fn history(n: u8) -> HistoryId {
    id!(HistoryId, 9, n)
}

pub fn store(n: u8) -> Store {
    Store {
        id: store_id(n),
        code: format!("S{n}"),
        name_zh: format!("门店{n}"),
        name_en: format!("Store {n}"),
        time_zone: "Asia/Shanghai".into(),
    }
}

pub fn clerk(n: u8, role: Role) -> Clerk {
    // The smallest work argon2 allows: tests check the counting, not the hash.
    let params = argon2::Params::new(8, 1, 1, None).unwrap();
    let hasher = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = hasher.hash_password_with_salt(PIN.as_bytes(), b"0123456789abcdef");
    Clerk {
        id: clerk_id(n),
        store: store_id(1),
        name: format!("clerk {n}"),
        role,
        pin_hash: hash.unwrap().to_string(),
        active: true,
    }
}

pub fn member(n: u8) -> Member {
    Member {
        id: member_id(n),
        number: format!("M{n:05}"),
        name: format!("member {n}"),
        phone: format!("1380000{n:04}"),
        recent_stores: vec![store_id(1), store_id(2)],
    }
}

pub fn template(n: u8, offline: OfflinePolicy) -> Template {
    Template {
        id: template_id(n),
        version: 1,
        name_zh: format!("券{n}"),
        name_en: format!("coupon {n}"),
        currency: "CNY".into(),
        rule: Kind::AmountOff { amount: 2_000 }.into(),
        scope: Scope::default(),
        stacking: Stacking::default(),
        stores: None,
        offline,
        floor_limit: 5_000,
        worth_unbounded: 0,
    }
}

/// `P1` at 10.00, `P2` at 20.00, ...
pub fn product(n: u8) -> Product {
    Product {
        sku: format!("P{n}"),
        barcodes: vec![format!("690000000{n:04}")],
        name_zh: format!("商品{n}"),
        name_en: format!("Product {n}"),
        category: Some("food".into()),
        merchant: None,
        unit_price: 1_000 * i64::from(n),
        currency: "CNY".into(),
        picture: None,
        active: true,
        version: 1,
    }
}

pub fn coupon(n: u8, template: u8) -> Coupon {
    Coupon {
        id: coupon_id(n),
        code: format!("{:018}", u64::from(n) + 110_024_060_512_345_000),
        member: Some(member_id(1)),
        template: template_id(template),
        template_version: 1,
        batch: id!(BatchId, 10, 0),
        home_store: Some(store_id(1)),
        valid_from: None,
        valid_until: Some(NOW + 90 * counterfoil_domain::time::DAY),
        state: CouponState::Available,
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    }
}

/// Of member 1, with so many points and so much stored value.
pub fn account(points: i64, balance: i64) -> Account {
    let mut account = Account::new(member_id(1));
    for (asset, amount) in [(Asset::Points, points), (Asset::Balance, balance)] {
        let earned = Earned {
            amount,
            at: NOW,
            ready_at: None,
            ends_at: None,
        };
        if amount > 0 {
            let cause = Cause::own(Reason::Gift, NOW);
            let ledger = account.ledger_mut(asset);
            ledger.earn(EntryKind::Earn, earned, cause, &mut Vec::new()).unwrap();
        }
    }
    account.version = 1;
    account
}

/// A point for each whole 1.00; each pays 0.10, up to half of what is to pay; alone up to 100 of them.
pub fn rule() -> EarningRule {
    EarningRule {
        version: 1,
        time_zone: "Asia/Shanghai".into(),
        rates: vec![Rate {
            category: None,
            points: 1,
            per: 100,
        }],
        rounding: Rounding::Down,
        factors: Vec::new(),
        cap_a_day: None,
        review: 0,
        pending_days: 0,
        life: Life::Months(12),
        ends: EndOf::Month,
        grace_days: 0,
        adjusted_alone: Amounts::default(),
        spending: Some(Spending {
            minor_per_point: 10,
            max_share_bp: 5_000,
            offline_limit: 100,
        }),
    }
}

pub fn order(n: u8) -> Order {
    Order {
        id: order_id(n),
        number: format!("O{n:05}"),
        code: format!("{n:08}"),
        store: store_id(1),
        member: Some(member_id(1)),
        collector: "member".into(),
        deadline: None,
        lines: vec![OrderLine {
            sku: "A".into(),
            name_zh: "甲".into(),
            name_en: "A".into(),
            quantity: 1,
            unit_price: 1_000,
        }],
        state: OrderState::Ready { freeze: None },
        version: 1,
        surplus: Vec::new(),
        told: Vec::new(),
    }
}

/// A counter in a folder of its own, enrolled, with nobody to ask.
#[derive(Debug)]
pub struct Shop {
    pub inner: Arc<Inner>,
    pub clock: Arc<TestClock>,
    pub folder: TempDir,
}

impl Shop {
    pub async fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let clock = Arc::new(TestClock::default());
        let inner = Inner::open(folder.path(), clock.clone(), Arc::new(TestRandom::default()))
            .await
            .unwrap();
        inner.set_key(SigningKey::from_bytes(&[7; 32]));
        let place = EnrolResponse {
            tenant: tenant(),
            store: store(1),
            device: device(1),
            epoch: 1,
            history_id: history(1),
            server_time: NOW,
            place: Default::default(),
        };
        let mut writer = inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        identity::create(&mut tx, NOWHERE, &place, NOW).await.unwrap();
        tx.commit("test").await.unwrap();
        drop(writer);
        Self {
            inner: Arc::new(inner),
            clock,
            folder,
        }
    }

    /// With everything this head office has.
    pub async fn of(office: &mut HeadOffice) -> Self {
        let shop = Self::new().await;
        shop.settle(office).await;
        shop
    }

    /// From now on nobody can be asked.
    pub fn go_offline(&self) {
        let now = self.inner.now();
        let mut engine = self.inner.engine();
        engine.set_driven(true);
        engine.question_failed(now, &Unanswered::TimedOut, 0);
    }

    /// One exchange, with faults: the request or the answer may be lost.
    pub async fn exchange(&self, office: &mut HeadOffice, push: usize, rows: i64, arrives: bool, answered: bool) {
        office.now = self.clock.now();
        let who = identity::load(&mut self.inner.db.read().await.unwrap()).await.unwrap();
        let plan = crate::line::Plan {
            push,
            page_rows: rows,
            wait: 0,
        };
        let (request, sent) = crate::sync::driver::compose(&self.inner, &who, plan).await.unwrap();
        let heard = if arrives {
            office.sync(&request).map(|response| office.as_read(&response))
        } else {
            Err(Failure::Unanswered(Unanswered::TimedOut))
        };
        let heard = if answered {
            heard
        } else {
            Err(Failure::Unanswered(Unanswered::TimedOut))
        };
        crate::sync::driver::take_in(&self.inner, sent, heard).await.unwrap();
    }

    /// Exchanges until nothing is left.
    pub async fn settle(&self, office: &mut HeadOffice) {
        for _ in 0..20 {
            self.exchange(office, 200, 1_000, true, true).await;
        }
    }

    /// A newer program is installed, which may read what this one could not.
    pub async fn upgraded(self) -> Self {
        let mut writer = self.inner.db.write().await;
        let mut tx = writer.begin().await.unwrap();
        sqlx::query("UPDATE unread SET reader = 'older'")
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        drop(writer);
        self.shut().await.open().await
    }

    /// The program ends.
    pub async fn shut(self) -> Shut {
        let Self { inner, clock, folder } = self;
        let random = inner.random.clone();
        let inner = Arc::try_unwrap(inner).unwrap();
        inner.db.close().await.unwrap();
        Shut { clock, random, folder }
    }
}

/// A counter that is not running.
#[derive(Debug)]
pub struct Shut {
    pub clock: Arc<TestClock>,
    pub random: Arc<dyn Random>,
    pub folder: TempDir,
}

impl Shut {
    /// The program is started again.
    pub async fn open(self) -> Shop {
        let Self { clock, random, folder } = self;
        let inner = Inner::open(folder.path(), clock.clone(), random).await.unwrap();
        inner.set_key(SigningKey::from_bytes(&[7; 32]));
        Shop {
            inner: Arc::new(inner),
            clock,
            folder,
        }
    }
}
