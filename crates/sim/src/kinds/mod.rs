//! The kinds of steps, by whom or what they are about. To add one, write it in a file of its own, and that file's line
//! at the end of the list below. See docs/TESTING.md.

use std::fmt;

use anyhow::Result;
use counterfoil_domain::operations::Action;
use serde::{Deserialize, Serialize};

use crate::{
    judge::{Judged, Violations, journals::Said},
    step::Making,
    world::World,
};

/// What every kind of step says of itself. Its fields are all that it needs; numbers are taken modulo what there is.
pub trait Kind: Sized {
    /// How often it is made, among all of them.
    const WEIGHT: u32;
    /// The word of the faults that it is one of, without which it is not made.
    const FAULT: Option<&'static str> = None;
    /// It reaches head office as requests alone, and never ends it: recordings hold it.
    const RECORDED: bool = false;

    /// Makes one from the dice. `till` was drawn already, for whoever needs one counter.
    fn make(making: &mut Making<'_>, till: usize) -> Self;

    /// The counter at which a person does it.
    fn till(&self) -> Option<usize> {
        None
    }

    /// Does it; what came of it, in words that are the same in every run.
    async fn perform(&self, world: &mut World) -> Result<String>;

    /// What an operation says, if it is one that this brings about.
    fn says(_: &Action, _: &mut Said) {}

    /// What must hold of it once faults have stopped; whatever breaks that, in words.
    async fn judge(_: &Judged<'_>) -> Result<Violations> {
        Ok(Violations::new())
    }
}

/// A line of the list, before one of its kind is made.
pub struct Listed {
    pub weight: u32,
    pub fault: Option<&'static str>,
    pub make: fn(&mut Making<'_>, usize) -> What,
}

/// A line a file: its kinds, in the order in which the dice's numbers fall to them.
macro_rules! kinds {
    ($($file:ident: $($kind:ident),+;)+) => {
        $(pub mod $file;)+

        /// What happens.
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case", tag = "do")]
        pub enum What { $($($kind($file::$kind),)+)+ }

        /// All kinds.
        pub const KINDS: &[Listed] = &[$($(Listed {
            weight: $file::$kind::WEIGHT,
            fault: $file::$kind::FAULT,
            make: |making, till| What::$kind($file::$kind::make(making, till)),
        },)+)+];

        impl What {
            /// As [`Kind::till`].
            pub(crate) fn till(&self) -> Option<usize> {
                match self { $($(Self::$kind(kind) => kind.till(),)+)+ }
            }
            /// As [`Kind::RECORDED`].
            pub(crate) fn is_recorded(&self) -> bool {
                match self { $($(Self::$kind(_) => $file::$kind::RECORDED,)+)+ }
            }
            /// As [`Kind::perform`].
            pub(crate) async fn perform(&self, world: &mut World) -> Result<String> {
                match self { $($(Self::$kind(kind) => kind.perform(world).await,)+)+ }
            }
        }

        /// As [`Kind::says`], of all kinds.
        pub fn says(action: &Action) -> Said {
            let mut said = Said::default();
            $($($file::$kind::says(action, &mut said);)+)+
            said
        }

        /// As [`Kind::judge`], of all kinds.
        pub async fn judge(judged: &Judged<'_>) -> Result<Violations> {
            let mut violations = Violations::new();
            $($(violations.extend($file::$kind::judge(judged).await?);)+)+
            Ok(violations)
        }

        impl fmt::Debug for What {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self { $($(Self::$kind(kind) => kind.fmt(f),)+)+ }
            }
        }
    };
}

kinds! {
    desk: Redeem, Collect, Sell, Void, Return, Guess, Greet;
    exchange: Sync, Together;
    pause: Wait;
    questions: AskAgain, Order, Claim;
    supplies: Grant, Supply;
    later: Sweep, Deliver;
    crashes: KillOffice, StartOffice, KillTill, StartTill;
    lines: Cut;
    copies: BackUp, Restore, CopyTill, SetTillBack, Clone;
    clocks: SetClock;
    operators: Revoke, Decide;
    disks: FillOffice, FillTill;
    hostile: Attack;
    points: Earn, TakeBack, Hold, PayIn, Merge;
    gifts: Exchange, EndExchange;
    parcels: Ship, Parcel, Dispatch, CarrierTrouble;
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::step::{Faults, Step, steps};

    /// Whatever was printed once can be run again, and every kind is made.
    #[test]
    fn every_kind_is_made_and_reads_back() {
        let mut words = BTreeSet::new();
        for step in steps(1, 20_000, &Faults::all(), 7) {
            let text = serde_json::to_value(&step).unwrap();
            words.insert(text["what"]["do"].to_string());
            assert_eq!(serde_json::from_value::<Step>(text).unwrap(), step);
        }
        assert_eq!(words.len(), super::KINDS.len());
    }

    /// Without a fault nothing of it is made.
    #[test]
    fn a_fault_that_is_not_to_be_is_not_made() {
        let faults: BTreeSet<_> = super::KINDS.iter().filter_map(|kind| kind.fault).collect();
        for fault in faults {
            let mut others = Faults::all();
            others.0.remove(fault);
            let words = |faults: &Faults| -> BTreeSet<String> {
                let made = steps(1, 20_000, faults, 7).into_iter();
                made.map(|step| serde_json::to_value(&step.what).unwrap()["do"].to_string())
                    .collect()
            };
            let of_it = super::KINDS.iter().filter(|kind| kind.fault == Some(fault)).count();
            assert_eq!(words(&others).len() + of_it, super::KINDS.len(), "{fault}");
        }
    }
}
