//! A member's account in the window: points shown, spent and earned, stored value as a tender, held before the money is
//! taken; offline; and what a return gives back and takes back.

use counterfoil_head_office::{
    clock::{Clock, SystemClock},
    members::sessions::Link,
    testing::{On, web},
};
use counterfoil_tests::office::Office;
use serde_json::{Value, json};

use crate::journey::{MANAGER, SEED, SHOP, connects, pin, signs_in};
use crate::sale::confirms;
use crate::window::Window;

/// Points that the member has, each of which pays 0.01, and stored value, minor units.
const POINTS: i64 = 1_234;
const STORED: i64 = 2_500;
/// What the member pays in at the desk.
const PAID_IN: i64 = 50;
const STORED_NOW: i64 = STORED + PAID_IN;
/// What the gift costs, points.
const GIFT: i64 = 30;
/// Prices of the goods in fen: more than points and stored value come to.
const PRICES: &str = "BETWEEN 5001 AND 9999";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_in_chinese() {
    an_account("zh-CN", "zh", "en_US.UTF-8", "林晓").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_in_english() {
    an_account("en", "en", "zh_CN.UTF-8", "Anna Chen").await;
}

/// Somebody at head office.
struct Desk<'o> {
    office: &'o Office,
    client: reqwest::Client,
    token: &'o str,
}

impl<'o> Desk<'o> {
    fn of(office: &'o Office, token: &'o str) -> Self {
        Self {
            office,
            client: web().build().unwrap(),
            token,
        }
    }

    async fn post(&self, path: &str, key: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.office.address);
        let request = self.client.post(url).bearer_auth(self.token);
        let answer = request.header("idempotency-key", key).json(&body).send().await.unwrap();
        let status = answer.status();
        let text = answer.text().await.unwrap();
        assert!(status.is_success(), "{status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    /// What head office says that the member may spend: points, and stored value.
    async fn account(&self, number: &str) -> (i64, i64) {
        let url = format!("{}/v1/members/{number}/account", self.office.address);
        let answer = self.client.get(url).bearer_auth(self.token).send().await.unwrap();
        let account: Value = answer.json().await.unwrap();
        let available = |asset: &str| account[asset]["available"].as_i64().unwrap();
        (available("points"), available("balance"))
    }
}

/// Publishes a rule, and gives the member points and stored value; the token of whoever did it.
async fn has_an_account(office: &Office, number: &str) -> String {
    let added = office.command(&["admin", "operator", "add", "--name", "ops", "--role", "admin"]);
    let added: Value = serde_json::from_str(added.trim()).unwrap();
    let token = added["token"].as_str().unwrap().to_owned();
    let desk = Desk::of(office, &token);
    let rule = json!({
        "time_zone": "Asia/Shanghai",
        "rates": [{"points": 1, "per": 100}],
        "spending": {"minor_per_point": 1, "max_share_bp": 10_000, "offline_limit": 0},
        "adjusted_alone": {"points": 100},
    });
    desk.post("/v1/earning-rules", "rule", rule).await;
    let points = json!({"member": number, "kind": "gift", "id": "welcome", "points": POINTS});
    desk.post("/v1/points/earnings", "points", points).await;
    let stored = json!({"member": number, "amount": STORED, "receipt": "T-1"});
    desk.post("/v1/points/top-ups", "stored", stored).await;
    token
}

async fn an_account(language: &'static str, button: &str, machine: &str, clerk: &str) {
    let mut office = Office::start(On::Sqlite, SEED).await;
    let seeded: Value = serde_json::from_str(&office.command(&[&["seed"], SEED].concat())).unwrap();
    // A member of this store who has nothing yet, and as few coupons as there are.
    let number = office
        .texts(&format!(
            "SELECT m.number FROM members m JOIN stores s ON s.tenant = m.tenant AND hex(m.recent_stores) LIKE '%' || hex(s.id) || '%' \
             WHERE s.code = '{SHOP}' AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.tenant = m.tenant AND a.member = m.id) ORDER BY (SELECT COUNT(*) FROM coupons c WHERE c.tenant = m.tenant AND c.member = m.id), m.number LIMIT 1"
        ))
        .await
        .remove(0);
    let goods = office
        .texts(&format!(
            "SELECT MIN(b.barcode) FROM products p JOIN product_barcodes b ON b.tenant = p.tenant AND b.product = p.id \
             WHERE p.active = 1 AND p.unit_price {PRICES} GROUP BY p.sku ORDER BY p.sku"
        ))
        .await;
    let token = has_an_account(&office, &number).await;
    let folder = tempfile::tempdir().unwrap();
    let window = Window::open(&folder.path().join("counter"), language, machine).await;
    window.press(&format!("lang-{button}")).await;
    connects(&window, &office).await;
    signs_in(&window, &seeded, clerk).await;
    let earned = pays_with_all(&window, &number, &goods[0]).await;
    assert_eq!(Desk::of(&office, &token).account(&number).await, (earned, 0));
    window.press("next").await;
    hands_a_gift_over(&window, &office, &token, &number).await;
    // Head office goes away: earning goes on, spending does not.
    office.kill();
    window.sees("banner-offline").await;
    window.looks_up(&number).await;
    window.sees(&format!("member[data-number='{number}']")).await;
    window.scans(&goods[0]).await;
    without_coupons(&window).await;
    window.sees("earns").await;
    window.reads("account-as-of", "account_as_of").await;
    window.keeps("54-offline").await;
    let more: i64 = window.says("earns", "data-points").await.parse().unwrap();
    confirms(&window, "R-2002", "toBeDelivered").await;
    office.go();
    window.sees("queue-count[data-pending='0']").await;
    window.press("next").await;

    returns_all(&window, &seeded).await;
    window.sees("queue-count[data-pending='0']").await;
    window.close().await;
    // Everything of the first sale is as it was; the second one has earned, the gift was paid for.
    let account = Desk::of(&office, &token).account(&number).await;
    assert_eq!(account, (POINTS + more - GIFT, STORED_NOW));
    office.verify();
}

/// A member exchanges points for a gift that waits in this store; the desk hands it over by its code.
async fn hands_a_gift_over(window: &Window, office: &Office, token: &str, number: &str) {
    let desk = Desk::of(office, token);
    let store = office
        .texts(&format!("SELECT lower(hex(id)) FROM stores WHERE code = '{SHOP}'"))
        .await
        .remove(0);
    let stock = json!({"location": store, "sku": "G-1", "on_hand": 2, "reason": "first count"});
    desk.post("/v1/stock", "stock", stock).await;
    let terms = json!({"sku": "G-1", "name_zh": "保温杯", "name_en": "Mug", "points": GIFT, "given": "collected"});
    let gift = desk.post("/v1/gifts", "gift", terms).await;
    let publish = format!("/v1/gifts/{}/publish", gift["id"].as_str().unwrap());
    desk.post(&publish, "publish", json!({})).await;
    let key = office.command(&["admin", "tenant", "link-key", "--rotate"]);
    let mut link_key = [0; 32];
    hex::decode_to_slice(key.trim(), &mut link_key).unwrap();
    let link = Link {
        tenant: "demo",
        member: number,
        expires: SystemClock.now() + 300_000,
    };
    let body =
        json!({"tenant": link.tenant, "member": number, "expires": link.expires, "signature": link.sign(&link_key)});
    let session = desk.post("/v1/member/sessions", "session", body).await;
    let member = Desk::of(office, session["token"].as_str().unwrap());
    let asked = json!({"gift": gift["id"], "store": store});
    let exchange = member.post("/v1/member/exchanges", "exchange", asked).await;
    let code = exchange["pickup"]["code"].as_str().unwrap();
    window.scans(code).await;
    window.sees("verdict[data-decision=honour][data-subject=order]").await;
    window.keeps("53-gift").await;
    window.press("confirm").await;
    window
        .reads("receipt[data-delivery=confirmed]", "receipt_collected")
        .await;
    window.keeps("53-gift-handed-over").await;
    window.press("next").await;
    let collected = "SELECT COUNT(*) FROM exchanges e JOIN orders o ON o.tenant = e.tenant AND o.id = e.pickup WHERE o.state = 'collected'";
    assert_eq!(office.number(collected).await, 1);
}

/// Whatever coupons the member has are left for another day.
async fn without_coupons(window: &Window) {
    window.sees("settle:enabled").await;
    while window.count("coupon[data-applied=true]").await > 0 {
        let payable = window.says("payable", "data-minor").await;
        window.press("coupon[data-applied=true]").await;
        window.sees(&format!("payable:not([data-minor='{payable}'])")).await;
        window.sees("settle:enabled").await;
    }
}

/// Points and stored value pay as much as they can, and the till takes the rest; what is earned with it.
async fn pays_with_all(window: &Window, number: &str, product: &str) -> i64 {
    window.looks_up(number).await;
    window.sees(&format!("points[data-points='{POINTS}']")).await;
    window.sees(&format!("balance[data-minor='{STORED}']")).await;
    window.press("lots-open").await;
    window.reads("lots", "account_lot_never").await;
    window.keeps("50-account").await;
    pays_in(window).await;
    window.scans(product).await;
    without_coupons(window).await;
    window.reads("points-note", "points_most").await;
    let before: i64 = window.says("payable", "data-minor").await.parse().unwrap();
    window.press("use-points").await;
    window.sees(&format!("points-amount[data-minor='{POINTS}']")).await;
    window.reads("points-note", "points_pay").await;
    window.sees(&format!("payable[data-minor='{}']", before - POINTS)).await;
    // Nothing is earned on what points pay.
    let earns = (before - POINTS) / 100;
    window.sees(&format!("earns[data-points='{earns}']")).await;
    window.press("use-balance").await;
    window.sees(&format!("balance-note[data-minor='{STORED_NOW}']")).await;
    window.sees("settle:enabled").await;
    window.press("receipt-number").await;
    window.reads("payment[data-state=held]", "payment_held").await;
    window.keeps("51-held").await;
    window.types("receipt-number", "R-2001").await;
    window.enters().await;
    window.reads("sold[data-delivery=confirmed]", "sold").await;
    window.sees(&format!("sold-points[data-points='{POINTS}']")).await;
    window.sees(&format!("sold-balance[data-minor='{STORED_NOW}']")).await;
    window.sees(&format!("sold-earned[data-points='{earns}']")).await;
    window.keeps("52-sold-with-account").await;
    earns
}

/// The member pays money in, gets a slip for it, and sees it in their statement.
async fn pays_in(window: &Window) {
    window.press("topup-open").await;
    window.types("topup-amount", "0").await;
    window.types("topup-receipt", "T-2001").await;
    window.press("topup-submit").await;
    window
        .reads("problem[data-code=amount_invalid]", "problem_amount_invalid")
        .await;
    window.types("topup-amount", ".50").await;
    window.keeps("50-top-up").await;
    window.press("topup-submit").await;
    window.reads("topup-done", "topup_done").await;
    window.press("slip").await;
    window.sees("topup-slip").await;
    window.keeps("50-topped-up").await;
    window.press("topup-close").await;
    window.sees(&format!("balance[data-minor='{STORED_NOW}']")).await;
    window.sees("queue-count[data-pending='0']").await;
    window.press("statement-open").await;
    window
        .sees(&format!("statement-line[data-kind=earn][data-amount='{POINTS}']"))
        .await;
    window.press("statement-balance").await;
    window
        .sees(&format!("statement-line[data-kind=earn][data-amount='{PAID_IN}']"))
        .await;
    window.keeps("50-statement").await;
    window.press("statement-close").await;
}

async fn returns_all(window: &Window, seeded: &Value) {
    window.press("nav-today").await;
    window.sees("today-row[data-kind=sale][data-state=applied]").await;
    window.types("today-search", "R-2001").await;
    window.press("today-row").await;
    window.sees("sale-account").await;
    window.keeps("55-sale-with-account").await;
    window.press("return-open").await;
    window.press("return-all").await;
    window.sees(&format!("points-back[data-points='{POINTS}']")).await;
    window.sees(&format!("to-balance[data-minor='{STORED_NOW}']")).await;
    window.sees("earned-back").await;
    window.types("void-reason", window.word("return_reason_fault")).await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    window.keeps("56-return-with-account").await;
    window.press("return-submit").await;
    window.reads("today-done", "return_done").await;
    window.keeps("57-returned-with-account").await;
}
