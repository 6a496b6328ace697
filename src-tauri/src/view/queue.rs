//! The journal, as people see it.

use counterfoil_counter as counter;
use counterfoil_counter::{Place, QueueEntry, QueueState};
use counterfoil_domain::words::Word;
use counterfoil_protocol::problem::Code;
use serde::{Deserialize, Serialize};
use specta::Type;

use super::title;
use crate::problem::{Problem, Result};
use crate::settings::Locale;

// Read from the words of `counterfoil_domain::operations::Action`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type, strum::EnumString)]
#[serde(rename_all = "camelCase")]
#[strum(serialize_all = "snake_case")]
pub enum OperationKind {
    RedeemCoupon,
    CollectOrder,
    VoidRedemption,
    SettleSale,
    ReturnSale,
    FailedAttempt,
    TopUp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub enum RowState {
    Pending,
    ConflictExpected,
    Applied,
    Exception,
    Quarantined,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Type)]
#[serde(rename_all = "camelCase")]
pub struct QueueRow {
    pub op_id: String,
    pub seq: i64,
    pub epoch: i64,
    pub kind: OperationKind,
    pub title: String,
    /// UTC ms.
    pub at: i64,
    pub clerk: String,
    pub state: RowState,
    pub exception: Option<String>,
    pub delivered_at: Option<i64>,
    pub voided: bool,
    pub voidable: bool,
}

impl QueueRow {
    /// As people read it.
    ///
    /// # Errors
    /// When the journal names a kind that is not known here.
    pub fn of(entry: &QueueEntry, locale: Locale) -> Result<Self> {
        let kind = entry.kind.parse().map_err(|_| {
            let unknown = format!(
                "the journal has an operation of a kind that is not known: {}",
                entry.kind
            );
            Problem::new(counter::Code::Internal, unknown)
        })?;
        Ok(Self {
            op_id: entry.op_id.to_string(),
            seq: entry.place.seq,
            epoch: entry.place.epoch,
            kind,
            title: title(&entry.title, locale),
            at: entry.at,
            clerk: entry.clerk.clone(),
            state: entry.state.into(),
            exception: entry.exception.clone(),
            delivered_at: entry.delivered_at,
            voided: entry.voided,
            voidable: entry.voidable,
        })
    }
}

impl From<QueueState> for RowState {
    fn from(state: QueueState) -> Self {
        match state {
            QueueState::Pending => Self::Pending,
            QueueState::ConflictExpected => Self::ConflictExpected,
            QueueState::Applied => Self::Applied,
            QueueState::Exception => Self::Exception,
            QueueState::Quarantined => Self::Quarantined,
        }
    }
}

/// The state that a page is asked for.
pub fn state_of(word: Option<&str>) -> Result<Option<QueueState>> {
    word.map(|word| {
        QueueState::parse(word)
            .ok_or_else(|| Problem::new(Code::Malformed, format!("no such state of an operation: {word}")))
    })
    .transpose()
}

/// The screens name the last row they have by its number alone. Numbers begin anew with each epoch, so the row that
/// was given out last says which one is meant.
pub fn place_of(seq: i64, last: Option<counter::Place>) -> Place {
    match last {
        Some(last) if last.seq == seq => last,
        Some(last) => Place { epoch: last.epoch, seq },
        None => Place { epoch: i64::MAX, seq },
    }
}

#[cfg(test)]
mod tests {
    use counterfoil_domain::operations::Action;
    use strum::VariantNames as _;

    use super::*;

    #[test]
    fn a_page_goes_on_where_the_last_one_ended() {
        let last = Place { epoch: 3, seq: 40 };
        assert_eq!(place_of(40, Some(last)), last);
        assert_eq!(place_of(7, Some(last)), Place { epoch: 3, seq: 7 });
        assert_eq!(place_of(7, None).seq, 7);
    }

    #[test]
    fn every_kind_of_operation_has_its_name_here() {
        for word in Action::VARIANTS {
            assert!(word.parse::<OperationKind>().is_ok(), "{word}");
        }
    }

    #[test]
    fn only_known_states_are_asked_for() {
        assert_eq!(state_of(None).unwrap(), None);
        assert_eq!(state_of(Some("pending")).unwrap(), Some(QueueState::Pending));
        assert_eq!(
            state_of(Some("conflictExpected")).unwrap(),
            Some(QueueState::ConflictExpected)
        );
        assert_eq!(state_of(Some("lost")).unwrap_err().code, "malformed");
    }
}
