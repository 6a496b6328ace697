//! A device with a valid key and bad intentions. It holds nothing that an honest counter holds but its place, and says
//! what it likes over the real routes.

use anyhow::Result;
use axum::http::Method;
use counterfoil_domain::{
    ids::{CouponId, DeviceId, FreezeId, HistoryId, OperationId, TemplateId, TenantId},
    operations::{Action, Outcome, RedeemCoupon},
    sales::{SaleLine, Settlement},
    transition::genesis,
};
use counterfoil_head_office::stores;
use counterfoil_protocol::{
    VERSION,
    enrolment::{EnrolRequest, EnrolResponse},
    operation::{ACTION_VERSION, Envelope, Evidence, seal},
    paths,
    signing::{DEVICE, SIGNATURE, Signed, TENANT, TIME},
    sync::{Cursor, SyncRequest, SyncResponse},
};
use ed25519_dalek::SigningKey;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Kind;
use crate::{
    judge::{Judged, Violations},
    net::Call,
    step::Making,
    world::{World, pick},
};

/// What a device with a valid key and bad intentions does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trick {
    /// Names the freeze of whoever holds the coupon.
    ForeignFreeze,
    /// Claims to have read what was never written.
    MadeUpCursor,
    /// Claims to have delivered what it has not.
    MadeUpAcknowledgement,
    /// Gives away less than nothing.
    NegativeWorth,
    /// Writes what no column holds.
    Nul,
    /// Speaks for another device.
    ForeignDevice,
    /// Sends the same place twice with different words.
    Fork,
    /// Uses what is not valid any more.
    Ended,
}

impl Trick {
    const ALL: [Self; 8] = [
        Self::ForeignFreeze,
        Self::MadeUpCursor,
        Self::MadeUpAcknowledgement,
        Self::NegativeWorth,
        Self::Nul,
        Self::ForeignDevice,
        Self::Fork,
        Self::Ended,
    ];
}

/// A device with a valid key and bad intentions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attack {
    attack: Trick,
    coupon: usize,
}

impl Kind for Attack {
    const WEIGHT: u32 = 24;
    const FAULT: Option<&'static str> = Some("hostile");

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            attack: Trick::ALL[making.dice.usize(..Trick::ALL.len())],
            coupon: making.thing(),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        world.count("hostile");
        attack(world, self.attack, self.coupon).await
    }
    /// What gives away less than nothing has no effect.
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let mut violations = Violations::new();
        for (id, entry) in &judged.journals.entries {
            if let Action::RedeemCoupon(RedeemCoupon { worth, .. }) = entry.action
                && worth < 0
            {
                violations.push(format!("{id} gives away {worth}"));
            }
        }
        Ok(violations)
    }
}

/// Where it stands in its own journal.
#[derive(Debug, Default)]
struct Hostile {
    place: Option<Place>,
    sent: u64,
}

#[derive(Debug, Clone)]
struct Place {
    tenant: TenantId,
    device: DeviceId,
    key: SigningKey,
    epoch: i64,
    seq: i64,
    head: [u8; 32],
    history: HistoryId,
}

impl Hostile {
    fn id(&mut self) -> [u8; 10] {
        self.sent += 1;
        let mut bytes = [0xEE; 10];
        bytes[..8].copy_from_slice(&self.sent.to_be_bytes());
        bytes
    }
}

async fn enrol(world: &mut World) -> Result<()> {
    let Some(app) = world.app() else { return Ok(()) };
    let key = SigningKey::from_bytes(&[0xEE; 32]);
    let store = world.base.stores[0];
    let code = stores::enrol::make_code(
        &app.db,
        app.clock.as_ref(),
        app.random.as_ref(),
        world.base.tenant,
        store,
    )
    .await;
    let Ok(code) = code else { return Ok(()) };
    let request = EnrolRequest {
        proof: EnrolRequest::prove(&code, &key),
        code,
        public_key: hex::encode(key.verifying_key().to_bytes()),
        name: "stolen".into(),
        app_version: "0".into(),
    };
    let call = Call {
        method: Method::POST,
        path: paths::ENROL.into(),
        headers: Vec::new(),
        body: serde_json::to_vec(&request)?,
    };
    let Some((200 | 201, body)) = world.net.ask(&call).await else {
        return Ok(());
    };
    // Somebody else may have answered.
    let Ok(place) = serde_json::from_slice::<EnrolResponse>(&body) else {
        return Ok(());
    };
    world.own.of::<Hostile>().place = Some(Place {
        tenant: place.tenant,
        device: place.device,
        key,
        epoch: place.epoch,
        seq: 0,
        head: genesis(),
        history: place.history_id,
    });
    Ok(())
}

async fn send(world: &World, place: &Place, request: &SyncRequest) -> Result<Option<(u16, Vec<u8>)>> {
    let body = serde_json::to_vec(request)?;
    let time = world.time.now();
    let signature = Signed {
        method: "POST",
        path: paths::SYNC,
        tenant: place.tenant,
        device: place.device,
        time,
        body: &body,
    }
    .sign(&place.key);
    let call = Call {
        method: Method::POST,
        path: paths::SYNC.into(),
        headers: vec![
            (TENANT.into(), place.tenant.to_string()),
            (DEVICE.into(), place.device.to_string()),
            (TIME.into(), time.to_string()),
            (SIGNATURE.into(), signature),
        ],
        body,
    };
    Ok(world.net.ask(&call).await)
}

fn ask(place: &Place, cursor: Cursor, acknowledged_seq: i64, operations: Vec<Box<RawValue>>) -> SyncRequest {
    SyncRequest {
        protocol: VERSION,
        history_id: place.history,
        cursor,
        epoch: place.epoch,
        acknowledged_seq,
        operations,
        more_waiting: false,
        page_rows: 10,
        wait: 0,
        app_version: "0".into(),
    }
}

/// One attack; what head office said of it.
async fn attack(world: &mut World, attack: Trick, coupon: usize) -> Result<String> {
    if world.own.of::<Hostile>().place.is_none() {
        enrol(world).await?;
    }
    let Some(mut place) = world.own.of::<Hostile>().place.clone() else {
        return Ok("nobody to attack".into());
    };
    // An order's hold ends by the order alone.
    let mut over_an_order = false;
    let request = match attack {
        Trick::MadeUpCursor => {
            let cursor = Cursor {
                tenant_seq: 1,
                tenant_mark: 0x5EED,
                store_seq: 1_000_000 + i64::try_from(coupon).unwrap_or(0),
                store_mark: 0x0BAD,
            };
            ask(&place, cursor, 0, Vec::new())
        }
        Trick::MadeUpAcknowledgement => ask(&place, Cursor::default(), place.seq + 50, Vec::new()),
        Trick::ForeignFreeze
        | Trick::NegativeWorth
        | Trick::Nul
        | Trick::ForeignDevice
        | Trick::Fork
        | Trick::Ended => {
            let (coupon, holder, of_order) = victim(world, coupon, attack).await?;
            let action = match attack {
                Trick::NegativeWorth => Action::RedeemCoupon(RedeemCoupon {
                    coupon,
                    template: TemplateId(uuid::Uuid::nil()),
                    template_version: 1,
                    worth: -5_000,
                    member: None,
                    freeze: None,
                }),
                Trick::Nul => Action::SettleSale(Settlement {
                    account: counterfoil_domain::points::AccountUse::default(),
                    currency: "CNY".into(),
                    lines: vec![SaleLine {
                        sku: "A\0".into(),
                        name_zh: "甲\0".into(),
                        name_en: "A\u{1}".into(),
                        category: Some("c\0".into()),
                        merchant: None,
                        unit_price: 100,
                        quantity: 1,
                    }],
                    coupons: Vec::new(),
                    member: None,
                    payable: 100,
                    tender: "ca\0sh".into(),
                    receipt: "R\0-1".into(),
                }),
                _ => Action::RedeemCoupon(RedeemCoupon {
                    coupon,
                    template: TemplateId(uuid::Uuid::nil()),
                    template_version: 1,
                    worth: 100,
                    member: None,
                    freeze: holder,
                }),
            };
            over_an_order = of_order && attack == Trick::ForeignFreeze;
            let now = world.time.now();
            let id = world.own.of::<Hostile>().id();
            let device = match attack {
                Trick::ForeignDevice => world.tills[0].device,
                _ => place.device,
            };
            let seq = match attack {
                Trick::Fork => place.seq.max(1),
                _ => place.seq + 1,
            };
            let sealed = seal(&Envelope {
                op_id: OperationId::new(now, id),
                tenant: place.tenant,
                device,
                epoch: place.epoch,
                seq,
                prev_hash: place.head,
                version: ACTION_VERSION,
                actor: None,
                occurred_at: now,
                monotonic: seq,
                boot_id: "hostile".into(),
                evidence: Evidence::Code,
                action,
            })?;
            let request = ask(
                &place,
                Cursor::default(),
                place.seq,
                vec![RawValue::from_string(sealed.text.clone())?],
            );
            if !matches!(attack, Trick::Fork | Trick::ForeignDevice) {
                (place.seq, place.head) = (seq, sealed.fingerprint);
            }
            request
        }
    };
    let Some((status, body)) = send(world, &place, &request).await? else {
        // Nobody knows whether it arrived: it is told by what head office expects next time.
        return Ok("unanswered".into());
    };
    let mut words = status.to_string();
    if let Ok(answer) = serde_json::from_slice::<SyncResponse>(&body) {
        for outcome in &answer.outcomes {
            words.push_str(&format!(" {:?}", outcome.outcome));
            if over_an_order && outcome.outcome == Outcome::Applied {
                world.net.differs(format!("{} used what an order holds", outcome.op_id));
            }
        }
        (place.epoch, place.history) = (answer.device.epoch, answer.history_id);
        if answer.device.last_applied_seq != place.seq {
            // It was set back, or never took it.
            resume(world, &mut place).await?;
        }
    } else if let Ok(problem) = serde_json::from_slice::<counterfoil_protocol::problem::Problem>(&body) {
        words.push_str(&format!(" {}", problem.code));
        if let Some(history) = problem.history_id {
            place.history = history;
        }
        resume(world, &mut place).await?;
    }
    world.own.of::<Hostile>().place = Some(place);
    Ok(words)
}

/// A coupon, and the freeze that holds it, which a look-up may have shown; one that suits the attack, if there is any.
async fn victim(world: &World, coupon: usize, attack: Trick) -> Result<(CouponId, Option<FreezeId>, bool)> {
    let Some(app) = world.app() else {
        return Ok((CouponId(uuid::Uuid::nil()), None, false));
    };
    let mut snapshot = app.db.snapshot().await?;
    let suits = match attack {
        Trick::ForeignFreeze => "state = 'frozen'",
        Trick::Ended => "state = 'available' AND valid_until < $1",
        _ => "FALSE",
    };
    let sql = format!("SELECT code FROM coupons WHERE {suits} AND $1 > 0 ORDER BY code LIMIT 20");
    let suit: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
        .bind(world.time.now())
        .fetch_all(&mut *snapshot)
        .await?;
    let code = match suit.is_empty() {
        true => pick(&world.coupons, coupon),
        false => &suit[coupon % suit.len()],
    };
    let found = counterfoil_head_office::coupons::rows::by_code(&mut snapshot, world.base.tenant, code).await?;
    Ok(found.map_or((CouponId(uuid::Uuid::nil()), None, false), |coupon| {
        let held = match coupon.state {
            counterfoil_domain::coupons::CouponState::Frozen { freeze, .. } => Some(freeze),
            _ => None,
        };
        (coupon.id, held, coupon.state.order().is_some())
    }))
}

/// Where head office says its journal stands: what it lost on the way it does not miss.
async fn resume(world: &World, place: &mut Place) -> Result<()> {
    let Some(app) = world.app() else { return Ok(()) };
    let mut snapshot = app.db.snapshot().await?;
    let found = stores::rows::load_devices(&mut snapshot, place.tenant, &[place.device], "").await?;
    if let Some(device) = found.into_iter().next() {
        (place.epoch, place.seq, place.head) = (device.epoch, device.last_seq, device.last_hash);
    }
    Ok(())
}
