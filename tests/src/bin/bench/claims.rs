//! Claims: durable ones a second inside the engine and over HTTP, and codes a second of the batch job.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use bytes::Bytes;
use counterfoil_domain::{
    ids::MemberId,
    people::Member,
    transition::{ClaimCoupon, ClaimKey, Command},
    words::Word,
};
use counterfoil_head_office::{
    batches::{self, Purpose},
    clock::{Clock, SystemClock, SystemRandom},
    jobs, members,
    testing::{Chain, On, chain_at, random10},
};
use http_body_util::Full;
use hyper::Request;

use crate::{
    disk,
    engine::{name, settle},
    http, report,
};

/// Members who claim, at once.
const FLIGHT: usize = 1_024;
/// Members there are.
const MEMBERS: usize = 20_000;
/// Connections over HTTP, and how many claims each sends beforehand made.
const CLIENTS: usize = 256;

struct Rush {
    chain: Arc<Chain>,
    members: Vec<MemberId>,
}

/// A chain with members, and a batch made by the job; prints how fast.
async fn prepare(on: On, count: i64, title: &str) -> anyhow::Result<Rush> {
    let chain = Arc::new(chain_at(on, 0, SystemClock.now()).await);
    let people: Vec<Member> = (0..MEMBERS)
        .map(|n| Member {
            id: MemberId::new(SystemClock.now(), random10()),
            number: format!("P{n}"),
            name: String::new(),
            phone: String::new(),
            recent_stores: vec![chain.store],
        })
        .collect();
    let mut lease = chain.app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    members::rows::insert(&mut transaction, chain.tenant, &people, SystemClock.now()).await?;
    let new = batches::New {
        template: chain.template,
        count,
        purpose: Purpose::Claim,
    };
    let (_, job) = batches::create(&mut transaction, &SystemRandom, chain.tenant, new, SystemClock.now()).await?;
    transaction.commit("test").await?;
    drop(lease);
    let begun = Instant::now();
    jobs::start(&chain.app);
    loop {
        let mut reader = chain.app.db.reader().acquire().await?;
        let now = jobs::rows::load(&mut reader, chain.tenant, job.id)
            .await?
            .context("the job is gone")?;
        drop(reader);
        match now.status {
            jobs::Status::Done => break,
            jobs::Status::Queued | jobs::Status::Running => tokio::time::sleep(Duration::from_millis(20)).await,
            other => anyhow::bail!("the job is {}", other.as_str()),
        }
    }
    let rate = count as f64 / begun.elapsed().as_secs_f64();
    report(&format!("{title}.codes"), rate, "1/s", "higher", count.unsigned_abs());
    settle(&chain, on).await?;
    Ok(Rush {
        members: people.into_iter().map(|member| member.id).collect(),
        chain,
    })
}

/// Prints codes and claims a second, in the engine and over HTTP.
pub async fn measure(on: On, span: Duration) -> anyhow::Result<()> {
    let seconds = i64::try_from(span.as_secs())?.max(1);
    let title = format!("claims.{}", name(on));
    let rush = prepare(on, (seconds * 100_000).max(1_000_000), &title).await?;
    disk(&format!("{title}.disk_sync"))?;
    in_engine(&rush, span, &title).await?;
    let rush = prepare(on, seconds * 30_000, &format!("{title}.http")).await?;
    disk(&format!("{title}.http.disk_sync"))?;
    over_http(rush, span, &title).await
}

async fn in_engine(rush: &Rush, span: Duration, title: &str) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for caller in 0..FLIGHT {
        let chain = Arc::clone(&rush.chain);
        // Members in no order of the keys, each with many claims.
        let mine: Vec<MemberId> = rush.members.iter().copied().skip(caller).step_by(FLIGHT).collect();
        tasks.push(tokio::spawn(async move {
            let mut done = 0u64;
            for member in mine.into_iter().cycle() {
                if begun.elapsed() >= span {
                    break;
                }
                let mut key = [0u8; 16];
                key[..8].copy_from_slice(&done.to_be_bytes());
                let command = Command::Claim(ClaimCoupon {
                    member,
                    template: chain.template,
                    key: ClaimKey(key),
                });
                let answers = chain.app.engine.submit(chain.tenant, vec![command]).await?;
                anyhow::ensure!(answers.iter().all(|answered| answered.given.is_some()), "{answers:?}");
                done += 1;
            }
            Ok(done)
        }));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    report(&format!("{title}.engine"), rate, "1/s", "higher", done);
    Ok(())
}

async fn over_http(rush: Rush, span: Duration, title: &str) -> anyhow::Result<()> {
    let chain = rush.chain;
    let body = serde_json::to_vec(&serde_json::json!({ "template": chain.template }))?;
    let each = usize::try_from(span.as_secs())?.max(1) * 20_000 / CLIENTS;
    let mut clients = Vec::new();
    for client in 0..CLIENTS {
        // A member may claim twice a second for a while.
        let mut requests = Vec::new();
        for part in 0..each.div_ceil(100) {
            let token = chain
                .session(&format!("P{}", (client * (MEMBERS / CLIENTS) + part) % MEMBERS))
                .await;
            for n in 0..100 {
                let request = Request::post("/v1/member/claims")
                    .header("host", "localhost")
                    .header("content-type", "application/json")
                    .header("authorization", format!("Bearer {token}"))
                    .header("idempotency-key", format!("{part}-{n}"))
                    .body(Full::new(Bytes::from(body.clone())))?;
                requests.push(request);
            }
        }
        clients.push(requests);
    }
    chain.app.db.close().await;
    http::serve_and_drive(&chain.fresh.url, clients, 1, span, &format!("{title}.http")).await
}
