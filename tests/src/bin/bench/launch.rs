//! The app: from launch to a screen that a clerk can use, and the memory it then holds.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use counterfoil_head_office::testing::On;
use counterfoil_tests::{desk::Desk, driver::Driver, office::Office, program};
use fantoccini::{ClientBuilder, Locator, wd::Capabilities};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::json;

use crate::{Latencies, report};

const LAUNCHES: usize = 8;

/// Prints the time from launch to the screen where a clerk signs in (an upper bound: it includes what WebDriver does to
/// open a session), and the resident memory of all of the app's processes.
pub async fn measure() -> anyhow::Result<()> {
    let seed = [
        "--members",
        "40",
        "--coupons",
        "400",
        "--stores",
        "1",
        "--pickups",
        "10",
        "--seed",
        "3",
    ];
    let office = Office::start(On::Sqlite, &seed).await;
    let folder = tempfile::tempdir()?;
    let mut desk = Desk::enrol(folder.path(), &office.address, &office.enrol_code("s-01"));
    desk.ready();
    desk.kill();
    let mut latencies = Latencies::default();
    let mut memory = 0;
    for _ in 0..LAUNCHES {
        let (elapsed, resident) = launch(folder.path()).await?;
        latencies.add(elapsed);
        memory = memory.max(resident);
    }
    latencies.report("app.launch_to_sign_in");
    report(
        "app.resident_memory",
        memory as f64 / 1024.0,
        "MiB",
        "lower",
        LAUNCHES as u64,
    );
    Ok(())
}

async fn launch(folder: &Path) -> anyhow::Result<(Duration, u64)> {
    let mut capabilities = Capabilities::new();
    let options = json!({"application": program("counterfoil"), "args": ["--data-dir", folder]});
    capabilities.insert("tauri:options".into(), options);
    let driver = Driver::start("C.UTF-8");
    let begun = Instant::now();
    let client = ClientBuilder::new(HttpConnector::new())
        .capabilities(capabilities)
        .connect(&driver.address)
        .await?;
    client
        .wait()
        .at_most(Duration::from_secs(20))
        .every(Duration::from_millis(5))
        .for_element(Locator::Css("[data-testid=omnibox], [data-testid^=clerk-]"))
        .await?;
    let elapsed = begun.elapsed();
    let resident = resident_of(folder);
    client.close().await?;
    Ok((elapsed, resident))
}

/// Resident memory of the app on this folder and of the web view's processes under it, KiB.
fn resident_of(folder: &Path) -> u64 {
    let folder = folder.display().to_string();
    let mut family: Vec<u32> = Vec::new();
    let mut processes: Vec<(u32, u32, u64, String)> = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let read = |name: &str| std::fs::read_to_string(entry.path().join(name)).unwrap_or_default();
        let status = read("status");
        let field = |name: &str| -> u64 {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .and_then(|rest| {
                    rest.trim_matches([':', '\t', ' '])
                        .split_whitespace()
                        .next()?
                        .parse()
                        .ok()
                })
                .unwrap_or(0)
        };
        let parent = u32::try_from(field("PPid")).unwrap_or(0);
        processes.push((pid, parent, field("VmRSS"), read("cmdline")));
    }
    processes.sort_unstable();
    for (pid, parent, _, command) in &processes {
        if (command.contains(&folder) && command.starts_with(&program("counterfoil").display().to_string()))
            || family.contains(parent)
        {
            family.push(*pid);
        }
    }
    processes
        .iter()
        .filter(|(pid, ..)| family.contains(pid))
        .map(|(_, _, resident, _)| resident)
        .sum()
}
