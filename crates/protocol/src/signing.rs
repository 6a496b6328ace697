//! Every request of a device is signed over route, time and body, with the device's Ed25519 key.

use counterfoil_domain::{
    ids::{DeviceId, TenantId},
    time::{MINUTE, Millis},
};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

/// Header with the tenant's id.
pub const TENANT: &str = "counterfoil-tenant";
/// Header with the device's id.
pub const DEVICE: &str = "counterfoil-device";
/// Header with the time of signing: head office's clock as the device knows it, UTC ms.
pub const TIME: &str = "counterfoil-time";
/// Header with the signature, 128 hex digits.
pub const SIGNATURE: &str = "counterfoil-signature";
/// Header that names a question, so that asking again is not asking twice.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// How far the time of signing may be from head office's clock. A device whose clock is wrong learns head office's
/// time from the answer and signs with that.
pub const TIME_WINDOW: Millis = 5 * MINUTE;

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// `GET`, `POST`, `DELETE`.
    pub method: &'a str,
    /// Path with query, as sent.
    pub path: &'a str,
    /// The chain.
    pub tenant: TenantId,
    /// The device.
    pub device: DeviceId,
    /// Time of signing.
    pub time: Millis,
    /// The body's bytes.
    pub body: &'a [u8],
}

impl Signed<'_> {
    fn message(&self) -> Vec<u8> {
        let mut message = format!(
            "counterfoil 1\n{} {}\n{}\n{}\n{}\n",
            self.method, self.path, self.tenant, self.device, self.time
        )
        .into_bytes();
        message.extend_from_slice(&Sha256::digest(self.body));
        message
    }

    /// The value of the [`SIGNATURE`] header.
    pub fn sign(&self, key: &SigningKey) -> String {
        hex::encode(key.sign(&self.message()).to_bytes())
    }

    /// Whether `signature` is the device's over exactly this.
    pub fn verify(&self, key: &VerifyingKey, signature: &str) -> bool {
        let mut bytes = [0u8; 64];
        hex::decode_to_slice(signature, &mut bytes).is_ok()
            && key
                .verify_strict(&self.message(), &Signature::from_bytes(&bytes))
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_covers_every_part() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let signed = Signed {
            method: "POST",
            path: "/v1/sync",
            tenant: TenantId::new(1, [1; 10]),
            device: DeviceId::new(1, [2; 10]),
            time: 7,
            body: b"{}",
        };
        let signature = signed.sign(&key);
        // Made with another program: every head office and every counter must make and take this one.
        assert_eq!(
            signature,
            "f8f545bb6b2cd5293f8a0725e261a0415a402698435732e642fc36632909ea55\
             a4e6f737d30334267295c999945fc949a9c635ab3088c0469149e961e552c104"
        );
        let public = key.verifying_key();
        assert!(signed.verify(&public, &signature));
        for changed in [
            Signed {
                method: "GET",
                ..signed
            },
            Signed {
                path: "/v1/sync?",
                ..signed
            },
            Signed {
                tenant: TenantId::new(2, [1; 10]),
                ..signed
            },
            Signed {
                device: DeviceId::new(2, [2; 10]),
                ..signed
            },
            Signed { time: 8, ..signed },
            Signed { body: b"{ }", ..signed },
        ] {
            assert!(!changed.verify(&public, &signature), "{changed:?}");
        }
        assert!(!signed.verify(&public, "zz"));
        assert!(!signed.verify(&SigningKey::from_bytes(&[2; 32]).verifying_key(), &signature));
    }
}
