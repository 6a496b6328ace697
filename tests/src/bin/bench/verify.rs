//! `verify` of a million coupons, each claimed, printed or granted, with the operations that redeemed some of them.
//!
//! `COUNTERFOIL_BENCH_VERIFY` says how many coupons. What each check took goes to standard error.

use std::time::{Duration, Instant};

use anyhow::Context;
use counterfoil_head_office::{
    testing::{On, many},
    verify::verify,
};

use crate::{
    engine::{name, settle},
    report,
};

const MILLION: i64 = 1_000_000;

/// Prints how long it takes, beside what reading every coupon once takes.
pub async fn measure(on: On) -> anyhow::Result<()> {
    let coupons = match std::env::var("COUNTERFOIL_BENCH_VERIFY") {
        Ok(text) => text.parse().context("COUNTERFOIL_BENCH_VERIFY is a number")?,
        Err(_) => MILLION,
    };
    // Each part of them is a whole number.
    let coupons: i64 = (coupons / 40).max(25) * 40;
    let title = format!("verify.{}", name(on));
    let begun = Instant::now();
    let chain = many(on, coupons).await;
    settle(&chain, on).await?;
    eprintln!(
        "{title}: {coupons} coupons made in {:.0} s",
        begun.elapsed().as_secs_f64()
    );

    let mut reader = chain.app.db.reader().acquire().await?;
    let begun = Instant::now();
    let read: i64 = sqlx::query_scalar("SELECT CAST(SUM(LENGTH(code) + version) AS BIGINT) FROM coupons")
        .fetch_one(&mut *reader)
        .await?;
    drop(reader);
    anyhow::ensure!(read > coupons * 18, "{read}");
    let seconds = |since: Instant| since.elapsed().as_secs_f64();
    report(
        &format!("{title}.read_once"),
        seconds(begun),
        "s",
        "lower",
        coupons.unsigned_abs(),
    );

    let (begun, mut last) = (Instant::now(), Instant::now());
    let mut slow = Vec::new();
    let holds = verify(&chain.app.db, |check| {
        slow.push((last.elapsed(), check.check));
        last = Instant::now();
    })
    .await?;
    anyhow::ensure!(holds, "something is broken");
    report(
        &format!("{title}.coupons_{coupons}"),
        seconds(begun),
        "s",
        "lower",
        coupons.unsigned_abs(),
    );
    slow.sort();
    for (took, check) in slow.iter().rev().filter(|(took, _)| *took > Duration::from_millis(10)) {
        eprintln!("{title}: {check} {:.2} s", took.as_secs_f64());
    }
    chain.app.db.close().await;
    Ok(())
}
