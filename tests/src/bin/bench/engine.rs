//! The engine alone: durable operations a second with at least 500 in flight.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use counterfoil_domain::transition::{Answer, Command};
use counterfoil_head_office::testing::{Chain, On, START, chain};

use crate::{disk, report};

const DEVICES: usize = 16;
const PUSH: usize = 64;

/// The name of an engine in figures.
pub fn name(on: On) -> &'static str {
    match on {
        On::Sqlite => "sqlite",
        On::Postgres => "postgres",
    }
}

/// Gives PostgreSQL the statistics that its autovacuum would have gathered on a database that lives.
pub async fn settle(chain: &Chain, on: On) -> anyhow::Result<()> {
    if on == On::Postgres {
        let mut lease = chain.app.db.lease().await?;
        let mut transaction = lease.begin().await?;
        sqlx::query("ANALYZE").execute(&mut *transaction).await?;
        transaction.commit("test").await?;
    }
    Ok(())
}

/// Prints redemptions a second: devices push operations made beforehand, each as soon as the last push is answered.
pub async fn measure(on: On, span: Duration) -> anyhow::Result<()> {
    let total = usize::try_from(span.as_secs())?.max(1) * 100_000;
    let chain = Arc::new(chain(on, total).await);
    settle(&chain, on).await?;
    disk(&format!("engine.{}.disk_sync", name(on)))?;
    let mut journals = Vec::new();
    for coupons in chain.coupons.chunks(total.div_ceil(DEVICES)) {
        let mut counter = chain.counter().await;
        let commands: Vec<Command> = (START..)
            .zip(coupons)
            .map(|(now, id)| Command::Operation(counter.make(chain.redeem(*id, None), now)))
            .collect();
        journals.push(commands);
    }
    eprintln!("engine on {}: running", name(on));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for journal in journals {
        tasks.push(tokio::spawn(push(Arc::clone(&chain), journal, begun + span)));
    }
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    let rate = done as f64 / begun.elapsed().as_secs_f64();
    report(
        &format!("engine.{}.operations", name(on)),
        rate,
        "1/s",
        "higher",
        done as u64,
    );
    Ok(())
}

async fn push(chain: Arc<Chain>, journal: Vec<Command>, until: Instant) -> anyhow::Result<usize> {
    let mut done = 0;
    let mut journal = journal.into_iter();
    loop {
        let commands: Vec<Command> = journal.by_ref().take(PUSH).collect();
        if commands.is_empty() || Instant::now() >= until {
            return Ok(done);
        }
        let answers = chain.app.engine.submit(chain.tenant, commands).await?;
        anyhow::ensure!(
            answers
                .iter()
                .all(|a| matches!(a.answer, Answer::Done { replayed: false, .. }))
        );
        done += answers.len();
    }
}
