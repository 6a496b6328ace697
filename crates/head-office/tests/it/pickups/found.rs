//! An order is found by its code and by its number, each in one shard.

use std::collections::BTreeSet;

use counterfoil_domain::pickup_codes::{Owner, PickupPart, PickupPolicy};
use sqlx::{AssertSqlSafe, Row};

use super::{by_code, by_number, member, order, order_of, policy, shard_of, sound, with};
use crate::common::{On, chain};

counterfoil_head_office::on_both! {
    a_code_alone_finds_its_order,
    a_code_may_be_the_orders_number,
    a_member_has_their_orders_together,
}

async fn a_code_alone_finds_its_order(on: On) {
    let policy = policy(6, 4, 4);
    let chain = with(on, policy.clone()).await;
    let mut shards = BTreeSet::new();
    for n in 0..40 {
        let number = format!("N-{n}");
        let order = order(&chain, &number).await;
        let shard = shard_of(&chain, &policy, Owner::Number(&number));
        assert_eq!(
            (order.id.shard().byte(), &order.code[6..]),
            (shard, &*format!("{shard:02}"))
        );
        shards.insert(shard);
        let typed = format!(" {}-{} ", &order.code[..4], &order.code[4..]);
        assert_eq!(by_code(&chain, &typed).await.unwrap(), order);
        assert_eq!(by_number(&chain, &number).await.unwrap(), order);
    }
    assert!(shards.len() > 8, "{shards:?}");
    // Those of before there was a policy are in the first shard, and are found as ever.
    assert_eq!(by_code(&chain, "00000100").await.unwrap().number, "O1");
    for nothing in ["99999916", "9999990", "abc", ""] {
        assert_eq!(by_code(&chain, nothing).await, None, "{nothing}");
    }
    assert_eq!(by_number(&chain, "N-40").await, None);
    sound(&chain).await;
}

async fn a_code_may_be_the_orders_number(on: On) {
    let policy = PickupPolicy {
        version: 1,
        parts: vec![PickupPart::Number { signs: 10 }],
        alphabet: "0123456789ABCD".into(),
        shards: policy(6, 4, 4).shards,
        ..PickupPolicy::default()
    };
    assert_eq!(policy.faults(), vec![]);
    let chain = with(on, policy.clone()).await;
    let own = order(&chain, "ABC0000001").await;
    assert_eq!(own.code, "ABC0000001");
    // A number that is written otherwise has the code's form, and both lead to the order.
    let dashed = order(&chain, "d-2026 00 001").await;
    assert_eq!(dashed.code, "D202600001");
    // One that has not the form of a code is given one.
    let other = order(&chain, "order no. 1").await;
    assert_eq!((other.code.len(), other.code == other.number), (10, false));
    for order in [&own, &dashed, &other] {
        assert_eq!(by_code(&chain, &order.code.to_lowercase()).await.as_ref(), Some(order));
        assert_eq!(by_number(&chain, &order.number).await.as_ref(), Some(order));
        let shard = shard_of(&chain, &policy, Owner::Number(&order.number));
        assert_eq!(order.id.shard().byte(), shard);
    }
    // Two numbers that would be one code are two orders all the same: the second one is given a code.
    let second = order(&chain, "abc-0000001").await;
    assert_ne!(second.code, own.code);
    assert_eq!(by_code(&chain, &own.code).await.unwrap(), own);
    assert_eq!(by_code(&chain, &second.code).await.unwrap(), second);
    assert_eq!(by_number(&chain, "abc-0000001").await.unwrap(), second);
    // A number that is another order's code is not free any more.
    assert!(order_of(&chain, "D202600001", None, None).await.is_err());
    sound(&chain).await;
}

async fn a_member_has_their_orders_together(on: On) {
    let policy = policy(6, 10, 10);
    let chain = with(on, policy.clone()).await;
    let (id, number) = member(&chain).await;
    let shard = shard_of(&chain, &policy, Owner::Member(id));
    for n in 0..5 {
        let order = order_of(&chain, &format!("M-{n}"), Some(&number), None).await.unwrap();
        assert_eq!(order.id.shard().byte(), shard);
    }
    // A code that is typed in by hand has to be one, and of that shard.
    let mine = format!("123456{shard:02}");
    let elsewhere = format!("123456{:02}", (shard + 1) % 100);
    for bad in ["1234567", &elsewhere] {
        let refused = order_of(&chain, "M-5", Some(&number), Some(bad)).await;
        assert!(refused.is_err(), "{bad}");
    }
    let typed = order_of(&chain, "M-5", Some(&number), Some(&mine)).await.unwrap();
    assert_eq!(typed.code, mine);
    assert!(order_of(&chain, "M-6", Some(&number), Some(&mine)).await.is_err());
    sound(&chain).await;
}

/// What PostgreSQL does for a look-up by code: of a hundred partitions it reads one.
#[tokio::test]
async fn only_one_partition_is_read() {
    let chain = chain(On::Postgres, 0).await;
    let mut connection = chain.app.db.apart().await.unwrap();
    let partitions = "SELECT COUNT(*) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent WHERE c.relname IN ('orders', 'pickup_codes')";
    let partitions: i64 = sqlx::query_scalar(partitions).fetch_one(&mut connection).await.unwrap();
    assert_eq!(partitions, 200);
    let read = [
        (
            "SELECT o.id FROM pickup_codes c JOIN orders o ON o.tenant = c.tenant AND o.shard = c.shard AND o.id = c.order_id WHERE c.tenant = $1 AND c.shard = $2 AND o.shard = $2 AND c.code IN ($3)",
            "bytea, bigint, text",
            "'\\x01', 7, '12345607'",
            2,
        ),
        (
            "SELECT id FROM orders WHERE tenant = $1 AND shard = $2 AND id IN ($3) ORDER BY id FOR NO KEY UPDATE",
            "bytea, bigint, bytea",
            "'\\x01', 7, '\\x02'",
            1,
        ),
        (
            "UPDATE orders SET code = v.column2 FROM (VALUES ($3, $4)) AS v WHERE orders.tenant = $1 AND orders.shard = $2 AND orders.id = v.column1",
            "bytea, bigint, bytea, text",
            "'\\x01', 7, '\\x02', ''",
            1,
        ),
    ];
    for (place, (sql, types, values, tables)) in read.into_iter().enumerate() {
        for (at, run) in [
            "SET plan_cache_mode = force_generic_plan".to_owned(),
            format!("PREPARE p{place} ({types}) AS {sql}"),
        ]
        .into_iter()
        .enumerate()
        {
            sqlx::raw_sql(AssertSqlSafe(run))
                .execute(&mut connection)
                .await
                .unwrap_or_else(|error| panic!("{at}: {error}"));
        }
        let explained = format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE p{place} ({values})");
        let lines = sqlx::raw_sql(AssertSqlSafe(explained))
            .fetch_all(&mut connection)
            .await
            .unwrap();
        let plan: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
        let scans = plan
            .iter()
            .filter(|line| line.contains(" Scan ") && line.contains(" on "));
        let scans: Vec<&String> = scans.filter(|line| !line.contains("Values Scan")).collect();
        assert_eq!(scans.len(), tables, "{plan:#?}");
        assert!(scans.iter().all(|line| line.contains("_07")), "{plan:#?}");
        let removed = plan.iter().any(|line| line.contains("Subplans Removed: 99"));
        assert!(removed, "{plan:#?}");
    }
}
