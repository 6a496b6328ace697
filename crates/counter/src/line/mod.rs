//! The sync engine: a state machine without I/O. It says what to send next and is told what came back.
//!
//! Retry classes are a type, decided once: [`Retry`]. Backoff has full jitter and a cap. The breaker opens after
//! three failures in a row, or after one where nobody answered; open = offline mode, in which questions go unasked
//! and only the engine's own probes go out.

use counterfoil_domain::{
    time::{Millis, SECOND},
    transition::DeviceStatus,
    words::Word,
};
use counterfoil_protocol::{PUSH_OPERATIONS, problem::Code, sync::Stopped};
use serde::Serialize;

use crate::http::{Failure, Unanswered};

/// How long head office may hold a request when there is nothing to say.
pub const LONG_POLL: Millis = 20 * SECOND;
/// Rows of a page.
pub const PAGE_ROWS: i64 = 1_000;
const BACKOFF_FIRST: Millis = 500;
const BACKOFF_CAP: Millis = 30 * SECOND;
const BACKOFF_LEAST: Millis = 50;
/// How long it is at least from one question to the next where head office had nothing to say, or was asked to wait for
/// news: one that always answers at once must not be asked without end. What is to be delivered does not wait for it.
const LEAST_PAUSE: Millis = 250;
const FAILURES_TO_OPEN: u32 = 3;
/// How often a device that a person must look at asks whether they have.
const BARRED_PACE: Millis = 30 * SECOND;

/// What to do after a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Retry {
    /// Nobody answered: wait, then try again.
    Network,
    /// Head office can't at the moment: wait at least so long.
    Transient { after: Option<Millis> },
    /// The answer said what was wrong, and that is put right: try again at once.
    Corrected,
    /// Trying again won't help by itself; a person must do something.
    Permanent,
}

/// Decides the class of a failure. The one place that does.
pub fn classify(failure: &Failure) -> Retry {
    let problem = match failure {
        Failure::Unanswered(_) => return Retry::Network,
        Failure::Problem(problem) => problem,
    };
    let transient = Retry::Transient {
        after: problem
            .retry_after
            .and_then(|seconds| Millis::try_from(seconds).ok())
            .map(|s| s.saturating_mul(SECOND)),
    };
    match Code::parse(&problem.code) {
        Some(Code::ClockSkew | Code::JournalGap | Code::HistoryChanged | Code::TooLarge) => Retry::Corrected,
        Some(Code::InFlight) => transient,
        // Whatever else there is, or a newer head office may say: the status tells whether waiting helps.
        _ if problem.status >= 500 || problem.status == 429 => transient,
        _ => Retry::Permanent,
    }
}

/// Whether head office can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkState {
    /// Not tried yet.
    Connecting,
    /// It answers.
    Online,
    /// The breaker is open.
    Offline,
}

/// The line to head office, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Can it be asked.
    pub state: LinkState,
    /// Since when the state is so, by this device's clock.
    pub since: Option<Millis>,
    /// What is in the way: a stable code, and what exactly.
    pub problem: Option<(String, String)>,
}

/// Now, twice.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Never goes back: what waiting is counted by.
    pub monotonic: Millis,
    /// What people see.
    pub wall: Millis,
}

/// What the engine needs to know of the database.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Operations waiting.
    pub pending: i64,
    /// As head office last said.
    pub device: DeviceStatus,
}

/// What to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// At most so many operations.
    pub push: usize,
    /// At most so many rows; 0 = none wanted.
    pub page_rows: i64,
    /// How long head office may wait for news.
    pub wait: Millis,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send a request.
    Send(Plan),
    /// Nothing until then (monotonic), unless woken.
    Sleep { until: Millis },
}

/// What an answer held, once it is written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerSummary {
    /// Operations that were sent.
    pub sent: usize,
    /// Operations whose outcome came.
    pub settled: usize,
    /// Why the rest was not taken.
    pub stopped: Option<Stopped>,
    /// Rows wait behind the page.
    pub more_rows: bool,
    /// The page is another than the last one.
    pub moved: bool,
    /// The device as head office sees it.
    pub device: DeviceStatus,
    /// The answer was about another history; what follows from that is done.
    pub history_changed: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// An answer.
    Answer(AnswerSummary),
    /// None, or one that says no.
    Failed(Failure),
}

/// The state machine.
#[derive(Debug)]
pub struct SyncEngine {
    link: Link,
    failures: u32,
    /// Corrections in a row without progress: something is wrong that can't be corrected.
    corrections: u32,
    retry_at: Millis,
    /// Nothing is asked before, where nothing is to be delivered.
    rest_until: Millis,
    /// Since when the question under way is out.
    asked_at: Millis,
    /// It lets head office wait for news.
    polls: bool,
    batch: usize,
    more_rows: bool,
    /// Nothing has been heard yet, or something must be made sure of: don't wait for news.
    unsure: bool,
    fork_seen: bool,
    driven: bool,
}

impl Default for SyncEngine {
    fn default() -> Self {
        Self {
            link: Link {
                state: LinkState::Connecting,
                since: None,
                problem: None,
            },
            failures: 0,
            corrections: 0,
            retry_at: Millis::MIN,
            rest_until: Millis::MIN,
            asked_at: Millis::MIN,
            polls: false,
            batch: PUSH_OPERATIONS,
            more_rows: true,
            unsure: true,
            fork_seen: false,
            driven: false,
        }
    }
}

impl SyncEngine {
    /// The line as it is shown.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Whether a driver turns this engine. Without one, questions probe a broken line themselves.
    pub fn set_driven(&mut self, driven: bool) {
        self.driven = driven;
    }

    /// Try at once, whatever was waited for.
    pub fn hurry(&mut self) {
        self.retry_at = Millis::MIN;
        self.rest_until = Millis::MIN;
        self.unsure = true;
    }

    /// What to do next.
    pub fn next(&mut self, now: Now, view: View) -> Step {
        let barred = view.device == DeviceStatus::Frozen || self.fork_seen;
        let push = if barred || view.pending == 0 { 0 } else { self.batch };
        let until = if push == 0 {
            self.retry_at.max(self.rest_until)
        } else {
            self.retry_at
        };
        if now.monotonic < until {
            return Step::Sleep { until };
        }
        let idle = push == 0 && !self.more_rows && !self.unsure && self.link.state == LinkState::Online;
        let polls = idle && view.device == DeviceStatus::Active && !barred;
        (self.asked_at, self.polls) = (now.monotonic, polls);
        Step::Send(Plan {
            push,
            // A revoked device is told nothing more; it only delivers.
            page_rows: if view.device == DeviceStatus::Revoked {
                0
            } else {
                PAGE_ROWS
            },
            wait: if polls { LONG_POLL } else { 0 },
        })
    }

    /// Takes in what came back. `jitter` is random.
    pub fn heard(&mut self, now: Now, heard: &Heard, jitter: u64) {
        match heard {
            Heard::Answer(answer) => self.answered(now, answer, jitter),
            Heard::Failed(failure) => self.failed(now, failure, jitter),
        }
    }

    fn answered(&mut self, now: Now, answer: &AnswerSummary, jitter: u64) {
        self.online(now);
        self.unsure = answer.history_changed;
        self.more_rows = answer.more_rows;
        self.fork_seen = answer.stopped == Some(Stopped::Fork) && answer.device != DeviceStatus::Active;
        if answer.settled > 0 {
            self.batch = (self.batch * 2).min(PUSH_OPERATIONS);
        }
        let stuck = answer.settled == 0 && (answer.sent > 0 || answer.stopped.is_some());
        if stuck || answer.history_changed {
            self.corrected(now, jitter);
        } else {
            self.corrections = 0;
            if self.polls || (answer.settled == 0 && !answer.moved) {
                self.rest_until = self.asked_at.saturating_add(LEAST_PAUSE);
            }
        }
        self.link.problem = None;
        if self.fork_seen || answer.device == DeviceStatus::Frozen {
            self.bar(
                now,
                "device_frozen",
                "a person at head office decides how the journal goes on",
            );
        }
        if answer.device == DeviceStatus::Revoked {
            self.link.problem = Some(("device_revoked".into(), "head office revoked this device".into()));
            if answer.settled == 0 {
                self.retry_at = now.monotonic.saturating_add(BARRED_PACE);
            }
        }
    }

    fn failed(&mut self, now: Now, failure: &Failure, jitter: u64) {
        let class = classify(failure);
        self.unsure = true;
        self.failures = self.failures.saturating_add(1);
        match failure {
            Failure::Unanswered(why) => {
                let (code, detail) = (why.code().to_owned(), why.to_string());
                let silent = matches!(
                    why,
                    Unanswered::Unreachable(_) | Unanswered::TimedOut | Unanswered::Tls(_)
                );
                if silent || self.failures >= FAILURES_TO_OPEN {
                    self.open(now);
                }
                self.link.problem = Some((code, detail));
                self.retry_at = now.monotonic.saturating_add(self.backoff(jitter));
            }
            Failure::Problem(problem) => {
                let detail = problem.detail.clone().unwrap_or_else(|| problem.title.clone());
                let named = Some((problem.code.clone(), detail));
                let code = Code::parse(&problem.code);
                match class {
                    Retry::Corrected => {
                        if code == Some(Code::TooLarge) {
                            self.batch = (self.batch / 2).max(1);
                        }
                        self.failures = 0;
                        self.corrected(now, jitter);
                        if self.corrections > FAILURES_TO_OPEN {
                            self.link.problem = named;
                        }
                    }
                    Retry::Transient { after } => {
                        let wait = self.backoff(jitter).max(after.unwrap_or(0).min(10 * BACKOFF_CAP));
                        self.retry_at = now.monotonic.saturating_add(wait);
                        // Our own request of a moment ago is still being looked at: that is no trouble.
                        if code != Some(Code::InFlight) {
                            if self.failures >= FAILURES_TO_OPEN {
                                self.open(now);
                            }
                            self.link.problem = named;
                        }
                    }
                    Retry::Network | Retry::Permanent => {
                        match code {
                            // Head office is there; it is this device that has no say.
                            Some(Code::DeviceRevoked | Code::DeviceFrozen | Code::JournalFork) => self.online(now),
                            _ => self.open(now),
                        }
                        self.link.problem = named;
                        self.retry_at = now.monotonic.saturating_add(BARRED_PACE);
                    }
                }
            }
        }
    }

    /// What was wrong is put right. The third time in a row it evidently isn't: then wait as after a failure.
    fn corrected(&mut self, now: Now, jitter: u64) {
        self.corrections = self.corrections.saturating_add(1);
        self.retry_at = if self.corrections < FAILURES_TO_OPEN {
            now.monotonic
        } else {
            now.monotonic
                .saturating_add(backoff(self.corrections - FAILURES_TO_OPEN + 1, jitter))
        };
    }

    fn bar(&mut self, now: Now, code: &str, detail: &str) {
        self.link.problem = Some((code.to_owned(), detail.to_owned()));
        self.retry_at = now.monotonic.saturating_add(BARRED_PACE);
    }

    fn online(&mut self, now: Now) {
        self.failures = 0;
        self.retry_at = now.monotonic;
        if self.link.state != LinkState::Online {
            self.link.state = LinkState::Online;
            self.link.since = Some(now.wall);
        }
    }

    fn open(&mut self, now: Now) {
        if self.link.state != LinkState::Offline {
            self.link.state = LinkState::Offline;
            self.link.since = Some(now.wall);
        }
    }

    fn backoff(&self, jitter: u64) -> Millis {
        backoff(self.failures, jitter)
    }

    /// Whether a question may be asked now, or would only make a clerk wait.
    pub fn may_ask(&self, now: Now) -> bool {
        self.link.state != LinkState::Offline || (!self.driven && now.monotonic >= self.retry_at)
    }

    /// A question was answered, whatever it said.
    pub fn question_answered(&mut self, now: Now) {
        if self.link.state != LinkState::Online && !self.driven {
            self.online(now);
            self.link.problem = None;
        }
    }

    /// A question was not answered.
    pub fn question_failed(&mut self, now: Now, why: &Unanswered, jitter: u64) {
        self.failures = self.failures.saturating_add(1);
        self.open(now);
        self.link.problem = Some((why.code().to_owned(), why.to_string()));
        self.unsure = true;
        self.retry_at = now.monotonic.saturating_add(self.backoff(jitter));
    }

    /// Another process that drains this folder reached head office.
    pub fn heard_by_another(&mut self, now: Now) {
        if self.link.state != LinkState::Online {
            self.online(now);
            self.link.problem = None;
        }
    }
}

/// Full jitter: anything up to a bound that doubles, with a floor so that it never spins.
fn backoff(failures: u32, jitter: u64) -> Millis {
    let bound = BACKOFF_FIRST
        .saturating_mul(1i64 << failures.saturating_sub(1).min(16))
        .min(BACKOFF_CAP);
    let part = jitter % u64::try_from(bound).unwrap_or(1).max(1);
    Millis::try_from(part).unwrap_or(bound).max(BACKOFF_LEAST)
}

#[cfg(test)]
mod tests;
