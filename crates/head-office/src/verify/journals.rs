//! Journals, read in pages: every body is hashed and opened again.

use std::collections::HashSet;

use counterfoil_domain::{
    operations::{Action, OperationKind, VoidRedemption},
    transition::{Fingerprint, genesis},
};
use counterfoil_protocol::operation::{fingerprint, open};
use sqlx::{AnyConnection, Row, any::AnyRow};

use super::Findings;
use crate::db::{DbError, batch::hash};

const PAGE: i64 = 2_000;
/// Detail of an operation that arrived after its epoch was closed: it stands apart from the chain.
const CLOSED_EPOCH: &str = "closed_epoch";

/// What reading all journals found.
pub(super) struct Read {
    pub chain: Findings,
    /// Operations that an applied operation has voided.
    pub voided: HashSet<Vec<u8>>,
}

struct Place {
    tenant: Vec<u8>,
    device: Vec<u8>,
    epoch: i64,
    seq: i64,
}

pub(super) async fn read(connection: &mut AnyConnection) -> Result<Read, DbError> {
    let mut read = Read {
        chain: Findings::default(),
        voided: HashSet::new(),
    };
    let mut at = Place {
        tenant: Vec::new(),
        device: Vec::new(),
        epoch: 0,
        seq: 0,
    };
    // The head of the chain so far, of the journal and epoch of `at`.
    let mut head: Option<Fingerprint> = None;
    loop {
        let rows = sqlx::query(
            "SELECT tenant, device, epoch, seq, id, subject_kind, subject, fingerprint, outcome, detail, body FROM operations WHERE (tenant, device, epoch, seq) > ($1, $2, $3, $4) ORDER BY tenant, device, epoch, seq LIMIT $5",
        )
        .bind(at.tenant.clone())
        .bind(at.device.clone())
        .bind(at.epoch)
        .bind(at.seq)
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            let place = Place {
                tenant: row.try_get("tenant")?,
                device: row.try_get("device")?,
                epoch: row.try_get("epoch")?,
                seq: row.try_get("seq")?,
            };
            if (&place.tenant, &place.device, place.epoch) != (&at.tenant, &at.device, at.epoch) {
                // Only a device's first epoch begins at a known place; a later one names where the old one was cut.
                head = (place.epoch == 1).then(genesis);
            }
            read.operation(row, &place, &mut head)?;
            at = place;
        }
        if i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE {
            return Ok(read);
        }
    }
}

impl Read {
    fn operation(&mut self, row: &AnyRow, place: &Place, head: &mut Option<Fingerprint>) -> Result<(), DbError> {
        self.chain.count += 1;
        let id: Vec<u8> = row.try_get("id")?;
        let body: Vec<u8> = row.try_get("body")?;
        let stored = hash(row, "fingerprint")?;
        let detail: Option<String> = row.try_get("detail")?;
        let in_chain = detail.as_deref() != Some(CLOSED_EPOCH);
        let before = if in_chain { head.replace(stored) } else { None };
        if fingerprint(&body) != stored {
            self.chain.add(&id, "its body has another fingerprint");
            return Ok(());
        }
        let opened = std::str::from_utf8(&body).ok().and_then(|text| open(0, text).ok());
        let Some((tenant, arrival)) = opened else {
            self.chain.add(&id, "its body does not read");
            return Ok(());
        };
        let told = (
            tenant.bytes().as_slice(),
            arrival.device.bytes().as_slice(),
            arrival.epoch,
            arrival.seq,
        );
        if told != (place.tenant.as_slice(), place.device.as_slice(), place.epoch, place.seq)
            || arrival.id.bytes().as_slice() != id
        {
            self.chain.add(&id, "its body belongs to another place");
        }
        if in_chain && before.is_some_and(|before| before != arrival.prev_hash) {
            self.chain.add(&id, "it names another predecessor");
        }
        let about = arrival.action.as_ref().and_then(|action| action.subject(arrival.id));
        let about = about.map(|subject| (subject.word(), subject.bytes().to_vec()));
        let kind: Option<String> = row.try_get("subject_kind")?;
        let subject: Option<Vec<u8>> = row.try_get("subject")?;
        if about != kind.as_deref().zip(subject) {
            self.chain.add(&id, "its body is about something else");
        }
        if let Some(Action::VoidRedemption(VoidRedemption { target, .. })) = &arrival.action
            && row.try_get::<String, _>("outcome")? == "applied"
        {
            self.voided.insert(target.bytes().to_vec());
        }
        Ok(())
    }
}

/// The second branches of journals: kept as they came.
pub(super) async fn branches(connection: &mut AnyConnection) -> Result<Findings, DbError> {
    let mut findings = Findings::default();
    let mut at: (Vec<u8>, Vec<u8>, Vec<u8>) = Default::default();
    loop {
        let rows = sqlx::query(
            "SELECT tenant, device, fingerprint, body FROM branches WHERE (tenant, device, fingerprint) > ($1, $2, $3) ORDER BY tenant, device, fingerprint LIMIT $4",
        )
        .bind(at.0.clone())
        .bind(at.1.clone())
        .bind(at.2.clone())
        .bind(PAGE)
        .fetch_all(&mut *connection)
        .await?;
        for row in &rows {
            findings.count += 1;
            at = (
                row.try_get("tenant")?,
                row.try_get("device")?,
                row.try_get("fingerprint")?,
            );
            if fingerprint(&row.try_get::<Vec<u8>, _>("body")?).as_slice() != at.2 {
                findings.add(&at.1, "an operation of its second branch has another fingerprint");
            }
        }
        if i64::try_from(rows.len()).unwrap_or(PAGE) < PAGE {
            return Ok(findings);
        }
    }
}
