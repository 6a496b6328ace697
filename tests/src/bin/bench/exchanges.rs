//! Exchanging points for gifts over HTTP, how long a message takes from its commit until it is confirmed, and how fast a
//! backlog of them is worked off.
//!
//! `COUNTERFOIL_BENCH_BACKLOG` says how many messages wait.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use counterfoil_domain::{
    gifts::{Gift, GiftStatus, GivenBy},
    ids::{GiftId, LocationId, Place},
    stock::{MoveCause, MoveKind},
};
use counterfoil_head_office::{
    clock::{Clock, SystemClock, SystemRandom},
    db::Db,
    deed::{Actor, Deed},
    fulfilment::TOPIC_SHIP,
    gifts,
    stock::{self, Said, rows::Warehouse},
    testing::{Chain, On, chain_at, random10},
};
use http_body_util::Full;
use hyper::Request;
use uuid::Uuid;

use crate::{
    Latencies, disk,
    engine::{name, settle},
    http::{self, Server},
    ledger, report,
};

const CLIENTS: usize = 32;
/// Requests of one member: they may ask so often in a while.
const EACH: usize = 100;
const SKU: &str = "G-1";
const BACKLOG: i64 = 100_000;
/// Pause between the exchanges whose messages are timed.
const PACE: Duration = Duration::from_millis(10);
const TIMED: usize = 1_000;

type Asked = Vec<Vec<Request<Full<Bytes>>>>;

/// A chain with a gift that there is enough of, and members who have points and an address.
async fn shop(on: On, clients: usize, each: usize) -> anyhow::Result<(Arc<Chain>, Asked)> {
    let now = SystemClock.now();
    let chain = Arc::new(chain_at(on, 0, now).await);
    let parts = each.div_ceil(EACH);
    let people = ledger::with_accounts(&chain, clients * parts, now).await?;
    let warehouse = Warehouse {
        id: LocationId::placed(Place::ZERO, now, random10()),
        name: "North".into(),
        created_at: now,
    };
    let gift = Gift {
        id: GiftId::placed(Place::ZERO, now, random10()),
        sku: SKU.into(),
        name_zh: "杯".into(),
        name_en: "cup".into(),
        points: 10,
        money: 0,
        worth: 3_000,
        member_limit: 0,
        from: None,
        until: None,
        given: GivenBy::Shipped,
        location: Some(warehouse.id),
        status: GiftStatus::Published,
        version: 1,
    };
    let mut lease = chain.app.db.lease().await?;
    let lock = chain.app.db.dialect().lock_suffix();
    let actor = Actor {
        tenant: chain.tenant,
        name: "bench".into(),
    };
    let mut deed = Deed::new(lease.begin().await?, &SystemRandom, actor, now);
    stock::rows::insert_warehouse(&mut deed, chain.tenant, &warehouse).await?;
    gifts::rows::insert_gift(&mut deed, chain.tenant, &gift, now).await?;
    let cause = MoveCause {
        kind: MoveKind::Counted,
        source: None,
        actor: None,
        note: None,
        at: now,
    };
    stock::set_right(&mut deed, lock, (warehouse.id, SKU), Said::Counted(1_000_000), cause)
        .await?
        .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    let mut addresses = Vec::new();
    for member in &people {
        let id = Uuid::from_u128(u128::from_be_bytes(*member.id.bytes()) ^ 1);
        sqlx::query("INSERT INTO addresses (tenant, id, member, recipient, phone, region, street, created_at) VALUES ($1, $2, $3, '王', '13800000000', '浙江 杭州', '1', $4)")
            .bind(chain.tenant.bytes().to_vec())
            .bind(id.as_bytes().to_vec())
            .bind(member.id.bytes().to_vec())
            .bind(now)
            .execute(&mut *deed)
            .await?;
        addresses.push(id);
    }
    deed.commit("bench").await?;
    drop(lease);
    let mut asked = Vec::new();
    for client in people.iter().zip(&addresses).collect::<Vec<_>>().chunks(parts) {
        let mut requests = Vec::new();
        for (member, address) in client {
            let token = chain.session(&member.number).await;
            let body = serde_json::to_vec(&serde_json::json!({ "gift": gift.id, "address": address }))?;
            for n in 0..EACH.min(each) {
                let request = Request::post("/v1/member/exchanges")
                    .header("host", "localhost")
                    .header("content-type", "application/json")
                    .header("authorization", format!("Bearer {token}"))
                    .header("idempotency-key", format!("e-{n}"))
                    .body(Full::new(Bytes::from(body.clone())))?;
                requests.push(request);
            }
        }
        asked.push(requests);
    }
    settle(&chain, on).await?;
    chain.app.db.close().await;
    Ok((chain, asked))
}

/// Prints exchanges at 32 clients, the lag of messages, and how long a backlog takes.
pub async fn measure(on: On, span: Duration) -> anyhow::Result<()> {
    let title = format!("exchanges.{}", name(on));
    let each = usize::try_from(span.as_secs())?.max(1) * 200;
    let (chain, asked) = shop(on, CLIENTS, each).await?;
    disk(&format!("{title}.disk_sync"))?;
    http::serve_and_drive(&chain.fresh.url, asked, 1, span, &format!("{title}.clients_32")).await?;
    lag(
        on,
        &[&["api", "fulfilment", "jobs"]],
        &format!("{title}.lag_one_process"),
    )
    .await?;
    if on == On::Postgres {
        lag(
            on,
            &[&["api", "jobs"], &["fulfilment"]],
            &format!("{title}.lag_two_processes"),
        )
        .await?;
    }
    backlog(on, &title).await
}

async fn start(url: &str, processes: &[&[&str]]) -> anyhow::Result<Vec<Server>> {
    let mut servers = Vec::new();
    for roles in processes {
        servers.push(Server::start(url, &["--roles", &roles.join(",")]).await?);
    }
    Ok(servers)
}

/// Waits until no message is left that is not confirmed; asks for a single one, so that asking costs the others nothing.
async fn all_confirmed(db: &Db) -> anyhow::Result<()> {
    loop {
        let mut reader = db.reader().acquire().await?;
        let one = sqlx::query("SELECT 1 FROM outbox WHERE topic = $1 AND status <> 'confirmed' LIMIT 1")
            .bind(TOPIC_SHIP)
            .fetch_optional(&mut *reader)
            .await?;
        drop(reader);
        if one.is_none() {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// One exchange after the other, at a pace that leaves the machine room: from the commit until it is confirmed.
async fn lag(on: On, processes: &[&[&str]], title: &str) -> anyhow::Result<()> {
    let (chain, asked) = shop(on, 1, TIMED).await?;
    disk(&format!("{title}.disk_sync"))?;
    let mut servers = start(&chain.fresh.url, processes).await?;
    let front = servers.first().context("no process")?;
    let paced = http::paced(front, asked.into_iter().flatten(), PACE).await;
    let db = Db::open(&chain.fresh.url, &SystemClock, &SystemRandom).await?;
    paced?;
    all_confirmed(&db).await?;
    let mut reader = db.reader().acquire().await?;
    let lags: Vec<i64> = sqlx::query_scalar("SELECT confirmed_at - created_at FROM outbox WHERE topic = $1")
        .bind(TOPIC_SHIP)
        .fetch_all(&mut *reader)
        .await?;
    drop(reader);
    let mut latencies = Latencies::default();
    for lag in lags {
        latencies.add(Duration::from_millis(u64::try_from(lag).unwrap_or(0)));
    }
    latencies.report(title);
    db.close().await;
    for server in &mut servers {
        server.stop().await?;
    }
    Ok(())
}

/// Messages that wait, each of a key of its own, and a process that works them off.
async fn backlog(on: On, title: &str) -> anyhow::Result<()> {
    let count = match std::env::var("COUNTERFOIL_BENCH_BACKLOG") {
        Ok(text) => text.parse().context("COUNTERFOIL_BENCH_BACKLOG is a number")?,
        Err(_) => BACKLOG,
    };
    let now = SystemClock.now();
    let chain = chain_at(on, 0, now).await;
    let spell = counterfoil_head_office::testing::Spelling(on);
    let (tenant, id) = (spell.literal(chain.tenant.bytes()), spell.id("i"));
    let source = "'purchase:' || CAST(i AS TEXT)";
    let body = "'{\"kind\":\"purchase\",\"source\":\"' || CAST(i AS TEXT) || '\",\"member\":null,\"lines\":[{\"sku\":\"G-1\",\"name\":\"cup\",\"quantity\":1}],\"address\":{\"recipient\":\"x\",\"phone\":\"13800000000\",\"region\":\"x\",\"street\":\"x\"}}'";
    chain
        .fill(
            on,
            count,
            "outbox (tenant, id, topic, key, number, source, body, status, tries, next_try_at, created_at)",
            &format!("{tenant}, {id}, '{TOPIC_SHIP}', {source}, 1, {source}, {body}, 'pending', 0, {now}, {now}"),
        )
        .await;
    settle(&chain, on).await?;
    chain.app.db.close().await;
    disk(&format!("{title}.backlog.disk_sync"))?;
    let db = Db::open(&chain.fresh.url, &SystemClock, &SystemRandom).await?;
    let mut servers = start(&chain.fresh.url, &[&["fulfilment"]]).await?;
    let begun = Instant::now();
    all_confirmed(&db).await?;
    let seconds = begun.elapsed().as_secs_f64();
    report(
        &format!("{title}.backlog_of_{count}"),
        seconds,
        "s",
        "lower",
        count.unsigned_abs(),
    );
    db.close().await;
    for server in &mut servers {
        server.stop().await?;
    }
    Ok(())
}
