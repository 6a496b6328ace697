//! Recordings: what counters of some version said to head office, request by request, on the database that it began with.
//! Whatever is changed later, they must be answered as they were: counters of that version are still out there, and
//! deliver what they have.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use axum::http::Method;
use counterfoil_counter::key;
use counterfoil_domain::{ids::HistoryId, time::Millis};
use counterfoil_head_office::{App, capabilities, db::Db, verify};
use counterfoil_protocol::{
    paths,
    signing::{DEVICE, SIGNATURE, Signed, TENANT, TIME},
    sync::{Cursor, SyncRequest, SyncResponse},
};
use ed25519_dalek::SigningKey;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};

use crate::{
    ambient::{Dice, Doom, OfficeClock, START, Time},
    base::{self, Base, FILE},
    net::{Call, Net, Reached},
    perform,
    step::{Faults, Step, steps},
    world::World,
};

/// The database as it was.
const DATABASE: &str = "head-office.db.gz";
/// The requests, a line each.
const REQUESTS: &str = "requests.jsonl.gz";
/// The devices' private keys: of devices that exist in this recording alone.
const KEYS: &str = "keys.json";

/// A request and its answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Line {
    /// When it came.
    pub at: Millis,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: String,
    status: u16,
    /// How each operation of a push ended.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    outcomes: BTreeMap<String, String>,
}

impl Line {
    /// Of a request that was answered.
    pub fn of(at: Millis, call: &Call, status: u16, body: &[u8]) -> Self {
        Self {
            at,
            method: call.method.to_string(),
            path: call.path.clone(),
            headers: call.headers.clone(),
            body: String::from_utf8_lossy(&call.body).into_owned(),
            status,
            outcomes: outcomes(body),
        }
    }
}

fn outcomes(body: &[u8]) -> BTreeMap<String, String> {
    let answer: Option<SyncResponse> = serde_json::from_slice(body).ok();
    let outcomes = answer.into_iter().flat_map(|answer| answer.outcomes);
    outcomes
        .map(|outcome| (outcome.op_id.to_string(), format!("{:?}", outcome.outcome)))
        .collect()
}

/// Records the steps of a seed into a folder.
///
/// # Errors
/// When the simulator can't go on, or the folder can't be written.
pub async fn record(seed: u64, events: usize, folder: &Path) -> Result<usize> {
    let faults = Faults::all();
    let base = Arc::new(Base::make().await?);
    let database = std::fs::read(base.folder.path().join(FILE))?;
    let mut world = World::new(seed, base, faults.clone()).await?;
    world.net.record(world.time.clone());
    let steps: Vec<Step> = steps(seed, events, &faults, crate::tills())
        .into_iter()
        .filter(|step| step.what.is_recorded())
        .collect();
    for step in &steps {
        perform::perform(&mut world, step).await?;
    }
    let lines = world.net.recorded();
    let mut keys = BTreeMap::new();
    for till in &world.tills {
        let key = key::load_key(&till.folder)?.context("a counter without a key")?;
        keys.insert(till.device.to_string(), hex::encode(key.to_bytes()));
    }
    world.end().await?;
    std::fs::create_dir_all(folder)?;
    pack(&folder.join(DATABASE), &database)?;
    std::fs::write(folder.join(KEYS), serde_json::to_string_pretty(&keys)?)?;
    let mut text = Vec::new();
    for line in &lines {
        serde_json::to_writer(&mut text, line)?;
        text.push(b'\n');
    }
    pack(&folder.join(REQUESTS), &text)?;
    Ok(lines.len())
}

/// Asks all that was recorded in a folder again, in order; how many requests, and how many operations.
///
/// # Errors
/// When a request is answered otherwise than it was, or `verify` finds something.
pub async fn replay(folder: &Path) -> Result<(usize, usize)> {
    let place = base::folder()?;
    let file = place.path().join(FILE);
    std::fs::write(&file, unpack(&folder.join(DATABASE))?)?;
    let time = Time::at(START);
    let (clock, dice) = (Arc::new(OfficeClock(time.clone())), Arc::new(Dice::new(77, 1)));
    let url = format!("sqlite:{}", file.display());
    let db = Db::open_with(&url, clock.as_ref(), dice.as_ref(), 1, None).await?;
    let app = App::on(db, clock, dice, false);
    let net = Net::default();
    net.connect(Some(Reached {
        router: capabilities::router(Arc::clone(&app), None),
        doom: Arc::new(Doom::default()),
    }));
    let text = unpack(&folder.join(REQUESTS))?;
    let keys: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(folder.join(KEYS))?)?;
    let mut devices = Devices {
        keys,
        read: BTreeMap::new(),
    };
    let (mut requests, mut operations) = (0, 0);
    for line in std::str::from_utf8(&text)?.lines() {
        let line: Line = serde_json::from_str(line)?;
        time.pass(line.at - time.now());
        let mut call = Call {
            method: Method::from_bytes(line.method.as_bytes())?,
            path: line.path.clone(),
            headers: line.headers,
            body: line.body.into_bytes(),
        };
        devices.bring_up_to_date(&mut call)?;
        let (status, body) = net.ask(&call).await.context("nobody answered")?;
        devices.listen(&call, &body);
        requests += 1;
        let said = outcomes(&body);
        operations += said.len();
        if (status, &said) != (line.status, &line.outcomes) {
            bail!(
                "request {requests}, {} {}: was answered {} {:?}, and is now {status} {said:?}: {}",
                line.method,
                line.path,
                line.status,
                line.outcomes,
                String::from_utf8_lossy(&body)
            );
        }
    }
    let mut broken = Vec::new();
    verify::verify(&app.db, |check| {
        broken.extend(
            check
                .broken
                .iter()
                .map(|found| format!("{}: {}", check.check, found.what)),
        );
    })
    .await?;
    if !broken.is_empty() {
        bail!("verify: {broken:?}");
    }
    app.stopping.cancel();
    app.db.close().await;
    Ok((requests, operations))
}

/// What devices go by that head office makes up anew in each run: which history it is, and how far they have read.
struct Devices {
    keys: BTreeMap<String, String>,
    read: BTreeMap<String, (HistoryId, Cursor)>,
}

fn device_of(call: &Call) -> Option<String> {
    let header = call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(DEVICE));
    header.map(|(_, value)| value.clone())
}

impl Devices {
    /// Puts what the device was last told into its exchange, and signs that.
    fn bring_up_to_date(&self, call: &mut Call) -> Result<()> {
        let Some(device) = device_of(call).filter(|_| call.path == paths::SYNC) else {
            return Ok(());
        };
        let Some((history, cursor)) = self.read.get(&device) else {
            return Ok(());
        };
        let mut asked: SyncRequest = serde_json::from_slice(&call.body)?;
        (asked.history_id, asked.cursor) = (*history, *cursor);
        call.body = serde_json::to_vec(&asked)?;
        let mut key = [0; 32];
        hex::decode_to_slice(self.keys.get(&device).context("a device without a key")?, &mut key)?;
        let of = |wanted: &str| {
            let found = call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            found.map(|(_, value)| value.as_str()).context("a header is missing")
        };
        let signature = Signed {
            method: call.method.as_str(),
            path: &call.path,
            tenant: of(TENANT)?.parse()?,
            device: device.parse()?,
            time: of(TIME)?.parse()?,
            body: &call.body,
        }
        .sign(&SigningKey::from_bytes(&key));
        for (name, value) in &mut call.headers {
            if name.eq_ignore_ascii_case(SIGNATURE) {
                value.clone_from(&signature);
            }
        }
        Ok(())
    }

    fn listen(&mut self, call: &Call, body: &[u8]) {
        let Some(device) = device_of(call).filter(|_| call.path == paths::SYNC) else {
            return;
        };
        let Ok(answer) = serde_json::from_slice::<SyncResponse>(body) else {
            return;
        };
        if let Some(page) = answer.page {
            self.read.insert(device, (answer.history_id, page.cursor));
        }
    }
}

fn pack(file: &Path, bytes: &[u8]) -> Result<()> {
    let mut packed = GzEncoder::new(std::fs::File::create(file)?, Compression::best());
    packed.write_all(bytes)?;
    packed.finish()?;
    Ok(())
}

fn unpack(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let packed = std::fs::File::open(file).with_context(|| file.display().to_string())?;
    GzDecoder::new(packed).read_to_end(&mut bytes)?;
    Ok(bytes)
}
