//! Is everything in order? One line per question.

use std::{path::Path, sync::Arc, time::Duration};

use counterfoil_domain::{
    ids::CouponId,
    offline::CLOCK_WARN,
    time::{Millis, SECOND},
    words::Word,
};
use counterfoil_protocol::{
    paths,
    problem::Code,
    questions::{LookupRequest, LookupResponse},
};
use serde::Serialize;
use uuid::Uuid;

use crate::{
    ambient::{Clock, Random},
    error::Error,
    http::{Failure, Sending},
    identity,
    inner::Inner,
    key::{KEY_FILE, load_key},
    queue,
};

/// Below this a counter soon can't write any more.
const LEAST_SPACE: u64 = 200 * 1024 * 1024;

/// One question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// `database`, `disk`, `key`, `head_office`, `clock`, `queue`, `program`.
    pub name: &'static str,
    /// In order.
    pub ok: bool,
    /// What was found and, when it is not in order, what to do.
    pub advice: String,
}

fn check(name: &'static str, ok: bool, advice: impl Into<String>) -> Check {
    Check {
        name,
        ok,
        advice: advice.into(),
    }
}

/// Looks at the counter in this folder. Changes nothing that a start of the app would not.
pub async fn doctor(folder: &Path, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Vec<Check> {
    let mut checks = vec![disk(folder)];
    let inner = match Inner::open(folder, clock, random).await {
        Ok(inner) => {
            checks.push(check(
                "database",
                true,
                format!("{} is whole", inner.db.path().display()),
            ));
            inner
        }
        Err(error) => {
            checks.push(check(
                "database",
                false,
                format!("{error}; {}", database_advice(&error)),
            ));
            checks.push(key(folder, None));
            return checks;
        }
    };
    if let Err(error) = look_inside(&inner, &mut checks).await {
        checks.push(check(
            "database",
            false,
            format!("{error}; {}", database_advice(&error)),
        ));
    }
    checks
}

async fn look_inside(inner: &Inner, checks: &mut Vec<Check>) -> Result<(), Error> {
    let found = identity::find(&mut *inner.db.read().await?).await?;
    checks.push(key(&inner.folder, found.as_ref()));
    let Some(who) = found else {
        checks.push(check(
            "head_office",
            false,
            "not enrolled: connect to a head office first",
        ));
        return Ok(());
    };
    let counts = queue::counts(&mut *inner.db.read().await?).await?;
    checks.push(check(
        "queue",
        counts.exceptions == 0,
        format!(
            "{} waiting, {} delivered, {} exceptions{}",
            counts.pending,
            counts.delivered,
            counts.exceptions,
            if counts.exceptions == 0 {
                ""
            } else {
                ": look at them with your manager"
            }
        ),
    ));
    let unread = identity::unread(&mut *inner.db.read().await?).await?;
    let version = env!("CARGO_PKG_VERSION");
    checks.push(check(
        "program",
        unread.is_empty(),
        if unread.is_empty() {
            format!("{version} reads all that head office tells")
        } else {
            let kinds = unread.join(", ");
            format!("{version} does not read what head office tells of {kinds}: update it, and it reads that again")
        },
    ));
    head_office(inner, &who, checks).await
}

async fn head_office(inner: &Inner, who: &identity::Identity, checks: &mut Vec<Check>) -> Result<(), Error> {
    let sending = Sending {
        time: who.true_time(inner.clock.now()),
        timeout: Duration::from_secs(5),
        idempotency_key: Some("doctor"),
    };
    let credentials = inner.credentials(who)?;
    let nothing = LookupRequest::Coupon(CouponId(Uuid::nil()));
    let answer: Result<LookupResponse, Failure> =
        inner.http.post(&credentials, paths::LOOKUPS, &nothing, sending).await;
    let now = inner.clock.now();
    let server_time = match answer {
        Ok(response) => {
            checks.push(check("head_office", true, format!("{} answers", who.address)));
            Some(response.server_time)
        }
        Err(Failure::Problem(problem)) => {
            // It is there; only our clock is not believed.
            let reached = Code::parse(&problem.code) == Some(Code::ClockSkew);
            let advice = format!("{} answers {}: {}", who.address, problem.code, problem.title);
            checks.push(check("head_office", reached, advice));
            problem.server_time
        }
        Err(Failure::Unanswered(why)) => {
            let advice = format!(
                "{}: {why}; look at the network, the address and head office itself",
                who.address
            );
            checks.push(check("head_office", false, advice));
            None
        }
    };
    checks.push(clock_check(now, server_time, who.skew));
    Ok(())
}

fn clock_check(now: Millis, server_time: Option<Millis>, last_skew: Option<Millis>) -> Check {
    let Some(skew) = server_time.map(|time| now.saturating_sub(time)).or(last_skew) else {
        return check("clock", false, "never compared with head office's: connect first");
    };
    let ok = skew.saturating_abs() <= CLOCK_WARN;
    let advice = if ok {
        ""
    } else {
        "; set this machine's clock, best by NTP"
    };
    check("clock", ok, format!("{} s off head office's{advice}", skew / SECOND))
}

fn disk(folder: &Path) -> Check {
    match fs4::available_space(folder) {
        Ok(free) => {
            let ok = free >= LEAST_SPACE;
            let advice = if ok {
                ""
            } else {
                "; make room, or nothing can be redeemed soon"
            };
            check("disk", ok, format!("{} MiB free{advice}", free / 1024 / 1024))
        }
        Err(error) => check(
            "disk",
            false,
            format!("{}: {error}; is the data folder there?", folder.display()),
        ),
    }
}

fn key(folder: &Path, who: Option<&identity::Identity>) -> Check {
    match load_key(folder) {
        Ok(Some(_)) if !is_private(&folder.join(KEY_FILE)) => check(
            "key",
            false,
            format!("others can read {KEY_FILE}: chmod 600 it, and enrol anew if they may have"),
        ),
        // Both are public; head office needs them if it ever loses this counter.
        Ok(Some(key)) => check(
            "key",
            true,
            who.map_or_else(
                || String::from("the device key is there"),
                |who| {
                    let public = hex::encode(key.verifying_key().as_bytes());
                    format!("device {} of store {}, public key {public}", who.device, who.store.code)
                },
            ),
        ),
        Ok(None) if who.is_some() => check(
            "key",
            false,
            format!("{KEY_FILE} is missing: bring it back, or enrol anew in another folder"),
        ),
        Ok(None) => check("key", true, "none yet; it is made at enrolment"),
        Err(error) => check("key", false, format!("{error}; enrol anew in another folder")),
    }
}

#[cfg(unix)]
fn is_private(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o077 == 0)
}
#[cfg(not(unix))]
fn is_private(_path: &Path) -> bool {
    true
}

fn database_advice(error: &Error) -> &'static str {
    match error.code() {
        "database_read_only" => "let this user write the data folder and the files in it",
        "database_corrupt" => "keep the folder, then run counterfoil-syncd --salvage",
        "database_newer" => "a newer version has been here: install that one",
        "disk_full" => "make room",
        _ => "keep the folder and ask for help",
    }
}
