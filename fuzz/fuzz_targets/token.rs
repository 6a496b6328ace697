//! Tokens: any text, and any content that head office's key signed.
#![no_main]

use counterfoil_domain::tokens::{PREFIX, Token, TokenError};
use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signer, SigningKey};
use libfuzzer_sys::fuzz_target;

const NOW: i64 = 1_800_000_000_000;

fuzz_target!(|bytes: &[u8]| {
    let key = SigningKey::from_bytes(&[7; 32]);
    let verify = |text: &str| Token::verify(text, NOW, |_| Some(key.verifying_key()));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = verify(text);
    }
    let mut signed = bytes.to_vec();
    signed.extend_from_slice(&key.sign(bytes).to_bytes());
    let text = format!("{PREFIX}{}", BASE32_NOPAD.encode(&signed));
    match verify(&text) {
        // A token has one text.
        Ok(token) => assert_eq!(token.sign(&key), text),
        Err(error) => assert_ne!(error, TokenError::BadSignature),
    }
});
