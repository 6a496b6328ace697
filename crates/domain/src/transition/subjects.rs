//! What can be done to the things that operations are about.

use super::{Applied, AskFreeze, Changes, Device, Doing, Freeze, NeedKeys, State};
use crate::{time::Millis, verdict::Reason};

/// Implemented by the key of each table of subjects.
pub(crate) trait About {
    /// Freezes it for the device that asks; every reason why not.
    fn freeze(
        &self,
        state: &State,
        asked: &AskFreeze,
        asker: &Device,
        until: Millis,
        changes: &mut Changes,
    ) -> Result<Vec<Reason>, NeedKeys>;

    /// Lets go of what this freeze still holds.
    fn release(
        &self,
        state: &State,
        freeze: &Freeze,
        owner: &Device,
        now: Millis,
        changes: &mut Changes,
    ) -> Result<(), NeedKeys>;

    /// Where a freeze lapsed over which it was used all the same, it is the first use's.
    fn settle(&self, state: &State, now: Millis, changes: &mut Changes) -> Result<(), NeedKeys>;

    /// Takes back what the operation did: whether that fits, and what is lost where it does not, minor units.
    fn undo(
        &self,
        state: &State,
        undone: &Applied,
        doing: &Doing,
        changes: &mut Changes,
    ) -> Result<(bool, i64), NeedKeys>;
}
