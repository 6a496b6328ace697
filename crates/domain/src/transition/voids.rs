//! Undoing what a device did.

use serde::{Deserialize, Serialize};

use super::{Changes, Closed, Doing, Key, NeedKeys, State, Subject, cases::open_case};
use crate::{
    ids::{ClerkId, OperationId},
    operations::{ExceptionKind, OperationKind, Outcome},
};

/// A redemption, a hand-over or a sale made on this device was undone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VoidRedemption {
    /// The operation that is undone.
    pub target: OperationId,
    /// Why, in the manager's words.
    pub reason: String,
    /// The manager who approved it.
    pub approved_by: ClerkId,
}

impl OperationKind for VoidRedemption {
    fn subject(&self, _own: OperationId) -> Option<Subject> {
        None
    }

    fn undoes(&self) -> Option<OperationId> {
        Some(self.target)
    }

    fn keys(&self) -> Vec<Key> {
        vec![Key::Operation(self.target)]
    }

    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        let Some(undone) = state.operation(self.target)? else {
            return Ok(open_case(changes, doing, ExceptionKind::StateConflict, None, 0));
        };
        let subject = undone.subject;
        // What it used is given back only if it is this very operation's.
        let (fits, loss) = match subject {
            Some(subject) if undone.device == doing.device => subject.about().undo(state, undone, doing, changes)?,
            _ => (false, 0),
        };
        if !fits {
            return Ok(open_case(changes, doing, ExceptionKind::StateConflict, subject, loss));
        }
        if undone.outcome != Outcome::Applied {
            changes.closed_cases.push(Closed::all(self.target));
        }
        Ok(None)
    }
}
