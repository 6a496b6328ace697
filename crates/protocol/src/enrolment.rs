//! `POST /v1/enrol`: a new device trades a one-time code for its place in a store.
//!
//! The device makes its key pair and stores it before it asks. Asking again with the same code and the same key
//! gives the same answer, so a lost answer loses nothing.

use counterfoil_domain::{
    ids::{DeviceId, HistoryId, Place, TenantId},
    people::Store,
    text::plain,
    time::Millis,
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};

/// How long a one-time code lives, ms.
pub const CODE_LASTS: Millis = 15 * counterfoil_domain::time::MINUTE;
/// What an enrolment QR begins with; then `<address>#<code>`.
pub const QR_PREFIX: &str = "CFENROL:";

/// The question.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolRequest {
    /// The one-time code, upper case, with or without the dash.
    pub code: String,
    /// The device's public key, 64 hex digits.
    pub public_key: String,
    /// Proof that the device holds the private key: signature over the code, 128 hex digits.
    pub proof: String,
    /// What people call the device.
    pub name: String,
    /// Version of the program.
    pub app_version: String,
}

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// The chain.
    pub tenant: TenantId,
    /// The shop.
    pub store: Store,
    /// The device's id from now on.
    pub device: DeviceId,
    /// Epoch of its journal.
    pub epoch: i64,
    /// Head office's history.
    pub history_id: HistoryId,
    /// Head office's clock, UTC ms.
    pub server_time: Millis,
    /// The store's place, which goes into the ids of what happens there; an older head office says none.
    #[serde(default)]
    pub place: Place,
}

/// A code as people type it, brought to the one form that is hashed and signed: upper case, letters and digits only.
pub fn normal_code(code: &str) -> String {
    plain(code)
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|c| c.to_ascii_uppercase())
        .take(64)
        .collect()
}

fn message(code: &str) -> Vec<u8> {
    format!("counterfoil enrol 1\n{}", normal_code(code)).into_bytes()
}

impl EnrolRequest {
    /// The proof for this code.
    pub fn prove(code: &str, key: &SigningKey) -> String {
        hex::encode(key.sign(&message(code)).to_bytes())
    }

    /// The device's public key, if its form is right and the proof holds.
    pub fn verified_key(&self) -> Option<VerifyingKey> {
        let mut key = [0u8; 32];
        hex::decode_to_slice(&self.public_key, &mut key).ok()?;
        let key = VerifyingKey::from_bytes(&key).ok()?;
        let mut proof = [0u8; 64];
        hex::decode_to_slice(&self.proof, &mut proof).ok()?;
        key.verify_strict(&message(&self.code), &Signature::from_bytes(&proof))
            .ok()?;
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_the_one_that_other_programs_make() {
        let key = SigningKey::from_bytes(&[1; 32]);
        // Made with another program.
        let proof = "01893e80dcb641d693e9847ad21a91cf1ddbcf058b344a2e5f0960c280eb9a69\
                     e6a53fe0dc3ed7c7127b9fd50ad7eaba2e2982050641182603f43cd151e2440a";
        assert_eq!(EnrolRequest::prove("abcd-2345", &key), proof);
        let request = EnrolRequest {
            code: "ABCD2345".into(),
            public_key: hex::encode(key.verifying_key().as_bytes()),
            proof: proof.into(),
            name: "till 1".into(),
            app_version: "1".into(),
        };
        assert_eq!(request.verified_key(), Some(key.verifying_key()));
        let other = EnrolRequest {
            code: "ABCD2346".into(),
            ..request
        };
        assert_eq!(other.verified_key(), None);
    }

    #[test]
    fn an_older_head_office_says_no_place() {
        let id = "01a1ee56-5e00-7003-bfff-ffffffffffff";
        let answer = serde_json::json!({
            "tenant": id, "device": id, "history_id": id, "epoch": 1, "server_time": 1,
            "store": { "id": id, "code": "s-01", "name_zh": "一店", "name_en": "First", "time_zone": "Asia/Shanghai" },
        });
        let read =
            |answer: serde_json::Value| serde_json::from_value::<EnrolResponse>(answer).map(|told| told.place.number());
        assert_eq!(read(answer.clone()).unwrap(), 0);
        let with = |place: i64| {
            let mut answer = answer.clone();
            answer["place"] = place.into();
            read(answer)
        };
        assert_eq!(with(1023).unwrap(), 1023);
        assert!(with(1024).is_err());
    }
}
