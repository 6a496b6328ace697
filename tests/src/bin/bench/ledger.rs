//! The ledger alone: durable entries a second over a thousand accounts and on one, and `verify` of a million of them.
//!
//! `COUNTERFOIL_BENCH_ENTRIES` says how many entries are verified.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context;
use counterfoil_domain::{
    ids::MemberId,
    people::Member,
    points::{Asset, Cause, Origin, Reason},
    time::DAY,
    transition::{Answer, Command, Post, PostAnswer, Posting},
};
use counterfoil_head_office::{
    members,
    points::source_of,
    testing::{Chain, On, START, chain, random10},
    verify::verify,
};

use crate::{
    disk,
    engine::{name, settle},
    report,
};

/// Operations under way at once, each for itself.
const FLIGHT: usize = 1_024;
const ACCOUNTS: usize = 1_000;
const MILLION: u64 = 1_000_000;
/// What each account has from the beginning, so that nobody runs dry.
const ENOUGH: i64 = 1_000_000_000;

/// A chain with accounts that have enough.
pub async fn with_accounts(chain: &Chain, count: usize, now: i64) -> anyhow::Result<Vec<Member>> {
    let people: Vec<Member> = (0..count)
        .map(|n| Member {
            id: MemberId::new(now, random10()),
            number: format!("P{n}"),
            name: String::new(),
            phone: String::new(),
            recent_stores: vec![chain.store],
        })
        .collect();
    let mut lease = chain.app.db.lease().await?;
    let mut transaction = lease.begin().await?;
    members::rows::insert(&mut transaction, chain.tenant, &people, now).await?;
    transaction.commit("test").await?;
    drop(lease);
    let begins: Vec<Command> = people
        .iter()
        .map(|member| posting(chain, member.id, &format!("begin-{}", member.number), ENOUGH, now))
        .collect();
    for part in begins.chunks(200) {
        for answered in chain.app.engine.submit(chain.tenant, part.to_vec()).await? {
            is_posted(&answered.answer)?;
        }
    }
    Ok(people)
}

/// Earns so much, or spends it where it is below zero. What is earned after the beginning ends one day, so that it is spent
/// first and accounts have few open lots, as members do who spend what they earn.
fn posting(chain: &Chain, member: MemberId, source: &str, amount: i64, at: i64) -> Command {
    let what = if amount < 0 {
        Posting::Spend(-amount)
    } else {
        Posting::Earn {
            amount: Some(amount),
            rule: None,
            paid: 0,
            category: None,
            at,
            ends_at: (amount < ENOUGH).then_some(at + 400 * DAY),
        }
    };
    Command::Post(Post {
        member,
        asset: Asset::Points,
        what,
        cause: Cause {
            source: Some(source_of(chain.tenant, Origin::Gift, source)),
            ..Cause::own(Reason::Gift, at)
        },
    })
}

fn is_posted(answer: &Answer) -> anyhow::Result<()> {
    let Answer::Posted(PostAnswer::Posted { replayed: false, .. }) = answer else {
        anyhow::bail!("{answer:?}");
    };
    Ok(())
}

/// Earns and spends on these accounts, one operation a caller at a time, until the time or the number is up.
async fn drive(chain: &Arc<Chain>, accounts: &[MemberId], span: Duration, most: u64) -> anyhow::Result<(u64, f64)> {
    let begun = Instant::now();
    let count = Arc::new(AtomicU64::new(0));
    let accounts: Arc<[MemberId]> = accounts.into();
    let mut tasks = Vec::new();
    for caller in 0..FLIGHT {
        let (chain, accounts, count) = (Arc::clone(chain), Arc::clone(&accounts), Arc::clone(&count));
        tasks.push(tokio::spawn(async move {
            for turn in 0_u64.. {
                if begun.elapsed() >= span || count.load(Ordering::Relaxed) >= most {
                    break;
                }
                let place = (caller + usize::try_from(turn)? * 7) % accounts.len();
                let member = accounts.get(place).context("no accounts")?;
                let amount = if turn % 2 == 0 { 10 } else { -10 };
                let source = format!("{}-{caller}-{turn}", accounts.len());
                let command = posting(&chain, *member, &source, amount, START);
                for answered in chain.app.engine.submit(chain.tenant, vec![command]).await? {
                    is_posted(&answered.answer)?;
                }
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, anyhow::Error>(())
        }));
    }
    for task in tasks {
        task.await??;
    }
    Ok((count.load(Ordering::Relaxed), begun.elapsed().as_secs_f64()))
}

/// Prints the rates, beside the disk, and how long `verify` takes.
pub async fn measure(on: On, span: Duration) -> anyhow::Result<()> {
    let wanted = match std::env::var("COUNTERFOIL_BENCH_ENTRIES") {
        Ok(text) => text.parse().context("COUNTERFOIL_BENCH_ENTRIES is a number")?,
        Err(_) => MILLION,
    };
    let title = format!("ledger.{}", name(on));
    let chain = Arc::new(chain(on, 0).await);
    let people = with_accounts(&chain, ACCOUNTS, START).await?;
    let accounts: Vec<MemberId> = people.iter().map(|member| member.id).collect();
    settle(&chain, on).await?;
    disk(&format!("{title}.disk_sync"))?;
    let mut entries = u64::try_from(ACCOUNTS)?;
    for (what, some) in [
        ("accounts_1000", accounts.as_slice()),
        ("hot_account", accounts.get(..1).unwrap_or_default()),
    ] {
        let (done, seconds) = drive(&chain, some, span, u64::MAX).await?;
        report(&format!("{title}.{what}"), done as f64 / seconds, "1/s", "higher", done);
        entries += done;
    }
    // On other accounts: the sources of the first ones are used up.
    let rest = accounts.get(1..).unwrap_or_default();
    if entries < wanted {
        let (done, _) = drive(&chain, rest, Duration::MAX, wanted - entries).await?;
        entries += done;
    }
    settle(&chain, on).await?;
    let begun = Instant::now();
    let mut slow = Vec::new();
    let mut last = Instant::now();
    let holds = verify(&chain.app.db, |check| {
        slow.push((last.elapsed(), check.check));
        last = Instant::now();
    })
    .await?;
    anyhow::ensure!(holds, "something is broken");
    report(
        &format!("{title}.verify"),
        begun.elapsed().as_secs_f64(),
        "s",
        "lower",
        entries,
    );
    slow.sort();
    for (took, check) in slow.iter().rev().filter(|(took, _)| *took > Duration::from_millis(100)) {
        eprintln!("{title}: {check} {:.2} s", took.as_secs_f64());
    }
    chain.app.db.close().await;
    Ok(())
}
