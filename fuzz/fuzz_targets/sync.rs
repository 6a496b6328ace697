//! What a counter sends: read, written and read again, each of its operations opened.
#![no_main]

use counterfoil_protocol::{operation, sync::SyncRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(request) = serde_json::from_slice::<SyncRequest>(bytes) else {
        return;
    };
    for (index, text) in request.operations.iter().enumerate() {
        let _ = operation::open(index, text.get());
    }
    let once = serde_json::to_vec(&request).expect("what was read can be written");
    let again: SyncRequest = serde_json::from_slice(&once).expect("what was written can be read");
    assert_eq!(serde_json::to_vec(&again).expect("as before"), once);
});
