//! Signed tokens: what a QR code carries, so that a counter can check it without asking anybody.
//!
//! Text: `CF1:` and the RFC 4648 base32 (no padding) of the bytes, all of it in the QR alphanumeric set, which packs
//! 11 bits into two characters. Bytes, big-endian:
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | version, 1 |
//! | 1 | 4 | key id |
//! | 5 | 1 | kind: 1 member, 2 coupon, 3 pickup |
//! | 6 | 16 | id |
//! | 22 | 16 | store it is bound to, zeros = none |
//! | 38 | 16 | template (coupon), zeros otherwise |
//! | 54 | 4 | template version (coupon), 0 otherwise |
//! | 58 | 6 | issued, ms |
//! | 64 | 6 | expires, ms |
//! | 70 | 64 | Ed25519 signature over bytes 0..70 |
//!
//! A signature proves issue, not first use.

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    ids::{CouponId, MemberId, OrderId, StoreId, TemplateId},
    time::{MINUTE, Millis},
};

/// What every token begins with.
pub const PREFIX: &str = "CF1:";
/// Clocks of counter and head office may differ by this much.
pub const CLOCK_TOLERANCE: Millis = 5 * MINUTE;

const VERSION: u8 = 1;
const BODY: usize = 70;
const WHOLE: usize = BODY + 64;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bearer {
    /// A member who shows who they are.
    Member(MemberId),
    /// A coupon, with the rule it was issued under.
    Coupon {
        coupon: CouponId,
        template: TemplateId,
        template_version: u32,
    },
    /// A pickup order.
    Pickup(OrderId),
}

/// A token's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Which of head office's keys signed it.
    pub key_id: u32,
    /// What it is for.
    pub bearer: Bearer,
    /// The only store where it counts; `None` = everywhere.
    pub store: Option<StoreId>,
    /// When it was made.
    pub issued_at: Millis,
    /// First instant at which it no longer counts.
    pub expires_at: Millis,
}

/// A public key that head office signs tokens with, as counters hold it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenKey {
    /// Its number.
    pub key_id: u32,
    /// 32 bytes, hex.
    pub public_key: String,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text is not a token of this version.
    #[error("not a token of a known version")]
    Malformed,
    /// The key is not known here: "contact needed", not "forged".
    #[error("signed with key {0}, which is not known here")]
    UnknownKey(u32),
    /// The signature is wrong.
    #[error("the signature is wrong")]
    BadSignature,
    /// It is past its time.
    #[error("expired at {0}")]
    Expired(Millis),
    /// It was made in the future: a clock is wrong.
    #[error("issued in the future, at {0}")]
    NotYet(Millis),
}

impl Token {
    fn body(&self) -> [u8; BODY] {
        let mut bytes = [0u8; BODY];
        let (kind, id, template, version) = match self.bearer {
            Bearer::Member(id) => (1, id.0, Uuid::nil(), 0),
            Bearer::Coupon {
                coupon,
                template,
                template_version,
            } => (2, coupon.0, template.0, template_version),
            Bearer::Pickup(id) => (3, id.0, Uuid::nil(), 0),
        };
        bytes[0] = VERSION;
        bytes[1..5].copy_from_slice(&self.key_id.to_be_bytes());
        bytes[5] = kind;
        bytes[6..22].copy_from_slice(id.as_bytes());
        bytes[22..38].copy_from_slice(self.store.map_or(Uuid::nil(), |store| store.0).as_bytes());
        bytes[38..54].copy_from_slice(template.as_bytes());
        bytes[54..58].copy_from_slice(&version.to_be_bytes());
        bytes[58..64].copy_from_slice(&self.issued_at.to_be_bytes()[2..]);
        bytes[64..70].copy_from_slice(&self.expires_at.to_be_bytes()[2..]);
        bytes
    }

    /// The text to put into a QR code.
    pub fn sign(&self, key: &SigningKey) -> String {
        let body = self.body();
        let mut bytes = body.to_vec();
        bytes.extend_from_slice(&key.sign(&body).to_bytes());
        format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes))
    }

    /// Reads and checks a token.
    ///
    /// # Errors
    /// [`TokenError`], in this order: form, key, signature, time.
    pub fn verify(text: &str, now: Millis, key: impl FnOnce(u32) -> Option<VerifyingKey>) -> Result<Self, TokenError> {
        let bytes = text
            .strip_prefix(PREFIX)
            .and_then(|rest| BASE32_NOPAD.decode(rest.as_bytes()).ok())
            .filter(|bytes| bytes.len() == WHOLE)
            .ok_or(TokenError::Malformed)?;
        let (body, signature) = bytes.split_at(BODY);
        let token = Self::read(body).ok_or(TokenError::Malformed)?;
        let key = key(token.key_id).ok_or(TokenError::UnknownKey(token.key_id))?;
        let signature = Signature::from_slice(signature).map_err(|_| TokenError::BadSignature)?;
        key.verify_strict(body, &signature)
            .map_err(|_| TokenError::BadSignature)?;
        if now >= token.expires_at.saturating_add(CLOCK_TOLERANCE) {
            return Err(TokenError::Expired(token.expires_at));
        }
        if now < token.issued_at.saturating_sub(CLOCK_TOLERANCE) {
            return Err(TokenError::NotYet(token.issued_at));
        }
        Ok(token)
    }

    fn read(body: &[u8]) -> Option<Self> {
        let number = |from: usize, to: usize| {
            body.get(from..to)
                .map(|bytes| bytes.iter().fold(0u64, |n, &byte| n << 8 | u64::from(byte)))
        };
        let id = |from: usize| body.get(from..from + 16).and_then(|bytes| Uuid::from_slice(bytes).ok());
        if number(0, 1)? != u64::from(VERSION) {
            return None;
        }
        let no_template = || body.get(38..58)?.iter().all(|byte| *byte == 0).then_some(());
        let bearer = match number(5, 6)? {
            1 => {
                no_template()?;
                Bearer::Member(MemberId(id(6)?))
            }
            2 => Bearer::Coupon {
                coupon: CouponId(id(6)?),
                template: TemplateId(id(38)?),
                template_version: u32::try_from(number(54, 58)?).ok()?,
            },
            3 => {
                no_template()?;
                Bearer::Pickup(OrderId(id(6)?))
            }
            _ => return None,
        };
        Some(Self {
            key_id: u32::try_from(number(1, 5)?).ok()?,
            bearer,
            store: id(22).filter(|store| !store.is_nil()).map(StoreId),
            issued_at: Millis::try_from(number(58, 64)?).ok()?,
            expires_at: Millis::try_from(number(64, 70)?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[9; 32])
    }

    fn token() -> Token {
        Token {
            key_id: 3,
            bearer: Bearer::Coupon {
                coupon: CouponId::new(1_000, [1; 10]),
                template: TemplateId::new(1_000, [2; 10]),
                template_version: 4,
            },
            store: Some(StoreId::new(1_000, [3; 10])),
            issued_at: 1_795_000_000_000,
            expires_at: 1_795_000_060_000,
        }
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let text = token().sign(&key());
        assert!(
            text.bytes()
                .all(|b| b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:".contains(&b)),
            "{text}"
        );
        let read = Token::verify(&text, 1_795_000_000_000, |id| (id == 3).then(|| key().verifying_key()));
        assert_eq!(read, Ok(token()));
        // Made with another program: tokens that are printed already must read the same for ever.
        assert_eq!(
            text,
            "CF1:AEAAAAADAIAAAAAAAPUHAAMBAEAQCAIBAEAQAAAAAAB6Q4ADQMBQGAYDAMBQGAAAAAAAH2DQAKBAEAQCAIBAEAQAAAAAIANB5ZLF\
             4AABUHXFOSDA7WT4YNODU6T2HSDV7DZP4KV7S7MA6WBHFU7WN6YQCUG2BWBOLK2JZPMUINRACPFA5GHUXXR32WWFM4LI3REFM6Z64KE6\
             LETWQFYV2AY"
        );
    }

    #[test]
    fn each_thing_wrong_has_its_own_error() {
        let text = token().sign(&key());
        let verify = |text: &str, now| Token::verify(text, now, |_| Some(key().verifying_key()));
        assert_eq!(verify("CF1:", 0), Err(TokenError::Malformed));
        assert_eq!(verify("CF2:AAAA", 0), Err(TokenError::Malformed));
        assert_eq!(
            verify(&text, 1_795_000_060_000 + CLOCK_TOLERANCE),
            Err(TokenError::Expired(1_795_000_060_000))
        );
        assert_eq!(
            verify(&text, 1_700_000_000_000),
            Err(TokenError::NotYet(1_795_000_000_000))
        );
        assert_eq!(Token::verify(&text, 0, |_| None), Err(TokenError::UnknownKey(3)));
        let foreign = SigningKey::from_bytes(&[8; 32]).verifying_key();
        assert_eq!(
            Token::verify(&text, 0, |_| Some(foreign)),
            Err(TokenError::BadSignature)
        );
    }

    #[test]
    fn only_a_coupon_says_a_template() {
        let with = |bearer, template: &[u8]| {
            let mut body = Token { bearer, ..token() }.body();
            body[38..38 + template.len()].copy_from_slice(template);
            let mut bytes = body.to_vec();
            bytes.extend_from_slice(&key().sign(&body).to_bytes());
            let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes));
            Token::verify(&text, 1_795_000_000_000, |_| Some(key().verifying_key()))
        };
        for bearer in [
            Bearer::Member(MemberId::new(1_000, [3; 10])),
            Bearer::Pickup(OrderId::new(1_000, [4; 10])),
        ] {
            assert_eq!(with(bearer, &[]).map(|token| token.bearer), Ok(bearer));
            assert_eq!(with(bearer, &[7; 16]), Err(TokenError::Malformed));
        }
    }

    proptest! {
        #[test]
        fn a_changed_byte_never_passes(place in 0usize..WHOLE, bit in 0u8..8) {
            let text = token().sign(&key());
            let mut bytes = BASE32_NOPAD.decode(&text.as_bytes()[PREFIX.len()..]).unwrap();
            bytes[place] ^= 1 << bit;
            let changed = format!("{PREFIX}{}", BASE32_NOPAD.encode(&bytes));
            prop_assert!(Token::verify(&changed, 1_795_000_000_000, |_| Some(key().verifying_key())).is_err());
        }

        #[test]
        fn no_text_panics(text in "\\PC*") {
            let _ = Token::verify(&text, 0, |_| Some(key().verifying_key()));
            let _ = Token::verify(&format!("{PREFIX}{text}"), 0, |_| Some(key().verifying_key()));
        }
    }
}
