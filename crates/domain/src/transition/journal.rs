//! The journal on arrival: dedupe, order, forks; then the effect.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Answer, Changes, Decide, Fact, FreezeStatus, Key, NeedKeys, Row, State, Subject, freezes};
use crate::{
    ids::{ClerkId, DeviceId, OperationId, StoreId},
    operations::{Action, OperationKind, Outcome, QuarantineReason, Times},
    planted,
    time::Millis,
};

/// SHA-256 of an operation's canonical bytes.
pub type Fingerprint = [u8; 32];

/// Whether a device may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::IntoStaticStr, strum::EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum DeviceStatus {
    /// It works.
    Active,
    /// Its journal forked: a person decides.
    Frozen,
    /// It was revoked: what it still delivers is quarantined.
    Revoked,
}

/// A device and the head of its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Which.
    pub id: DeviceId,
    /// Where it stands.
    pub store: StoreId,
    /// May it work.
    pub status: DeviceStatus,
    /// The epoch of its journal, from 1; a fork closes one and opens the next.
    pub epoch: i64,
    /// Last applied sequence number of that epoch, 0 = none.
    pub last_seq: i64,
    /// Fingerprint of that operation; of an epoch's beginning see [`genesis`].
    pub last_hash: Fingerprint,
    /// Last instant at which it had nothing left to deliver and pulled.
    pub settled_at: Option<Millis>,
    /// Grows by one with every stored change.
    pub version: i64,
}

/// What the first operation of the first epoch names as its predecessor.
pub const fn genesis() -> Fingerprint {
    [0; 32]
}

/// An operation as it arrives: its place in the journal, and what it says, already read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Its id.
    pub id: OperationId,
    /// Who made it.
    pub device: DeviceId,
    /// Epoch of the journal.
    pub epoch: i64,
    /// Place in the journal, from 1, gapless.
    pub seq: i64,
    /// Fingerprint of its predecessor.
    pub prev_hash: Fingerprint,
    /// Its own fingerprint.
    pub fingerprint: Fingerprint,
    /// The clerk or manager who did it.
    pub actor: Option<ClerkId>,
    /// The device's clock when it happened.
    pub occurred_at: Millis,
    /// What happened; `None` when the payload does not read here.
    pub action: Option<Action>,
    /// Its exact bytes, which are stored as they came.
    pub body: Arc<[u8]>,
}

/// An operation as head office has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its id.
    pub id: OperationId,
    /// Who made it.
    pub device: DeviceId,
    /// Epoch of the journal.
    pub epoch: i64,
    /// Place in the journal.
    pub seq: i64,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// What it is about.
    pub subject: Option<Subject>,
    /// How it ended.
    pub outcome: Outcome,
}

/// An operation that goes into head office's copy of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What later commands need to know of it.
    pub applied: Applied,
    /// As it arrived.
    pub arrival: Arrival,
    /// Where it was made.
    pub store: StoreId,
}

/// Who has a place in a journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Whose journal.
    pub device: DeviceId,
    /// Its epoch.
    pub epoch: i64,
    /// The place.
    pub seq: i64,
    /// The operation there.
    pub operation: OperationId,
}

impl Applied {
    /// Its place in the journal.
    pub fn position(&self) -> Position {
        Position {
            device: self.device,
            epoch: self.epoch,
            seq: self.seq,
            operation: self.id,
        }
    }
}

impl Row for Device {
    type Key = DeviceId;
    type Version = i64;
    fn key(&self) -> DeviceId {
        self.id
    }
    fn version(&self) -> i64 {
        self.version
    }
}

impl Row for Applied {
    type Key = OperationId;
    type Version = ();
    fn key(&self) -> OperationId {
        self.id
    }
    fn version(&self) {}
}

impl Row for Position {
    type Key = (DeviceId, i64, i64);
    type Version = ();
    fn key(&self) -> (DeviceId, i64, i64) {
        (self.device, self.epoch, self.seq)
    }
    fn version(&self) {}
}

impl Fact for Stored {}

/// Of a second branch.
impl Fact for Arrival {}

/// Who does it, where, when: what an effect needs to know besides the rows.
#[derive(Debug, Clone, Copy)]
pub struct Doing {
    /// The operation.
    pub operation: OperationId,
    /// On which device.
    pub device: DeviceId,
    /// In which store.
    pub store: StoreId,
    /// By whom.
    pub actor: Option<ClerkId>,
    /// When.
    pub times: Times,
}

impl Decide for Arrival {
    fn keys(&self) -> Vec<Key> {
        let mut keys = vec![Key::Device(self.device)];
        if let Some(action) = &self.action {
            keys.extend(action.keys());
            keys.extend(action.freezes().into_iter().map(Key::Freeze));
        }
        keys
    }

    fn names(&self) -> Vec<Key> {
        vec![Key::Operation(self.id)]
    }

    fn decide(&self, state: &State, received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        arrive(state, self, received_at)
    }
}

/// Applies one fact: the outcome and the rows as they are afterwards.
///
/// At head office the outcome is final. At a counter it is a forecast: an exception means "conflict expected".
///
/// # Errors
/// [`NeedKeys`] when a row that matters was not loaded.
pub fn effect(state: &State, action: &Action, doing: &Doing) -> Result<(Outcome, Changes), NeedKeys> {
    let mut changes = Changes::default();
    let exception = action.effect(state, doing, &mut changes)?;
    let outcome = match exception {
        None => Outcome::Applied,
        Some(exception) => Outcome::AppliedWithException { exception },
    };
    Ok((outcome, changes))
}

fn arrive(state: &State, arrival: &Arrival, received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
    let Some(device) = state.device(arrival.device)? else {
        return Ok((Answer::UnknownDevice, Changes::default()));
    };
    if arrival.seq < 1 {
        return Ok(fork(device, arrival));
    }
    if arrival.epoch > device.epoch {
        // An epoch that was given out and is not known here any more: a backup was restored. That is no second branch.
        return Ok((
            Answer::Gap {
                expected: device.last_seq + 1,
            },
            Changes::default(),
        ));
    }
    let closed_epoch = arrival.epoch < device.epoch;
    if closed_epoch || arrival.seq <= device.last_seq {
        match state.position((arrival.device, arrival.epoch, arrival.seq))? {
            Some(found) => {
                let id = found.operation;
                return Ok(match state.operation(id)? {
                    Some(known) if known.id == arrival.id && known.fingerprint == arrival.fingerprint => (
                        Answer::Done {
                            outcome: planted!("replay_forgets", Outcome::Applied, known.outcome),
                            replayed: true,
                        },
                        Changes::default(),
                    ),
                    // The tail of a branch that lost, delivered after a person has decided: kept beside the one that
                    // won, not a second fork.
                    _ if closed_epoch => (
                        Answer::Done {
                            outcome: quarantined(QuarantineReason::ClosedEpoch),
                            replayed: false,
                        },
                        Changes {
                            branches: vec![arrival.clone()],
                            ..Changes::default()
                        },
                    ),
                    _ => fork(device, arrival),
                });
            }
            None if !closed_epoch => return Ok(fork(device, arrival)),
            None => {}
        }
    }
    if device.status == DeviceStatus::Frozen {
        return Ok(fork(device, arrival));
    }
    // The same operation at another place is a second branch too. Only rows known to this group are looked at here:
    // the unique index on the id finds the others, and then the group is decided again with them loaded.
    if let Some(Some(_)) = state.operations.get(&arrival.id) {
        return Ok(fork(device, arrival));
    }
    if closed_epoch {
        let reason = QuarantineReason::ClosedEpoch;
        return set_aside(state, device, arrival, reason, false, received_at);
    }
    if arrival.seq > device.last_seq + 1 && planted!("gap_taken", false, true) {
        return Ok((
            Answer::Gap {
                expected: device.last_seq + 1,
            },
            Changes::default(),
        ));
    }
    // The first operation of a later epoch names the head of the one before, wherever that was cut.
    let opens_epoch = arrival.epoch > 1 && arrival.seq == 1;
    if arrival.prev_hash != device.last_hash && !opens_epoch && planted!("chain_not_checked", false, true) {
        return Ok(fork(device, arrival));
    }
    if device.status == DeviceStatus::Revoked && planted!("revoked_works_on", false, true) {
        let reason = QuarantineReason::DeviceRevoked;
        return set_aside(state, device, arrival, reason, true, received_at);
    }
    let Some(action) = arrival.action.as_ref().filter(|action| action.is_sound()) else {
        let reason = QuarantineReason::Unreadable;
        return set_aside(state, device, arrival, reason, true, received_at);
    };
    let doing = Doing {
        operation: arrival.id,
        device: device.id,
        store: device.store,
        actor: arrival.actor,
        times: Times {
            occurred_at: arrival.occurred_at,
            received_at,
            settled_at: device.settled_at,
        },
    };
    let (outcome, changes) = effect(state, action, &doing)?;
    Ok(store(device, arrival, outcome, changes, true))
}

/// Stores an operation without effect: for the one that panicked its handler or broke a constraint. `release` = what its
/// own freezes hold is let go of.
///
/// # Errors
/// [`NeedKeys`] when its device, or what it holds, was not loaded.
pub fn isolate(
    state: &State,
    arrival: &Arrival,
    received_at: Millis,
    release: bool,
) -> Result<(Answer, Changes), NeedKeys> {
    match state.device(arrival.device)? {
        // Only what stands next in the journal has an effect that could fail.
        Some(device) if (arrival.epoch, arrival.seq) != (device.epoch, device.last_seq + 1) => {
            arrive(state, arrival, received_at)
        }
        Some(device) if !release => Ok(store(
            device,
            arrival,
            quarantined(QuarantineReason::HandlerFailed),
            Changes::default(),
            true,
        )),
        Some(device) => set_aside(
            state,
            device,
            arrival,
            QuarantineReason::HandlerFailed,
            true,
            received_at,
        ),
        None => Ok((Answer::UnknownDevice, Changes::default())),
    }
}

/// Keeps an operation that has no effect. What its own freezes still hold is let go of: nobody else could use it before
/// they lapse, and it will not be used by this one.
fn set_aside(
    state: &State,
    device: &Device,
    arrival: &Arrival,
    reason: QuarantineReason,
    advance: bool,
    received_at: Millis,
) -> Result<(Answer, Changes), NeedKeys> {
    let mut changes = Changes::default();
    for id in arrival.action.as_ref().map(Action::freezes).unwrap_or_default() {
        if let Some(freeze) = state.freeze(id)?
            && freeze.device == device.id
            && matches!(freeze.status, FreezeStatus::Granted { .. })
            && planted!("quarantine_keeps_freeze", false, true)
            && !changes.freezes.iter().any(|released| released.id == id)
        {
            freezes::release(state, freeze, device, received_at, &mut changes)?;
        }
    }
    Ok(store(device, arrival, quarantined(reason), changes, advance))
}

fn quarantined(reason: QuarantineReason) -> Outcome {
    Outcome::Quarantined { reason }
}

fn store(
    device: &Device,
    arrival: &Arrival,
    outcome: Outcome,
    mut changes: Changes,
    advance: bool,
) -> (Answer, Changes) {
    if advance {
        changes.devices.push(Device {
            last_seq: arrival.seq,
            last_hash: arrival.fingerprint,
            version: device.version + 1,
            ..device.clone()
        });
    }
    let subject = arrival.action.as_ref().and_then(|action| action.subject(arrival.id));
    let applied = Applied {
        id: arrival.id,
        device: arrival.device,
        epoch: arrival.epoch,
        seq: arrival.seq,
        fingerprint: arrival.fingerprint,
        subject,
        outcome,
    };
    changes.positions.push(applied.position());
    changes.operations.push(applied.clone());
    changes.stored.push(Stored {
        applied,
        arrival: arrival.clone(),
        store: device.store,
    });
    (
        Answer::Done {
            outcome,
            replayed: false,
        },
        changes,
    )
}

fn fork(device: &Device, arrival: &Arrival) -> (Answer, Changes) {
    let mut changes = Changes {
        branches: vec![arrival.clone()],
        ..Changes::default()
    };
    if device.status == DeviceStatus::Active {
        changes.devices.push(Device {
            status: DeviceStatus::Frozen,
            version: device.version + 1,
            ..device.clone()
        });
    }
    (Answer::Fork, changes)
}
