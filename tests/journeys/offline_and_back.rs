//! The main job: redeem online, lose head office, go on alone, be killed, come back; one effect and one outcome each.

use std::{collections::BTreeSet, path::Path};

use counterfoil_head_office::{on_both, testing::On};
use counterfoil_tests::{desk::Desk, office::Office};
use serde_json::{Value, json};

const SEED: &[&str] = &[
    "--members",
    "40",
    "--coupons",
    "900",
    "--stores",
    "2",
    "--pickups",
    "30",
    "--seed",
    "7",
];

on_both! { a_shop_goes_on_alone_and_nothing_is_lost_or_done_twice }

fn delivered(answer: &Value) -> &str {
    assert_eq!(answer["result"], "done", "{answer:#}");
    answer["receipt"]["delivery"].as_str().unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_file())
    {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

async fn a_shop_goes_on_alone_and_nothing_is_lost_or_done_twice(on: On) {
    let mut office = Office::start(on, SEED).await;
    let folder = tempfile::tempdir().unwrap();
    let (first_folder, second_folder) = (folder.path().join("first"), folder.path().join("second"));
    let mut first = Desk::enrol(&first_folder, &office.address, &office.enrol_code("s-01"));
    let mut second = Desk::enrol(&second_folder, &office.address, &office.enrol_code("s-01"));
    first.ready();
    second.ready();
    let codes = office.coupons("home_store", "s-01").await;
    assert!(codes.len() > 60, "the seed has too few coupons: {}", codes.len());

    // Online: head office's word first.
    assert_eq!(delivered(&first.redeem(&codes[0])), "confirmed");
    let again = first.redeem(&codes[0]);
    assert_eq!(again["result"], "refused", "{again:#}");
    first.drained();

    // Head office goes away. Twenty more, the process killed after some and in the middle of one.
    office.kill();
    first.offline();
    second.offline();
    let mut acknowledged = BTreeSet::new();
    let mut rest: Vec<&String> = codes[1..21].iter().collect();
    for alone in [7, 6] {
        for code in rest.drain(..alone) {
            assert_eq!(delivered(&first.redeem(code)), "toBeDelivered");
            acknowledged.insert(code.clone());
        }
        // This one is under way when the process dies: it is there whole or not at all.
        first.tell(&json!({"do": "redeem", "code": rest[0]}));
        first.kill();
        first = Desk::start(&first_folder);
        first.offline();
        let made = first.queue().len();
        let extra = made - 1 - acknowledged.len();
        assert!(extra <= 1, "{made} operations, {} acknowledged", acknowledged.len());
        if extra == 1 {
            acknowledged.insert(rest.remove(0).clone());
        }
    }
    for code in rest {
        assert_eq!(delivered(&first.redeem(code)), "toBeDelivered");
        acknowledged.insert(code.clone());
    }
    assert_eq!(acknowledged.len(), 20);
    assert_eq!(first.status()["queue"]["pending"], 20);

    // The other counter, alone too, honours a coupon that the first one has honoured.
    assert_eq!(delivered(&second.redeem(&codes[5])), "toBeDelivered");

    // The same push will be sent again, by a copy of the disk as it is before any answer came.
    let copy_folder = folder.path().join("copy");
    first.kill();
    copy(&first_folder, &copy_folder);
    first = Desk::start(&first_folder);

    // Head office comes back; the first counter delivers, then the second.
    second.ask(json!({"do": "stop_sync"}));
    office.go();
    first.drained();
    second.ask(json!({"do": "start_sync"}));
    let status = second.drained();
    assert_eq!(status["queue"]["exceptions"], 1, "{status:#}");
    assert_eq!(first.status()["queue"]["exceptions"], 0);
    let exceptions: Vec<Value> = second
        .queue()
        .into_iter()
        .filter(|entry| !entry["exception"].is_null())
        .collect();
    assert_eq!(exceptions.len(), 1);
    assert_eq!(exceptions[0]["exception"], "double_redeem");

    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 22);
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM operations WHERE outcome = 'applied'")
            .await,
        21
    );
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await,
        21
    );
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM coupon_entries WHERE what = 'redeemed'")
            .await,
        21
    );
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM exceptions WHERE status = 'open'")
            .await,
        1
    );
    let feed = office
        .number("SELECT CAST(SUM(number) AS BIGINT) FROM feed_heads")
        .await;
    let mut again = Desk::start(&copy_folder);
    assert_eq!(again.drained()["queue"]["exceptions"], 0);
    let outcomes = |desk: &mut Desk| -> Vec<(Value, Value)> {
        desk.queue()
            .iter()
            .map(|entry| (entry["op_id"].clone(), entry["state"].clone()))
            .collect()
    };
    assert_eq!(outcomes(&mut again), outcomes(&mut first), "the same outcomes");
    again.kill();
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 22);
    assert_eq!(office.number("SELECT COUNT(*) FROM branches").await, 0);
    assert_eq!(
        office
            .number("SELECT CAST(SUM(number) AS BIGINT) FROM feed_heads")
            .await,
        feed
    );
    office.verify();

    // A counter that only sees its disk again knows all of it.
    first.kill();
    let mut first = Desk::start(&first_folder);
    let entries = first.queue();
    assert_eq!(entries.len(), 21);
    assert!(entries.iter().all(|entry| entry["state"] == "applied"), "{entries:#?}");
    first.ready();

    // A pickup order, whole, and a void with a manager's PIN.
    let pickup = office
        .texts("SELECT o.code FROM orders o JOIN stores s ON s.tenant = o.tenant AND s.id = o.store WHERE s.code = 's-01' AND o.state = 'ready' ORDER BY o.code")
        .await
        .remove(0);
    let done = first.redeem(&pickup);
    assert_eq!(delivered(&done), "confirmed");
    first.drained();
    assert_eq!(
        office
            .number("SELECT COUNT(*) FROM orders WHERE state = 'collected'")
            .await,
        1
    );
    let late = second.redeem(&pickup);
    assert_eq!(late["result"], "refused", "{late:#}");
    office.verify();
}
