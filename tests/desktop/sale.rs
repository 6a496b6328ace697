//! A sale in the window: a member, a basket, the best combination and why not the others, confirmed, voided, made
//! offline, returned.

use std::{fs, path::Path};

use counterfoil_head_office::testing::On;
use counterfoil_tests::office::Office;
use serde_json::Value;

use crate::journey::{MANAGER, SEED, SHOP, connects, pin, signs_in};
use crate::window::Window;

/// What the member is given, by how it begins: two that go together, two that exclude each other.
const GRANTS: [&str; 3] = ["¥20 off from ¥100", "15% off", "10% off for members"];
/// Prices of the goods in fen: one is less than 100 yuan, two are more.
const PRICES: &str = "BETWEEN 5001 AND 9999";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_in_chinese() {
    a_sale("zh-CN", "zh", "en_US.UTF-8", "林晓").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_in_english() {
    a_sale("en", "en", "zh_CN.UTF-8", "Anna Chen").await;
}

struct Customer {
    number: String,
    phone: String,
}

async fn a_sale(language: &'static str, button: &str, machine: &str, clerk: &str) {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let seeded: Value = serde_json::from_str(&office.command(&[&["seed"], SEED].concat())).unwrap();
    let customer = has_coupons(&office).await;
    let goods = office
        .texts(&format!(
            "SELECT MIN(b.barcode) FROM products p JOIN product_barcodes b ON b.tenant = p.tenant AND b.product = p.id \
             WHERE p.active = 1 AND p.unit_price {PRICES} GROUP BY p.sku ORDER BY p.sku"
        ))
        .await;
    let name = if language == "en" { "name_en" } else { "name_zh" };
    let names = office
        .texts(&format!(
            "SELECT {name} FROM products WHERE active = 1 AND unit_price {PRICES} ORDER BY sku"
        ))
        .await;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("counter");
    let window = Window::open(&data, language, machine).await;
    window.press(&format!("lang-{button}")).await;
    connects(&window, &office).await;
    signs_in(&window, &seeded, clerk).await;

    fills_the_basket(&window, &customer, &goods, &names[2]).await;
    chooses_by_hand(&window).await;
    confirms(&window, "R-1001", "confirmed").await;
    window.keeps("36-sold").await;
    has_a_slip(&window, &data).await;
    voids(&window, &seeded).await;
    window.press("next").await;

    // Head office goes away; the next customer is served all the same.
    office.kill();
    window.sees("banner-offline").await;
    window.looks_up(&customer.number).await;
    window.sees(&format!("member[data-number='{}']", customer.number)).await;
    window.scans(&goods[0]).await;
    window.sees("settle:enabled").await;
    window.scans(&goods[1]).await;
    window.sees("basket-line:nth-child(2)").await;
    window.sees("settle:enabled").await;
    window.keeps("39-sale-offline").await;
    confirms(&window, "R-1002", "toBeDelivered").await;
    window.keeps("40-sold-offline").await;
    office.go();
    window.sees("queue-count[data-pending='0']").await;
    window.press("next").await;

    returns_one(&window, &seeded).await;
    window.sees("queue-count[data-pending='0']").await;
    window.close().await;

    assert_eq!(office.number("SELECT COUNT(*) FROM sales").await, 2);
    let voided = "SELECT COUNT(*) FROM sales WHERE voided_by IS NOT NULL";
    assert_eq!(office.number(voided).await, 1);
    let back = "SELECT CAST(SUM(units_back) AS BIGINT) FROM sales WHERE receipt = 'R-1002' AND paid_back > 0";
    assert_eq!(office.number(back).await, 1);
    office.verify();
}

/// A member of this store, with the coupons of this test beside their own.
async fn has_coupons(office: &Office) -> Customer {
    let of_store = format!(
        "FROM coupons c JOIN members m ON m.tenant = c.tenant AND m.id = c.member \
         JOIN stores s ON s.tenant = c.tenant AND s.id = c.home_store WHERE s.code = '{SHOP}' ORDER BY m.number LIMIT 1"
    );
    let mut number = office.texts(&format!("SELECT m.number {of_store}")).await;
    let mut phone = office.texts(&format!("SELECT m.phone {of_store}")).await;
    let number = number.remove(0);
    for template in GRANTS {
        let ids = format!("SELECT lower(hex(id)) FROM templates WHERE name_en LIKE '{template}%'");
        let id = office.texts(&ids).await.remove(0);
        office.command(&["admin", "coupon", "grant", "--member", &number, "--template", &id]);
    }
    Customer {
        number,
        phone: phone.remove(0),
    }
}

/// Member by phone, goods by scanner and by name, and what the quote says of the coupons.
async fn fills_the_basket(window: &Window, customer: &Customer, goods: &[String], name: &str) {
    window.looks_up(&customer.phone).await;
    window.sees(&format!("member[data-number='{}']", customer.number)).await;
    window.reads("sale", "basket_empty_title").await;
    window.keeps("31-member").await;
    window.scans(&goods[0]).await;
    window.sees("basket-line[data-quantity='1']").await;
    window
        .reads("refusal[data-code=below_threshold]", "why_below_threshold")
        .await;
    window.scans(&goods[0]).await;
    window.sees("basket-line[data-quantity='2']").await;
    window.looks_up(name).await;
    window.reads("products", "products_title_one").await;
    window.keeps("32-products").await;
    window.enters().await;
    window.sees_no_more("products").await;
    window.sees("coupon[data-applied=true]").await;
    window.reads("refusal[data-code=excluded_by]", "why_excluded_by").await;
    window.reads("coupons-title", "coupons_best_on").await;
    window.keeps("33-best-combination").await;
    // A code that is nothing leaves the basket as it is.
    window.scans("no-such-thing").await;
    window.reads("reason[data-code=not_a_code]", "reason_not_a_code").await;
    window.keeps("34-note-beside-the-basket").await;
    assert_eq!(window.count("basket-line").await, 2);
}

async fn chooses_by_hand(window: &Window) {
    let best = window.says("payable", "data-minor").await;
    window.press("coupon[data-applied=true]").await;
    window.reads("coupons-title", "coupons_by_hand").await;
    window.sees(&format!("payable:not([data-minor='{best}'])")).await;
    window.keeps("35-by-hand").await;
    window.press("best").await;
    window.sees(&format!("payable[data-minor='{best}']")).await;
}

/// By the keyboard alone.
pub async fn confirms(window: &Window, receipt: &str, delivery: &str) {
    window.sees("settle:enabled").await;
    window.enters().await;
    window.sees("receipt-number:focus").await;
    window.types("receipt-number", receipt).await;
    window.enters().await;
    window.reads(&format!("sold[data-delivery={delivery}]"), "sold").await;
}

/// Written into the data folder, and shown with the machine's own program.
async fn has_a_slip(window: &Window, data: &Path) {
    window.press("slip").await;
    window.reads("slip-path", "slip_saved").await;
    let mut slips = fs::read_dir(data.join("slips")).unwrap();
    let slip = slips.next().unwrap().unwrap().path();
    assert!(fs::read(&slip).unwrap().starts_with(b"%PDF"));
    window.shows(&slip).await;
}

async fn voids(window: &Window, seeded: &Value) {
    window.press("void-open").await;
    window.types("void-reason", window.word("void_reason_mistake")).await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    window.keeps("37-void-sale").await;
    window.press("void-submit").await;
    window.reads("sold[data-voided=true]", "receipt_voided").await;
    window.keeps("38-voided-sale").await;
}

async fn returns_one(window: &Window, seeded: &Value) {
    window.press("nav-today").await;
    window.sees("today-row[data-kind=sale][data-state=applied]").await;
    window.types("today-search", "R-1002").await;
    window.press("today-row").await;
    window.sees("sale-details").await;
    window.keeps("41-today").await;
    window.press("return-open").await;
    window.press("return-more").await;
    window.sees("refund[data-minor]:not([data-minor='0'])").await;
    window.types("void-reason", window.word("return_reason_fault")).await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    window.keeps("42-return").await;
    window.press("return-submit").await;
    window.reads("today-done", "return_done").await;
    window.sees("refunded").await;
    window.keeps("43-returned").await;
}
