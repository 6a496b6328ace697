//! What the journals at head office say.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use counterfoil_domain::{
    ids::{DeviceId, MemberId, OperationId},
    operations::Action,
    time::Millis,
};
use counterfoil_head_office::App;
use counterfoil_protocol::operation::open;
use sqlx::Row;
use uuid::Uuid;

use super::Violations;
use crate::{kinds, world::World};

/// Something that can be used: the word of its kind, and its id.
pub type Thing = (&'static str, Uuid);

/// What an operation says, as far as it is judged.
#[derive(Debug, Default)]
pub struct Said {
    /// What it used.
    pub used: Vec<Thing>,
    /// By whom that was presented.
    pub by: Option<MemberId>,
    /// It may have a case for another reason than what it used.
    pub more: bool,
    /// What went back, and which operation had used it.
    pub given_back: Vec<(OperationId, Thing)>,
    /// What it undid, of the same device.
    pub undone: Option<OperationId>,
}

/// An operation of which there is a reading.
#[derive(Debug)]
pub struct Entry {
    pub device: DeviceId,
    pub at: Millis,
    pub action: Action,
    pub said: Said,
}

/// A use of something by an operation, or by an order placed online.
#[derive(Debug, Clone)]
pub struct Used {
    pub by: OperationId,
    pub at: Millis,
}

/// All of them, operation by operation.
#[derive(Debug, Default)]
pub struct Journals {
    pub known: BTreeSet<OperationId>,
    /// Which rule each broke, of those that broke one.
    pub exceptions: BTreeMap<OperationId, String>,
    /// Those whose cases stand.
    pub cases: BTreeSet<OperationId>,
    /// What has its effect, by device.
    pub effective: Vec<(DeviceId, OperationId)>,
    pub entries: BTreeMap<OperationId, Entry>,
}

impl Journals {
    pub(super) async fn read(app: &App) -> Result<Self> {
        let mut journals = Self::default();
        let mut snapshot = app.db.snapshot().await?;
        for row in sqlx::query("SELECT id, outcome, detail, body FROM operations ORDER BY id")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let id = OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("id")?)?;
            journals.known.insert(id);
            let outcome: String = row.try_get("outcome")?;
            if outcome == "applied_with_exception" {
                journals.exceptions.insert(id, row.try_get("detail")?);
            }
            if outcome == "quarantined" {
                continue;
            }
            let body: Vec<u8> = row.try_get("body")?;
            let (_, arrival) = open(0, std::str::from_utf8(&body)?)?;
            journals.effective.push((arrival.device, id));
            if let Some(action) = arrival.action {
                let entry = Entry {
                    device: arrival.device,
                    at: arrival.occurred_at,
                    said: kinds::says(&action),
                    action,
                };
                journals.entries.insert(id, entry);
            }
        }
        for row in sqlx::query("SELECT body FROM branches")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let body: Vec<u8> = row.try_get("body")?;
            journals.known.insert(open(0, std::str::from_utf8(&body)?)?.1.id);
        }
        for row in sqlx::query("SELECT operation FROM exceptions WHERE status <> 'voided'")
            .fetch_all(&mut *snapshot)
            .await?
        {
            let id = OperationId::from_bytes(&row.try_get::<Vec<u8>, _>("operation")?)?;
            journals.cases.insert(id);
        }
        Ok(journals)
    }

    /// Who was undone: a void counts on the device that did it, and once.
    pub fn voided(&self) -> BTreeSet<OperationId> {
        let undone = self
            .entries
            .values()
            .filter_map(|entry| Some((entry.device, entry.said.undone?)));
        undone
            .filter(|(device, target)| self.entries.get(target).is_some_and(|by| by.device == *device))
            .map(|(_, target)| target)
            .collect()
    }

    /// What went back. A return with a case may have come before its sale did, or after all had gone back: then it is
    /// `perhaps`.
    fn given_back(&self, perhaps: bool) -> BTreeSet<(OperationId, Thing)> {
        let entries = self
            .entries
            .iter()
            .filter(|(id, _)| self.exceptions.contains_key(id) == perhaps);
        entries
            .flat_map(|(_, entry)| entry.said.given_back.iter().copied())
            .collect()
    }

    /// The uses of things of this kind that count.
    pub(super) fn uses(&self, word: &str) -> BTreeMap<Uuid, Vec<Used>> {
        let (voided, given_back) = (self.voided(), self.given_back(false));
        let mut uses: BTreeMap<Uuid, Vec<Used>> = BTreeMap::new();
        for (by, entry) in self.entries.iter().filter(|(id, _)| !voided.contains(id)) {
            for thing in &entry.said.used {
                if thing.0 == word && !given_back.contains(&(*by, *thing)) {
                    uses.entry(thing.1).or_default().push(Used { by: *by, at: entry.at });
                }
            }
        }
        uses
    }

    /// Operations whose use of this may have gone back.
    pub(super) fn perhaps_back(&self, thing: Thing) -> BTreeSet<OperationId> {
        let back = self.given_back(true).into_iter();
        back.filter(|(_, other)| *other == thing).map(|(id, _)| id).collect()
    }

    /// Nobody had what it used, because a restore took the claim of it back, so that it could not be used: that is no use.
    pub fn is_no_use(&self, operation: &OperationId) -> bool {
        self.exceptions
            .get(operation)
            .is_some_and(|kind| kind == "state_conflict")
    }
}

/// Everything that a clerk was told is done is at head office, unless the only disk it was on was set back.
pub(super) fn delivered(world: &World, journals: &Journals, excused: &BTreeSet<usize>) -> Violations {
    world
        .acknowledged
        .iter()
        .filter(|(operation, _)| !journals.known.contains(operation) && !world.gone.contains(operation))
        .filter(|(operation, told)| {
            world.restored == 0 || !(world.fragile.contains(operation) || excused.contains(&told.till))
        })
        .map(|(operation, told)| format!("{} {operation} of till {} is lost", told.what, told.till))
        .collect()
}
