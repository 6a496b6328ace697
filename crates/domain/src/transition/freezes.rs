//! The question before a redemption: may I? Asked over HTTP, answered once, stored.

use super::{Answer, Changes, Decide, Device, DeviceStatus, Key, NeedKeys, Row, State, Subject};
use crate::{
    coupons::FREEZE_LASTS,
    ids::{DeviceId, FreezeId, MemberId},
    points::Amounts,
    time::Millis,
    verdict::Reason,
};

/// What became of a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FreezeStatus {
    /// Head office said yes, until then.
    Granted { until: Millis },
    /// Head office said no, and why.
    Refused { reasons: Vec<Reason> },
    /// Its owner gave it back, perhaps before it ever arrived.
    Cancelled,
}

/// A question for a freeze, and its answer. The answer is stored, so asking again gives the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Made by who asks.
    pub id: FreezeId,
    /// Who asked.
    pub device: DeviceId,
    /// What for; `None` when it was cancelled before it arrived.
    pub subject: Option<Subject>,
    /// How much, where it is for an account.
    pub amounts: Amounts,
    /// When it was asked.
    pub asked_at: Millis,
    /// The answer.
    pub status: FreezeStatus,
}

impl Row for Freeze {
    type Key = FreezeId;
    type Version = ();
    fn key(&self) -> FreezeId {
        self.id
    }
    fn version(&self) {}
}

/// A device asks for a freeze.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskFreeze {
    /// Made by who asks.
    pub id: FreezeId,
    /// Who asks.
    pub device: DeviceId,
    /// What for.
    pub subject: Subject,
    /// How much, where it is for an account.
    pub amounts: Amounts,
    /// The member who stands there, when known.
    pub presented_by: Option<MemberId>,
    /// Now.
    pub now: Millis,
}

impl Decide for AskFreeze {
    fn keys(&self) -> Vec<Key> {
        vec![Key::Device(self.device), Key::Freeze(self.id), self.subject.key()]
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let nothing = Changes::default();
        let Some(asker) = state.device(self.device)? else {
            return Ok((Answer::UnknownDevice, nothing));
        };
        if asker.status != DeviceStatus::Active {
            return Ok((Answer::DeviceBarred { status: asker.status }, nothing));
        }
        if let Some(known) = state.freeze(self.id)? {
            return Ok((answer_again(known, self), nothing));
        }
        let until = self.now.saturating_add(FREEZE_LASTS);
        let mut changes = Changes::default();
        let reasons = self.subject.about().freeze(state, self, asker, until, &mut changes)?;
        let (answer, status) = if reasons.is_empty() {
            (Answer::Granted { until }, FreezeStatus::Granted { until })
        } else {
            (
                Answer::Refused {
                    reasons: reasons.clone(),
                },
                FreezeStatus::Refused { reasons },
            )
        };
        changes.freezes.push(Freeze {
            id: self.id,
            device: self.device,
            subject: Some(self.subject),
            amounts: self.amounts,
            asked_at: self.now,
            status,
        });
        Ok((answer, changes))
    }
}

fn answer_again(known: &Freeze, asked: &AskFreeze) -> Answer {
    let now = asked.now;
    let other = |was| was != asked.subject || known.amounts != asked.amounts;
    if known.device != asked.device || known.subject.is_some_and(other) {
        return Answer::AnotherQuestion;
    }
    match &known.status {
        // Past its deadline somebody else may hold it: the word is no longer given.
        FreezeStatus::Granted { until } if now >= *until => Answer::Cancelled,
        FreezeStatus::Granted { until } => Answer::Granted { until: *until },
        FreezeStatus::Refused { reasons } => Answer::Refused {
            reasons: reasons.clone(),
        },
        FreezeStatus::Cancelled => Answer::Cancelled,
    }
}

/// A device gives a freeze back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CancelFreeze {
    /// Which.
    pub id: FreezeId,
    /// Who gives it back.
    pub device: DeviceId,
    /// Now.
    pub now: Millis,
}

impl Decide for CancelFreeze {
    fn keys(&self) -> Vec<Key> {
        vec![Key::Device(self.device), Key::Freeze(self.id)]
    }

    fn decide(&self, state: &State, _received_at: Millis) -> Result<(Answer, Changes), NeedKeys> {
        let Self { id, device, now } = *self;
        let mut changes = Changes::default();
        let Some(asker) = state.device(device)? else {
            return Ok((Answer::UnknownDevice, changes));
        };
        match state.freeze(id)? {
            // The cancel overtook its question: remember it, so that the question finds the door closed.
            None => changes.freezes.push(Freeze {
                id,
                device,
                subject: None,
                amounts: Amounts::default(),
                asked_at: now,
                status: FreezeStatus::Cancelled,
            }),
            Some(known) if known.device != device => return Ok((Answer::AnotherQuestion, changes)),
            Some(known) => {
                if matches!(known.status, FreezeStatus::Granted { .. }) {
                    release(state, known, asker, now, &mut changes)?;
                }
            }
        }
        Ok((Answer::Cancelled, changes))
    }
}

/// Ends a granted freeze: what it still holds is let go of.
pub(super) fn release(
    state: &State,
    freeze: &Freeze,
    owner: &Device,
    now: Millis,
    changes: &mut Changes,
) -> Result<(), NeedKeys> {
    changes.freezes.push(Freeze {
        status: FreezeStatus::Cancelled,
        asked_at: now,
        ..freeze.clone()
    });
    match freeze.subject {
        Some(subject) => subject.about().release(state, freeze, owner, now, changes),
        None => Ok(()),
    }
}
