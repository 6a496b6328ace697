//! The journal on arrival: what each place, each branch and each state of the device is answered, and what it leaves.

use super::{
    Answer, Applied, Arrival, Changes, Command, Device, DeviceStatus, FreezeStatus, Key, NeedKeys, Rows, State, Stored,
    Subject, decide, genesis, isolate,
    testing::{
        NOW, arrival, basket, chain, coupon, coupon_id, device, device_id, fingerprint, hold, operation_id, redeem,
        store_of,
    },
};
use crate::{
    coupons::CouponState,
    ids::{ClerkId, OperationId},
    operations::{Action, ExceptionKind, FailedAttempt, OperationKind, Outcome, QuarantineReason},
    time::MINUTE,
};

/// Device 0 is in its second epoch, which has two operations; the first had one.
fn journal() -> State {
    let mut state = chain();
    let head = device(&mut state, 0);
    head.epoch = 2;
    head.last_seq = 2;
    head.last_hash = fingerprint(2, 2);
    for (epoch, seq, outcome) in [(1, 1, Outcome::Applied), (2, 1, late()), (2, 2, Outcome::Applied)] {
        let known = attempt(epoch, seq);
        let applied = Applied {
            id: known.id,
            device: known.device,
            epoch,
            seq,
            fingerprint: known.fingerprint,
            subject: None,
            outcome,
        };
        state.positions.found(applied.position());
        state.operations.found(applied);
    }
    state.positions.insert((device_id(0), 1, 2), None);
    state
}

fn attempt(epoch: i64, seq: i64) -> Arrival {
    arrival(
        epoch,
        seq,
        Action::FailedAttempt(FailedAttempt { digest: String::new() }),
    )
}

fn with(mut arrival: Arrival, edit: impl FnOnce(&mut Arrival)) -> Arrival {
    edit(&mut arrival);
    arrival
}

fn late() -> Outcome {
    let exception = ExceptionKind::Late;
    Outcome::AppliedWithException { exception }
}

fn set_aside(reason: QuarantineReason) -> Answer {
    done(Outcome::Quarantined { reason })
}

fn done(outcome: Outcome) -> Answer {
    let replayed = false;
    Answer::Done { outcome, replayed }
}

fn again(outcome: Outcome) -> Answer {
    let replayed = true;
    Answer::Done { outcome, replayed }
}

fn arrive(state: &State, arrival: &Arrival) -> (Answer, Changes) {
    decide(state, &Command::Operation(arrival.clone()), NOW + MINUTE).unwrap()
}

fn head(state: &State) -> Device {
    state.devices[&device_id(0)].clone().unwrap()
}

/// What an arrival leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Nothing,
    /// It is kept beside the journal.
    Branch,
    /// It is kept beside the journal, and the device is frozen.
    Frozen,
    /// It is in the journal, whose head it is now.
    Head,
    /// It is in the journal, whose head stays.
    Tail,
}

/// Compares the answer and everything that the journal's rows come to.
fn expect(rule: &str, state: &State, arrived: &Arrival, answer: Answer, leaves: Leaves) {
    let (found, changes) = arrive(state, arrived);
    assert_eq!(found, answer, "{rule}");
    let before = head(state);
    let version = before.version + 1;
    let device = match leaves {
        Leaves::Nothing | Leaves::Branch | Leaves::Tail => None,
        Leaves::Frozen => Some(Device {
            status: DeviceStatus::Frozen,
            version,
            ..before
        }),
        Leaves::Head => Some(Device {
            last_seq: arrived.seq,
            last_hash: arrived.fingerprint,
            version,
            ..before
        }),
    };
    assert_eq!(changes.devices, Vec::from_iter(device), "{rule}");
    let branch = matches!(leaves, Leaves::Branch | Leaves::Frozen).then(|| arrived.clone());
    assert_eq!(changes.branches, Vec::from_iter(branch), "{rule}");
    let stored = match answer {
        Answer::Done { outcome, .. } if matches!(leaves, Leaves::Head | Leaves::Tail) => Some(Stored {
            applied: Applied {
                id: arrived.id,
                device: arrived.device,
                epoch: arrived.epoch,
                seq: arrived.seq,
                fingerprint: arrived.fingerprint,
                subject: arrived.action.as_ref().and_then(|action| action.subject(arrived.id)),
                outcome,
            },
            arrival: arrived.clone(),
            store: store_of(0),
        }),
        _ => None,
    };
    assert_eq!(changes.stored, Vec::from_iter(stored), "{rule}");
}

#[test]
fn every_place_in_the_journal_has_one_answer() {
    let next = || attempt(2, 3);
    let other = fingerprint(9, 9);
    for (rule, arrived, answer, leaves) in [
        ("the next one", next(), done(Outcome::Applied), Leaves::Head),
        ("a gap", attempt(2, 4), Answer::Gap { expected: 3 }, Leaves::Nothing),
        (
            "a replay of the head",
            attempt(2, 2),
            again(Outcome::Applied),
            Leaves::Nothing,
        ),
        ("a replay of one before", attempt(2, 1), again(late()), Leaves::Nothing),
        (
            "a replay of a closed epoch",
            attempt(1, 1),
            again(Outcome::Applied),
            Leaves::Nothing,
        ),
        (
            "the same place and id, other words",
            with(attempt(2, 2), |it| it.fingerprint = other),
            Answer::Fork,
            Leaves::Frozen,
        ),
        (
            "the same place and words, another id",
            with(attempt(2, 2), |it| it.id = operation_id(999)),
            Answer::Fork,
            Leaves::Frozen,
        ),
        (
            "the same id at another place",
            with(next(), |it| it.id = attempt(2, 1).id),
            Answer::Fork,
            Leaves::Frozen,
        ),
        (
            "a predecessor that is not the head",
            with(next(), |it| it.prev_hash = other),
            Answer::Fork,
            Leaves::Frozen,
        ),
        ("no place at all", attempt(2, 0), Answer::Fork, Leaves::Frozen),
        (
            "an epoch that a restore forgot",
            attempt(3, 1),
            Answer::Gap { expected: 3 },
            Leaves::Nothing,
        ),
        (
            "a second tail of a closed epoch",
            with(attempt(1, 1), |it| it.fingerprint = other),
            set_aside(QuarantineReason::ClosedEpoch),
            Leaves::Branch,
        ),
        (
            "a second id in a closed epoch",
            with(attempt(1, 1), |it| it.id = operation_id(999)),
            set_aside(QuarantineReason::ClosedEpoch),
            Leaves::Branch,
        ),
        (
            "the tail of a closed epoch",
            attempt(1, 2),
            set_aside(QuarantineReason::ClosedEpoch),
            Leaves::Tail,
        ),
        (
            "what does not read",
            with(next(), |it| it.action = None),
            set_aside(QuarantineReason::Unreadable),
            Leaves::Head,
        ),
    ] {
        expect(rule, &journal(), &arrived, answer, leaves);
    }
}

#[test]
fn a_place_that_was_passed_and_is_empty_is_a_fork() {
    let mut state = journal();
    for seq in [1, 2] {
        state.positions.insert((device_id(0), 2, seq), None);
        // Not even one that names the head, or would open the epoch, comes to stand there.
        let hole = with(attempt(2, seq), |it| {
            it.id = operation_id(999);
            it.prev_hash = fingerprint(2, 2);
        });
        expect("a hole", &state, &hole, Answer::Fork, Leaves::Frozen);
    }
}

#[test]
fn only_a_later_epoch_begins_with_any_predecessor() {
    let mut state = journal();
    device(&mut state, 0).last_seq = 0;
    state.positions.insert((device_id(0), 2, 1), None);
    let cut = |epoch| {
        with(attempt(epoch, 1), |it| {
            it.id = operation_id(999);
            it.prev_hash = fingerprint(9, 9);
        })
    };
    expect(
        "it opens an epoch",
        &state,
        &cut(2),
        done(Outcome::Applied),
        Leaves::Head,
    );
    let mut state = chain();
    expect(
        "the first epoch begins with nothing",
        &state,
        &cut(1),
        Answer::Fork,
        Leaves::Frozen,
    );
    let first = with(cut(1), |it| it.prev_hash = genesis());
    expect("the first of all", &state, &first, done(Outcome::Applied), Leaves::Head);
    device(&mut state, 0).last_hash = fingerprint(9, 9);
    expect("the chain is what counts", &state, &first, Answer::Fork, Leaves::Frozen);
}

#[test]
fn a_frozen_device_is_answered_what_it_was_and_nothing_new() {
    let mut state = journal();
    device(&mut state, 0).status = DeviceStatus::Frozen;
    for (rule, arrived, answer, leaves) in [
        ("a replay", attempt(2, 1), again(late()), Leaves::Nothing),
        ("the next one", attempt(2, 3), Answer::Fork, Leaves::Branch),
        ("a gap", attempt(2, 4), Answer::Fork, Leaves::Branch),
        (
            "the tail of a closed epoch",
            attempt(1, 2),
            Answer::Fork,
            Leaves::Branch,
        ),
        ("no place at all", attempt(2, 0), Answer::Fork, Leaves::Branch),
    ] {
        expect(rule, &state, &arrived, answer, leaves);
    }
}

#[test]
fn a_revoked_device_delivers_in_order_and_has_no_effect() {
    let mut state = journal();
    device(&mut state, 0).status = DeviceStatus::Revoked;
    let revoked = || set_aside(QuarantineReason::DeviceRevoked);
    let cut = with(attempt(2, 3), |it| it.prev_hash = genesis());
    for (rule, arrived, answer, leaves) in [
        ("a replay", attempt(2, 1), again(late()), Leaves::Nothing),
        ("the next one", arrival(2, 3, redeem(1, None)), revoked(), Leaves::Head),
        ("a gap", attempt(2, 4), Answer::Gap { expected: 3 }, Leaves::Nothing),
        ("a fork", cut, Answer::Fork, Leaves::Branch),
        (
            "the tail of a closed epoch",
            attempt(1, 2),
            set_aside(QuarantineReason::ClosedEpoch),
            Leaves::Tail,
        ),
    ] {
        expect(rule, &state, &arrived, answer, leaves);
        assert!(arrive(&state, &arrived).1.coupons.is_empty(), "{rule}");
    }
}

#[test]
fn what_is_set_aside_lets_go_of_its_own_freezes_once() {
    let mut state = journal();
    device(&mut state, 0).status = DeviceStatus::Revoked;
    let own = hold(&mut state, 0, 0, 0, NOW + 2 * MINUTE);
    let others = hold(&mut state, 1, 1, 1, NOW + 2 * MINUTE);
    let refused = hold(&mut state, 2, 0, 2, NOW + 2 * MINUTE);
    if let Some(Some(freeze)) = state.freezes.get_mut(&refused) {
        freeze.status = FreezeStatus::Refused { reasons: Vec::new() };
    }
    let sold = basket(&[(0, Some(own)), (1, Some(others)), (2, Some(refused)), (3, Some(own))]);
    let (answer, changes) = arrive(&state, &arrival(2, 3, Action::SettleSale(sold)));
    assert_eq!(answer, set_aside(QuarantineReason::DeviceRevoked));
    let released: Vec<_> = changes
        .freezes
        .iter()
        .map(|freeze| (freeze.id, freeze.status.clone()))
        .collect();
    assert_eq!(released, [(own, FreezeStatus::Cancelled)]);
    let freed: Vec<_> = changes
        .coupons
        .iter()
        .map(|coupon| (coupon.id, coupon.state.clone()))
        .collect();
    assert_eq!(freed, [(coupon_id(0), CouponState::Available)]);
}

#[test]
fn the_tail_of_a_closed_epoch_lets_go_of_what_it_held() {
    let mut state = journal();
    let own = hold(&mut state, 0, 0, 1, NOW + 2 * MINUTE);
    let (_, changes) = arrive(&state, &arrival(1, 2, redeem(1, Some(own))));
    assert_eq!(changes.coupons[0].state, CouponState::Available);
    assert_eq!(changes.freezes[0].status, FreezeStatus::Cancelled);
}

#[test]
fn an_effect_knows_who_did_it_and_when() {
    let mut state = journal();
    device(&mut state, 0).settled_at = Some(NOW - MINUTE);
    coupon(&mut state, 1).valid_until = Some(NOW);
    let clerk = Some(ClerkId(operation_id(5).0));
    let arrived = with(arrival(2, 3, redeem(1, None)), |it| {
        it.actor = clerk;
        it.occurred_at = NOW - 1;
    });
    let (answer, changes) = arrive(&state, &arrived);
    assert_eq!(answer, done(Outcome::Applied), "in time when it happened");
    let line = &changes.entries[0];
    assert_eq!((line.actor, line.at, line.store), (clerk, NOW - 1, store_of(0)));
    assert_eq!((line.device, OperationId(line.source)), (device_id(0), arrived.id));
    // It cannot have happened before the device last had nothing left to deliver.
    device(&mut state, 0).settled_at = Some(NOW + 30 * MINUTE);
    assert_eq!(arrive(&state, &arrived).0, done(late()));
}

#[test]
fn what_breaks_its_handler_is_set_aside_only_where_it_has_an_effect() {
    let mut state = journal();
    let own = hold(&mut state, 0, 0, 1, NOW + 2 * MINUTE);
    let broke = |release, arrived: &Arrival| isolate(&state, arrived, NOW, release).unwrap();
    let next = arrival(2, 3, redeem(1, Some(own)));
    for release in [false, true] {
        let (answer, changes) = broke(release, &next);
        assert_eq!(answer, set_aside(QuarantineReason::HandlerFailed));
        assert_eq!(changes.devices[0].last_seq, 3);
        assert_eq!(changes.stored[0].applied.subject, Some(Subject::Coupon(coupon_id(1))));
        assert_eq!(
            (changes.freezes.len(), changes.coupons.len()),
            if release { (1, 1) } else { (0, 0) }
        );
        assert_eq!(broke(release, &attempt(2, 1)).0, again(late()));
        assert_eq!(broke(release, &attempt(2, 4)).0, Answer::Gap { expected: 3 });
        assert_eq!(
            broke(release, &attempt(1, 2)).0,
            set_aside(QuarantineReason::ClosedEpoch)
        );
        assert_eq!(
            broke(release, &with(attempt(1, 3), |it| it.epoch = 3)).0,
            Answer::Gap { expected: 3 }
        );
    }
    let mut nobody = State::default();
    nobody.devices.insert(device_id(0), None);
    let unknown = (Answer::UnknownDevice, Changes::default());
    assert_eq!(isolate(&nobody, &next, NOW, true).unwrap(), unknown);
    assert_eq!(arrive(&nobody, &next), unknown);
}

#[test]
fn a_row_that_was_not_looked_for_is_asked_for() {
    let mut state = journal();
    let decided = |state: &State, arrived: Arrival| decide(state, &Command::Operation(arrived), NOW).map(|it| it.0);
    let need = |key| Err(NeedKeys(vec![key]));
    state.operations = Rows::default();
    assert_eq!(decided(&state, attempt(2, 2)), need(Key::Operation(attempt(2, 2).id)));
    state.positions = Rows::default();
    assert_eq!(
        decided(&state, attempt(2, 2)),
        need(Key::Position((device_id(0), 2, 2)))
    );
    state.devices = Rows::default();
    assert_eq!(decided(&state, attempt(2, 2)), need(Key::Device(device_id(0))));
}
