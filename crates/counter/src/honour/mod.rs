//! From a verdict to one transaction: head office's word where it can be had, then what was done, on the disk.

pub(crate) mod act;
pub(crate) mod freezes;

pub(crate) use act::act;
use counterfoil_domain::{
    ids::{MemberId, OperationId},
    time::Millis,
    transition::DeviceStatus,
};
use serde::Serialize;

use crate::{
    error::{Error, Result},
    identity::Identity,
    journal::{Place, Title},
};

/// Whether head office knows already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Delivery {
    /// Head office had said yes before.
    Confirmed,
    /// It was decided here; head office will be told.
    ToBeDelivered,
}

/// What was done. It is on the disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Receipt {
    /// The operation.
    pub op_id: OperationId,
    /// Its place in the journal.
    pub place: Place,
    /// When, UTC ms.
    pub at: Millis,
    /// Whether head office knows already.
    pub delivery: Delivery,
    /// What was redeemed or handed over.
    pub title: Title,
}

/// A member who is known to stand there, if any.
pub(crate) type PresentedBy = Option<MemberId>;

/// Whether this counter may do anything of value.
pub(crate) fn may_work(who: &Identity) -> Result<()> {
    match who.device_status {
        DeviceStatus::Active => Ok(()),
        DeviceStatus::Frozen => Err(Error::DeviceFrozen),
        DeviceStatus::Revoked => Err(Error::DeviceRevoked),
    }
}
