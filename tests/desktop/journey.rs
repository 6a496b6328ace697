//! The main job in the window: first start, redeem, lose head office, go on, come back; and what goes wrong on the way.

use std::path::Path;

use counterfoil_head_office::testing::On;
use counterfoil_scan::render::{QrStyle, png};
use counterfoil_tests::office::Office;
use fantoccini::key::Key;
use serde_json::Value;

use crate::window::Window;

pub const SEED: &[&str] = &["--demo"];
pub const SHOP: &str = "s-01";
pub const MANAGER: &str = "周店长";
/// The app takes pictures up to 20 MB.
const TOO_LARGE: usize = 20 * 1024 * 1024 + 1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_at_the_desk_in_chinese() {
    a_day_at_the_desk("zh-CN", "zh", "en_US.UTF-8", "林晓").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_day_at_the_desk_in_english() {
    a_day_at_the_desk("en", "en", "zh_CN.UTF-8", "Anna Chen").await;
}

/// The machine speaks the other language, so the clerk has to switch.
async fn a_day_at_the_desk(language: &'static str, button: &str, machine: &str, clerk: &str) {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let seeded: Value = serde_json::from_str(&office.command(&[&["seed"], SEED].concat())).unwrap();
    let tokens: Vec<&str> = seeded["tokens"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let codes = office.coupons("home_store", SHOP).await;
    let folder = tempfile::tempdir().unwrap();
    let window = Window::open(&folder.path().join("counter"), language, machine).await;

    window.press(&format!("lang-{button}")).await;
    connects(&window, &office).await;
    signs_in(&window, &seeded, clerk).await;

    // A code typed, while head office answers.
    window.looks_up(&codes[0]).await;
    window
        .reads("verdict[data-decision=honour]", "decision_honour_redeem")
        .await;
    window.keeps("05-verdict").await;
    window.enters().await;
    window
        .reads("receipt[data-delivery=confirmed]", "receipt_confirmed")
        .await;
    window.keeps("06-receipt").await;
    window.press("next").await;
    window.looks_up(&codes[0]).await;
    window.sees("verdict[data-decision=refuse]").await;
    window.sees("reason[data-code=redeemed]").await;
    window.keeps("07-redeemed-already").await;

    // Pictures: a signed token dropped onto the window, a plain code chosen as a file.
    window.drops("coupon.png", &qr(tokens[1])).await;
    window.sees("verdict[data-decision=honour]").await;
    window.keeps("08-picture-dropped").await;
    window.press("confirm").await;
    window.sees("receipt[data-delivery=confirmed]").await;
    let picture = folder.path().join("coupon.png");
    std::fs::write(&picture, qr(&codes[1])).unwrap();
    window.chooses(&picture).await;
    window.sees("verdict[data-decision=honour]").await;
    pastes_it(&window, &picture).await;
    window.press("confirm").await;
    window.sees("receipt[data-delivery=confirmed]").await;

    // A pickup order, its code from a scanner.
    window.press("next").await;
    window.scans(seeded["pickups"][0].as_str().unwrap()).await;
    window
        .reads(
            "verdict[data-decision=honour][data-subject=order]",
            "decision_honour_collect",
        )
        .await;
    window.keeps("09-pickup").await;
    window.press("confirm").await;
    window
        .reads("receipt[data-delivery=confirmed]", "receipt_collected")
        .await;
    window.keeps("10-handed-over").await;

    goes_wrong(&window).await;

    // Head office goes away; the desk goes on.
    office.kill();
    window.reads("banner-offline", "banner_offline_works").await;
    window.keeps("14-offline").await;
    window.looks_up(&codes[2]).await;
    window
        .reads("verdict[data-decision=honourOffline]", "decision_offline_redeem")
        .await;
    window.keeps("15-verdict-offline").await;
    window.press("confirm").await;
    window
        .reads("receipt[data-delivery=toBeDelivered]", "receipt_to_be_delivered")
        .await;
    window.sees("queue-count[data-pending='1']").await;
    window.keeps("16-receipt-offline").await;
    window.press("nav-queue").await;
    window
        .reads("queue-row[data-state=pending]", "queue_state_pending")
        .await;
    window.sees("limits").await;
    window.keeps("17-queue-pending").await;

    // It comes back; what waited is delivered by itself.
    office.go();
    window.sees("queue-count[data-pending='0']").await;
    window.sees_no_more("banner-offline").await;
    window.sees_no_more("queue-row[data-state=pending]").await;
    window
        .reads("queue-row[data-state=applied]", "queue_state_applied")
        .await;
    assert_eq!(window.sees("count-pending").await.text().await.unwrap(), "0");
    window.keeps("18-queue-delivered").await;

    voids_the_last(&window, &seeded).await;
    window.press("nav-settings").await;
    window.sees("sign-out").await;
    window.keeps("21-settings").await;
    window.press("sign-out").await;
    window.sees(&format!("clerk-{clerk}")).await;
    window.close().await;

    let redeemed = "SELECT COUNT(*) FROM coupon_entries WHERE what = 'redeemed'";
    assert_eq!(office.number(redeemed).await, 4);
    let collected = "SELECT COUNT(*) FROM orders WHERE state = 'collected'";
    assert_eq!(office.number(collected).await, 1);
    let voided = format!("SELECT state FROM coupons WHERE code = '{}'", codes[2]);
    assert_eq!(office.texts(&voided).await, ["available"]);
    office.verify();
}

pub async fn connects(window: &Window, office: &Office) {
    window.reads("first-connect", "first_connect").await;
    window.keeps("01-first-start").await;
    window.press("first-connect").await;
    window.types("connect-address", &office.address).await;
    window.types("connect-code", "AAAAA-AAAAA").await;
    window.press("connect-submit").await;
    window
        .reads("problem[data-code=enrol_code_invalid]", "problem_enrol_code_invalid")
        .await;
    window.keeps("02-wrong-code").await;
    window.sees("connect-code").await.clear().await.unwrap();
    window.types("connect-code", &office.enrol_code(SHOP)).await;
    window.press("connect-submit").await;
}

pub async fn signs_in(window: &Window, seeded: &Value, clerk: &str) {
    window.press(&format!("clerk-{clerk}")).await;
    window.types("pin-input", "000000").await;
    window.press("pin-submit").await;
    window.reads("problem[data-code=wrong_pin]", "problem_wrong_pin").await;
    window.types("pin-input", &pin(seeded, clerk)).await;
    window.keeps("03-sign-in").await;
    window.press("pin-submit").await;
    window.sees("idle").await;
    window.sees("link[data-state=online]").await;
    window.keeps("04-desk").await;
}

/// The picture itself, and its file as a file manager copies it.
async fn pastes_it(window: &Window, picture: &Path) {
    let list = picture.with_extension("uris");
    std::fs::write(&list, format!("file://{}\r\n", picture.display())).unwrap();
    for (kind, file) in [("image/png", picture), ("text/uri-list", &list)] {
        window.sends(&char::from(Key::Escape).to_string()).await;
        window.sees("idle").await;
        window.pastes(kind, file).await;
        window.sees("verdict[data-decision=honour]").await;
    }
}

/// Nothing of this changes anything.
async fn goes_wrong(window: &Window) {
    window.looks_up("100000000000000008").await;
    window.sees("verdict[data-decision=refuse]").await;
    window
        .reads("reason[data-code=unknown_code]", "reason_unknown_code")
        .await;
    window.keeps("11-unknown-code").await;
    // A number of nobody's is no unknown code.
    window.looks_up("19900000001").await;
    window
        .reads("reason[data-code=unknown_member]", "reason_unknown_member")
        .await;
    window.drops("notes.png", b"milk, eggs, coffee").await;
    window
        .reads("problem[data-code=picture_unreadable]", "problem_picture_unreadable")
        .await;
    window.keeps("12-no-picture").await;
    window.drops_large(TOO_LARGE).await;
    window
        .reads("problem[data-code=picture_too_large]", "problem_picture_too_large")
        .await;
    window.keeps("13-too-large").await;
}

/// With a reason and a manager's PIN.
async fn voids_the_last(window: &Window, seeded: &Value) {
    let before = window.count("queue-row").await;
    window.press("void-open").await;
    window.types("void-reason", window.word("void_reason_mistake")).await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    window.keeps("19-void").await;
    window.press("void-submit").await;
    window.sees_no_more("void-dialog").await;
    window
        .sees("queue-row[data-kind=voidRedemption][data-state=applied]")
        .await;
    assert_eq!(window.count("queue-row").await, before + 1);
    window.keeps("20-voided").await;
}

pub fn pin(seeded: &Value, name: &str) -> String {
    let clerks = seeded["clerks"].as_array().unwrap();
    let clerk = clerks
        .iter()
        .find(|clerk| clerk["store"] == SHOP && clerk["name"] == name)
        .unwrap();
    clerk["pin"].as_str().unwrap().to_owned()
}

fn qr(text: &str) -> Vec<u8> {
    png(text, &QrStyle::default()).unwrap()
}
