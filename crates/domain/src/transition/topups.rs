//! Money that a member pays in at a counter.

use serde::{Deserialize, Serialize};

use super::{
    Applied, Changes, Doing, Key, NeedKeys, State, Subject,
    accounts::{Books, cause_of, source},
    cases::open_case,
};
use crate::{
    ids::{MemberId, OperationId},
    operations::{ExceptionKind, OperationKind},
    planted,
    points::{Asset, Earned, Earning, EntryKind, Origin, Reason},
    text::clean,
};

/// The most that is paid in at once, minor units: what a card with a name may hold by the rules for prepaid cards of one
/// company (单用途商业预付卡管理办法, 2012, article 18: 5,000 yuan).
pub const TOP_UP_MOST: i64 = 500_000;
/// Longest receipt number that the ledger keeps, in characters.
const RECEIPT: usize = 64;

/// A member paid money in: it is theirs as stored value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopUp {
    /// Whose it is.
    pub member: MemberId,
    /// How much, minor units, 1 to [`TOP_UP_MOST`].
    pub amount: i64,
    /// How it was paid, in the till's words.
    pub tender: String,
    /// The till's receipt number.
    pub receipt: String,
}

impl OperationKind for TopUp {
    fn subject(&self, _own: OperationId) -> Option<Subject> {
        Some(Subject::Account(self.member))
    }

    fn can_be_undone(&self) -> bool {
        true
    }

    fn keys(&self) -> Vec<Key> {
        vec![Key::Account(self.member), Key::Member(self.member)]
    }

    fn is_sound(&self) -> bool {
        (1..=TOP_UP_MOST).contains(&self.amount)
    }

    fn effect(&self, state: &State, doing: &Doing, changes: &mut Changes) -> Result<Option<ExceptionKind>, NeedKeys> {
        let conflict = |changes: &mut Changes| {
            let subject = Some(Subject::Account(self.member));
            open_case(changes, doing, ExceptionKind::StateConflict, subject, self.amount)
        };
        let Some(mut books) = Books::open(state, self.member, doing.times.received_at)? else {
            return Ok(conflict(changes));
        };
        let when = doing.times.believable();
        let own = source(Origin::TopUp, doing.operation);
        let earned = Earned {
            amount: self.amount,
            at: when,
            ready_at: None,
            ends_at: None,
        };
        let mut cause = cause_of(doing, Reason::TopUp, Origin::TopUp);
        let receipt: String = clean(&self.receipt).chars().take(RECEIPT).collect();
        cause.note = Some(receipt.into());
        let entry = books.account().ledger(Asset::Balance).entries + 1;
        let done = books.with(Asset::Balance, |ledger, out| {
            ledger.earn(EntryKind::Earn, earned, cause, out)
        });
        if done.is_err() {
            return Ok(conflict(changes));
        }
        changes.earnings.push(Earning {
            source: own,
            member: books.account().member,
            entry,
            amount: self.amount,
            taken_back: 0,
            rule: 0,
            paid: self.amount,
            category: None,
            at: when,
        });
        books.posted_by(doing.operation);
        books.close(state, Some(doing.store), changes)?;
        Ok(None)
    }
}

/// Takes back what was paid in: the till gives the money back. What was spent of it meanwhile is owed.
pub(super) fn undo(
    member: MemberId,
    state: &State,
    undone: &Applied,
    doing: &Doing,
    changes: &mut Changes,
) -> Result<(bool, i64), NeedKeys> {
    let own = source(Origin::TopUp, undone.id);
    // A counter does not know what was earned with what; and what came to nothing has nothing to be taken back.
    let Some(earning) = state.earning(own)? else {
        return Ok((true, 0));
    };
    let due = planted!("paid_in_stays", 0, earning.amount - earning.taken_back);
    let Some(mut books) = Books::open(state, member, doing.times.received_at)? else {
        return Ok((false, due));
    };
    let cause = cause_of(doing, Reason::Voided, Origin::Return);
    let done = books.with(Asset::Balance, |ledger, out| ledger.take_back(own, due, cause, out));
    if done.is_err() {
        return Ok((false, due));
    }
    changes.earnings.push(Earning {
        taken_back: earning.amount,
        ..earning.clone()
    });
    books.posted_by(doing.operation);
    books.close(state, Some(doing.store), changes)?;
    Ok((true, 0))
}
