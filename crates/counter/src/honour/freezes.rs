//! Head office's word on something before it is used: a freeze, how long it counts, and that it is given back.

use std::{sync::Arc, time::Duration};

use counterfoil_domain::{
    coupons::FREEZE_LASTS,
    ids::FreezeId,
    points::Amounts,
    time::{Millis, SECOND},
    transition::Subject,
    verdict::Reason,
    words::Word as _,
};
use counterfoil_protocol::{
    paths,
    problem::{Code, Problem},
    questions::{ASK_TIMEOUT, FreezeRequest, FreezeResponse},
};

use super::PresentedBy;
use crate::{
    ambient::random_bytes,
    error::{Error, Result},
    http::{Failure, Sending},
    identity::{self, Identity},
    inner::Inner,
    intake,
    line::{Retry, classify},
};

/// When to try again to give a freeze back: it lapses by itself after five minutes.
const GIVE_BACK_AFTER: [u64; 5] = [0, 2, 10, 30, 90];

/// A freeze is not counted on in its last moments: this device's clock may be a little behind head office's.
const FREEZE_MARGIN: Millis = 30 * SECOND;

/// How long head office's yes counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// By head office's clock.
    until: Millis,
    /// By [`crate::Clock::awake_or_asleep`], which nobody sets back.
    awake_until: Millis,
}

impl Lease {
    /// Asked for at `asked` by head office's clock as it is known here, and at `awake` by the one that nobody sets.
    fn new(until: Millis, asked: Millis, awake: Millis) -> Self {
        // Where this device's clock is behind, the time left looks longer than it is: never longer than any freeze.
        let left = until.saturating_sub(asked).clamp(0, FREEZE_LASTS);
        Self {
            until,
            awake_until: awake.saturating_add(left),
        }
    }

    pub fn holds(self, now: Millis, awake: Millis) -> bool {
        now < self.until.saturating_sub(FREEZE_MARGIN) && awake < self.awake_until.saturating_sub(FREEZE_MARGIN)
    }
}

/// Head office's word.
#[derive(Debug)]
pub enum Word {
    /// Yes, for so long.
    Granted(FreezeId, Lease),
    /// No.
    Refused(Vec<Reason>),
    /// None. The freeze is named when it may have been granted all the same.
    None(Option<FreezeId>),
}

/// Asks head office's word for this, if there is a line; for so much of it, where it is an account.
pub async fn ask(
    inner: &Inner,
    who: &Identity,
    subject: Subject,
    amounts: Amounts,
    presented_by: PresentedBy,
) -> Result<Word> {
    if !inner.may_ask() {
        return Ok(Word::None(None));
    }
    // A freeze's place is its subject's: the two are decided together.
    let id = FreezeId::placed(
        subject.place(),
        who.true_time(inner.clock.now()),
        random_bytes(&*inner.random)?,
    );
    let question = FreezeRequest {
        id,
        subject,
        amounts,
        presented_by,
    };
    let asked = |who: &Identity| (who.true_time(inner.clock.now()), inner.clock.awake_or_asleep());
    let (mut at, mut awake) = asked(who);
    let mut answer = send(inner, who, &question).await?;
    if let Err(Failure::Problem(problem)) = &answer {
        // What it says of this device and of the time is worth keeping, whatever comes of the question.
        intake::problem(&inner.db, problem, inner.clock.now()).await?;
        if Code::parse(&problem.code) == Some(Code::ClockSkew) {
            let who = identity::load(&mut *inner.db.read().await?).await?;
            (at, awake) = asked(&who);
            answer = send(inner, &who, &question).await?;
        }
    }
    Ok(match answer {
        Ok(FreezeResponse::Granted { until }) => Word::Granted(id, Lease::new(until, at, awake)),
        Ok(FreezeResponse::Refused { reasons }) => Word::Refused(reasons),
        // It was granted to an earlier asking and has lapsed since: neither a yes nor a no.
        Ok(FreezeResponse::Cancelled) => Word::None(None),
        Err(Failure::Unanswered(why)) => {
            tracing::info!(%why, "a freeze went unanswered");
            Word::None(why.may_have_arrived().then_some(id))
        }
        Err(Failure::Problem(problem)) => match Code::parse(&problem.code) {
            // Head office is there but can't say: the same as no answer.
            Some(
                Code::Busy
                | Code::RateLimited
                | Code::StorageUnavailable
                | Code::Internal
                | Code::InFlight
                | Code::ClockSkew,
            ) => Word::None(Some(id)),
            Some(Code::DeviceRevoked) => return Err(Error::DeviceRevoked),
            Some(Code::DeviceFrozen) => return Err(Error::DeviceFrozen),
            _ => return Err(Error::HeadOffice(problem)),
        },
    })
}

async fn send(inner: &Inner, who: &Identity, question: &FreezeRequest) -> Result<Result<FreezeResponse, Failure>> {
    let key = question.id.to_string();
    let sending = Sending {
        time: who.true_time(inner.clock.now()),
        timeout: Duration::from_millis(u64::try_from(ASK_TIMEOUT).unwrap_or(1_000)),
        idempotency_key: Some(&key),
    };
    let credentials = inner.credentials(who)?;
    let answer = inner.http.post(&credentials, paths::FREEZES, question, sending).await;
    inner.question_heard(answer.as_ref().err())?;
    Ok(answer)
}

/// Gives a freeze back and waits for that, so that another one may be asked for in its place. Whether head office has
/// said so.
pub async fn give_back_first(inner: &Inner, who: &Identity, freeze: FreezeId) -> bool {
    let timeout = Duration::from_millis(u64::try_from(ASK_TIMEOUT).unwrap_or(1_000));
    send_back(inner, who, freeze, timeout)
        .await
        .is_ok_and(|answer| answer.is_ok())
}

async fn send_back(
    inner: &Inner,
    who: &Identity,
    freeze: FreezeId,
    timeout: Duration,
) -> Result<Result<FreezeResponse, Failure>> {
    let path = format!("{}/{freeze}", paths::FREEZES);
    let key = freeze.to_string();
    let sending = Sending {
        time: who.true_time(inner.clock.now()),
        timeout,
        idempotency_key: Some(&key),
    };
    let credentials = inner.credentials(who)?;
    Ok(inner.http.delete::<FreezeResponse>(&credentials, &path, sending).await)
}

/// Gives a freeze back in the background. It would lapse anyway; this is only kinder.
pub fn give_back(inner: &Arc<Inner>, mut who: Identity, freeze: FreezeId) {
    let background = Arc::clone(inner);
    inner.spawn(async move {
        let inner = background;
        for seconds in GIVE_BACK_AFTER {
            if seconds > 0 {
                inner.clock.sleep(Duration::from_secs(seconds)).await;
            }
            let answer = send_back(&inner, &who, freeze, Duration::from_secs(3)).await;
            let Ok(Err(failure)) = answer else {
                return;
            };
            if classify(&failure) == Retry::Permanent {
                return;
            }
            if let Failure::Problem(problem) = &failure {
                match relearn(&inner, problem).await {
                    Ok(now) => who = now,
                    Err(error) => tracing::debug!(%error, "what head office said of the time was not written down"),
                }
            }
        }
    });
}

/// Who this counter is after a problem: the next try is signed by the clock that head office told.
async fn relearn(inner: &Inner, problem: &Problem) -> Result<Identity> {
    intake::problem(&inner.db, problem, inner.clock.now()).await?;
    identity::load(&mut *inner.db.read().await?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freeze_counts_until_shortly_before_its_end_by_either_clock() {
        const NOW: Millis = 1_795_000_000_000;
        const AWAKE: Millis = 7_000;
        let minutes = 60 * SECOND;
        for (left, later, awake_later, holds) in [
            (5 * minutes, 0, 0, true),
            (
                5 * minutes,
                5 * minutes - FREEZE_MARGIN - 1,
                5 * minutes - FREEZE_MARGIN - 1,
                true,
            ),
            (5 * minutes, 5 * minutes - FREEZE_MARGIN, 0, false),
            // The clock was set back meanwhile, or stood still.
            (5 * minutes, -60 * minutes, 5 * minutes - FREEZE_MARGIN, false),
            (5 * minutes, -60 * minutes, 5 * minutes - FREEZE_MARGIN - 1, true),
            // This device is an hour behind: no freeze lasts as long as that.
            (65 * minutes, 5 * minutes, 5 * minutes, false),
            (65 * minutes, minutes, minutes, true),
            // Lapsed, or about to, when the answer came.
            (FREEZE_MARGIN, 0, 0, false),
            (-minutes, 0, 0, false),
            (Millis::MIN, 0, 0, false),
            (Millis::MAX, 0, 0, true),
        ] {
            let until = NOW.saturating_add(left);
            assert_eq!(
                Lease::new(until, NOW, AWAKE).holds(NOW + later, AWAKE + awake_later),
                holds,
                "{left} {later} {awake_later}"
            );
        }
    }
}
