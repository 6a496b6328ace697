//! Gifts, stock and exchanges on SQLite and on PostgreSQL. Here stands what the tests share.

mod damaged;
mod exchanging;
mod merged;
mod office;
mod paying;
mod raced;
mod settling;

use std::sync::Arc;

use counterfoil_domain::{
    gifts::{Address, Exchange, Gift, GiftStatus, GivenBy},
    ids::{GiftId, LocationId, MemberId, OrderId, Place, StockId},
    people::{Member, OperatorRole},
    points::{Asset, Balances, Cause, Origin, Reason},
    stock::{MoveCause, MoveKind, Stock},
    transition::{Answer, AskedExchange, Command, EndExchange, ExchangeEnd, ExchangeGift, Named, Post, Posting},
};
use counterfoil_head_office::{
    App,
    clock::{Clock, SystemRandom},
    deed::{Actor, Deed},
    gifts::{id_of, rows},
    members, points,
    stock::{self, Said},
    verify::verify,
};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    api::Api,
    common::{Chain, On, START, chain, random10},
};

const SKU: &str = "G-1";

/// A chain with a warehouse.
pub struct Shop {
    pub chain: Chain,
    pub warehouse: LocationId,
}

pub async fn shop(on: On) -> Shop {
    let chain = chain(on, 0).await;
    let warehouse = stock::rows::Warehouse {
        id: LocationId::placed(Place::ZERO, START, random10()),
        name: "North".into(),
        created_at: START,
    };
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    assert!(
        stock::rows::insert_warehouse(&mut tx, chain.tenant, &warehouse)
            .await
            .unwrap()
    );
    tx.commit("test").await.unwrap();
    drop(lease);
    Shop {
        warehouse: warehouse.id,
        chain,
    }
}

fn address() -> Address {
    Address {
        recipient: "王".into(),
        phone: "13800000000".into(),
        region: "浙江 杭州".into(),
        street: "1".into(),
    }
}

impl Shop {
    pub fn app(&self) -> &Arc<App> {
        &self.chain.app
    }

    pub fn now(&self) -> i64 {
        self.chain.clock.now()
    }

    /// A published gift for 2,000 points that is sent from the warehouse, unless `change` says otherwise.
    pub async fn gift(&self, change: impl FnOnce(&mut Gift)) -> GiftId {
        let mut gift = Gift {
            id: GiftId::placed(Place::ZERO, self.now(), random10()),
            sku: SKU.into(),
            name_zh: "杯".into(),
            name_en: "cup".into(),
            points: 2_000,
            money: 0,
            worth: 3_000,
            member_limit: 0,
            from: None,
            until: None,
            given: GivenBy::Shipped,
            location: Some(self.warehouse),
            status: GiftStatus::Published,
            version: 1,
        };
        change(&mut gift);
        let mut lease = self.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        rows::insert_gift(&mut tx, self.chain.tenant, &gift, START)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        gift.id
    }

    /// The same, collected in a store.
    pub async fn collected(&self) -> GiftId {
        self.gift(|gift| {
            gift.given = GivenBy::Collected;
            gift.location = None;
        })
        .await
    }

    /// So many lie there from now on.
    pub async fn count(&self, location: LocationId, on_hand: i64) {
        let mut lease = self.app().db.lease().await.unwrap();
        let lock = self.app().db.dialect().lock_suffix();
        let actor = Actor {
            tenant: self.chain.tenant,
            name: "test".into(),
        };
        let mut deed = Deed::new(lease.begin().await.unwrap(), &SystemRandom, actor, self.now());
        let cause = MoveCause {
            kind: MoveKind::Counted,
            source: None,
            actor: None,
            note: None,
            at: self.now(),
        };
        stock::set_right(&mut deed, lock, (location, SKU), Said::Counted(on_hand), cause)
            .await
            .unwrap()
            .unwrap();
        deed.commit("test").await.unwrap();
    }

    /// What is on hand and what is reserved.
    pub async fn stock(&self, location: LocationId) -> (i64, i64) {
        let mut snapshot = self.app().db.snapshot().await.unwrap();
        let ids = [StockId::of(location, SKU)];
        let found = stock::rows::load(&mut snapshot, self.chain.tenant, &ids, "")
            .await
            .unwrap();
        found
            .first()
            .map_or((0, 0), |stock: &Stock| (stock.on_hand, stock.reserved))
    }

    /// Points of the chain, as they are.
    pub async fn give(&self, member: MemberId, points: i64, ends_at: Option<i64>) {
        let now = self.now();
        let name = hex::encode(random10());
        let command = Command::Post(Post {
            member,
            asset: Asset::Points,
            what: Posting::Earn {
                amount: Some(points),
                rule: None,
                paid: 0,
                category: None,
                at: now,
                ends_at,
            },
            cause: Cause {
                source: Some(points::source_of(self.chain.tenant, Origin::Gift, &name)),
                ..Cause::own(Reason::Gift, now)
            },
        });
        self.submit(command).await;
    }

    pub async fn balances(&self, member: MemberId) -> Balances {
        let mut snapshot = self.app().db.snapshot().await.unwrap();
        let found = points::rows::load(&mut snapshot, self.chain.tenant, &[member], "")
            .await
            .unwrap();
        let account = found.first();
        account.map_or(Balances::default(), |account| account.points.balances_at(self.now()))
    }

    pub async fn submit(&self, command: Command) -> Answer {
        submit(self.app(), &self.chain, command).await
    }

    pub fn ask(&self, member: MemberId, gift: GiftId, key: &str) -> Command {
        let asked = Arc::new(AskedExchange {
            id: id_of(self.chain.tenant, member, key),
            member,
            gift,
            address: Named::Known(address()),
            store: Named::Known(self.chain.store),
            order: OrderId::new(self.now(), random10()),
            stock: None,
        });
        let now = self.now();
        Command::Exchange(ExchangeGift { asked, now })
    }

    pub async fn exchange(&self, gift: GiftId, key: &str) -> Exchange {
        done(self.submit(self.ask(self.chain.member, gift, key)).await)
    }

    pub fn ends(&self, exchange: &Exchange, end: ExchangeEnd) -> Command {
        Command::EndExchange(EndExchange {
            id: exchange.id,
            end,
            rule: None,
            by: None,
            now: self.now(),
        })
    }

    /// More members.
    pub async fn members(&self, count: u32) -> Vec<MemberId> {
        let people: Vec<Member> = (0..count)
            .map(|n| Member {
                id: MemberId::new(START + i64::from(n), random10()),
                number: format!("M{}", n + 2),
                name: "李".into(),
                phone: format!("1390000{n:04}"),
                recent_stores: vec![self.chain.store],
            })
            .collect();
        let mut lease = self.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        members::rows::insert(&mut tx, self.chain.tenant, &people, START)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        people.into_iter().map(|member| member.id).collect()
    }

    /// An address of a member's own book.
    pub async fn address_of(&self, member: MemberId) -> Uuid {
        let id = counterfoil_domain::ids::make(Place::ZERO, START, random10());
        let mut lease = self.app().db.lease().await.unwrap();
        let mut tx = lease.begin().await.unwrap();
        let address = address();
        sqlx::query("INSERT INTO addresses (tenant, id, member, recipient, phone, region, street, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(self.chain.tenant.bytes().to_vec())
            .bind(id.as_bytes().to_vec())
            .bind(member.bytes().to_vec())
            .bind(address.recipient)
            .bind(address.phone)
            .bind(address.region)
            .bind(address.street)
            .bind(START)
            .execute(&mut *tx)
            .await
            .unwrap();
        tx.commit("test").await.unwrap();
        id
    }

    pub async fn operator(&self, role: OperatorRole) -> Api {
        Api::new(&self.chain, self.chain.operator(role).await)
    }

    pub async fn member(&self) -> Api {
        Api::new(&self.chain, self.chain.session("M1").await)
    }

    /// Every rule of `verify` holds.
    pub async fn sound(&self) {
        let mut broken = Vec::new();
        verify(&self.app().db, |check| {
            if !check.ok && check.check != "batches" {
                broken.push(check.clone());
            }
        })
        .await
        .unwrap();
        assert!(broken.is_empty(), "{broken:?}");
    }
}

async fn submit(app: &Arc<App>, chain: &Chain, command: Command) -> Answer {
    let answers = app.engine.submit(chain.tenant, vec![command]).await.unwrap();
    answers.into_iter().next().unwrap().answer
}

fn done(answer: Answer) -> Exchange {
    match answer {
        Answer::Exchanged { exchange, .. } => *exchange,
        other => panic!("{other:?}"),
    }
}

pub fn available(points: i64) -> Balances {
    Balances {
        available: points,
        ..Balances::default()
    }
}

/// The codes of a refusal's reasons.
fn codes(problem: &Value) -> Vec<String> {
    assert_eq!(problem["code"], "not_exchangeable", "{problem}");
    let reasons = problem["reasons"].as_array().unwrap();
    reasons
        .iter()
        .map(|reason| reason["code"].as_str().unwrap().to_owned())
        .collect()
}

fn nothing() -> Value {
    json!({})
}
