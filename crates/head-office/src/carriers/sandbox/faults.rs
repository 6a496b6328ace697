//! In which ways the sandbox carrier fails, and who says when.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

/// A way to fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, strum::EnumString, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Fault {
    /// Waits until it is released, or for `hang_ms`, and only then does what it was asked, whether anybody still waits or
    /// not.
    Hang,
    /// Does nothing and answers with a status of 500.
    Fail,
    /// Does it twice, and answers with what came of the second time.
    Twice,
    /// Does it, and closes the connection without an answer.
    Lose,
    /// Does it, and answers after `slow_ms`.
    Slow,
    /// Does nothing, and answers with a page in HTML and a status of 200, as a gateway does.
    Html,
    /// Refuses.
    Refuse,
}

/// What a carrier is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// For a waybill.
    Order,
    /// For the waybills of a key.
    Find,
    /// To cancel one.
    Cancel,
    /// For a label.
    Label,
    /// Where a parcel is.
    Track,
}

/// A fault that comes to the next questions of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// Of this kind; of any, when absent.
    #[serde(default)]
    pub of: Option<Question>,
    /// Which.
    pub what: Fault,
    /// How often.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// How many of a hundred questions fail by chance, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Odds {
    /// [`Fault::Hang`].
    pub hang: u32,
    /// [`Fault::Fail`].
    pub fail: u32,
    /// [`Fault::Twice`].
    pub twice: u32,
    /// [`Fault::Lose`].
    pub lose: u32,
    /// [`Fault::Slow`].
    pub slow: u32,
    /// [`Fault::Html`].
    pub html: u32,
}

/// What the control route takes; what is absent stays as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Faults of the next questions, behind those that wait already.
    pub faults: Vec<Planned>,
    /// Faults by chance.
    pub odds: Option<Odds>,
    /// Where the dice begin.
    pub seed: Option<u64>,
    /// Whether a second order under one key gets the waybill of the first. True to begin with.
    pub dedupe: Option<bool>,
    /// See [`Fault::Slow`]. 200 to begin with.
    pub slow_ms: Option<u64>,
    /// See [`Fault::Hang`]. Without end to begin with; 0 says so again.
    pub hang_ms: Option<u64>,
}

/// Decides which question fails.
#[derive(Debug, Default)]
pub(super) struct Faults {
    planned: VecDeque<Planned>,
    odds: Odds,
    dice: u64,
}

impl Faults {
    pub(super) fn told(&mut self, control: &Control) {
        self.planned
            .extend(control.faults.iter().filter(|fault| fault.times > 0));
        if let Some(odds) = control.odds {
            self.odds = odds;
        }
        if let Some(seed) = control.seed {
            self.dice = seed;
        }
    }

    pub(super) fn next(&mut self, question: Question) -> Option<Fault> {
        let place = self
            .planned
            .iter()
            .position(|fault| fault.of.is_none_or(|of| of == question));
        if let Some(planned) = place.and_then(|place| self.planned.get_mut(place)) {
            let what = planned.what;
            planned.times -= 1;
            self.planned.retain(|fault| fault.times > 0);
            return Some(what);
        }
        self.by_chance()
    }

    fn by_chance(&mut self) -> Option<Fault> {
        // SplitMix64.
        self.dice = self.dice.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let mut thrown = u32::try_from((z ^ (z >> 31)) % 100).unwrap_or(0);
        let odds = self.odds;
        for (share, fault) in [
            (odds.hang, Fault::Hang),
            (odds.fail, Fault::Fail),
            (odds.twice, Fault::Twice),
            (odds.lose, Fault::Lose),
            (odds.slow, Fault::Slow),
            (odds.html, Fault::Html),
        ] {
            if thrown < share {
                return Some(fault);
            }
            thrown -= share;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_planned_comes_first_and_as_often_as_was_said() {
        let mut faults = Faults::default();
        faults.told(&Control {
            faults: vec![
                Planned {
                    of: Some(Question::Order),
                    what: Fault::Hang,
                    times: 2,
                },
                Planned {
                    of: None,
                    what: Fault::Fail,
                    times: 1,
                },
            ],
            ..Control::default()
        });
        assert_eq!(faults.next(Question::Find), Some(Fault::Fail));
        assert_eq!(faults.next(Question::Order), Some(Fault::Hang));
        assert_eq!(faults.next(Question::Find), None);
        assert_eq!(faults.next(Question::Order), Some(Fault::Hang));
        assert_eq!(faults.next(Question::Order), None);
    }

    #[test]
    fn odds_are_of_a_hundred() {
        let mut faults = Faults::default();
        let odds = Odds {
            fail: 30,
            lose: 20,
            ..Odds::default()
        };
        faults.told(&Control {
            odds: Some(odds),
            ..Control::default()
        });
        let thrown: Vec<_> = (0..10_000).map(|_| faults.next(Question::Order)).collect();
        let count = |fault| thrown.iter().filter(|one| **one == fault).count();
        assert!((2_700..3_300).contains(&count(Some(Fault::Fail))));
        assert!((1_700..2_300).contains(&count(Some(Fault::Lose))));
        assert_eq!(count(Some(Fault::Hang)), 0);
    }
}
