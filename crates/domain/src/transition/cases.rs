//! Cases: what a person has to look at.

use super::{Changes, Doing, Fact, Subject};
use crate::{
    ids::{OperationId, StoreId},
    operations::ExceptionKind,
};

/// A case: a person must look at it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// The operation that broke a rule.
    pub operation: OperationId,
    /// Which rule.
    pub kind: ExceptionKind,
    /// The store that bears the loss.
    pub store: StoreId,
    /// What it is about.
    pub subject: Option<Subject>,
    /// The loss, minor units.
    pub loss: i64,
}

impl Fact for Case {}

/// A case that stays open for less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excused {
    /// The operation.
    pub operation: OperationId,
    /// How much less, minor units.
    pub loss: i64,
}

impl Fact for Excused {}

/// A case that is closed, by its operation.
impl Fact for OperationId {}

pub(super) fn open_case(
    changes: &mut Changes,
    doing: &Doing,
    kind: ExceptionKind,
    subject: Option<Subject>,
    loss: i64,
) -> Option<ExceptionKind> {
    changes.cases.push(Case {
        operation: doing.operation,
        kind,
        store: doing.store,
        subject,
        loss,
    });
    Some(kind)
}
