//! `verify` on a chain that has seen everything: nothing is broken, and whatever is damaged by hand is found.

use std::{collections::BTreeSet, sync::Arc};

use counterfoil_domain::{
    ids::{FreezeId, MessageId},
    operations::{Action, ExceptionKind, FailedAttempt, Outcome, VoidRedemption},
    sales::{Return, ReturnLine, ReturnPolicy, SaleLine, Settlement},
    transition::{
        Answer, AskFreeze, CancelFreeze, Command, Subject,
        online::{AskedOrder, End, EndOnline, FreezeOnline, Named},
    },
};
use counterfoil_head_office::{
    admin,
    clock::{Clock, SystemRandom},
    messages, online,
    verify::{Check, verify},
};
use sqlx::{AnyConnection, AssertSqlSafe, Connection};

use crate::common::{Chain, Counter, HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    nothing_is_broken_and_every_damage_is_found,
    losses_are_told_by_store,
}

async fn checks(chain: &Chain) -> Vec<Check> {
    let mut checks = Vec::new();
    let holds = verify(&chain.app.db, |check| checks.push(check.clone())).await.unwrap();
    assert_eq!(holds, checks.iter().all(|check| check.ok));
    checks
}

async fn broken(chain: &Chain) -> BTreeSet<&'static str> {
    let checks = checks(chain).await;
    for check in checks.iter().filter(|check| !check.ok) {
        assert!(
            check.broken_count > 0 && !check.broken.is_empty() && check.broken.len() <= 10,
            "{check:?}"
        );
    }
    checks
        .iter()
        .filter(|check| !check.ok)
        .map(|check| check.check)
        .collect()
}

fn clone(counter: &Counter) -> Counter {
    Counter {
        key: counter.key.clone(),
        ..*counter
    }
}

fn attempt() -> Action {
    Action::FailedAttempt(FailedAttempt { digest: "00".into() })
}

/// Every state and every outcome that there is.
async fn lived_in(on: On) -> Chain {
    let chain = chain(on, 12).await;
    let (mut a, mut b) = (chain.counter().await, chain.counter().await);
    let coupon = |n: usize| chain.coupons[n];
    let void = |target| {
        Action::VoidRedemption(VoidRedemption {
            target,
            reason: "by mistake".into(),
            approved_by: counterfoil_domain::ids::ClerkId::new(START, random10()),
        })
    };

    // Redeemed twice; redeemed and voided; redeemed, voided and redeemed again; the second of two voided.
    let first = a.make(chain.redeem(coupon(0), None), START);
    let second = b.make(chain.redeem(coupon(0), None), START);
    let third = a.make(chain.redeem(coupon(1), None), START);
    let undone = a.make(void(third.id), START);
    let fourth = a.make(chain.redeem(coupon(2), None), START);
    let undone_too = a.make(void(fourth.id), START);
    let again = a.make(chain.redeem(coupon(2), None), START);
    chain.push(&[first, third, undone, fourth, undone_too, again]).await;
    let double = Answer::Done {
        outcome: Outcome::AppliedWithException {
            exception: ExceptionKind::DoubleRedeem,
        },
        replayed: false,
    };
    assert_eq!(chain.push(&[second]).await, [double]);
    let fifth = a.make(chain.redeem(coupon(8), None), START);
    let sixth = b.make(chain.redeem(coupon(8), None), START);
    let closed = b.make(void(sixth.id), START);
    chain.push(&[fifth]).await;
    chain.push(&[sixth, closed]).await;

    // Frozen and redeemed; frozen; frozen and given back; refused.
    let freeze = || FreezeId::new(START, random10());
    let (confirmed, held, given_back) = (freeze(), freeze(), freeze());
    chain.freeze(&b, confirmed, coupon(3)).await;
    let by_freeze = b.make(chain.redeem(coupon(3), Some(confirmed)), START);
    chain.push(&[by_freeze]).await;
    chain.freeze(&b, held, coupon(4)).await;
    chain.freeze(&b, given_back, coupon(5)).await;
    chain
        .submit(vec![Command::CancelFreeze(CancelFreeze {
            id: given_back,
            device: b.device,
            now: START,
        })])
        .await;
    assert!(matches!(
        chain.freeze(&b, freeze(), coupon(0)).await,
        Answer::Refused { .. }
    ));

    // Handed over twice; handed over and taken back; frozen.
    let collected = a.make(chain.collect(chain.orders[0]), START);
    let returned = a.make(chain.collect(chain.orders[1]), START);
    let taken_back = a.make(void(returned.id), START);
    chain.push(&[collected, returned, taken_back]).await;
    let twice = b.make(chain.collect(chain.orders[0]), START);
    chain.push(&[twice]).await;
    chain
        .submit(vec![Command::Freeze(AskFreeze {
            id: freeze(),
            device: b.device,
            subject: Subject::Order(chain.orders[2]),
            presented_by: None,
            now: START,
        })])
        .await;

    // A sale, and some of it back.
    let mut till = chain.counter().await;
    let line = SaleLine {
        sku: "A".into(),
        name_zh: "茶".into(),
        name_en: "Tea".into(),
        category: None,
        merchant: None,
        unit_price: 1_000,
        quantity: 2,
    };
    let sold = till.make(
        Action::SettleSale(Settlement {
            currency: "CNY".into(),
            lines: vec![line],
            coupons: Vec::new(),
            member: None,
            payable: 2_000,
            tender: "cash".into(),
            receipt: "1".into(),
        }),
        START,
    );
    let back = ReturnLine {
        line: 0,
        quantity: 1,
        refund: 1_000,
    };
    let brought_back = till.make(
        Action::ReturnSale(Return {
            target: sold.id,
            lines: vec![back],
            policy: ReturnPolicy::Keep,
            coupons: Vec::new(),
            approved_by: counterfoil_domain::ids::ClerkId::new(START, random10()),
            reason: "by mistake".into(),
        }),
        START,
    );
    chain.push(&[sold, brought_back]).await;

    // A payload of the future; a fork with both branches, the tail of the old epoch, the new one; a revoked device.
    let text = a.seal(attempt(), START).replace("\"version\":1", "\"version\":9");
    let unreadable = counterfoil_protocol::operation::open(0, &text).unwrap().1;
    a.head = unreadable.fingerprint;
    chain.push(&[unreadable]).await;
    let mut forked = chain.counter().await;
    let common_past = forked.make(attempt(), START);
    let mut other = clone(&forked);
    let own = forked.make(attempt(), START);
    let tail = forked.make(attempt(), START);
    chain.push(&[common_past, own]).await;
    let branch = other.make(attempt(), START + 1);
    assert_eq!(chain.push(&[branch]).await, [Answer::Fork]);
    admin::new_epoch(&chain.app.db, chain.clock.as_ref(), &SystemRandom, forked.device)
        .await
        .unwrap();
    (forked.epoch, forked.seq) = (2, 0);
    let next = forked.make(attempt(), START);
    chain.push(&[tail]).await;
    chain.push(&[next]).await;
    let mut revoked = chain.counter().await;
    admin::revoke(&chain.app.db, chain.clock.as_ref(), &SystemRandom, revoked.device)
        .await
        .unwrap();
    let late_word = revoked.make(attempt(), START);
    chain.push(&[late_word]).await;

    // An order placed online that holds a coupon, and one that has used its own; a message that somebody has seen.
    for (number, coupon) in [("W-1", coupon(10)), ("W-2", coupon(11))] {
        let asked = AskedOrder {
            id: online::id_of(chain.tenant, number),
            number: number.into(),
            question: "q".into(),
            member: Some(chain.member),
            amount: 1,
            deadline: START + HOUR,
            coupons: vec![Named {
                as_given: coupon.to_string(),
                coupon: Some(coupon),
            }],
            by: uuid::Uuid::from_u128(1),
        };
        let asked = Command::FreezeOnline(FreezeOnline {
            asked: Arc::new(asked),
            now: START,
        });
        chain.submit(vec![asked]).await;
    }
    let paid = Command::EndOnline(EndOnline {
        id: online::id_of(chain.tenant, "W-2"),
        number: None,
        end: End::Confirm,
        by: None,
        now: START,
    });
    chain.submit(vec![paid]).await;
    say_something(&chain).await;

    // Too late, and yet used.
    chain.clock.advance(48 * HOUR);
    let now = chain.clock.now();
    let late = a.make(chain.redeem(coupon(6), None), now);
    chain.push(&[late]).await;
    chain
}

async fn say_something(chain: &Chain) {
    let words = || "x".to_owned();
    let message = messages::Message {
        id: MessageId::new(START, random10()),
        kind: "news".into(),
        words: messages::Words {
            title_zh: words(),
            title_en: words(),
            body_zh: words(),
            body_en: words(),
        },
        sent_at: START,
        sent_by: None,
    };
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    messages::send_to_all(&mut tx, chain.tenant, &message).await.unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    let seen = messages::look(&chain.app.db, chain.tenant, chain.member, START, None, 10).await;
    assert_eq!(seen.unwrap().len(), 1);
}

/// A way to damage a table, and the checks that must find it. `$1` is 16 random bytes.
struct Damage {
    table: &'static str,
    sql: &'static str,
    found_by: &'static [&'static str],
}

const fn damage(table: &'static str, sql: &'static str, found_by: &'static [&'static str]) -> Damage {
    Damage { table, sql, found_by }
}

const DAMAGES: &[Damage] = &[
    damage(
        "operations",
        "UPDATE operations SET body = $1 WHERE seq = 1",
        &["journal_chain"],
    ),
    damage(
        "operations",
        "UPDATE operations SET subject = $1 WHERE subject_kind = 'coupon'",
        &["journal_chain"],
    ),
    damage(
        "operations",
        "UPDATE operations SET seq = seq + 100 WHERE seq = 3",
        &["journal_chain", "journals_gapless"],
    ),
    damage(
        "operations",
        "DELETE FROM operations WHERE seq = 2 AND outcome = 'applied'",
        &["journals_gapless"],
    ),
    damage(
        "operations",
        "UPDATE operations SET id = $1 WHERE seq = 6",
        &["journal_chain"],
    ),
    damage(
        "operations",
        "UPDATE operations SET detail = 'late' WHERE outcome = 'applied' AND seq = 1",
        &["operation_outcomes"],
    ),
    damage(
        "operations",
        "UPDATE operations SET detail = NULL WHERE outcome = 'quarantined'",
        &["operation_outcomes"],
    ),
    damage(
        "operations",
        "UPDATE operations SET store = $1",
        &["operation_outcomes"],
    ),
    damage(
        "operations",
        "UPDATE operations SET outcome = 'applied', detail = NULL WHERE detail = 'double_redeem'",
        &["cases", "redemption_entries"],
    ),
    damage(
        "operations",
        "UPDATE operations SET outcome = 'quarantined', detail = 'handler_failed' WHERE subject_kind = 'coupon'",
        &["redeemed_coupons", "redemption_entries"],
    ),
    damage(
        "devices",
        "UPDATE devices SET last_seq = last_seq + 1",
        &["journal_heads"],
    ),
    damage("devices", "UPDATE devices SET last_seq = 0", &["journal_heads"]),
    damage("devices", "UPDATE devices SET last_hash = $1", &["journal_heads"]),
    damage("sales", "UPDATE sales SET receipt = 'another'", &["sales"]),
    damage(
        "coupons",
        "UPDATE coupons SET surplus = '[{\"operation\":\"00000000-0000-7000-8000-000000000001\",\"at\":1,\"store\":\"00000000-0000-7000-8000-000000000001\",\"device\":\"00000000-0000-7000-8000-000000000001\"}]' WHERE state = 'available'",
        &["surplus"],
    ),
    damage("branches", "UPDATE branches SET body = $1", &["branches"]),
    damage(
        "coupons",
        "UPDATE coupons SET holder = $1 WHERE state = 'redeemed'",
        &["redeemed_coupons", "coupon_states"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET state = 'available', holder = NULL, held_at = NULL, held_where = NULL WHERE state = 'redeemed'",
        &["coupon_states"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET state = 'available', holder = NULL, held_at = NULL, held_where = NULL WHERE state = 'frozen'",
        &["coupon_states"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET state = 'redeemed', holder = $1, held_at = 1, held_where = $1 WHERE version = 1",
        &["coupon_states", "redeemed_coupons"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET version = version + 1 WHERE state = 'redeemed'",
        &["coupon_versions"],
    ),
    damage(
        "coupons",
        "UPDATE coupons SET held_at = held_at + 1 WHERE state = 'frozen'",
        &["frozen_coupons"],
    ),
    damage("coupons", "UPDATE coupons SET template = $1", &["templates"]),
    damage("coupons", "UPDATE coupons SET batch = $1", &["templates", "batches"]),
    damage("coupons", "DELETE FROM coupons WHERE version = 1", &["batches"]),
    damage("coupons", "UPDATE coupons SET home_store = $1", &["references"]),
    damage(
        "coupon_entries",
        "UPDATE coupon_entries SET what = 'redeemed' WHERE what = 'voided'",
        &["redeemed_once", "coupon_states"],
    ),
    damage(
        "coupon_entries",
        "DELETE FROM coupon_entries WHERE what = 'redeemed'",
        &["redemption_entries", "coupon_versions", "redeemed_once"],
    ),
    damage(
        "coupon_entries",
        "DELETE FROM coupon_entries WHERE what = 'frozen'",
        &["coupon_versions"],
    ),
    damage(
        "coupon_entries",
        "UPDATE coupon_entries SET source = $1 WHERE what = 'redeemed'",
        &["redemption_entries", "coupon_states"],
    ),
    damage(
        "coupon_entries",
        "UPDATE coupon_entries SET version = version + 50",
        &["coupon_versions"],
    ),
    damage("templates", "UPDATE templates SET status = 'draft'", &["templates"]),
    damage(
        "batches",
        "UPDATE batches SET made = made - 1, claimed = 0",
        &["batches"],
    ),
    damage(
        "freezes",
        "DELETE FROM freezes WHERE status = 'granted'",
        &["frozen_coupons", "frozen_orders"],
    ),
    damage(
        "freezes",
        "UPDATE freezes SET status = 'cancelled' WHERE subject_kind = 'order'",
        &["frozen_orders"],
    ),
    damage(
        "freezes",
        "UPDATE freezes SET subject = $1 WHERE subject_kind = 'coupon'",
        &["frozen_coupons"],
    ),
    damage(
        "freezes",
        "UPDATE freezes SET until = NULL WHERE status = 'granted'",
        &["freezes"],
    ),
    damage("freezes", "UPDATE freezes SET reasons = NULL", &["freezes"]),
    damage(
        "orders",
        "UPDATE orders SET holder = $1 WHERE state = 'collected'",
        &["collected_orders", "collected_once"],
    ),
    damage(
        "orders",
        "UPDATE orders SET state = 'ready', holder = NULL, held_at = NULL, held_where = NULL WHERE state = 'collected'",
        &["collected_once"],
    ),
    damage(
        "orders",
        "UPDATE orders SET held_where = $1 WHERE state = 'collected'",
        &["collected_orders"],
    ),
    damage(
        "orders",
        "UPDATE orders SET code = '99999999' WHERE state = 'ready'",
        &["pickup_codes"],
    ),
    damage("orders", "UPDATE orders SET member = $1", &["references"]),
    damage("exceptions", "DELETE FROM exceptions", &["cases"]),
    damage("exceptions", "UPDATE exceptions SET kind = 'late'", &["cases"]),
    damage(
        "exceptions",
        "UPDATE exceptions SET operation = $1 WHERE kind = 'late'",
        &["cases"],
    ),
    damage(
        "exceptions",
        "UPDATE exceptions SET closed_at = 1 WHERE status = 'open'",
        &["cases"],
    ),
    damage("pickup_codes", "DELETE FROM pickup_codes", &["pickup_codes"]),
    damage(
        "pickup_codes",
        "UPDATE pickup_codes SET rests_until = 5",
        &["pickup_codes"],
    ),
    damage(
        "order_freezes",
        "UPDATE order_freezes SET status = 'confirmed', ask_at = NULL, ended_at = 1 WHERE status = 'frozen'",
        &["order_freezes"],
    ),
    damage(
        "order_freezes",
        "DELETE FROM order_freezes",
        &[
            "order_freezes",
            "frozen_coupons",
            "redeemed_coupons",
            "redemption_entries",
        ],
    ),
    damage(
        "order_freeze_coupons",
        "DELETE FROM order_freeze_coupons",
        &["order_freezes"],
    ),
    damage(
        "order_freeze_coupons",
        "UPDATE order_freeze_coupons SET taken_by = $1, taken_at = 1",
        &["order_freezes"],
    ),
    damage("coupon_days", "DELETE FROM coupon_days", &["coupon_days"]),
    damage("coupon_days", "UPDATE coupon_days SET day = day + 1", &["coupon_days"]),
    damage("coupon_days", "UPDATE coupon_days SET member = $1", &["coupon_days"]),
    damage(
        "coupon_days",
        "UPDATE coupon_days SET expires_at = expires_at + 1",
        &["coupon_days"],
    ),
    damage("messages", "DELETE FROM messages", &["messages"]),
    damage(
        "message_heads",
        "UPDATE message_heads SET number = number + 1",
        &["messages"],
    ),
    damage("member_messages", "DELETE FROM member_messages", &["messages"]),
    damage("inboxes", "UPDATE inboxes SET number = 9", &["messages"]),
    damage("feed", "DELETE FROM feed WHERE number = 1", &["feeds"]),
    damage(
        "feed",
        "DELETE FROM feed WHERE number = (SELECT MAX(number) FROM feed)",
        &["feeds"],
    ),
    damage("feed_heads", "UPDATE feed_heads SET number = number + 1", &["feeds"]),
    damage("feed_heads", "DELETE FROM feed_heads", &["feeds"]),
    damage("members", "DELETE FROM members", &["references"]),
    damage(
        "enrol_codes",
        "INSERT INTO enrol_codes (code_hash, tenant, store, created_at, expires_at, device) SELECT $1, tenant, id, 0, 0, code_hash_of_nobody FROM (SELECT tenant, id, id AS code_hash_of_nobody FROM stores) AS s",
        &["references"],
    ),
    damage(
        "token_keys",
        "INSERT INTO token_keys (tenant, key_id, public_key, secret_key, created_at, version) SELECT tenant, 9, code_key, code_key, 0, 1 FROM tenants",
        &["token_keys"],
    ),
];

/// A connection on which nothing but the damage counts.
async fn vandal(chain: &Chain, on: On) -> AnyConnection {
    let mut connection = AnyConnection::connect(&chain.fresh.url).await.unwrap();
    let careless: &[&'static str] = match on {
        On::Sqlite => &["PRAGMA foreign_keys = OFF", "PRAGMA busy_timeout = 5000"],
        On::Postgres => &["SET session_replication_role = replica"],
    };
    for sql in careless {
        sqlx::raw_sql(*sql).execute(&mut connection).await.unwrap();
    }
    connection
}

async fn nothing_is_broken_and_every_damage_is_found(on: On) {
    let chain = lived_in(on).await;
    assert_eq!(broken(&chain).await, BTreeSet::new());
    let kinds = chain
        .number("SELECT COUNT(DISTINCT outcome || COALESCE(detail, '')) FROM operations")
        .await;
    assert_eq!(
        kinds, 7,
        "applied, double_redeem, double_pickup, late, unreadable, closed_epoch, device_revoked"
    );

    let mut connection = vandal(&chain, on).await;
    let tables: BTreeSet<&str> = DAMAGES.iter().map(|damage| damage.table).collect();
    for table in &tables {
        let sql = format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
        sqlx::raw_sql(AssertSqlSafe(sql))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let mut shown = BTreeSet::new();
    for damage in DAMAGES {
        let mut query = sqlx::query(damage.sql);
        if damage.sql.contains("$1") {
            query = query.bind(random10().repeat(2)[..16].to_vec());
        }
        let damaged = query.execute(&mut connection).await.unwrap().rows_affected();
        assert!(damaged > 0, "damages nothing: {}", damage.sql);
        let found = broken(&chain).await;
        for check in damage.found_by {
            assert!(
                found.contains(check),
                "{check} does not find: {}\nfound by {found:?}",
                damage.sql
            );
            shown.insert(*check);
        }
        let table = damage.table;
        let heal = format!("DELETE FROM {table}; INSERT INTO {table} SELECT * FROM kept_{table}");
        sqlx::raw_sql(AssertSqlSafe(heal))
            .execute(&mut connection)
            .await
            .unwrap();
    }
    let all = checks(&chain).await;
    assert!(all.iter().all(|check| check.ok));
    // Each check has been seen to fail, but the one that only tells, and those that are damaged in tests/claims.rs.
    let elsewhere = [
        "losses",
        "batches_given",
        "claims",
        "holdings",
        "grants",
        "jobs",
        "code_counters",
    ];
    for check in all.iter().filter(|check| !elsewhere.contains(&check.check)) {
        assert!(
            shown.contains(check.check),
            "{} was never seen to find anything",
            check.check
        );
        assert!(
            check.count > 0 || check.check == "token_keys",
            "{} had nothing to look at",
            check.check
        );
    }
}

async fn losses_are_told_by_store(on: On) {
    let chain = lived_in(on).await;
    let checks = checks(&chain).await;
    let losses = checks.iter().find(|check| check.check == "losses").unwrap();
    // A double redemption, a late one, a double hand-over; the voided one is no loss.
    assert_eq!(losses.count, 3);
    let store = &losses.stores[0];
    assert_eq!((store.tenant.as_str(), store.store.as_str()), ("demo", "s-01"));
    assert_eq!((store.open, store.loss), (3, 2_000 + 2_000 + 1_000));
}
