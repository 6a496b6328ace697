//! Codes that don't exist, tried at a counter.

use serde::{Deserialize, Serialize};

use super::{Changes, Doing, NeedKeys, State, Subject};
use crate::{
    ids::OperationId,
    operations::{ExceptionKind, OperationKind},
};

/// Somebody tried codes that don't exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// SHA-256 of the code, hex: enough to see repetition, too little to learn a code.
    pub digest: String,
}

impl OperationKind for FailedAttempt {
    fn subject(&self, _own: OperationId) -> Option<Subject> {
        None
    }

    fn effect(&self, _: &State, _: &Doing, _: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        Ok(None)
    }
}
