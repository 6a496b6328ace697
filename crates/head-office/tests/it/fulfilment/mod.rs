//! Shipping on SQLite and on PostgreSQL, against the sandbox carrier over HTTP. Here stands what the tests share.

mod asking;
mod changing;
mod damaged;
mod ordering;
mod packing;
mod settling;
mod telling;
mod tracking;

use std::{sync::Arc, time::Duration};

use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::{
    App,
    carriers::{
        Registry,
        sandbox::{self, Shown},
        setting::{self, Adapter, NewSetting},
    },
    clock::SystemRandom,
    fulfilment::errands,
    outbox,
    processes::Role,
    testing::web,
};
use reqwest::Url;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use zeroize::Zeroizing;

use crate::{
    api::Api,
    common::{HOUR, On, until},
    gifts::{Shop, shop},
};

const TOKEN: &str = "very-secret";
const MINUTE: i64 = HOUR / 60;
/// How long an answer of the carrier is waited for.
const PATIENCE: Duration = Duration::from_millis(300);

/// A chain with a warehouse, and the sandbox carrier.
struct Depot {
    shop: Shop,
    /// Somebody of the warehouse.
    hands: Api,
    /// Somebody at head office.
    office: Api,
    carrier: Url,
    client: reqwest::Client,
    stopping: CancellationToken,
}

impl Drop for Depot {
    fn drop(&mut self) {
        self.stopping.cancel();
    }
}

/// The same, whose chain has no carrier yet.
async fn without_carrier(on: On) -> Depot {
    let shop = shop(on).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let carrier: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let stopping = CancellationToken::new();
    let (clock, stop) = (shop.chain.clock.clone(), stopping.clone());
    tokio::spawn(async move { sandbox::serve(listener, clock, &SystemRandom, Some(TOKEN), stop).await });
    shop.chain.app.own.put(Registry::patient(PATIENCE));
    let hands = Api::new(&shop.chain, shop.chain.operator(OperatorRole::Warehouse).await);
    Depot {
        office: Api::new(&shop.chain, shop.chain.operator(OperatorRole::Operator).await),
        hands,
        shop,
        carrier,
        client: web().build().unwrap(),
        stopping,
    }
}

async fn depot(on: On) -> Depot {
    let depot = without_carrier(on).await;
    depot.set_carrier(Adapter::Sandbox, "", TOKEN, None).await;
    depot
}

fn address() -> Value {
    json!({ "recipient": "王小明", "phone": "13800001234", "region": "上海市黄浦区", "street": "人民大道 1 号" })
}

/// An order of three lines: 2 A, 1 B, 3 C.
fn three_lines(source: &str) -> Value {
    json!({
        "source": source,
        "lines": [
            { "sku": "A", "name": "Apples", "quantity": 2 },
            { "sku": "B", "name": "Bread", "quantity": 1 },
            { "sku": "C", "name": "Cups", "quantity": 3 },
        ],
        "address": address(),
    })
}

impl Depot {
    fn app(&self) -> &Arc<App> {
        &self.shop.chain.app
    }

    fn advance(&self, time: i64) {
        self.shop.chain.clock.advance(time);
    }

    async fn set_carrier(&self, adapter: Adapter, account: &str, secret: &str, public: Option<&str>) {
        let chain = &self.shop.chain;
        let new = NewSetting {
            adapter,
            url: self.carrier.as_str(),
            account,
            secret: &Zeroizing::new(secret.to_owned()),
            public,
        };
        setting::set(&chain.app.db, chain.clock.as_ref(), &SystemRandom, chain.tenant, &new)
            .await
            .unwrap();
    }

    async fn control(&self, path: &str, body: Value) {
        let url = self.carrier.join(path).unwrap();
        let response = self.client.post(url).json(&body).send().await.unwrap();
        assert!(response.status().is_success());
    }

    /// The next question of this kind fails in this way.
    async fn fails(&self, of: &str, what: &str) {
        self.control("control", json!({ "faults": [{ "of": of, "what": what }] }))
            .await;
    }

    /// What the carrier knows.
    async fn carrier(&self) -> Shown {
        let url = self.carrier.join("control").unwrap();
        self.client.get(url).send().await.unwrap().json().await.unwrap()
    }

    /// Numbers of the waybills that the carrier has not cancelled.
    async fn live(&self) -> Vec<String> {
        self.carrier().await.live().map(|known| known.number.clone()).collect()
    }

    /// Hands over the messages that are due, and does the errands that are; how many both were.
    async fn turn(&self) -> usize {
        let consumers = outbox::consumers(self.app(), &Role::ALL);
        let handed = outbox::turn(self.app(), &consumers).await.unwrap();
        handed + errands::turn(self.app()).await.unwrap()
    }

    /// The same until nothing is due.
    async fn work(&self) {
        for _ in 0..50 {
            if self.turn().await == 0 {
                return;
            }
        }
        panic!("it does not come to an end");
    }

    async fn errands(&self) -> usize {
        errands::turn(self.app()).await.unwrap()
    }

    /// Asks for this to be sent, and hands the message over.
    async fn ask(&self, order: &Value) -> Value {
        let source = order["source"].as_str().unwrap();
        let (status, answer) = self.office.post("/v1/shipments", source, order).await;
        assert_eq!(status, 202, "{answer}");
        let consumers = outbox::consumers(self.app(), &[Role::Fulfilment]);
        while outbox::turn(self.app(), &consumers).await.unwrap() > 0 {}
        self.shipment("purchase", source).await
    }

    /// The only request of this source.
    async fn shipment(&self, kind: &str, source: &str) -> Value {
        let path = format!("/v1/shipments?kind={kind}&source={source}");
        let (status, page) = self.hands.get(&path).await;
        assert_eq!(status, 200, "{page}");
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), 1, "{page}");
        items[0].clone()
    }

    /// How the request stands now.
    async fn again(&self, shipment: &Value) -> Value {
        let (status, shipment) = self.hands.get(&format!("/v1/shipments/{}", id(shipment))).await;
        assert_eq!(status, 200, "{shipment}");
        shipment
    }

    /// The warehouse does this; a fresh key each time.
    async fn does(&self, path: String, body: Value) -> (u16, Value) {
        let key = hex::encode(crate::common::random10());
        self.hands.post(&path, &key, &body).await
    }

    async fn done(&self, path: String, body: Value) -> Value {
        let (status, answer) = self.does(path.clone(), body).await;
        assert!((200..300).contains(&status), "{path} {status} {answer}");
        answer
    }

    /// The stable code of a refusal.
    async fn refused(&self, path: String, body: Value) -> String {
        let (status, answer) = self.does(path.clone(), body).await;
        assert!((400..500).contains(&status), "{path} {status} {answer}");
        answer["code"].as_str().unwrap().to_owned()
    }

    /// Lines of the audit log with this action.
    async fn audited(&self, action: &str) -> usize {
        let (status, page) = self
            .shop
            .operator(OperatorRole::Admin)
            .await
            .get("/v1/audit?limit=200")
            .await;
        assert_eq!(status, 200, "{page}");
        let lines = page["items"].as_array().unwrap();
        lines.iter().filter(|line| line["action"] == action).count()
    }

    /// Waits until so many waybills are known, of whatever standing: a late answer is written by itself.
    async fn known(&self, count: i64) {
        until(async || self.shop.chain.number("SELECT COUNT(*) FROM waybills").await == count).await;
    }
}

fn id(value: &Value) -> &str {
    value["id"].as_str().unwrap()
}

fn parcel(shipment: &Value, place: usize) -> &Value {
    &shipment["parcels"][place]
}

fn waybill(shipment: &Value) -> &str {
    parcel(shipment, 0)["waybill"]["number"].as_str().unwrap_or_default()
}
