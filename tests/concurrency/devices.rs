//! Counters, as far as head office sees them: questions and a journal, signed.

use std::sync::{Arc, Mutex};

use counterfoil_domain::{
    ids::{ClerkId, CouponId, FreezeId, OperationId, TemplateId},
    operations::{Action, RedeemCoupon, VoidRedemption},
    transition::{Subject, genesis},
};
use counterfoil_protocol::{
    VERSION,
    enrolment::{EnrolRequest, EnrolResponse},
    operation::{ACTION_VERSION, Envelope, Evidence, seal},
    questions::{FreezeRequest, LookupRequest},
    signing::{self, Signed},
    sync::{Cursor, SyncRequest, SyncResponse},
};
use counterfoil_tests::random::Random;
use ed25519_dalek::SigningKey;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, value::RawValue};

use crate::{
    asking::{Answer, World},
    history::{Deed, Done, Pushed, Stood},
    model::Wanted,
};

/// Operations that are sent again with the next one.
const SENT_AGAIN: usize = 3;

/// A counter.
pub struct Device {
    key: SigningKey,
    place: EnrolResponse,
    /// What its clerk works with.
    work: Mutex<Option<Journal>>,
    /// What was sent last, for whoever repeats it.
    last: Mutex<Vec<Box<RawValue>>>,
}

/// What a clerk works with.
struct Journal {
    random: Random,
    seq: i64,
    head: [u8; 32],
    texts: Vec<Box<RawValue>>,
    /// Redemptions that may be undone: the operation, its coupon.
    mine: Vec<(OperationId, usize)>,
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_millis()).unwrap()
}

fn ten(random: &mut Random) -> [u8; 10] {
    std::array::from_fn(|_| u8::try_from(random.below(256)).unwrap())
}

/// A new counter.
pub async fn enrol(world: &World, code: &str, mut random: Random) -> Arc<Device> {
    let mut secret = [0; 32];
    secret[..10].copy_from_slice(&ten(&mut random));
    let key = SigningKey::from_bytes(&secret);
    let body = EnrolRequest {
        code: code.to_owned(),
        public_key: hex::encode(key.verifying_key().to_bytes()),
        proof: EnrolRequest::prove(code, &key),
        name: "test".to_owned(),
        app_version: String::new(),
    };
    let address = world.anybody(&mut random).unwrap();
    let answer = world.client().post(format!("{address}/v1/enrol")).json(&body).send();
    let place = answer.await.unwrap().json().await.unwrap();
    Arc::new(Device {
        key,
        place,
        work: Mutex::new(Some(Journal {
            random,
            seq: 0,
            head: genesis(),
            texts: Vec::new(),
            mine: Vec::new(),
        })),
        last: Mutex::default(),
    })
}

impl Device {
    fn name(&self) -> String {
        self.place.device.to_string()
    }

    fn request(&self, client: &Client, address: &str, method: Method, path: &str, body: Vec<u8>) -> RequestBuilder {
        let time = now();
        let signed = Signed {
            method: method.as_str(),
            path,
            tenant: self.place.tenant,
            device: self.place.device,
            time,
            body: &body,
        };
        client
            .request(method.clone(), format!("{address}{path}"))
            .header(signing::TENANT, self.place.tenant.to_string())
            .header(signing::DEVICE, self.place.device.to_string())
            .header(signing::TIME, time.to_string())
            .header(signing::SIGNATURE, signed.sign(&self.key))
            .header("content-type", "application/json")
            .body(body)
    }

    fn sync(&self, operations: Vec<Box<RawValue>>, cursor: Cursor, rows: i64, wait: i64) -> Vec<u8> {
        let request = SyncRequest {
            protocol: VERSION,
            history_id: self.place.history_id,
            cursor,
            epoch: self.place.epoch,
            acknowledged_seq: 0,
            operations,
            more_waiting: false,
            page_rows: rows,
            wait,
            app_version: String::new(),
        };
        serde_json::to_vec(&request).unwrap()
    }

    /// Asks for a freeze, gives it back, looks: the answer in one word.
    async fn ask(
        &self,
        world: &World,
        random: &mut Random,
        coupon: (usize, &Wanted),
        deed: Deed,
        question: (Method, &str, Vec<u8>, Option<String>),
    ) -> Option<String> {
        let (method, path, body, key) = question;
        let asked = world.now();
        let answers = world
            .until_answered(random, |client, address| {
                let request = self.request(client, address, method.clone(), path, body.clone());
                match &key {
                    Some(key) => request.header("idempotency-key", key),
                    None => request,
                }
            })
            .await;
        let answered = world.now();
        let words: Vec<String> = answers.iter().map(word).collect();
        let first = words.first()?.clone();
        // What is looked at may change from one copy to the next.
        if deed != Deed::Look && answers.iter().any(|answer| *answer != answers[0]) {
            world.violation(format!("{deed:?} got several answers: {answers:?}"));
        }
        world.history.lock().unwrap().done.push(Done {
            coupon: coupon.0,
            deed,
            answer: first.clone(),
            asked,
            answered,
        });
        Some(first)
    }

    async fn freeze(&self, world: &World, random: &mut Random, coupon: (usize, &Wanted)) -> Option<(FreezeId, bool)> {
        let id = FreezeId::new(now(), ten(random));
        let body = serde_json::to_vec(&FreezeRequest {
            amounts: counterfoil_domain::points::Amounts::default(),
            id,
            subject: Subject::Coupon(coupon.1.id),
            presented_by: None,
        });
        let question = (Method::POST, "/v1/freezes", body.unwrap(), Some(id.to_string()));
        let word = self
            .ask(world, random, coupon, Deed::Freeze(id.to_string()), question)
            .await?;
        world.count(if word == "granted" {
            "freezes"
        } else {
            "freezes refused"
        });
        Some((id, word == "granted"))
    }

    async fn unfreeze(&self, world: &World, random: &mut Random, coupon: (usize, &Wanted), id: FreezeId) {
        let path = format!("/v1/freezes/{id}");
        let question = (Method::DELETE, path.as_str(), Vec::new(), None);
        self.ask(world, random, coupon, Deed::Unfreeze(id.to_string()), question)
            .await;
    }

    async fn look(&self, world: &World, random: &mut Random, coupon: (usize, &Wanted)) {
        let body = serde_json::to_vec(&LookupRequest::Coupon(coupon.1.id)).unwrap();
        let question = (Method::POST, "/v1/lookups", body, None);
        self.ask(world, random, coupon, Deed::Look, question).await;
    }

    /// Journals what happened and sends it, with some of what was sent before, until it is answered.
    async fn journal(
        &self,
        world: &World,
        work: &mut Journal,
        coupon: usize,
        action: Action,
        deed: impl FnOnce(String) -> Deed,
    ) -> Option<OperationId> {
        let id = OperationId::new(now(), ten(&mut work.random));
        work.seq += 1;
        let sealed = seal(&Envelope {
            op_id: id,
            tenant: self.place.tenant,
            device: self.place.device,
            epoch: self.place.epoch,
            seq: work.seq,
            prev_hash: work.head,
            version: ACTION_VERSION,
            actor: None,
            occurred_at: now(),
            monotonic: work.seq,
            boot_id: "boot".to_owned(),
            evidence: Evidence::Code,
            action,
        })
        .unwrap();
        work.head = sealed.fingerprint;
        work.texts.push(RawValue::from_string(sealed.text).unwrap());
        let again = work.random.below(SENT_AGAIN + 1).min(work.texts.len() - 1);
        let sent = work.texts[work.texts.len() - 1 - again..].to_vec();
        self.last.lock().unwrap().clone_from(&sent);
        let body = self.sync(sent, Cursor::default(), 0, 0);
        let asked = world.now();
        world.history.lock().unwrap().pushed.insert(
            id.to_string(),
            Pushed {
                device: self.name(),
                seq: work.seq,
                sent: asked,
                answered: u64::MAX,
            },
        );
        let answers = world
            .until_answered(&mut work.random, |client, address| {
                self.request(client, address, Method::POST, "/v1/sync", body.clone())
            })
            .await;
        let answered = world.now();
        for answer in &answers {
            outcomes(world, answer);
        }
        let mut history = world.history.lock().unwrap();
        let answer = history.outcomes.get(&id.to_string())?.first()?.clone();
        if let Some(pushed) = history.pushed.get_mut(&id.to_string()) {
            pushed.answered = answered;
        }
        history.done.push(Done {
            coupon,
            deed: deed(id.to_string()),
            answer,
            asked,
            answered,
        });
        Some(id)
    }
}

/// The answer in one word.
fn word((status, body): &Answer) -> String {
    if let Some(rows) = body["rows"].as_array() {
        let coupon = rows.iter().find(|row| row["entity"] == "coupon");
        return coupon
            .map_or("unknown", |row| row["row"]["state"].as_str().unwrap_or_default())
            .to_owned();
    }
    match body["answer"].as_str() {
        Some(answer) if *status == 200 => answer.to_owned(),
        _ => format!("{status} {body}"),
    }
}

/// Notes every outcome that an answer tells.
fn outcomes(world: &World, (status, body): &Answer) {
    if *status != 200 {
        world.violation(format!("a push was answered {status}: {body}"));
        return;
    }
    let mut history = world.history.lock().unwrap();
    for outcome in body["outcomes"].as_array().into_iter().flatten() {
        let said = [&outcome["outcome"], &outcome["exception"], &outcome["reason"]];
        let said: Vec<&str> = said.iter().filter_map(|word| word.as_str()).collect();
        let operation = outcome["op_id"].as_str().unwrap_or_default().to_owned();
        history.outcomes.entry(operation).or_default().push(said.join(" "));
    }
}

/// A clerk's day.
pub async fn work(world: Arc<World>, device: Arc<Device>, coupons: Arc<Vec<Wanted>>) {
    let mut work = device.work.lock().unwrap().take().unwrap();
    while !world.is_over() {
        let place = work.random.below(coupons.len());
        let coupon = (place, &coupons[place]);
        if work.random.percent(20) {
            device.look(&world, &mut work.random, coupon).await;
        } else if work.mine.len() > 1 && work.random.percent(55) {
            let (target, place) = work.mine.remove(0);
            let action = Action::VoidRedemption(VoidRedemption {
                target,
                reason: "test".to_owned(),
                approved_by: ClerkId::new(1, [0; 10]),
            });
            let deed = |_| Deed::Undo(target.to_string());
            if device.journal(&world, &mut work, place, action, deed).await.is_some() {
                world.count("undone");
            }
        } else if let Some((freeze, true)) = device.freeze(&world, &mut work.random, coupon).await {
            if work.random.percent(25) {
                device.unfreeze(&world, &mut work.random, coupon, freeze).await;
                continue;
            }
            let action = coupon.1.redeemed_with(freeze);
            let deed = |operation| Deed::Redeem(freeze.to_string(), operation);
            if let Some(operation) = device.journal(&world, &mut work, place, action, deed).await {
                work.mine.push((operation, place));
                world.count("redeemed");
            }
        }
    }
}

/// Beside its clerk: what was sent last is sent again three times at once, the feed is read, a long poll is given up.
pub async fn noise(world: Arc<World>, device: Arc<Device>, mut random: Random) {
    let mut cursor = Cursor::default();
    while !world.is_over() {
        let Some(address) = world.anybody(&mut random) else {
            tokio::time::sleep(random.time(5, 30)).await;
            continue;
        };
        if random.percent(60) {
            let sent = device.last.lock().unwrap().clone();
            if sent.is_empty() {
                tokio::time::sleep(random.time(5, 30)).await;
                continue;
            }
            let body = device.sync(sent, Cursor::default(), 0, 0);
            let ask = async |patience| {
                let request = device.request(world.client(), &address, Method::POST, "/v1/sync", body.clone());
                match tokio::time::timeout(patience, world.once(request)).await {
                    Ok(Some(answer)) => outcomes(&world, &answer),
                    Ok(None) => {}
                    Err(_) => world.count("given up"),
                }
            };
            let (short, long) = (random.time(0, 20), random.time(30_000, 30_001));
            tokio::join!(ask(short), ask(long), ask(long));
        } else {
            let wait = if random.percent(30) { 20_000 } else { 0 };
            let body = device.sync(Vec::new(), cursor, 200, wait);
            let request = device.request(world.client(), &address, Method::POST, "/v1/sync", body);
            let patience = if wait > 0 {
                random.time(5, 200)
            } else {
                random.time(2_000, 30_000)
            };
            let asked = world.now();
            match tokio::time::timeout(patience, world.once(request)).await {
                Ok(Some((200, body))) => cursor = stood(&world, &device, asked, &body),
                Ok(Some(other)) => world.violation(format!("a pull was answered {other:?}")),
                Ok(None) => {}
                Err(_) => world.count("given up"),
            }
        }
        tokio::time::sleep(random.time(5, 60)).await;
    }
}

/// Notes where the journal stood; where the next page begins.
fn stood(world: &World, device: &Device, asked: u64, body: &Value) -> Cursor {
    let answer: SyncResponse = serde_json::from_value(body.clone()).unwrap();
    world.history.lock().unwrap().stood.push(Stood {
        device: device.name(),
        seq: answer.device.last_applied_seq,
        asked,
        answered: world.now(),
    });
    world.count("pulls");
    answer.page.map_or_else(Cursor::default, |page| page.cursor)
}

impl Wanted {
    fn redeemed_with(&self, freeze: FreezeId) -> Action {
        Action::RedeemCoupon(RedeemCoupon {
            coupon: CouponId::from_bytes(self.id.bytes()).unwrap(),
            template: TemplateId::from_bytes(&self.template).unwrap(),
            template_version: self.template_version,
            worth: 100,
            member: None,
            freeze: Some(freeze),
        })
    }
}
