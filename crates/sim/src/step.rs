//! What can happen. A simulation is a list of steps, each with everything it needs: leaving some out leaves the others
//! what they were, which is what makes a failing list short.

use counterfoil_domain::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use serde::{Deserialize, Serialize};

use crate::{net::Fate, world::FEW};

/// One step, and what becomes of its requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub what: What,
    /// Fates of the requests that it makes, in order; the others are delivered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fates: Vec<Fate>,
}

/// A run that can be made again: the seed of its world, its faults and its steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    pub seed: u64,
    pub faults: Vec<String>,
    pub steps: Vec<Step>,
}

/// Where a program ends: at its so manieth commit from now, before or after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    pub nth: u64,
    pub after: bool,
}

/// A step of an order placed online.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Online {
    Freeze,
    Confirm,
    Cancel,
    Void,
}

/// What a device with a valid key and bad intentions does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Attack {
    /// Names the freeze of whoever holds the coupon.
    ForeignFreeze,
    /// Claims to have read what was never written.
    MadeUpCursor,
    /// Claims to have delivered what it has not.
    MadeUpAcknowledgement,
    /// Gives away less than nothing.
    NegativeWorth,
    /// Writes what no column holds.
    Nul,
    /// Speaks for another device.
    ForeignDevice,
    /// Sends the same place twice with different words.
    Fork,
    /// Uses what is not valid any more.
    Ended,
}

impl Attack {
    pub const ALL: [Self; 8] = [
        Self::ForeignFreeze,
        Self::MadeUpCursor,
        Self::MadeUpAcknowledgement,
        Self::NegativeWorth,
        Self::Nul,
        Self::ForeignDevice,
        Self::Fork,
        Self::Ended,
    ];
}

/// What happens. Numbers are taken modulo what there is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "do")]
pub enum What {
    /// A clerk looks a coupon up and confirms what is shown.
    Redeem { till: usize, coupon: usize },
    /// A clerk hands an order over.
    Collect { till: usize, order: usize },
    /// A clerk sells, with a member's coupons and others laid beside.
    Sell {
        till: usize,
        skus: Vec<usize>,
        member: Option<usize>,
        coupons: Vec<usize>,
    },
    /// A manager undoes one of this counter's own operations, counted from the latest.
    Void { till: usize, back: usize },
    /// Goods of one of this store's sales come back, counted from the latest.
    Return { till: usize, back: usize, units: i64 },
    /// Somebody types a code that nobody has.
    Guess { till: usize, code: u32 },
    /// A member says their number.
    Greet { till: usize, member: usize },
    /// The counter exchanges with head office, so often at most.
    Sync { till: usize, turns: u32 },
    /// Several counters push, and head office takes them as one group.
    Together {
        tills: Vec<usize>,
        /// An operator revokes the first one's device while they wait.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        revoke: bool,
    },
    /// Time goes by.
    Wait { ms: Millis },
    /// The shop's own site.
    Order {
        order: usize,
        step: Online,
        coupons: Vec<usize>,
    },
    /// The shop's own site asks a question again, in the same words.
    AskAgain { question: usize },
    /// A member claims a coupon.
    Claim { member: usize },
    /// Head office gives a member a coupon.
    Grant { member: usize, like: usize },
    /// A pickup order is made for a store.
    Supply { store: usize, member: Option<usize> },
    /// What head office does by itself at its time.
    Sweep,
    /// What was held up on the way arrives.
    Deliver,
    /// Head office ends at one of its next commits.
    KillOffice { at: At },
    /// Head office is started again, if it is down.
    StartOffice,
    /// A counter ends at one of its next commits.
    KillTill { till: usize, at: At },
    /// A counter is started again, if it is down.
    StartTill { till: usize },
    /// A counter's line is cut, or mended.
    Cut { till: usize, cut: bool },
    /// Head office's database is copied away.
    BackUp,
    /// Head office's database is replaced by the last copy.
    Restore,
    /// A counter's folder is copied away.
    CopyTill { till: usize },
    /// A counter's folder is replaced by its last copy.
    SetTillBack { till: usize },
    /// A counter's folder is copied onto another machine, which works as well.
    Clone { till: usize },
    /// A counter's clock is set, off by so much.
    SetClock { till: usize, off: Millis },
    /// An operator revokes a device.
    Revoke { till: usize },
    /// An operator lets a device whose journal forked go on.
    Decide { till: usize },
    /// Head office's disk is full, or has room again.
    FillOffice { full: bool },
    /// A counter's disk is full, or has room again.
    FillTill { till: usize, full: bool },
    /// A device with a valid key and bad intentions.
    Attack { attack: Attack, coupon: usize },
}

impl What {
    /// The counter at which a person does something.
    pub fn till(&self) -> Option<usize> {
        match self {
            Self::Redeem { till, .. }
            | Self::Collect { till, .. }
            | Self::Sell { till, .. }
            | Self::Void { till, .. }
            | Self::Return { till, .. }
            | Self::Guess { till, .. }
            | Self::Greet { till, .. } => Some(*till),
            _ => None,
        }
    }
}

/// Which faults there are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(pub std::collections::BTreeSet<String>);

impl Faults {
    /// The words of all of them.
    pub const ALL: [&'static str; 9] = [
        "network", "cut", "crash", "restore", "clone", "clock", "revoke", "disk", "hostile",
    ];

    /// All of them.
    pub fn all() -> Self {
        Self(Self::ALL.iter().map(|word| (*word).to_owned()).collect())
    }
    /// None: everybody is online and honest.
    pub fn none() -> Self {
        Self(std::collections::BTreeSet::new())
    }
    /// Whether there are such faults.
    pub fn has(&self, word: &str) -> bool {
        self.0.contains(word)
    }
    /// Whether nothing goes wrong at all.
    pub fn is_calm(&self) -> bool {
        self.0.is_empty()
    }
}

struct Making<'a> {
    dice: fastrand::Rng,
    faults: &'a Faults,
    tills: usize,
}

impl Making<'_> {
    fn till(&mut self) -> usize {
        self.dice.usize(..self.tills)
    }
    /// Mostly one of a few, so that several meet over the same.
    fn thing(&mut self) -> usize {
        match self.dice.u8(..4) {
            0 => self.dice.usize(..1_000),
            _ => self.dice.usize(..FEW),
        }
    }
    fn at(&mut self) -> At {
        At {
            nth: self.dice.u64(1..=3),
            after: self.dice.bool(),
        }
    }

    fn what(&mut self) -> What {
        let till = self.till();
        loop {
            let what = match self.dice.u32(..1_000) {
                0..=169 => What::Redeem {
                    till,
                    coupon: self.thing(),
                },
                170..=229 => What::Collect {
                    till,
                    order: self.thing(),
                },
                230..=309 => What::Sell {
                    till,
                    skus: (0..self.dice.usize(1..4)).map(|_| self.dice.usize(..6)).collect(),
                    member: self.dice.bool().then(|| self.dice.usize(..9)),
                    coupons: (0..self.dice.usize(..3)).map(|_| self.thing()).collect(),
                },
                310..=379 => What::Void {
                    till,
                    back: self.dice.usize(..4),
                },
                380..=409 => What::Return {
                    till,
                    back: self.dice.usize(..3),
                    units: self.dice.i64(1..=2),
                },
                410..=419 => What::Guess {
                    till,
                    code: self.dice.u32(..90_000_000),
                },
                420..=449 => What::Greet {
                    till,
                    member: self.dice.usize(..9),
                },
                450..=629 => What::Sync {
                    till,
                    turns: self.dice.u32(1..=3),
                },
                630..=649 => What::Together {
                    tills: (0..3).map(|_| self.till()).collect(),
                    revoke: self.dice.u8(..40) == 0 && self.faults.has("revoke"),
                },
                650..=699 => What::Wait {
                    ms: match self.dice.u8(..20) {
                        0 if self.dice.u8(..20) == 0 => self.dice.i64(2 * DAY..30 * DAY),
                        0 => self.dice.i64(HOUR..2 * DAY),
                        1..=4 => self.dice.i64(MINUTE..20 * MINUTE),
                        _ => self.dice.i64(SECOND..MINUTE),
                    },
                },
                700..=711 => What::AskAgain {
                    question: self.dice.usize(..1_000),
                },
                712..=769 => What::Order {
                    order: self.dice.usize(..10),
                    step: match self.dice.u8(..8) {
                        0..=3 => Online::Freeze,
                        4..=5 => Online::Confirm,
                        6 => Online::Cancel,
                        _ => Online::Void,
                    },
                    coupons: (0..self.dice.usize(1..3)).map(|_| self.thing()).collect(),
                },
                770..=789 => What::Claim {
                    member: self.dice.usize(..9),
                },
                790..=804 => What::Grant {
                    member: self.dice.usize(..9),
                    like: self.thing(),
                },
                805..=819 => What::Supply {
                    store: self.dice.usize(..3),
                    member: self.dice.bool().then(|| self.dice.usize(..9)),
                },
                820..=829 => What::Sweep,
                830..=839 => What::Deliver,
                840..=849 if self.faults.has("crash") => What::KillOffice { at: self.at() },
                850..=879 => What::StartOffice,
                880..=894 if self.faults.has("crash") => What::KillTill { till, at: self.at() },
                895..=909 => What::StartTill { till },
                910..=929 if self.faults.has("cut") => What::Cut {
                    till,
                    cut: self.dice.u8(..5) < 2,
                },
                930..=933 if self.faults.has("restore") => What::BackUp,
                934..=936 if self.faults.has("restore") => What::Restore,
                937..=941 if self.faults.has("restore") => What::CopyTill { till },
                942..=943 if self.faults.has("restore") => What::SetTillBack { till },
                944..=945 if self.faults.has("clone") => What::Clone { till },
                946..=953 if self.faults.has("clock") => What::SetClock {
                    till,
                    off: match self.dice.u8(..6) {
                        0 => self.dice.i64(-3 * 365 * DAY..3 * 365 * DAY),
                        1 | 2 => self.dice.i64(-10 * MINUTE..10 * MINUTE),
                        _ => 0,
                    },
                },
                954 if self.faults.has("revoke") => What::Revoke { till },
                955..=962 => What::Decide { till },
                963..=967 if self.faults.has("disk") => What::FillOffice {
                    full: self.dice.u8(..3) == 0,
                },
                968..=975 if self.faults.has("disk") => What::FillTill {
                    till,
                    full: self.dice.u8(..3) == 0,
                },
                976..=999 if self.faults.has("hostile") => What::Attack {
                    attack: Attack::ALL[self.dice.usize(..Attack::ALL.len())],
                    coupon: self.thing(),
                },
                _ => continue,
            };
            return what;
        }
    }

    fn step(&mut self) -> Step {
        let what = self.what();
        let mut fates = Vec::new();
        if self.faults.has("network") && self.dice.u8(..5) == 0 {
            for _ in 0..self.dice.usize(1..3) {
                fates.push(match self.dice.bool() {
                    true => Fate::FAULTS[self.dice.usize(..Fate::FAULTS.len())],
                    false => Fate::Delivered,
                });
            }
        }
        Step { what, fates }
    }
}

/// The steps of this seed.
pub fn steps(seed: u64, events: usize, faults: &Faults, tills: usize) -> Vec<Step> {
    let mut making = Making {
        dice: fastrand::Rng::with_seed(seed),
        faults,
        tills,
    };
    (0..events).map(|_| making.step()).collect()
}
