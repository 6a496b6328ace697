//! Money paid in at a counter: it is there once, and its void takes it back.

use super::{
    Applied, State, Subject, TOP_UP_MOST, TopUp,
    accounts::source,
    effect,
    testing::{MEMBER, chain, device_id, doing, operation_id, void},
};
use crate::{
    operations::{Action, ExceptionKind, OperationKind, Outcome},
    points::{Account, Asset, Balances, Cause, EntryKind, Origin, Reason},
};

fn top_up(amount: i64) -> TopUp {
    TopUp {
        member: MEMBER,
        amount,
        tender: "cash".into(),
        receipt: "R-1".into(),
    }
}

/// The operation `n` of the first counter.
fn done(state: &mut State, n: u128, action: &Action) -> Outcome {
    let own = operation_id(n);
    let (outcome, changes) = loop {
        match effect(state, action, &doing(0, own)) {
            Ok(done) => break done,
            Err(super::NeedKeys(keys)) => keys.into_iter().for_each(|key| state.note_missing(key)),
        }
    };
    state.absorb(&changes);
    let applied = Applied {
        id: own,
        device: device_id(0),
        epoch: 1,
        seq: 1,
        fingerprint: [0; 32],
        subject: action.subject(own),
        outcome,
    };
    state.operations.insert(own, Some(applied));
    outcome
}

fn balances(state: &State) -> Balances {
    let account = state.account(MEMBER).unwrap();
    account.map_or_else(Balances::default, |account| account.balance.balances())
}

#[test]
fn it_is_there_and_its_void_takes_it_back() {
    let mut state = chain();
    let paid_in = Action::TopUp(top_up(10_000));
    assert_eq!(done(&mut state, 1, &paid_in), Outcome::Applied);
    assert_eq!(balances(&state).available, 10_000);
    let account: &Account = state.account(MEMBER).unwrap().unwrap();
    assert_eq!(account.latest, [operation_id(1)]);
    assert_eq!(
        account.balance.lots[0].source,
        Some(source(Origin::TopUp, operation_id(1)))
    );
    assert_eq!(done(&mut state, 2, &void(operation_id(1))), Outcome::Applied);
    assert_eq!(balances(&state), Balances::default());
}

#[test]
fn what_was_spent_of_it_is_owed() {
    let mut state = chain();
    done(&mut state, 1, &Action::TopUp(top_up(10_000)));
    let mut account = state.account(MEMBER).unwrap().unwrap().clone();
    let cause = Cause::own(Reason::Purchase, 0);
    account
        .ledger_mut(Asset::Balance)
        .spend(EntryKind::Spend, 4_000, cause, &mut Vec::new())
        .unwrap();
    state.accounts.insert(MEMBER, Some(account));
    assert_eq!(done(&mut state, 2, &void(operation_id(1))), Outcome::Applied);
    assert_eq!((balances(&state).available, balances(&state).debt), (0, 4_000));
}

#[test]
fn of_nobody_it_is_a_case() {
    let mut state = chain();
    state.members.insert(MEMBER, None);
    let conflict = Outcome::AppliedWithException {
        exception: ExceptionKind::StateConflict,
    };
    assert_eq!(done(&mut state, 1, &Action::TopUp(top_up(1))), conflict);
    // Nothing came of it: nothing is taken back.
    assert_eq!(done(&mut state, 2, &void(operation_id(1))), Outcome::Applied);
}

#[test]
fn amounts_have_bounds() {
    for (amount, sound) in [
        (1, true),
        (TOP_UP_MOST, true),
        (0, false),
        (-1, false),
        (TOP_UP_MOST + 1, false),
    ] {
        assert_eq!(top_up(amount).is_sound(), sound, "{amount}");
    }
    assert_eq!(top_up(5).subject(operation_id(1)), Some(Subject::Account(MEMBER)));
}
