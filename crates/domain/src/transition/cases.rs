//! Cases: what a person has to look at. An operation has one for each kind of rule that it broke.

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
    /// Which of its cases.
    pub kind: ExceptionKind,
    /// How much less, minor units.
    pub loss: i64,
}

impl Fact for Excused {}

/// Cases that are closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// The operation.
    pub operation: OperationId,
    /// Which of its cases; `None` = all.
    pub kind: Option<ExceptionKind>,
}

impl Closed {
    /// All cases of an operation.
    pub fn all(operation: OperationId) -> Self {
        Self { operation, kind: None }
    }
}

impl Fact for Closed {}

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
