//! Quote documents: what is answered adds up; what is not is refused, never a crash.
#![no_main]

use counterfoil_domain::settlement::{Budget, document, quote_within};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(basket) = document::read(bytes) else {
        return;
    };
    // What is always answered may take a second.
    let go_on = |visits| visits < 500_000;
    let Ok(answer) = quote_within(&basket, &Budget::of(100_000).while_told(&go_on)) else {
        return;
    };
    assert_eq!(answer.payable, answer.subtotal - answer.discount - answer.points.amount);
    let net: i64 = answer.lines.iter().map(|line| line.net).sum();
    assert_eq!(net, answer.payable);
    assert!(answer.lines.iter().all(|line| line.net >= 0));
    assert!(answer.payable >= basket.policy.min_payable.min(answer.subtotal));
    for applied in &answer.applied {
        let shares: i64 = applied.lines.iter().map(|share| share.amount).sum();
        assert!(applied.amount > 0 && shares == applied.amount);
    }
});
