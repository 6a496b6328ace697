//! A minute of what `cargo xtask soak` does for as long as one likes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails fails"
)]

use std::time::Duration;

use counterfoil_head_office::testing::On;
use counterfoil_tests::soak::{Plan, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_and_nothing_is_double_on_a_bad_line_with_kills_on_every_side() {
    let report = run(Plan {
        on: On::Sqlite,
        lasts: Duration::from_secs(40),
        counters: 8,
        stores: 3,
        seed: 20_260_801,
    })
    .await;
    println!("{}", serde_json::to_string_pretty(&report).unwrap());
    assert!(report.violations.is_empty(), "{:#?}", report.violations);
    assert!(report.was_bad(), "there was nothing to survive");
}
