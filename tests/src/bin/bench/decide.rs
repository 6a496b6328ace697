//! The rules alone: commands through the pure transition, on ordered maps.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

use anyhow::{Result, bail};
use counterfoil_domain::{
    coupons::{Coupon, CouponState, OfflinePolicy, Template},
    ids::{BatchId, ClerkId, CouponId, DeviceId, FreezeId, OperationId, StoreId, TemplateId},
    operations::{Action, Outcome, RedeemCoupon, VoidRedemption},
    settlement::{Kind, Scope, Stacking},
    time::{DAY, Millis},
    transition::{
        Answer, Arrival, AskFreeze, CancelFreeze, Command, Device, DeviceStatus, Lapse, State, Subject, decide, genesis,
    },
};
use uuid::Uuid;

use crate::report;

const COMMANDS: u64 = 1_000_000;
const DEVICES: u64 = 400;
const COUPONS: u64 = 200_000;
/// Devices of a store.
const OF_A_STORE: u64 = 4;
const BEGIN: Millis = 1_795_000_000_000;

fn uuid(kind: u64, n: u64) -> Uuid {
    Uuid::from_u64_pair(kind, n)
}

fn chain() -> State {
    let mut state = State::default();
    for n in 0..DEVICES {
        let device = Device {
            id: DeviceId(uuid(1, n)),
            store: StoreId(uuid(2, n / OF_A_STORE)),
            status: DeviceStatus::Active,
            epoch: 1,
            last_seq: 0,
            last_hash: genesis(),
            settled_at: None,
            version: 1,
        };
        state.devices.insert(device.id, Some(device));
    }
    let template = TemplateId(uuid(3, 0));
    for n in 0..COUPONS {
        let coupon = Coupon {
            id: CouponId(uuid(4, n)),
            code: n.to_string(),
            member: None,
            template,
            template_version: 1,
            batch: BatchId(uuid(5, 0)),
            home_store: None,
            valid_from: None,
            valid_until: None,
            state: CouponState::Available,
            version: 1,
            surplus: Vec::new(),
            told: Vec::new(),
        };
        state.coupons.insert(coupon.id, Some(coupon));
    }
    let terms = Template {
        id: template,
        version: 1,
        name_zh: "减".into(),
        name_en: "off".into(),
        currency: "CNY".into(),
        rule: Kind::AmountOff { amount: 100 }.into(),
        scope: Scope::default(),
        stacking: Stacking::default(),
        stores: None,
        offline: OfflinePolicy::HomeStore,
        floor_limit: 0,
        worth_unbounded: 0,
    };
    state.templates.insert((template, 1), Some(Arc::new(terms)));
    state
}

/// Who uses what, by a plain reading of the answers.
#[derive(Default)]
struct Books {
    uses: BTreeMap<CouponId, BTreeSet<OperationId>>,
    cases: BTreeSet<OperationId>,
    made: Vec<(OperationId, u64, CouponId)>,
    freezes: BTreeMap<u64, (FreezeId, CouponId)>,
}

struct Run {
    state: State,
    books: Books,
    now: Millis,
    made: u64,
}

impl Run {
    fn decide(&mut self, command: &Command) -> Answer {
        loop {
            match decide(&self.state, command, self.now) {
                Ok((answer, changes)) => {
                    self.books.cases.extend(changes.cases.iter().map(|case| case.operation));
                    for closed in &changes.closed_cases {
                        self.books.cases.remove(&closed.operation);
                    }
                    self.state.absorb(&changes);
                    return answer;
                }
                Err(missing) => missing.0.into_iter().for_each(|key| self.state.note_missing(key)),
            }
        }
    }

    fn push(&mut self, device: u64, action: Action) -> Result<Option<(OperationId, Outcome)>> {
        self.made += 1;
        let known = self.state.devices.get(&DeviceId(uuid(1, device))).cloned().flatten();
        let Some(known) = known else { return Ok(None) };
        let id = OperationId(uuid(6, self.made));
        let mut fingerprint = [0; 32];
        fingerprint[..16].copy_from_slice(id.0.as_bytes());
        let arrival = Arrival {
            id,
            device: known.id,
            epoch: 1,
            seq: known.last_seq + 1,
            prev_hash: known.last_hash,
            fingerprint,
            actor: None,
            occurred_at: self.now,
            action: Some(action),
            body: Arc::from(&b"{}"[..]),
        };
        match self.decide(&Command::Operation(arrival)) {
            Answer::Done { outcome, .. } => Ok(Some((id, outcome))),
            other => bail!("an operation in its place was answered {other:?}"),
        }
    }

    fn step(&mut self, dice: &mut fastrand::Rng) -> Result<()> {
        self.now += 10;
        let device = dice.u64(..DEVICES);
        let coupon = CouponId(uuid(4, dice.u64(..COUPONS)));
        match dice.u8(..10) {
            0..=1 => {
                let id = FreezeId(uuid(7, self.made));
                self.made += 1;
                let asked = Command::Freeze(AskFreeze {
                    amounts: counterfoil_domain::points::Amounts::default(),
                    id,
                    device: DeviceId(uuid(1, device)),
                    subject: Subject::Coupon(coupon),
                    presented_by: None,
                    now: self.now,
                });
                self.decide(&asked);
                self.books.freezes.insert(device, (id, coupon));
            }
            2 => {
                if let Some((id, _)) = self.books.freezes.remove(&device) {
                    let device = DeviceId(uuid(1, device));
                    self.decide(&Command::CancelFreeze(CancelFreeze {
                        id,
                        device,
                        now: self.now,
                    }));
                }
            }
            3 if !self.books.made.is_empty() => {
                let place = dice.usize(..self.books.made.len());
                let (target, by, coupon) = self.books.made.swap_remove(place);
                let action = Action::VoidRedemption(VoidRedemption {
                    target,
                    reason: "wrong".into(),
                    approved_by: ClerkId(uuid(8, 0)),
                });
                self.push(by, action)?;
                self.books.uses.entry(coupon).or_default().remove(&target);
                self.books.cases.remove(&target);
            }
            _ => {
                let (freeze, coupon) = match self.books.freezes.remove(&device) {
                    Some((freeze, held)) if dice.bool() => (Some(freeze), held),
                    _ => (None, coupon),
                };
                let action = Action::RedeemCoupon(RedeemCoupon {
                    coupon,
                    template: TemplateId(uuid(3, 0)),
                    template_version: 1,
                    worth: 100,
                    member: None,
                    freeze,
                });
                if let Some((id, outcome)) = self.push(device, action)?
                    && !matches!(outcome, Outcome::Quarantined { .. })
                {
                    self.books.uses.entry(coupon).or_default().insert(id);
                    self.books.made.push((id, device, coupon));
                }
            }
        }
        Ok(())
    }
}

/// Commands a second, and whether there are as many cases as uses less one when all is done.
pub fn measure() -> Result<()> {
    let mut run = Run {
        state: chain(),
        books: Books::default(),
        now: BEGIN,
        made: 0,
    };
    let mut dice = fastrand::Rng::with_seed(1);
    let begun = Instant::now();
    for _ in 0..COMMANDS {
        run.step(&mut dice)?;
    }
    let took = begun.elapsed();
    // Freezes that lapsed over a use are looked at, as the sweep does.
    run.now += DAY;
    let used: Vec<CouponId> = run.books.uses.keys().copied().collect();
    for coupon in used {
        run.decide(&Command::Lapse(Lapse {
            subject: Subject::Coupon(coupon),
            now: run.now,
        }));
    }
    for (coupon, uses) in &run.books.uses {
        let cases = uses.iter().filter(|id| run.books.cases.contains(id)).count();
        if cases != uses.len().saturating_sub(1) {
            bail!("coupon {coupon}: {} uses, {cases} cases", uses.len());
        }
    }
    report("decide.one_million", took.as_secs_f64(), "s", "lower", COMMANDS);
    report(
        "decide.commands",
        COMMANDS as f64 / took.as_secs_f64(),
        "1/s",
        "higher",
        COMMANDS,
    );
    Ok(())
}
