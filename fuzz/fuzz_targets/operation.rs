//! An operation as it arrives: read, written again, and decided where everything it names is unknown.
#![no_main]

use counterfoil_domain::{
    ids::StoreId,
    transition::{Arrival, Command, Device, DeviceStatus, NeedKeys, State, decide},
};
use counterfoil_protocol::operation::{self, Envelope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok((_, arrival)) = operation::open(0, text) else {
        return;
    };
    assert_eq!(&*arrival.body, text.as_bytes());
    if let Some(action) = &arrival.action {
        let envelope: Envelope<_> = serde_json::from_str(text).expect("it was read before");
        let sealed = operation::seal(&envelope).expect("what was read can be written");
        let (_, again) = operation::open(0, &sealed.text).expect("what was written can be read");
        assert_eq!(again.action.as_ref(), Some(action));
    }
    arrives(arrival);
});

/// The device is where it may go on with this operation; nothing else is known.
fn arrives(arrival: Arrival) {
    let device = Device {
        id: arrival.device,
        store: StoreId(arrival.device.0),
        status: DeviceStatus::Active,
        epoch: arrival.epoch,
        last_seq: arrival.seq.saturating_sub(1),
        last_hash: arrival.prev_hash,
        settled_at: None,
        version: 1,
    };
    let mut state = State::default();
    state.devices.insert(device.id, Some(device));
    let command = Command::Operation(arrival);
    for _ in 0..10 {
        match decide(&state, &command, 1_800_000_000_000) {
            Ok(_) => return,
            Err(NeedKeys(keys)) => keys.into_iter().for_each(|key| state.note_missing(key)),
        }
    }
    panic!("it asks without end");
}
