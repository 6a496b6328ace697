//! A member's statement, as the screens see it.

use counterfoil_domain::points::{EntryKind, Reason};
use counterfoil_domain::words::Word;
use counterfoil_protocol::questions::{STATEMENT_LINES, StatementLine, StatementResponse};
use serde::{Deserialize, Serialize};
use specta::Type;

/// A part of a statement, newest line first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct StatementView {
    pub lines: Vec<StatementLineView>,
    /// There are more lines before the last of these.
    pub more: bool,
    /// When head office said so, UTC ms.
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct StatementLineView {
    pub number: i64,
    /// One of the words of [`EntryKind`]; null = a newer head office has another one.
    pub kind: Option<EntryWord>,
    /// One of the words of [`Reason`]; null = a newer head office has another one.
    pub reason: Option<ReasonWord>,
    /// It may not be spent yet, or is held still.
    pub state: LineState,
    pub note: Option<String>,
    /// UTC ms.
    pub at: i64,
    pub amount: i64,
    /// What could be spent after it.
    pub available: i64,
    pub debt: i64,
    /// The lots that it changed.
    pub lots: Vec<LineLot>,
}

/// What a line changed of the lot that another line made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct LineLot {
    pub lot: i64,
    pub amount: i64,
}

// Read from the words of `counterfoil_domain::points::EntryKind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, strum::EnumString)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "snake_case")]
pub enum EntryWord {
    Earn,
    Spend,
    Expire,
    Hold,
    Capture,
    Release,
    Return,
    Adjust,
}

// Read from the words of `counterfoil_domain::points::Reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, strum::EnumString)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "snake_case")]
pub enum ReasonWord {
    Purchase,
    Review,
    Gift,
    TopUp,
    Adjustment,
    Opening,
    Exchange,
    Returned,
    Voided,
    Cancelled,
    Lapsed,
    Ended,
    DebtSettled,
    Merged,
    NotShipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum LineState {
    Pending,
    Open,
    Booked,
}

impl StatementView {
    /// As the screens see it.
    pub fn of(said: &StatementResponse) -> Self {
        let most = usize::try_from(STATEMENT_LINES).unwrap_or(usize::MAX);
        Self {
            lines: said.lines.iter().map(StatementLineView::of).collect(),
            more: said.lines.len() >= most,
            at: said.server_time,
        }
    }
}

impl StatementLineView {
    fn of(line: &StatementLine) -> Self {
        Self {
            number: line.number,
            kind: EntryKind::parse(&line.kind).and_then(|kind| kind.as_str().parse().ok()),
            reason: Reason::parse(&line.reason).and_then(|reason| reason.as_str().parse().ok()),
            state: match line.state.as_str() {
                "pending" => LineState::Pending,
                "open" => LineState::Open,
                _ => LineState::Booked,
            },
            note: line.note.clone(),
            at: line.at,
            amount: line.amount,
            available: line.after.available,
            debt: line.after.debt,
            lots: line
                .lots
                .iter()
                .map(|share| LineLot {
                    lot: share.lot,
                    amount: share.amount,
                })
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use strum::VariantArray;

    use super::*;

    #[test]
    fn every_word_of_the_ledger_has_one_here() {
        for kind in EntryKind::VARIANTS {
            assert!(kind.as_str().parse::<EntryWord>().is_ok(), "{kind:?}");
        }
        for reason in Reason::VARIANTS {
            assert!(reason.as_str().parse::<ReasonWord>().is_ok(), "{reason:?}");
        }
    }
}
