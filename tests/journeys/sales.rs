//! Sales across real processes: settled with head office's word and without, delivered, taken back; one effect each.

use counterfoil_head_office::{on_both, testing::On};
use counterfoil_tests::{desk::Desk, line::Line, office::Office};
use serde_json::{Value, json};

const SEED: &[&str] = &[
    "--members",
    "40",
    "--coupons",
    "900",
    "--stores",
    "2",
    "--pickups",
    "5",
    "--seed",
    "11",
];
/// Of the seed's managers.
const PIN: &str = "864200";

on_both! {
    a_basket_is_settled_online_and_alone_and_everything_arrives_once,
    two_counters_that_settle_one_coupon_alone_end_in_one_exception,
}

/// Numbers of members who have coupons that may be used alone at this store.
async fn members(office: &Office, store: &str) -> Vec<String> {
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_millis();
    office
        .texts(&format!(
            "SELECT m.number FROM members m JOIN coupons c ON c.tenant = m.tenant AND c.member = m.id \
             JOIN templates t ON t.tenant = c.tenant AND t.id = c.template AND t.template_version = c.template_version \
             JOIN stores s ON s.tenant = c.tenant AND s.id = c.home_store \
             WHERE s.code = '{store}' AND t.offline = 'home_store' AND t.stores IS NULL AND c.state = 'available' \
             AND (c.valid_from IS NULL OR c.valid_from <= {now}) AND (c.valid_until IS NULL OR c.valid_until > {now}) GROUP BY m.number HAVING COUNT(*) >= 2 ORDER BY m.number"
        ))
        .await
}

fn sell(desk: &mut Desk, skus: &[String], member: Option<&str>, coupons: &[&str], receipt: &str) -> Value {
    let lines: Vec<Value> = skus.iter().map(|sku| json!([sku, 4])).collect();
    desk.ask(json!({"do": "sell", "lines": lines, "member": member, "coupons": coupons, "receipt": receipt}))
}

fn done(answer: &Value) -> String {
    assert_eq!(answer["result"], "done", "{answer:#}");
    answer["receipt"]["opId"].as_str().unwrap().to_owned()
}

fn used(answer: &Value) -> usize {
    let coupons = answer["quote"]["coupons"].as_array().unwrap();
    coupons.iter().filter(|coupon| !coupon["applied"].is_null()).count()
}

async fn a_basket_is_settled_online_and_alone_and_everything_arrives_once(on: On) {
    let office = Office::start(on, SEED).await;
    let line = Line::to(&office.address).await;
    let folder = tempfile::tempdir().unwrap();
    let mut desk = Desk::enrol(&folder.path().join("desk"), &line.address, &office.enrol_code("s-01"));
    desk.ready();
    let skus = office
        .texts("SELECT sku FROM products WHERE active = 1 ORDER BY sku")
        .await;
    let skus = &skus[..3];
    let found = desk.ask(json!({"do": "products", "text": skus[0]}));
    assert_eq!(found["products"][0]["sku"], json!(skus[0]), "{found:#}");
    let members = members(&office, "s-01").await;
    assert!(members.len() >= 3, "the seed has too few: {members:?}");

    // With head office's word for every coupon.
    let online = sell(&mut desk, skus, Some(&members[0]), &[], "R-1");
    let first = done(&online);
    assert!(used(&online) >= 1, "{online:#}");
    assert_eq!(online["receipt"]["delivery"], "confirmed");
    desk.drained();

    // The line goes; what may be done alone is done alone. Nothing of it needs head office.
    line.cut();
    desk.offline();
    let alone = sell(&mut desk, skus, Some(&members[1]), &[], "R-2");
    let second = done(&alone);
    assert!(used(&alone) >= 1, "{alone:#}");
    assert_eq!(alone["receipt"]["delivery"], "toBeDelivered");
    let plain = sell(&mut desk, skus, None, &[], "R-3");
    let third = done(&plain);
    let voided = desk.ask(json!({"do": "void", "op": third, "pin": PIN}));
    assert_eq!(voided["ok"], true, "{voided:#}");
    let back = desk.ask(json!({"do": "return", "op": second, "units": [{"line": 0, "quantity": 1}], "pin": PIN}));
    assert_eq!(back["ok"], true, "{back:#}");
    let slip = desk.ask(json!({"do": "slip", "op": second}));
    assert!(slip["bytes"].as_i64().unwrap() > 1_000, "{slip:#}");

    // Killed before anything was delivered: it is all there again.
    desk.kill();
    let mut desk = Desk::start(&folder.path().join("desk"));
    let sales = desk.ask(json!({"do": "sales"}));
    assert_eq!(sales["sales"].as_array().unwrap().len(), 3, "{sales:#}");
    line.up();
    let status = desk.drained();
    assert_eq!(status["queue"]["exceptions"], 0, "{:#?}", desk.queue());
    assert_eq!(office.number("SELECT COUNT(*) FROM operations").await, 5);
    assert_eq!(office.number("SELECT COUNT(*) FROM sales").await, 3);
    assert_eq!(office.number("SELECT COUNT(*) FROM exceptions").await, 0);
    let coupons = i64::try_from(used(&online) + used(&alone)).unwrap();
    let redeemed = office
        .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
        .await;
    assert_eq!(redeemed, coupons);
    assert_ne!(first, second);
    office.verify();
}

async fn two_counters_that_settle_one_coupon_alone_end_in_one_exception(on: On) {
    let office = Office::start(on, SEED).await;
    let line = Line::to(&office.address).await;
    let folder = tempfile::tempdir().unwrap();
    let mut desks: Vec<Desk> = ["first", "second"]
        .map(|name| {
            let mut desk = Desk::enrol(&folder.path().join(name), &line.address, &office.enrol_code("s-01"));
            desk.ready();
            desk
        })
        .into();
    let skus = office
        .texts("SELECT sku FROM products WHERE active = 1 ORDER BY sku")
        .await;
    // One that fits any basket.
    let fitting = office
        .texts("SELECT c.code FROM coupons c JOIN templates t ON t.tenant = c.tenant AND t.id = c.template AND t.template_version = c.template_version WHERE t.rule LIKE '%\"amount_off\"%'")
        .await;
    let codes = office.coupons("home_store", "s-01").await;
    let code = codes.into_iter().find(|code| fitting.contains(code)).unwrap();
    line.cut();
    for desk in &mut desks {
        desk.offline();
        let sold = sell(desk, &skus[..5], None, &[&code], "R-1");
        done(&sold);
        assert_eq!(used(&sold), 1, "{sold:#}");
    }
    line.up();
    let mut exceptions = 0;
    for desk in &mut desks {
        exceptions += desk.drained()["queue"]["exceptions"].as_i64().unwrap();
    }
    assert_eq!(exceptions, 1);
    assert_eq!(
        office.texts("SELECT kind FROM exceptions").await,
        ["double_redeem"],
        "one case, with its loss"
    );
    assert!(office.number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions").await > 0);
    assert_eq!(office.number("SELECT COUNT(*) FROM sales").await, 2);
    office.verify();
}
