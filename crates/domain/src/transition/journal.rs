//! The journal on arrival: dedupe, order, forks; then the effect.

use super::{
    Answer, Applied, Arrival, Changes, Device, DeviceStatus, Doing, FreezeStatus, NeedKeys, State, Stored, effect,
    freezes,
};
use crate::{
    operations::{Action, Outcome, QuarantineReason, Times},
    planted,
    time::Millis,
};

pub(super) fn arrive(state: &State, arrival: &Arrival, received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
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
        match state.position(arrival.device, arrival.epoch, arrival.seq)? {
            Some(id) => {
                let id = *id;
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
                            branch: Some(arrival.clone()),
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
        changes.device = Some(Device {
            last_seq: arrival.seq,
            last_hash: arrival.fingerprint,
            version: device.version + 1,
            ..device.clone()
        });
    }
    let subject = arrival.action.as_ref().and_then(|action| action.subject(arrival.id));
    changes.stored = Some(Stored {
        applied: Applied {
            id: arrival.id,
            device: arrival.device,
            epoch: arrival.epoch,
            seq: arrival.seq,
            fingerprint: arrival.fingerprint,
            subject,
            outcome,
        },
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
        branch: Some(arrival.clone()),
        ..Changes::default()
    };
    if device.status == DeviceStatus::Active {
        changes.device = Some(Device {
            status: DeviceStatus::Frozen,
            version: device.version + 1,
            ..device.clone()
        });
    }
    (Answer::Fork, changes)
}
