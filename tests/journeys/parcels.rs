//! Exchanges and purchases are shipped once each, while whoever ships is killed again and again and the carrier fails in
//! every way that carriers do.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use counterfoil_head_office::{
    clock::{Clock, SystemClock},
    members::sessions::Link,
    on_both,
    testing::{On, until, web},
};
use counterfoil_tests::{
    office::{Beside, Office},
    program,
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::task::JoinSet;

const SEED: &[&str] = &[
    "--members",
    "50",
    "--coupons",
    "0",
    "--stores",
    "1",
    "--pickups",
    "0",
    "--seed",
    "21",
];
/// Unless `COUNTERFOIL_TEST_EXCHANGES` says how many; there is a purchase for each five of them.
const EXCHANGES: usize = 1_000;
const MEMBERS: usize = 50;
const COSTS: i64 = 10;
const GIVEN: i64 = 100_000;
/// Those who ask at once.
const CLIENTS: usize = 12;
/// How often whoever ships is killed.
const KILLS: usize = 12;

on_both! {
    everything_is_shipped_once_whoever_dies_and_however_the_carrier_fails,
    a_kill_between_the_carriers_answer_and_our_commit_leaves_one_waybill,
}

/// The carrier, as a process.
struct Carrier {
    child: Child,
    address: String,
}

impl Carrier {
    fn start() -> Self {
        let mut child = Command::new(program("counterfoil-hq"))
            .args(["sandbox-carrier", "--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().rsplit_once(' ').unwrap().1.to_owned();
        Self { child, address }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Head office: in one process, or whoever ships apart from whoever answers.
struct Site {
    office: Office,
    ships: Option<Beside>,
}

impl Site {
    async fn start(on: On) -> Self {
        let mut office = Office::start(on, SEED).await;
        let ships = match on {
            On::Sqlite => None,
            On::Postgres => {
                office.kill();
                office.does("api,jobs");
                office.go();
                Some(office.beside_as("fulfilment"))
            }
        };
        Self { office, ships }
    }

    /// `kill -9` of whoever ships.
    fn kill(&mut self) {
        match &mut self.ships {
            Some(ships) => ships.kill(),
            None => self.office.kill(),
        }
    }

    fn go(&mut self, ahead: i64) {
        match &mut self.ships {
            Some(ships) => ships.go_with_clock(ahead),
            None => self.office.go_with_clock(ahead),
        }
    }
}

/// Who asks: again and again until there is an answer.
#[derive(Clone)]
struct Web {
    client: Client,
    address: String,
    token: String,
}

impl Web {
    async fn ask(&self, token: &str, path: &str, key: Option<&str>, body: Option<&Value>) -> (u16, Value) {
        loop {
            let url = format!("{}{path}", self.address);
            let mut request = match body {
                Some(body) => self.client.post(url).json(body),
                None => self.client.get(url),
            };
            request = request.bearer_auth(token).timeout(Duration::from_secs(20));
            if let Some(key) = key {
                request = request.header("idempotency-key", key);
            }
            if let Ok(answer) = request.send().await {
                let status = answer.status().as_u16();
                if status < 500
                    && status != 429
                    && let Ok(body) = answer.json().await
                {
                    return (status, body);
                }
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> Value {
        let (status, answer) = self.ask(&self.token, path, Some(key), Some(body)).await;
        assert!((200..300).contains(&status), "{path} {status} {answer}");
        answer
    }

    async fn get(&self, path: &str) -> Value {
        let (status, answer) = self.ask(&self.token, path, None, None).await;
        assert_eq!(status, 200, "{path} {answer}");
        answer
    }

    async fn control(&self, carrier: &Carrier, body: Value) {
        let url = format!("{}/control", carrier.address);
        let answer = self.client.post(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success());
    }

    /// Keys and numbers of what the carrier has and has not cancelled.
    async fn live(&self, carrier: &Carrier) -> Vec<(String, String)> {
        let url = format!("{}/control", carrier.address);
        let shown: Value = self.client.get(url).send().await.unwrap().json().await.unwrap();
        let waybills = shown["waybills"].as_array().unwrap().iter();
        waybills
            .filter(|one| one["cancelled"] == false)
            .map(|one| {
                (
                    one["key"].as_str().unwrap().to_owned(),
                    one["number"].as_str().unwrap().to_owned(),
                )
            })
            .collect()
    }
}

/// Members with a session and an address, and a gift for all of them.
struct Crowd {
    members: Vec<(String, Value)>,
    gift: Value,
}

async fn web_of(office: &Office) -> Web {
    let added = office.command(&["admin", "operator", "add", "--name", "ops", "--role", "admin"]);
    let added: Value = serde_json::from_str(added.trim()).unwrap();
    Web {
        client: web().build().unwrap(),
        address: office.address.clone(),
        token: added["token"].as_str().unwrap().to_owned(),
    }
}

fn address() -> Value {
    json!({ "recipient": "王小明", "phone": "13800001234", "region": "上海市黄浦区", "street": "人民大道 1 号" })
}

async fn crowd(office: &Office, web: &Web, gifts: usize) -> Crowd {
    let key = office.command(&["admin", "tenant", "link-key", "--rotate"]);
    let mut link_key = [0; 32];
    hex::decode_to_slice(key.trim(), &mut link_key).unwrap();
    let warehouse = web.post("/v1/warehouses", "w", &json!({ "name": "North" })).await;
    let stock = json!({ "location": warehouse["id"], "sku": "G-1", "on_hand": gifts, "reason": "first count" });
    web.post("/v1/stock", "s", &stock).await;
    let terms = json!({
        "sku": "G-1", "name_zh": "杯", "name_en": "Cup", "points": COSTS, "given": "shipped", "location": warehouse["id"],
    });
    let gift = web.post("/v1/gifts", "g", &terms).await;
    let publish = format!("/v1/gifts/{}/publish", gift["id"].as_str().unwrap());
    web.post(&publish, "p", &json!({})).await;
    let numbers = office.texts("SELECT number FROM members ORDER BY number").await;
    let mut members = Vec::new();
    for number in numbers.iter().take(MEMBERS) {
        let points = json!({ "member": number, "kind": "gift", "id": format!("start {number}"), "points": GIVEN });
        web.post("/v1/points/earnings", &format!("e {number}").replace(' ', "-"), &points)
            .await;
        let link = Link {
            tenant: "demo",
            member: number,
            expires: SystemClock.now() + 300_000,
        };
        let body = json!({ "tenant": link.tenant, "member": number, "expires": link.expires, "signature": link.sign(&link_key) });
        let url = format!("{}/v1/member/sessions", web.address);
        let answer = web.client.post(url).json(&body).send().await.unwrap();
        let session: Value = answer.json().await.unwrap();
        let token = session["token"].as_str().unwrap().to_owned();
        let (status, kept) = web
            .ask(&token, "/v1/member/addresses", Some("a"), Some(&address()))
            .await;
        assert_eq!(status, 201, "{kept}");
        members.push((token, kept["id"].clone()));
    }
    Crowd {
        members,
        gift: gift["id"].clone(),
    }
}

fn set_carrier(office: &Office, carrier: &Carrier) {
    office.command(&[
        "admin",
        "carrier",
        "set",
        "--adapter",
        "sandbox",
        "--url",
        &carrier.address,
    ]);
}

/// Asks for all exchanges, each once however often it is asked.
async fn exchanges(web: Web, crowd: Arc<Crowd>, count: usize) -> BTreeSet<String> {
    let mut tasks = JoinSet::new();
    for client in 0..CLIENTS {
        let (web, crowd) = (web.clone(), Arc::clone(&crowd));
        tasks.spawn(async move {
            let mut made = BTreeSet::new();
            for n in (client..count).step_by(CLIENTS) {
                let (token, address) = &crowd.members[n % crowd.members.len()];
                let body = json!({ "gift": crowd.gift, "address": address });
                let (status, answer) = web
                    .ask(token, "/v1/member/exchanges", Some(&format!("x{n}")), Some(&body))
                    .await;
                assert_eq!(status, 201, "{answer}");
                made.insert(answer["id"].as_str().unwrap().to_owned());
            }
            made
        });
    }
    let mut all = BTreeSet::new();
    while let Some(made) = tasks.join_next().await {
        all.extend(made.unwrap());
    }
    all
}

/// Purchases of three lines in two parcels, one line of them short: there are two of its three pieces.
async fn purchases(web: Web, count: usize) {
    for n in 0..count {
        let source = format!("W-{n}");
        let order = json!({
            "source": source,
            "lines": [
                { "sku": "A", "name": "Apples", "quantity": 3 },
                { "sku": "B", "name": "Bread", "quantity": 1 },
                { "sku": "C", "name": "Cups", "quantity": 2 },
            ],
            "address": address(),
        });
        web.post("/v1/shipments", &source, &order).await;
    }
    for n in 0..count {
        let path = format!("/v1/shipments?kind=purchase&source=W-{n}");
        let first = loop {
            let page = web.get(&path).await;
            if let Some(parcel) = page["items"][0]["parcels"][0]["id"].as_str() {
                break parcel.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let out = json!({ "lines": [{ "line": 2, "quantity": 2 }] });
        web.post(&format!("/v1/parcels/{first}/split"), &format!("split-{n}"), &out)
            .await;
        let packed = json!({ "lines": [{ "line": 0, "quantity": 2 }, { "line": 1, "quantity": 1 }] });
        web.post(&format!("/v1/parcels/{first}/pack"), &format!("pack-{n}"), &packed)
            .await;
    }
}

async fn everything_is_shipped_once_whoever_dies_and_however_the_carrier_fails(on: On) {
    let count: usize = std::env::var("COUNTERFOIL_TEST_EXCHANGES").map_or(EXCHANGES, |text| text.parse().unwrap());
    let bought = count / 5;
    let mut site = Site::start(on).await;
    let web = web_of(&site.office).await;
    let carrier = Carrier::start();
    set_carrier(&site.office, &carrier);
    let crowd = Arc::new(crowd(&site.office, &web, count).await);
    let odds = json!({ "hang": 1, "fail": 4, "twice": 4, "lose": 4, "slow": 4, "html": 3 });
    web.control(
        &carrier,
        json!({ "odds": odds, "hang_ms": 8_000, "slow_ms": 300, "dedupe": false, "seed": 7 }),
    )
    .await;

    let begun = Instant::now();
    let url = site.office.fresh.url.clone();
    let is_over = Arc::new(AtomicBool::new(false));
    let killing = {
        let is_over = Arc::clone(&is_over);
        tokio::task::spawn_blocking(move || {
            let mut kills = 0;
            while kills < KILLS && !is_over.load(Ordering::Relaxed) {
                std::thread::sleep(Duration::from_millis(fastrand::u64(400..1_500)));
                site.kill();
                site.go(0);
                kills += 1;
            }
            (site, kills)
        })
    };
    let asking = tokio::spawn(exchanges(web.clone(), Arc::clone(&crowd), count));
    let buying = tokio::spawn(purchases(web.clone(), bought));
    let made = asking.await.unwrap();
    assert_eq!(made.len(), count);
    buying.await.unwrap();
    let asked = begun.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (mut site, kills) = killing.await.unwrap();
    assert!(kills > 0, "nobody was killed");
    assert_eq!(site.office.fresh.url, url);

    // Everything that is to be ordered is ordered, in the end.
    let open = "SELECT COUNT(*) FROM parcel_generations WHERE errand = 'order'";
    let waiting = "SELECT COUNT(*) FROM outbox WHERE status <> 'confirmed'";
    in_long(async || site.office.number(open).await + site.office.number(waiting).await == 0).await;
    eprintln!(
        "{on:?}: {count} exchanges and {bought} purchases asked for in {:.1} s with {kills} kills, drained after {:.1} s more",
        asked.as_secs_f64(),
        (begun.elapsed() - asked).as_secs_f64()
    );
    // Long after the last answer can have come, what nobody has heard of is cleared away.
    web.control(&carrier, json!({ "odds": {} })).await;
    site.kill();
    site.go(12 * 60);
    in_long(async || {
        site.office
            .number("SELECT COUNT(*) FROM parcel_generations WHERE errand IS NOT NULL")
            .await
            == 0
    })
    .await;

    let office = &site.office;
    let number = async |sql: &str| office.number(sql).await;
    let all = i64::try_from(count + bought).unwrap();
    assert_eq!(number("SELECT COUNT(*) FROM shipments").await, all);
    let sources = office
        .texts("SELECT source FROM shipments WHERE kind = 'exchange'")
        .await;
    assert_eq!(sources.into_iter().collect::<BTreeSet<_>>(), made);
    assert_eq!(number("SELECT COUNT(*) FROM outbox WHERE topic = 'ship'").await, all);
    assert_eq!(number("SELECT COUNT(*) FROM inbox WHERE consumer = 'ship'").await, all);
    let parcels = i64::try_from(count + 2 * bought).unwrap();
    assert_eq!(number("SELECT COUNT(*) FROM parcels").await, parcels);
    let live = "SELECT COUNT(*) FROM waybills WHERE status = 'live'";
    assert_eq!(number(live).await, parcels);
    // The carrier has exactly these.
    let at_carrier = web.live(&carrier).await;
    let keys: BTreeSet<&String> = at_carrier.iter().map(|(key, _)| key).collect();
    assert_eq!(keys.len(), at_carrier.len(), "a parcel has two waybills at the carrier");
    let numbers: BTreeSet<String> = at_carrier.into_iter().map(|(_, number)| number).collect();
    let known = office.texts("SELECT number FROM waybills WHERE status = 'live'").await;
    assert_eq!(numbers, known.into_iter().collect::<BTreeSet<_>>());
    // One of three pieces is short, in each purchase.
    let short = "SELECT COUNT(*) FROM shipment_lines WHERE ordered = 3 AND in_parcels = 2";
    assert_eq!(number(short).await, i64::try_from(bought).unwrap());
    let points = "SELECT CAST(SUM(points_available) AS BIGINT) FROM accounts";
    let spent = COSTS * i64::try_from(count).unwrap();
    assert_eq!(number(points).await, GIVEN * i64::try_from(MEMBERS).unwrap() - spent);
    assert_eq!(
        number("SELECT CAST(SUM(on_hand + reserved) AS BIGINT) FROM stocks").await,
        0
    );
    site.kill();
    site.office.verify();
}

/// Waits as long as some thousand errands take with a carrier that fails.
async fn in_long(is_so: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(300), "it does not come to an end");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn a_kill_between_the_carriers_answer_and_our_commit_leaves_one_waybill(on: On) {
    let mut site = Site::start(on).await;
    let web = web_of(&site.office).await;
    let carrier = Carrier::start();
    set_carrier(&site.office, &carrier);
    // The carrier has made the waybill, and its answer is on its way for a while.
    let slow = json!({ "faults": [{ "of": "order", "what": "slow" }], "slow_ms": 3_000, "dedupe": false });
    web.control(&carrier, slow).await;
    let order = json!({
        "source": "W-1",
        "lines": [{ "sku": "A", "name": "Apples", "quantity": 1 }],
        "address": address(),
    });
    web.post("/v1/shipments", "W-1", &order).await;
    until(async || web.live(&carrier).await.len() == 1).await;
    site.kill();
    assert_eq!(site.office.number("SELECT COUNT(*) FROM waybills").await, 0);
    // Nobody else takes the errand before the time of whoever died is up.
    site.go(60);
    until(async || site.office.number("SELECT COUNT(*) FROM waybills").await == 1).await;
    site.kill();
    site.go(15 * 60);
    let errands = "SELECT COUNT(*) FROM parcel_generations WHERE errand IS NOT NULL";
    until(async || site.office.number(errands).await == 0).await;
    let live = web.live(&carrier).await;
    assert_eq!(live.len(), 1);
    let known = site
        .office
        .texts("SELECT number FROM waybills WHERE status = 'live'")
        .await;
    assert_eq!(known, [live[0].1.clone()]);
    site.kill();
    site.office.verify();
}
