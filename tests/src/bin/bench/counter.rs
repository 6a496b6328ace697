//! The counter: look-up with 100,000 coupons in its database, and durable redemption without head office, beside the
//! raw sync of the same disk in the same run.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::Context;
use counterfoil_counter::{Confirmation, Counter, Crash, Faults, Input, Parts, System};
use counterfoil_head_office::testing::On;
use counterfoil_tests::office::Office;

use crate::{Latencies, disk, report};

const COUPONS: &str = "100000";
/// Below the number that a counter may redeem before it must deliver.
const REDEMPTIONS: usize = 400;
const LOOK_UPS: usize = 5_000;
/// Operations that wait while pages come.
const PENDING: usize = 10_000;

/// When each commit was about to be made.
#[derive(Debug, Default)]
struct Commits(Mutex<Vec<(&'static str, Instant)>>);

impl Faults for Commits {
    fn at(&self, commit: &'static str) -> Option<Crash> {
        if let Ok(mut commits) = self.0.lock() {
            commits.push((commit, Instant::now()));
        }
        None
    }
}

/// Prints look-ups and durable redemptions.
pub async fn measure() -> anyhow::Result<()> {
    let seed = [
        "--members",
        "40000",
        "--coupons",
        COUPONS,
        "--stores",
        "1",
        "--pickups",
        "100",
        "--seed",
        "3",
    ];
    let mut office = Office::start(On::Sqlite, &seed).await;
    let folder = tempfile::tempdir()?;
    let system = Arc::new(System::new());
    let counter = Counter::open(folder.path(), system.clone(), system).await?;
    counter
        .enrol(&office.address, &office.enrol_code("s-01"), "bench")
        .await?;
    let begun = Instant::now();
    let pulled = counter.sync_once(Duration::from_secs(300)).await?.pulled;
    report(
        "counter.first_pull",
        begun.elapsed().as_secs_f64(),
        "s",
        "lower",
        pulled,
    );
    let codes = office.coupons("home_store", "s-01").await;
    // One coupon a member: a counter honours only a few of one member alone.
    let single = office
        .texts("SELECT MIN(c.code) FROM coupons c JOIN templates t ON t.tenant = c.tenant AND t.id = c.template AND t.template_version = c.template_version WHERE t.offline = 'home_store' AND c.state = 'available' GROUP BY c.member")
        .await;
    pages(&mut office, &single).await?;
    office.kill();

    let mut latencies = Latencies::default();
    let stride = (codes.len() / 997).max(1);
    for n in 0..LOOK_UPS {
        let code = Input::CouponCode(codes[n * stride % codes.len()].clone());
        let begun = Instant::now();
        counter.look_up(&code, None).await?;
        latencies.add(begun.elapsed());
    }
    latencies.report("counter.look_up_in_100000");

    let clerk = counter.clerks().await?.first().context("nobody works here")?.id;
    disk("counter.disk_sync")?;
    let mut latencies = Latencies::default();
    let mut done = 0;
    for code in single {
        if done == REDEMPTIONS {
            break;
        }
        let verdict = counter.look_up(&Input::CouponCode(code), None).await?;
        let Some(ticket) = verdict.ticket else { continue };
        let begun = Instant::now();
        let confirmation = counter.confirm(&ticket, clerk).await?;
        let elapsed = begun.elapsed();
        if let Confirmation::Done(_) = confirmation {
            latencies.add(elapsed);
            done += 1;
        }
    }
    anyhow::ensure!(done > 100, "only {done} redemptions went through");
    latencies.report("counter.durable_redeem");
    disk("counter.disk_sync_after")
}

/// Prints how long a transaction of a page takes while thousands of operations wait, from the commit before it to its
/// own: one sync of the disk is in it, which stands beside it in the same run.
async fn pages(office: &mut Office, codes: &[String]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let system = Arc::new(System::new());
    let commits = Arc::new(Commits::default());
    let parts = Parts {
        readers: Some(3),
        faults: Some(commits.clone()),
        ..Parts::new(system.clone(), system)?
    };
    let counter = Counter::open_with(folder.path(), parts).await?;
    counter
        .enrol(&office.address, &office.enrol_code("s-01"), "bench pages")
        .await?;
    counter.sync_once(Duration::from_secs(300)).await?;
    let clerk = counter.clerks().await?.first().context("nobody works here")?.id;
    // Head office says yes to each, so no limit of working alone ends it.
    let mut done = 0;
    for code in codes {
        if done == PENDING {
            break;
        }
        let verdict = counter.look_up(&Input::CouponCode(code.clone()), None).await?;
        let Some(ticket) = verdict.ticket else { continue };
        if let Confirmation::Done(_) = counter.confirm(&ticket, clerk).await? {
            done += 1;
        }
    }
    anyhow::ensure!(done == PENDING, "only {done} redemptions went through");
    disk("counter.disk_sync_before_pages")?;
    let begun = commits.0.lock().map_or(0, |commits| commits.len());
    counter.sync_once(Duration::from_secs(300)).await?;
    let mut latencies = Latencies::default();
    let since = {
        let commits = commits.0.lock().map_err(|_| anyhow::anyhow!("a commit panicked"))?;
        commits[begun..].to_vec()
    };
    for pair in since.windows(2) {
        if let [(_, before), ("page", at)] = pair {
            latencies.add(at.duration_since(*before));
        }
    }
    latencies.report("counter.page_over_10000_pending");
    counter.end().await?;
    Ok(())
}
