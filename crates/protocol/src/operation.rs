//! The signed envelope of an operation and its canonical bytes.
//!
//! Canonical are the bytes that the device made and stored. Nobody writes them anew: the fingerprint is SHA-256 over
//! exactly these bytes, and head office keeps them as they came.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{ClerkId, DeviceId, OperationId, TenantId},
    operations::Action,
    time::Millis,
    transition::{Arrival, Fingerprint},
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// The newest version of the payloads in [`Action`]; each older one is read as well. Who makes one says the oldest that
/// has all it needs, see [`OperationKind::version`](counterfoil_domain::operations::OperationKind::version).
pub const ACTION_VERSION: u32 = 2;

/// What stands around every payload.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Envelope<A> {
    /// Made and stored before anything is sent.
    pub op_id: OperationId,
    /// The chain.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Epoch of its journal.
    pub epoch: i64,
    /// Place in the journal, gapless from 1.
    pub seq: i64,
    /// Fingerprint of the operation before.
    #[serde(with = "hash")]
    pub prev_hash: Fingerprint,
    /// Version of the payload.
    pub version: u32,
    /// Clerk or manager.
    pub actor: Option<ClerkId>,
    /// The device's clock, UTC ms.
    pub occurred_at: Millis,
    /// Milliseconds since the device's boot: orders operations whatever the clock did.
    pub monotonic: i64,
    /// Which boot `monotonic` counts from.
    pub boot_id: String,
    /// What was shown at the desk.
    pub evidence: Evidence,
    /// What happened.
    pub action: A,
}

/// What was shown at the desk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A signed token was read.
    Token,
    /// A code was typed or read without a signature.
    Code,
    /// Nothing was shown: a void, a shift.
    None,
}

/// An operation with its canonical text and fingerprint.
#[derive(Debug, Clone)]
pub struct Sealed {
    /// The canonical text.
    pub text: String,
    /// SHA-256 of its bytes.
    pub fingerprint: Fingerprint,
}

/// Makes the canonical text of an operation. Only the device that makes the operation calls this, once.
///
/// # Errors
/// When the payload can't be written as JSON.
pub fn seal(envelope: &Envelope<Action>) -> Result<Sealed, serde_json::Error> {
    let text = serde_json::to_string(envelope)?;
    let fingerprint = fingerprint(text.as_bytes());
    Ok(Sealed { text, fingerprint })
}

/// SHA-256 of an operation's canonical bytes.
pub fn fingerprint(bytes: &[u8]) -> Fingerprint {
    Sha256::digest(bytes).into()
}

/// The envelope does not read: without it neither device nor place is known.
#[derive(Debug, thiserror::Error)]
#[error("operation {index} of the push: {source}")]
pub struct Unreadable {
    /// Which operation of the push, from 0.
    pub index: usize,
    /// What the parser found.
    source: serde_json::Error,
}

/// Reads an operation as it arrived. A payload that does not read leaves `action` empty: the operation still has its
/// place in the journal and is quarantined there, not refused.
///
/// # Errors
/// [`Unreadable`] when the envelope itself does not read.
pub fn open(index: usize, text: &str) -> Result<(TenantId, Arrival), Unreadable> {
    let envelope: Envelope<&RawValue> = serde_json::from_str(text).map_err(|source| Unreadable { index, source })?;
    let action = (1..=ACTION_VERSION)
        .contains(&envelope.version)
        .then(|| serde_json::from_str(envelope.action.get()).ok())
        .flatten();
    Ok((
        envelope.tenant,
        Arrival {
            id: envelope.op_id,
            device: envelope.device,
            epoch: envelope.epoch,
            seq: envelope.seq,
            prev_hash: envelope.prev_hash,
            fingerprint: fingerprint(text.as_bytes()),
            actor: envelope.actor,
            occurred_at: envelope.occurred_at,
            action,
            body: Arc::from(text.as_bytes()),
        },
    ))
}

/// Hashes as lower-case hex.
pub mod hash {
    use counterfoil_domain::transition::Fingerprint;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes 64 hex digits.
    ///
    /// # Errors
    /// The serializer's.
    pub fn serialize<S: Serializer>(hash: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = [0u8; 64];
        hex::encode_to_slice(hash, &mut text).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(std::str::from_utf8(&text).map_err(serde::ser::Error::custom)?)
    }

    /// Reads 64 hex digits.
    ///
    /// # Errors
    /// When there are not exactly 64 of them.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fingerprint, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let mut hash = [0u8; 32];
        hex::decode_to_slice(text.as_bytes(), &mut hash).map_err(D::Error::custom)?;
        Ok(hash)
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::{ids::CouponId, operations::RedeemCoupon};

    use super::*;

    fn envelope() -> Envelope<Action> {
        Envelope {
            op_id: OperationId::new(1, [1; 10]),
            tenant: TenantId::new(1, [2; 10]),
            device: DeviceId::new(1, [3; 10]),
            epoch: 1,
            seq: 1,
            prev_hash: [0; 32],
            version: ACTION_VERSION,
            actor: None,
            occurred_at: 5,
            monotonic: 6,
            boot_id: "b".into(),
            evidence: Evidence::Code,
            action: Action::RedeemCoupon(RedeemCoupon {
                coupon: CouponId::new(1, [4; 10]),
                template: counterfoil_domain::ids::TemplateId::new(1, [5; 10]),
                template_version: 1,
                worth: 2_000,
                member: None,
                freeze: None,
            }),
        }
    }

    #[test]
    fn sealing_and_opening_agree_on_the_bytes() {
        let sealed = seal(&envelope()).unwrap();
        let (tenant, arrival) = open(0, &sealed.text).unwrap();
        assert_eq!(tenant, envelope().tenant);
        assert_eq!(arrival.fingerprint, sealed.fingerprint);
        assert_eq!(
            hex::encode(fingerprint(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(arrival.action, Some(envelope().action));
    }

    #[test]
    fn a_payload_from_the_future_keeps_its_place() {
        let sealed = seal(&envelope()).unwrap();
        let (_, newer) = open(
            0,
            &sealed
                .text
                .replace(&format!("\"version\":{ACTION_VERSION}"), "\"version\":9"),
        )
        .unwrap();
        assert_eq!((newer.seq, newer.action), (1, None));
        let (_, unknown) = open(0, &sealed.text.replace("redeem_coupon", "juggle_coupon")).unwrap();
        assert_eq!(unknown.action, None);
        assert!(
            open(3, &sealed.text.replace("\"seq\":1", "\"seq\":\"x\""))
                .unwrap_err()
                .to_string()
                .contains("3")
        );
    }
}
