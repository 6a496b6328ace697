//! Scanners as they really are: bursts of several paces, with a gap somewhere, wherever the focus is. What came of them
//! is read from what the window asked its shell.

use std::path::Path;

use counterfoil_head_office::testing::On;
use counterfoil_tests::office::Office;
use fantoccini::{
    actions::{InputSource as _, KeyAction, KeyActions},
    key::Key,
};
use serde_json::{Value, json};

use crate::journey::{MANAGER, SEED, SHOP, connects, pin, signs_in};
use crate::sale::confirms;
use crate::window::Window;

/// Of a key, ms: three scanners, and a slow one.
const PACES: [u64; 4] = [5, 15, 40, 80];
/// The end of it would be a pickup code, to be counted as a wrong guess.
const NO_CODE: &str = "LOT-4A/40718826";
/// Before a burst nobody types for so long, ms.
const REST: u64 = 2_000;

/// What the window asks its shell is written down. Its keys are real ones; when they came is told by the plan of the
/// burst, so that a busy machine changes nothing.
const WATCH: &str = r"
    window.asked = [];
    window.plan = [];
    window.ahead = 0;
    const real = window.fetch;
    window.fetch = (address, options) => {
        const command = String(address).split('/').pop();
        if (['look_up', 'settle', 'confirm', 'sign_out', 'sign_in', 'void_redemption'].includes(command)) {
            const body = typeof options.body === 'string' ? options.body : new TextDecoder().decode(options.body);
            window.asked.push(command === 'look_up' ? JSON.parse(body).text : command);
        }
        return real(address, options);
    };
    const planned = new WeakMap();
    const own = Object.getOwnPropertyDescriptor(Event.prototype, 'timeStamp').get;
    Object.defineProperty(Event.prototype, 'timeStamp', {
        get() {
            if (this.type === 'keydown' && window.plan.length > 0 && !planned.has(this)) {
                planned.set(this, window.plan.shift());
            }
            return planned.get(this) ?? own.call(this) + window.ahead;
        },
    });";

/// The pauses before each key, the first one's included.
const PLAN: &str = r"
    let at = performance.now() + window.ahead;
    window.plan = arguments[0].map((pause) => (at += pause));
    window.ahead += arguments[0].reduce((sum, pause) => sum + pause, 0);";

/// One place after the other, so that in the end each pace has met many gaps at many places.
struct Gaps(usize);

impl Gaps {
    /// Before which key of so many, and how long, ms. The last one is the terminator.
    fn next(&mut self, keys: usize) -> (usize, u64) {
        self.0 += 1;
        (1 + self.0 * 7 % keys, 100 + (self.0 * 83 % 301) as u64)
    }
}

impl Window {
    async fn watches(&self) {
        self.client.execute(WATCH, vec![]).await.unwrap();
    }

    /// What the shell was asked since the last time.
    async fn asked(&self) -> Vec<String> {
        let asked = self.client.execute("return window.asked.splice(0)", vec![]).await;
        serde_json::from_value(asked.unwrap()).unwrap()
    }

    /// The driver does not see what is cut off with dots, so this looks for itself.
    async fn focuses(&self, id: &str) {
        let script = "const found = document.querySelector(arguments[0]); found?.focus(); return !!found";
        let css = crate::window::css(id);
        let found = async || self.client.execute(script, vec![json!(css)]).await.unwrap();
        self.until(async || found().await == true, &format!("{id} is not there"))
            .await;
    }

    /// What a field holds.
    async fn holds(&self, id: &str) -> String {
        let script = "return document.querySelector(arguments[0]).value";
        let css = crate::window::css(id);
        let value = self.client.execute(script, vec![json!(css)]).await.unwrap();
        value.as_str().unwrap().to_owned()
    }

    /// A scan, key by key, at the next place of the gap.
    async fn bursts(&self, code: &str, pace: u64, gaps: &mut Gaps) {
        let gap = gaps.next(code.chars().count());
        // Many scanners send their terminator twice; the second one presses nothing.
        let keys: Vec<char> = code.chars().chain([char::from(Key::Enter); 2]).collect();
        let pauses = |place| match place {
            0 => REST,
            place if place == gap.0 => gap.1,
            _ => pace,
        };
        let plan: Vec<u64> = (0..keys.len()).map(pauses).collect();
        self.client.execute(PLAN, vec![json!(plan)]).await.unwrap();
        let mut actions = KeyActions::new("scanner".to_owned());
        for value in keys {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.unwrap();
        let left = self.client.execute("return window.plan.length", vec![]).await.unwrap();
        assert_eq!(left, 0, "each key of {code} came");
    }

    async fn escapes(&self) {
        self.sends(&char::from(Key::Escape).to_string()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_is_whole_or_nothing_in_chinese() {
    a_scan_is_whole_or_nothing("zh-CN", "zh", "en_US.UTF-8", "林晓").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_is_whole_or_nothing_in_english() {
    a_scan_is_whole_or_nothing("en", "en", "zh_CN.UTF-8", "Anna Chen").await;
}

async fn a_scan_is_whole_or_nothing(language: &'static str, button: &str, machine: &str, clerk: &str) {
    let office = Office::start(On::Sqlite, SEED).await;
    let seeded: Value = serde_json::from_str(&office.command(&[&["seed"], SEED].concat())).unwrap();
    let codes = office.coupons("home_store", SHOP).await;
    let goods = office
        .texts(
            "SELECT MIN(b.barcode) FROM products p JOIN product_barcodes b ON b.tenant = p.tenant AND b.product = p.id \
             WHERE p.active = 1 AND LENGTH(b.barcode) = 13 GROUP BY p.sku ORDER BY p.sku",
        )
        .await;
    let folder = tempfile::tempdir().unwrap();
    let window = Window::open(&folder.path().join("counter"), language, machine).await;
    window.press(&format!("lang-{button}")).await;
    connects(&window, &office).await;
    signs_in(&window, &seeded, clerk).await;
    window.watches().await;
    let mut gaps = Gaps(0);

    on_every_screen(&window, &codes[0], &mut gaps).await;
    in_a_dialog(&window, &seeded, &codes, &mut gaps).await;
    beside_a_basket(&window, &codes[1], &goods, &mut gaps).await;
    over_the_help(&window, &codes[1], &mut gaps).await;
    beside_a_sale_of_today(&window, &codes[1], &goods[0], &mut gaps).await;
    in_a_return(&window, &seeded, &codes[1], &mut gaps).await;
    while_a_scanner_is_tested(&window, &codes[1], &mut gaps).await;
    while_nobody_is_signed_in(&window, clerk, &codes[1], &mut gaps).await;
    while_a_lock_is_lifted(&window, &seeded, clerk, &codes[1], &mut gaps).await;
    window.close().await;

    // The one that was made to be returned, and none by a scan.
    assert_eq!(office.number("SELECT COUNT(*) FROM sales").await, 1);
    assert_eq!(
        office.number("SELECT CAST(SUM(units_back) AS BIGINT) FROM sales").await,
        0
    );
    let redeemed = "SELECT COUNT(*) FROM coupon_entries WHERE what = 'redeemed'";
    assert_eq!(office.number(redeemed).await, 1);
    assert_eq!(guesses(&folder.path().join("counter")).await, 0);
    office.verify();
}

/// What the counter took for guessing: every wrong look-up of a code would be one.
async fn guesses(data: &Path) -> i64 {
    use sqlx::Connection as _;
    let url = format!("sqlite://{}", data.join("counter.sqlite").display());
    let mut db = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::query_scalar("SELECT COUNT(*) FROM guesses")
        .fetch_one(&mut db)
        .await
        .unwrap()
}

/// Where it is looked up at once, whatever has the focus: how to come there, and the focus.
async fn on_every_screen(window: &Window, code: &str, gaps: &mut Gaps) {
    for (screen, focus) in [
        ("nav-desk", "omnibox"),
        ("nav-desk", "camera-open"),
        ("nav-desk", "lang-en"),
        ("nav-today", "today-search"),
        ("nav-queue", "filter-exception"),
        ("nav-settings", "scanner-prefix"),
        ("nav-settings", "sign-out"),
        ("nav-settings", "sound"),
    ] {
        // Of a text that is no code only the shape tells, so a slow one would be a person's.
        let coupons = PACES.map(|pace| (code, pace, "verdict[data-decision=honour]"));
        let others = [5, 15, 40].map(|pace| (NO_CODE, pace, "verdict[data-decision=refuse]"));
        for (text, pace, verdict) in coupons.into_iter().chain(others) {
            window.escapes().await;
            window.press(screen).await;
            window.focuses(focus).await;
            window.bursts(text, pace, gaps).await;
            window.sees(verdict).await;
            assert_eq!(window.asked().await, [text], "{screen} {focus} {pace}");
            assert_eq!(window.holds("omnibox").await, "");
        }
    }
    window.escapes().await;
}

/// Where it waits until the dialog is closed.
async fn in_a_dialog(window: &Window, seeded: &Value, codes: &[String], gaps: &mut Gaps) {
    window.looks_up(&codes[0]).await;
    window.press("confirm").await;
    window.sees("receipt[data-delivery=confirmed]").await;
    window.press("nav-queue").await;
    window.press("void-open").await;
    window.types("void-reason", window.word("void_reason_mistake")).await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    let (reason, secret, manager) = (
        window.holds("void-reason").await,
        window.holds("void-pin").await,
        window.holds("void-manager").await,
    );
    window.asked().await;
    let mut held = 0;
    for focus in ["void-reason", "void-pin", "void-manager", "void-submit"] {
        for pace in PACES {
            window.focuses(focus).await;
            window.bursts(&codes[1], pace, gaps).await;
            held += 1;
            let all = async || window.count("held-scan").await == held;
            window
                .until(all, &format!("{focus} {pace}: {held} scans are not held"))
                .await;
            assert_eq!(window.holds("void-reason").await, reason, "{focus} {pace}");
            assert_eq!(window.holds("void-pin").await, secret, "{focus} {pace}");
            assert_eq!(window.holds("void-manager").await, manager, "{focus} {pace}");
        }
    }
    window.keeps("44-scans-held").await;
    assert_eq!(window.asked().await, [""; 0]);
    window.escapes().await;
    window.sees("verdict[data-decision=honour]").await;
    assert_eq!(window.asked().await, vec![codes[1].clone(); held]);
    window.escapes().await;
}

/// Two scans of one product are two; none becomes the receipt number, and none settles.
async fn beside_a_basket(window: &Window, coupon: &str, goods: &[String], gaps: &mut Gaps) {
    window.focuses("omnibox").await;
    window.scans(&goods[0]).await;
    window.sees("settle:enabled").await;
    window.sees("receipt-number:enabled").await;
    window.types("receipt-number", "R-7").await;
    let mut quantity = 1;
    for focus in ["omnibox", "tender-card", "empty", "settle", "receipt-number"] {
        for pace in PACES {
            window.sees("settle:enabled").await;
            window.focuses(focus).await;
            window.asked().await;
            window.bursts(&goods[0], pace, gaps).await;
            quantity += 1;
            window.sees(&format!("basket-line[data-quantity='{quantity}']")).await;
            assert!(!window.asked().await.contains(&"settle".to_owned()), "{focus} {pace}");
            assert_eq!(window.holds("receipt-number").await, "R-7", "{focus} {pace}");
            assert_eq!(window.count("basket-line").await, 1);
        }
    }
    // Whose a coupon is must not be said here: it is not even looked up.
    for pace in PACES {
        window.focuses("receipt-number").await;
        window.asked().await;
        window.bursts(coupon, pace, gaps).await;
        window.reads("scan-refused", "scan_refused").await;
        assert_eq!(window.holds("receipt-number").await, "R-7");
        assert_eq!(window.asked().await, [""; 0], "{pace}");
    }
    window.keeps("45-scan-refused").await;

    // A number that somebody typed and that is a barcode is asked about.
    window.sees("receipt-number").await.clear().await.unwrap();
    window.types("receipt-number", &goods[0]).await;
    window.press("settle").await;
    window.reads("receipt-doubt", "receipt_doubt_text").await;
    window.keeps("46-receipt-doubt").await;
    assert_eq!(window.asked().await, [""; 0]);
    window.press("receipt-retype").await;
    assert_eq!(window.holds("receipt-number").await, "");
    window.press("empty").await;
    window.press("empty").await;
    window.sees("idle").await;
}

/// The list of keys has nothing in it that a scan could spoil: it goes, and the code is looked up.
async fn over_the_help(window: &Window, code: &str, gaps: &mut Gaps) {
    for pace in PACES {
        window.escapes().await;
        window.press("nav-desk").await;
        window.asked().await;
        window.sends(&char::from(Key::F1).to_string()).await;
        window.sees("help").await;
        window.bursts(code, pace, gaps).await;
        window.sees("verdict[data-decision=honour]").await;
        window.sees_no_more("help").await;
        assert_eq!(window.asked().await, [code], "{pace}");
    }
    window.escapes().await;
}

/// Beside the details of a sale a scan is looked up at the desk, as on every screen, whatever button has the focus.
async fn beside_a_sale_of_today(window: &Window, code: &str, goods: &str, gaps: &mut Gaps) {
    window.press("nav-desk").await;
    window.scans(goods).await;
    confirms(window, "R-8", "toBeDelivered").await;
    window.sees("queue-count[data-pending='0']").await;
    window.press("next").await;
    for focus in ["slip", "return-open", "void-open", "today-row"] {
        for pace in PACES {
            window.press("nav-today").await;
            window.press("today-row[data-kind=sale]").await;
            window.sees("sale-details").await;
            window.focuses(focus).await;
            window.asked().await;
            window.bursts(code, pace, gaps).await;
            window.sees("verdict[data-decision=honour]").await;
            assert_eq!(window.asked().await, [code], "{focus} {pace}");
            window.escapes().await;
        }
    }
}

/// What is to come back is chosen with buttons and a person's PIN, and a scan is neither.
async fn in_a_return(window: &Window, seeded: &Value, code: &str, gaps: &mut Gaps) {
    window.press("nav-today").await;
    window.press("today-row[data-kind=sale]").await;
    window.press("return-open").await;
    window.press("return-more").await;
    window.sees("refund[data-minor]:not([data-minor='0'])").await;
    window.types("void-reason", window.word("return_reason_fault")).await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    let state = async || {
        let refund = window.says("refund", "data-minor").await;
        let fields = [
            window.holds("void-reason").await,
            window.holds("void-pin").await,
            window.holds("void-manager").await,
        ];
        (refund, fields)
    };
    let before = state().await;
    window.asked().await;
    let mut held = 0;
    for focus in [
        "return-all",
        "return-more",
        "void-reason",
        "void-manager",
        "void-pin",
        "return-submit",
    ] {
        for pace in PACES {
            window.focuses(focus).await;
            window.bursts(code, pace, gaps).await;
            held += 1;
            let all = async || window.count("held-scan").await == held;
            window
                .until(all, &format!("{focus} {pace}: {held} scans are not held"))
                .await;
            assert_eq!(state().await, before, "{focus} {pace}");
        }
    }
    window.keeps("51-scans-held-in-a-return").await;
    assert_eq!(window.asked().await, [""; 0]);
    window.escapes().await;
    window.sees("verdict[data-decision=honour]").await;
    assert_eq!(window.asked().await, vec![code.to_owned(); held]);
    window.escapes().await;
}

async fn while_a_scanner_is_tested(window: &Window, code: &str, gaps: &mut Gaps) {
    window.press("nav-settings").await;
    window.press("scanner-test-open").await;
    window.sees("scanner-test").await;
    window.keeps("47-scanner-test").await;
    window.asked().await;
    window.bursts("CF:YZyz-AQaq/0123456789]", 15, gaps).await;
    window.reads("finding[data-code=good]", "finding_good_next").await;
    window.keeps("48-scanner-good").await;
    window.bursts("CF:ZYzy-QAqa/0123456789]", 15, gaps).await;
    window.reads("finding[data-code=layout]", "finding_layout_next").await;
    window.keeps("49-scanner-layout").await;
    window.bursts("~CF:YZyz-AQaq/0123456789]", 15, gaps).await;
    window.press("scanner-take").await;
    window.sees("finding[data-code=good]").await;
    window.bursts("~CF:YZyz-AQa123456789]", 15, gaps).await;
    window.reads("finding[data-code=lost]", "finding_lost_next").await;
    // Without its end.
    window.sends("~CF:YZyz-AQaq/0123456789]").await;
    window.reads("finding[data-code=no_end]", "finding_no_end").await;
    window.keeps("50-scanner-no-end").await;
    assert_eq!(window.asked().await, [""; 0]);
    window.press("scanner-test-close").await;
    window.sees_no_more("scanner-test").await;

    // What was set holds.
    window.bursts(&format!("~{code}"), 15, gaps).await;
    window.sees("verdict[data-subject=coupon]").await;
    assert_eq!(window.asked().await, [code]);
    window.escapes().await;
}

async fn while_nobody_is_signed_in(window: &Window, clerk: &str, code: &str, gaps: &mut Gaps) {
    window.press("nav-settings").await;
    window.press("sign-out").await;
    window.press(&format!("clerk-{clerk}")).await;
    window.asked().await;
    for focus in ["pin-input", &format!("clerk-{clerk}"), "lang-en"] {
        for pace in PACES {
            window.focuses(focus).await;
            window.bursts(code, pace, gaps).await;
            assert_eq!(window.holds("pin-input").await, "", "{focus} {pace}");
        }
    }
    assert_eq!(window.asked().await, [""; 0]);
    window.sees(&format!("clerk-{clerk}")).await;
}

/// The clerk has mistyped the PIN too often, and a manager is asked for theirs.
async fn while_a_lock_is_lifted(window: &Window, seeded: &Value, clerk: &str, code: &str, gaps: &mut Gaps) {
    window.press(&format!("clerk-{clerk}")).await;
    let locked = async || {
        if window.count("lift-open").await == 0 {
            window.types("pin-input", "00000000").await;
            window.press("pin-submit").await;
        }
        window.count("lift-open").await == 1
    };
    window.until(locked, "the clerk is not locked out").await;
    window.press("lift-open").await;
    window.sees("lift-dialog").await;
    window.types("void-pin", &pin(seeded, MANAGER)).await;
    let state = async || [window.holds("void-pin").await, window.holds("void-manager").await];
    let before = state().await;
    window.asked().await;
    for focus in ["void-manager", "void-pin", "void-submit"] {
        for pace in PACES {
            window.focuses(focus).await;
            window.bursts(code, pace, gaps).await;
            assert_eq!(state().await, before, "{focus} {pace}");
        }
    }
    window.keeps("52-scans-while-a-lock-is-lifted").await;
    // It is the manager who lifts it.
    window.press("void-submit").await;
    window.sees_no_more("lift-dialog").await;
    window.sees_no_more("lift-open").await;
    assert_eq!(window.asked().await.iter().filter(|one| *one != "sign_in").count(), 0);
}
