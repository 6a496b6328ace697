//! How both engines go about what reads much: `verify`, the sweeps and the jobs, on a chain with many rows of
//! everything. Each statement that was run is explained; none may read a growing table again for each row of another,
//! and of sweeps and jobs none may read one as a whole.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails fails")]

mod crowd;
mod heard;
mod of_postgres;
mod of_sqlite;

use std::{collections::BTreeSet, sync::Arc};

use counterfoil_domain::{ids::MemberId, time::DAY};
use counterfoil_head_office::{
    batches,
    carriers::setting::{Adapter, NewSetting, set},
    clock::SystemRandom,
    coupons::{expiry, reminders, templates::ending},
    exceptions::lapse,
    fulfilment, gifts, grants, jobs,
    messages::notify::{Inbox, Notifier},
    online::{self, owner::OrderOwner},
    pickups, points,
    site::{Caller, notices},
    testing::{Chain, HOUR, MANY_END, On, START, in_time, many},
    verify::verify,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

counterfoil_head_office::on_both! {
    nothing_reads_a_growing_table_again_and_again,
}

/// Tables that grow with the business.
pub const GROWING: &[&str] = &[
    "members",
    "batches",
    "coupons",
    "coupon_entries",
    "coupon_days",
    "orders",
    "order_numbers",
    "pickup_codes",
    "freezes",
    "operations",
    "branches",
    "exceptions",
    "feed",
    "audit",
    "member_sessions",
    "idempotency",
    "jobs",
    "holdings",
    "claims",
    "grants",
    "grant_members",
    "order_freezes",
    "order_freeze_coupons",
    "notices",
    "messages",
    "member_messages",
    "inboxes",
    "sales",
    "stocks",
    "stock_moves",
    "gifts",
    "gift_members",
    "exchanges",
    "products",
    "product_barcodes",
    "product_imports",
    "lookup_misses",
    "enrol_codes",
    "code_counters",
    "accounts",
    "ledger_lots",
    "ledger_holds",
    "ledger_entries",
    "ledger_shares",
    "point_days",
    "earnings",
    "point_adjustments",
    "outbox",
    "inbox",
    "addresses",
    "shipments",
    "shipment_lines",
    "parcels",
    "parcel_lines",
    "parcel_generations",
    "waybills",
];
/// Tables with a row for each chain, store, person at work, device, template or kind of sweep, or with one in all.
const SMALL: &[&str] = &[
    "earning_rules",
    "pickup_policies",
    "pickup_shards",
    "processes",
    "tenants",
    "token_keys",
    "webhooks",
    "carriers",
    "message_heads",
    "histories",
    "stores",
    "warehouses",
    "feed_heads",
    "clerks",
    "operators",
    "devices",
    "templates",
    "sweeps",
    "history",
    "mark_keys",
];

/// Indexes that hold few rows of a table, whatever its size: uses of a coupon or an order that were one too many.
pub const FEW: &[&str] = &["coupons_surplus", "orders_surplus"];

/// Coupons there are.
const COUPONS: i64 = 100_000;

/// What is done with a growing table as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whole {
    /// It may be read once, from one end to the other.
    Once,
    /// Never.
    Never,
}

/// Statements of the kinds that this is about.
const TO_BE_SEEN: &[(&str, Whole)] = &[
    // The index has a day before the coupon: it reads all days for each coupon.
    (
        "SELECT c.id FROM coupons c WHERE (SELECT COUNT(*) FROM coupon_days d WHERE d.tenant = c.tenant AND d.coupon = c.id) > 1",
        Whole::Once,
    ),
    (
        "SELECT c.id FROM coupons c WHERE c.id NOT IN (SELECT k.coupon FROM claims k WHERE k.coupon > c.batch)",
        Whole::Once,
    ),
    ("SELECT id FROM coupons WHERE state = 'frozen'", Whole::Never),
    (
        "SELECT id FROM coupons WHERE tenant = $1 AND state = 'frozen'",
        Whole::Never,
    ),
];

/// What is wrong with a statement's plan.
pub type Wrong = Vec<String>;

/// What was heard is of the whole process: one engine after the other.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn nothing_reads_a_growing_table_again_and_again(on: On) {
    let _alone = ALONE.lock().await;
    heard::listen();
    let chain = many(on, COUPONS).await;
    let holds = verify(&chain.app.db, |check| assert!(check.ok, "{check:?}"))
        .await
        .unwrap();
    assert!(holds);
    crowd::of_everything(&chain, on, COUPONS / 20).await;

    assert_eq!(
        tables(&chain, on).await,
        GROWING.iter().chain(SMALL).map(|name| (*name).to_owned()).collect()
    );
    for (sql, whole) in TO_BE_SEEN {
        let seen = look(&chain, on, &BTreeSet::from([(*sql).to_owned()]), *whole).await;
        assert_eq!(seen.len(), 1, "{on:?} is not seen to read too much: {sql}");
    }
    let mut wrong = Vec::new();
    heard::forget();
    // Not all of it is as it should be, and every statement about what is broken is run.
    assert!(!verify(&chain.app.db, |_| {}).await.unwrap());
    let asked = heard::since();
    assert!(asked.len() > 100, "verify was not heard: {asked:?}");
    wrong.extend(look(&chain, on, &asked, Whole::Once).await);

    for (what, work) in WORK {
        heard::forget();
        work(&chain).await;
        let asked = heard::since();
        assert!(!asked.is_empty(), "{what} was not heard");
        for one in look(&chain, on, &asked, Whole::Never).await {
            wrong.push(format!("{what}: {one}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

async fn tables(chain: &Chain, on: On) -> BTreeSet<String> {
    let sql = match on {
        On::Sqlite => {
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '%migrations'"
        }
        On::Postgres => {
            "SELECT CAST(c.relname AS TEXT) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname NOT LIKE '%migrations'"
        }
    };
    let mut reader = chain.app.db.reader().acquire().await.unwrap();
    sqlx::query_scalar(sql)
        .fetch_all(&mut *reader)
        .await
        .unwrap()
        .into_iter()
        .collect()
}

async fn look(chain: &Chain, on: On, asked: &BTreeSet<String>, whole: Whole) -> Wrong {
    match on {
        On::Sqlite => of_sqlite::look(chain, asked, whole).await,
        On::Postgres => of_postgres::look(chain, asked, whole).await,
    }
}

type Work = fn(&Chain) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>>;

const WORK: &[(&str, Work)] = &[
    ("coupons.remind", |chain| Box::pin(remind(chain))),
    ("points.remind", |chain| Box::pin(remind_of_points(chain))),
    ("coupons.expire", |chain| Box::pin(expire(chain))),
    ("templates.end", |chain| Box::pin(end(chain))),
    ("points.settle", |chain| Box::pin(settle(chain))),
    ("exchanges.ask", |chain| Box::pin(ask_for_gifts(chain))),
    ("parcels.track", |chain| Box::pin(track(chain))),
    ("errands", |chain| Box::pin(errands(chain))),
    ("exceptions.lapse", |chain| Box::pin(lapse(chain))),
    ("pickup_codes.find", |chain| Box::pin(find_pickups(chain))),
    ("site.tell", |chain| Box::pin(tell(chain))),
    ("orders.ask", |chain| Box::pin(ask(chain))),
    ("a batch", |chain| Box::pin(batch(chain))),
    ("a grant", |chain| Box::pin(grant(chain))),
    // Last: it needs another time.
    ("upkeep.forget", |chain| Box::pin(forget(chain))),
];

async fn remind(chain: &Chain) {
    let notifiers: [Arc<dyn Notifier>; 1] = [Arc::new(Inbox(Arc::clone(&chain.app.db)))];
    let done = reminders::sweep(&chain.app, &notifiers, MANY_END - 2 * DAY, 1_000)
        .await
        .unwrap();
    assert!(done.sent > 0, "{done:?}");
}

async fn remind_of_points(chain: &Chain) {
    let notifiers: [Arc<dyn Notifier>; 1] = [Arc::new(Inbox(Arc::clone(&chain.app.db)))];
    let done = points::reminders::sweep(&chain.app, &notifiers, START - 2 * DAY, 1_000)
        .await
        .unwrap();
    assert!(done.sent > 0, "{done:?}");
}

async fn expire(chain: &Chain) {
    let done = expiry::sweep(&chain.app, MANY_END + HOUR, 1_000).await.unwrap();
    assert!(done.expired > 0, "{done:?}");
}

async fn end(chain: &Chain) {
    chain.run("UPDATE templates SET claim_until = 1").await;
    assert!(ending::sweep(&chain.app, START, 500).await.unwrap() > 0);
    // What follows gives some of them out.
    chain
        .run("UPDATE templates SET claim_until = NULL, ended_at = NULL")
        .await;
}

async fn settle(chain: &Chain) {
    assert!(points::sweep::sweep(&chain.app, START + HOUR, 500).await.unwrap() > 0);
}

async fn lapse(chain: &Chain) {
    lapse::sweep(&chain.app, START + HOUR, 200).await.unwrap();
}

async fn find_pickups(chain: &Chain) {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let some = [chain.orders[0]];
    let order = pickups::rows::load(&mut snapshot, chain.tenant, &some, "")
        .await
        .unwrap()
        .remove(0);
    let found = pickups::rows::by_code(&mut snapshot, chain.tenant, &order.code)
        .await
        .unwrap();
    assert_eq!(found.unwrap(), order);
    let found = pickups::rows::by_number(&mut snapshot, chain.tenant, &order.number)
        .await
        .unwrap();
    assert_eq!(found.unwrap(), order);
}

async fn tell(chain: &Chain) {
    let caller = Caller::new(Arc::clone(&chain.app.clock)).unwrap();
    let done = notices::sweep(&chain.app, &caller, START + HOUR, 16).await.unwrap();
    assert!(done.failed > 0, "{done:?}");
}

async fn ask(chain: &Chain) {
    let caller = Caller::new(Arc::clone(&chain.app.clock)).unwrap();
    let owner: Arc<dyn OrderOwner> = Arc::new(online::owner::SiteOwner::new(Arc::clone(&chain.app.db), caller));
    let done = online::sweep::sweep(&chain.app, &owner, START + HOUR, 16)
        .await
        .unwrap();
    assert!(done.unknown > 0, "{done:?}");
}

async fn ask_for_gifts(chain: &Chain) {
    let caller = Caller::new(Arc::clone(&chain.app.clock)).unwrap();
    let owner: Arc<dyn OrderOwner> = Arc::new(online::owner::SiteOwner::new(Arc::clone(&chain.app.db), caller));
    let done = gifts::sweep::sweep(&chain.app, &owner, START + HOUR, 16).await.unwrap();
    assert!(done.unknown > 0, "{done:?}");
}

async fn track(chain: &Chain) {
    chain.clock.advance(HOUR);
    assert!(fulfilment::tracking::sweep(&chain.app).await.unwrap() > 0);
}

async fn errands(chain: &Chain) {
    let app = &chain.app;
    // Nobody can be asked: all of it waits until somebody can.
    assert_eq!(fulfilment::errands::turn(app).await.unwrap(), 0);
    let carrier = NewSetting {
        adapter: Adapter::Sandbox,
        url: "http://127.0.0.1:9",
        account: "",
        secret: &Zeroizing::default(),
        public: None,
    };
    set(&app.db, app.clock.as_ref(), app.random.as_ref(), chain.tenant, &carrier)
        .await
        .unwrap();
    fulfilment::errands::carrier_is_there(&app.db, chain.tenant, app.clock.now())
        .await
        .unwrap();
    assert!(fulfilment::errands::turn(app).await.unwrap() > 0);
}

async fn forget(chain: &Chain) {
    chain.clock.advance(400 * DAY);
    assert!(jobs::upkeep::forget(&chain.app).await.unwrap());
}

async fn batch(chain: &Chain) {
    let new = batches::New {
        template: chain.template,
        count: 2_000,
        purpose: batches::Purpose::Print,
    };
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut transaction = lease.begin().await.unwrap();
    batches::create(&mut transaction, &SystemRandom, chain.tenant, new, START)
        .await
        .unwrap();
    transaction.commit("test").await.unwrap();
    drop(lease);
    done(chain).await;
}

async fn grant(chain: &Chain) {
    let numbers = (1..=600).map(|n| format!("{n:018}")).collect();
    let new = grants::New {
        template: chain.template,
        members: Some(numbers),
    };
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut transaction = lease.begin().await.unwrap();
    let made = grants::create(&mut transaction, &SystemRandom, chain.tenant, &new, START)
        .await
        .unwrap();
    transaction.commit("test").await.unwrap();
    drop(lease);
    let nobody: [MemberId; 0] = [];
    assert_eq!(made.at_once, nobody);
    done(chain).await;
}

/// Until no job is left, but not for ever.
async fn done(chain: &Chain) {
    in_time(async { while jobs::turn(&chain.app, &[7; 16]).await.unwrap() {} }).await;
}
