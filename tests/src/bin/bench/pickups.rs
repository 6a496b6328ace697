//! Pickup codes: how fast they are issued, however full their shard is, and how fast one is looked up among many.
//!
//! `COUNTERFOIL_BENCH_PICKUPS` says among how many orders; ten million take some minutes to be made.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use counterfoil_domain::{
    ids::OrderId,
    pickup_codes::{PickupPart, PickupPolicy, Shard, Shards},
    pickups::{Order, OrderLine, OrderNumber, OrderState},
    transition::{Answer, Command, PlaceOrder},
};
use counterfoil_head_office::{
    clock::{self, SystemRandom},
    pickups::{
        codes::{self, FromSystem},
        policies, rows,
    },
    testing::{Chain, On, START, Spelling, chain, random10},
};

use crate::{
    Latencies, disk,
    engine::{name, settle},
    report,
};

/// Codes that are drawn one by one, to count the queries.
const DRAWN: u64 = 1_000;
/// Orders that are placed at once, and callers that do so.
const GROUP: usize = 64;
const CALLERS: usize = 8;
/// Groups at each level: few enough that the level stays what it is.
const GROUPS: usize = 32;
/// Orders to look up among, unless it is said otherwise.
const ORDERS: i64 = 200_000;
const FIRST: i64 = 1_000;
const STEP: i64 = 250_000;
const SHARDS: u8 = 100;
const LOOKUPS: usize = 4_000;

fn policy(version: i64, databases: u8, tables: u8) -> PickupPolicy {
    PickupPolicy {
        version,
        parts: vec![PickupPart::Random { signs: 6 }, PickupPart::Shard {}],
        shards: Shards { databases, tables },
        ..PickupPolicy::default()
    }
}

async fn publish(chain: &Chain, policy: PickupPolicy) -> anyhow::Result<()> {
    let mut lease = chain.app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    let published = policies::Published {
        policy,
        at: START,
        by: None,
    };
    policies::insert(&mut transaction, chain.tenant, &published).await?;
    transaction.commit("bench").await?;
    Ok(())
}

/// Numbers from one to another as a table `t` with the column `i`.
fn series(on: On, from: i64, until: i64) -> String {
    match on {
        On::Sqlite => format!(
            "(WITH RECURSIVE t(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM t WHERE i < {}) SELECT i FROM t) AS t",
            until - 1
        ),
        On::Postgres => format!("generate_series({from}, {}) AS t(i)", until - 1),
    }
}

fn padded(on: On, digits: usize, number: &str) -> String {
    match on {
        On::Sqlite => format!("printf('%0{digits}d', {number})"),
        On::Postgres => format!("lpad(CAST({number} AS TEXT), {digits}, '0')"),
    }
}

/// The id of an order in a shard, as the program makes them: a UUIDv8 whose last byte is the shard.
fn id(on: On, number: &str, shard: &str) -> String {
    match on {
        On::Sqlite => format!("unhex('000000000000800080' || printf('%012x', {number}) || printf('%02x', {shard}))"),
        On::Postgres => format!(
            "decode('000000000000800080' || lpad(to_hex(CAST({number} AS BIGINT)), 12, '0') || lpad(to_hex(CAST({shard} AS BIGINT)), 2, '0'), 'hex')"
        ),
    }
}

/// Prints the figures of an engine.
pub async fn measure(on: On, span: Duration) -> anyhow::Result<()> {
    issue(on).await?;
    look_up(on, span).await
}

async fn issue(on: On) -> anyhow::Result<()> {
    let title = format!("pickups.{}", name(on));
    let chain = Arc::new(chain(on, 0).await);
    let policy = policy(1, 1, 1);
    publish(&chain, policy.clone()).await?;
    disk(&format!("{title}.disk_sync"))?;
    let tenant = Spelling(on).literal(chain.tenant.bytes());
    let mut filled = 0;
    for level in [0, 50, 90, 99] {
        if level > filled {
            let code = format!("{} || '00'", padded(on, 6, "i"));
            chain
                .run(format!(
                    "INSERT INTO pickup_codes (tenant, shard, code, order_id) SELECT {tenant}, 0, {code}, {tenant} FROM {} WHERE i % 100 >= {filled} AND i % 100 < {level} ON CONFLICT DO NOTHING",
                    series(on, 0, 1_000_000)
                ))
                .await;
            filled = level;
        }
        settle(&chain, on).await?;
        let mut queries = 0;
        let begun = Instant::now();
        {
            let mut reader = chain.app.db.reader().acquire().await?;
            let mut draw = FromSystem(&SystemRandom);
            let wanted = [(OrderId::sharded(Default::default(), Shard::ZERO, START, random10()), "")];
            for _ in 0..DRAWN {
                let (_, taken) = codes::issue(&mut reader, chain.tenant, &policy, &wanted, &mut draw, START).await?;
                queries += taken.queries;
            }
        }
        let rate = DRAWN as f64 / begun.elapsed().as_secs_f64();
        let at = format!("{title}.at_{level}");
        report(&format!("{at}.drawn_alone"), rate, "1/s", "higher", DRAWN);
        report(
            &format!("{at}.queries_a_code"),
            queries as f64 / DRAWN as f64,
            "1",
            "lower",
            DRAWN,
        );
        let (placed, seconds) = place(&chain, &format!("{level}")).await?;
        report(
            &format!("{at}.placed_in_groups"),
            placed as f64 / seconds,
            "1/s",
            "higher",
            placed,
        );
    }
    chain.app.db.close().await;
    Ok(())
}

/// Places orders durably, groups at once; how many, and how long it took.
async fn place(chain: &Arc<Chain>, name: &str) -> anyhow::Result<(u64, f64)> {
    let mut groups = Vec::new();
    for group in 0..GROUPS {
        let mut commands = Vec::new();
        for nth in 0..GROUP {
            let number = format!("{name}-{group}-{nth}");
            let order = Order {
                id: OrderId::sharded(Default::default(), Shard::ZERO, START, random10()),
                number: number.clone(),
                code: String::new(),
                store: chain.store,
                member: None,
                collector: "x".into(),
                deadline: None,
                lines: vec![OrderLine {
                    sku: "A".into(),
                    name_zh: "甲".into(),
                    name_en: "A".into(),
                    quantity: 1,
                    unit_price: 100,
                }],
                state: OrderState::Ready { freeze: None },
                version: 1,
                surplus: Vec::new(),
                told: Vec::new(),
            };
            commands.push(Command::PlaceOrder(PlaceOrder {
                number: OrderNumber::new(&number).context("a number")?,
                dated: false,
                order: Arc::new(order),
                now: START,
            }));
        }
        groups.push(commands);
    }
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for part in groups.chunks(GROUPS / CALLERS) {
        let (chain, part) = (Arc::clone(chain), part.to_vec());
        tasks.push(tokio::spawn(async move {
            let mut placed = 0_u64;
            for commands in part {
                for answered in chain.app.engine.submit(chain.tenant, commands).await? {
                    let Answer::Placed { replayed: false, .. } = answered.answer else {
                        anyhow::bail!("{:?}", answered.answer);
                    };
                    placed += 1;
                }
            }
            Ok(placed)
        }));
    }
    let mut placed = 0;
    for task in tasks {
        placed += task.await??;
    }
    Ok((placed, begun.elapsed().as_secs_f64()))
}

async fn look_up(on: On, span: Duration) -> anyhow::Result<()> {
    let count = match std::env::var("COUNTERFOIL_BENCH_PICKUPS") {
        Ok(text) => text.parse().context("COUNTERFOIL_BENCH_PICKUPS is a number")?,
        Err(_) => ORDERS,
    };
    let title = format!("pickups.{}.among_{count}", name(on));
    let chain = Arc::new(chain(on, 0).await);
    publish(&chain, policy(1, 10, 10)).await?;
    let (tenant, store) = (
        Spelling(on).literal(chain.tenant.bytes()),
        Spelling(on).literal(chain.store.bytes()),
    );
    // The order of this number is in shard i % 100, and its code begins with i / 100.
    let (shard, key) = ("(i % 100)", "(i / 100)");
    let code = format!("{} || {}", padded(on, 6, key), padded(on, 2, shard));
    let id = id(on, "i", shard);
    // The chain begins with a few of its own.
    for from in (FIRST..count).step_by(usize::try_from(STEP)?) {
        let some = series(on, from, count.min(from + STEP));
        for (into, values) in [
            (
                "orders (tenant, shard, id, number, code, store, collector, lines, state, created_at, version)",
                format!("{tenant}, {shard}, {id}, CAST(i AS TEXT), {code}, {store}, 'x', '[]', 'ready', {START}, 1"),
            ),
            (
                "pickup_codes (tenant, shard, code, order_id)",
                format!("{tenant}, {shard}, {code}, {id}"),
            ),
            (
                "order_numbers (tenant, number, shard, order_id)",
                format!("{tenant}, CAST(i AS TEXT), {shard}, {id}"),
            ),
        ] {
            chain
                .run(format!("INSERT INTO {into} SELECT {values} FROM {some}"))
                .await;
        }
    }
    if on == On::Postgres {
        chain.run("ANALYZE").await;
    }
    settle(&chain, on).await?;
    let mut by_code = Latencies::default();
    let mut by_number = Latencies::default();
    let begun = Instant::now();
    for _ in 0..LOOKUPS {
        if begun.elapsed() > span * 4 {
            break;
        }
        let random = i64::try_from(u64::from_be_bytes(clock::bytes(&SystemRandom)?) >> 1)?;
        let number = FIRST + random % (count - FIRST);
        let code = format!("{:06}{:02}", number / i64::from(SHARDS), number % i64::from(SHARDS));
        let mut reader = chain.app.db.reader().acquire().await?;
        let at = Instant::now();
        let found = rows::by_code(&mut reader, chain.tenant, &code).await?;
        by_code.add(at.elapsed());
        anyhow::ensure!(found.is_some_and(|order| order.number == number.to_string()), "{code}");
        let at = Instant::now();
        let found = rows::by_number(&mut reader, chain.tenant, &number.to_string()).await?;
        by_number.add(at.elapsed());
        anyhow::ensure!(found.is_some_and(|order| order.code == code), "{number}");
    }
    by_code.report(&format!("{title}.by_code"));
    by_number.report(&format!("{title}.by_number"));
    chain.app.db.close().await;
    Ok(())
}
