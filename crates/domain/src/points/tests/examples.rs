//! The worked examples, to the number.

use jiff::Timestamp;

use super::*;

fn at(day: &str) -> Millis {
    format!("{day}T12:00:00Z")
        .parse::<Timestamp>()
        .unwrap()
        .as_millisecond()
}

fn earn(ledger: &mut Ledger, amount: i64, ends: Option<&str>, n: u128, when: Millis, out: &mut Vec<Entry>) -> Source {
    let source = source(Origin::Sale, n);
    let earned = Earned {
        amount,
        at: when,
        ready_at: None,
        ends_at: ends.map(|day| {
            format!("{day}T16:00:00Z")
                .parse::<Timestamp>()
                .unwrap()
                .as_millisecond()
        }),
    };
    ledger.settle(when, out);
    ledger
        .earn(
            EntryKind::Earn,
            earned,
            cause(Reason::Purchase, Some(source), when),
            out,
        )
        .unwrap();
    source
}

#[test]
fn a_hold_over_an_expiry() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let first = at("2026-11-01");
    for (n, amount, ends) in [(1, 300, "2026-11-30"), (2, 500, "2026-12-31"), (3, 400, "2027-01-31")] {
        earn(&mut ledger, amount, Some(ends), n, first, &mut out);
    }
    let source_of = |n| Some(source(Origin::Exchange, n));
    ledger
        .spend(
            EntryKind::Spend,
            100,
            cause(Reason::Exchange, source_of(1), first),
            &mut out,
        )
        .unwrap();
    assert_eq!(ledger.lots[0].free, 200);

    let late = at("2026-11-28");
    ledger.settle(late, &mut out);
    ledger
        .hold(
            freeze(1),
            DEVICE,
            Millis::MAX,
            600,
            cause(Reason::Purchase, None, late),
            &mut out,
        )
        .unwrap();
    let pins: Vec<_> = ledger.holds[0].pins.iter().map(|pin| (pin.lot, pin.amount)).collect();
    assert_eq!(pins, [(1, 200), (2, 400)]);
    assert_eq!(ledger.balances().total(), 1_100);
    assert_eq!(ledger.balances().available, 500);

    let then = at("2026-12-02");
    ledger.settle(then, &mut out);
    assert_eq!(ledger.balances().total(), 1_100, "what is pinned has not ended");
    let taken = ledger
        .capture(freeze(1), 150, cause(Reason::Purchase, source_of(2), then), &mut out)
        .unwrap();
    assert_eq!(
        taken
            .iter()
            .map(|share| (share.lot.number, share.amount))
            .collect::<Vec<_>>(),
        [(1, 150)]
    );
    let kinds: Vec<_> = out
        .iter()
        .rev()
        .take(3)
        .map(|entry| (entry.kind, entry.amount))
        .collect();
    assert_eq!(
        kinds,
        [
            (EntryKind::Expire, -50),
            (EntryKind::Release, 0),
            (EntryKind::Capture, -150)
        ]
    );
    let balances = ledger.balances();
    assert_eq!((balances.total(), balances.available), (900, 900));
    assert_eq!(ledger.lots.iter().map(|lot| lot.free).collect::<Vec<_>>(), [500, 400]);
    let again = ledger.capture(freeze(1), 1, cause(Reason::Purchase, source_of(3), then), &mut out);
    assert_eq!(again, Err(LedgerError::NoHold));
    folded(&out);
}

#[test]
fn a_debt() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-01");
    earn(&mut ledger, 50, None, 1, now, &mut out);
    let sale = earn(&mut ledger, 199, None, 2, now, &mut out);
    let shares = ledger
        .spend(
            EntryKind::Spend,
            220,
            cause(Reason::Exchange, Some(source(Origin::Exchange, 1)), now),
            &mut out,
        )
        .unwrap();
    assert_eq!(shares.iter().map(|share| share.amount).collect::<Vec<_>>(), [50, 170]);
    let mut exchange = spent(source(Origin::Exchange, 1), 3, shares);
    assert_eq!(ledger.balances().available, 29);

    let mut returns = 0;
    let mut take_back = |ledger: &mut Ledger, amount, out: &mut Vec<Entry>| {
        returns += 1;
        let back = cause(Reason::Returned, Some(source(Origin::Return, returns)), now);
        ledger.take_back(sale, amount, back, out).unwrap();
        (ledger.balances().available, ledger.balances().debt)
    };
    assert_eq!(take_back(&mut ledger, 100, &mut out), (0, 71));
    earn(&mut ledger, 60, None, 3, now, &mut out);
    assert_eq!((ledger.balances().available, ledger.balances().debt), (0, 11));
    ledger
        .give_back(
            &mut exchange,
            20,
            None,
            cause(Reason::Returned, Some(source(Origin::Refund, 1)), now),
            &mut out,
        )
        .unwrap();
    assert_eq!((ledger.balances().available, ledger.balances().debt), (9, 0));
    assert_eq!(take_back(&mut ledger, 99, &mut out), (0, 90));
    assert_eq!(folded(&out), (Vec::new(), 90));
}

#[test]
fn six_holds() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-01");
    earn(&mut ledger, 5_000, None, 1, now, &mut out);
    let mut hold = |ledger: &mut Ledger, n| {
        let hold = cause(Reason::Purchase, Some(source(Origin::Hold, n)), now);
        ledger.hold(freeze(n), DEVICE, Millis::MAX, 1_000, hold, &mut out)
    };
    for n in 1..=5 {
        hold(&mut ledger, n).unwrap();
    }
    assert_eq!(hold(&mut ledger, 6), Err(LedgerError::Short { available: 0 }));
    ledger
        .release(freeze(3), cause(Reason::Cancelled, None, now), &mut Vec::new())
        .unwrap();
    assert_eq!(hold(&mut ledger, 7), Ok(()));
    assert_eq!(hold(&mut ledger, 8), Err(LedgerError::Short { available: 0 }));
}

#[test]
fn a_lot_that_ends_when_part_of_it_was_spent() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-30");
    earn(&mut ledger, 100, Some("2026-11-30"), 1, now, &mut out);
    ledger
        .spend(EntryKind::Spend, 30, cause(Reason::Exchange, None, now), &mut out)
        .unwrap();
    let night = at("2026-12-01");
    // Whoever looks sees it before anybody has written it.
    assert_eq!(ledger.balances_at(night).total(), 0);
    assert_eq!(ledger.balances().total(), 70);
    ledger.settle(night, &mut out);
    let last = out.last().unwrap();
    assert_eq!(
        (last.kind, last.amount, last.after.total()),
        (EntryKind::Expire, -70, 0)
    );
    assert_eq!(last.cause.reason, Reason::Ended);
    folded(&out);
}

#[test]
fn what_is_not_ready_yet_is_there_and_can_not_be_spent() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-01");
    let earned = Earned {
        amount: 100,
        at: now,
        ready_at: Some(at("2026-11-08")),
        ends_at: None,
    };
    ledger
        .earn(
            EntryKind::Earn,
            earned,
            cause(Reason::Purchase, Some(source(Origin::Sale, 1)), now),
            &mut out,
        )
        .unwrap();
    assert_eq!((ledger.balances().pending, ledger.balances().available), (100, 0));
    let spend = cause(Reason::Exchange, None, now);
    assert_eq!(
        ledger.spend(EntryKind::Spend, 1, spend, &mut out),
        Err(LedgerError::Short { available: 0 })
    );
    assert_eq!(ledger.balances_at(at("2026-11-08")).available, 100);
    // Taken back while it waits: there is nothing to owe.
    let back = cause(Reason::Returned, Some(source(Origin::Return, 1)), now);
    ledger.take_back(source(Origin::Sale, 1), 40, back, &mut out).unwrap();
    assert_eq!((ledger.balances().pending, ledger.balances().debt), (60, 0));
}

#[test]
fn what_becomes_available_settles_a_debt_first() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-01");
    ledger.debt = 0;
    let back = cause(Reason::Returned, Some(source(Origin::Return, 1)), now);
    ledger.take_back(source(Origin::Sale, 1), 30, back, &mut out).unwrap();
    let earned = Earned {
        amount: 100,
        at: now,
        ready_at: Some(at("2026-11-08")),
        ends_at: None,
    };
    ledger
        .earn(EntryKind::Earn, earned, cause(Reason::Purchase, None, now), &mut out)
        .unwrap();
    assert_eq!((ledger.balances().pending, ledger.balances().debt), (100, 30));
    ledger.settle(at("2026-11-08"), &mut out);
    assert_eq!((ledger.balances().available, ledger.balances().debt), (70, 0));
    let last = out.last().unwrap();
    assert_eq!((last.kind, last.cause.reason), (EntryKind::Adjust, Reason::DebtSettled));
    assert_eq!((last.amount, last.debt), (0, -30));
    folded(&out);
}

#[test]
fn what_ended_meanwhile_ends_or_lives_on_for_the_days_of_grace() {
    for grace in [None, Some("2026-12-10")] {
        let mut ledger = Ledger::default();
        let mut out = Vec::new();
        let now = at("2026-11-01");
        earn(&mut ledger, 100, Some("2026-11-30"), 1, now, &mut out);
        let shares = ledger
            .spend(EntryKind::Spend, 100, cause(Reason::Exchange, None, now), &mut out)
            .unwrap();
        let mut exchange = spent(source(Origin::Exchange, 1), 2, shares);
        let then = at("2026-12-03");
        let back = cause(Reason::NotShipped, Some(source(Origin::Refund, 1)), then);
        ledger
            .give_back(&mut exchange, 100, grace.map(at), back, &mut out)
            .unwrap();
        assert_eq!(ledger.balances().total(), if grace.is_some() { 100 } else { 0 });
        assert_eq!(ledger.balances_at(at("2026-12-11")).total(), 0);
        assert_eq!(exchange.given_back(), 100);
        let again = cause(Reason::NotShipped, None, then);
        assert_eq!(
            ledger.give_back(&mut exchange, 1, None, again, &mut out),
            Err(LedgerError::OverHold { held: 0 })
        );
        folded(&out);
    }
}

#[test]
fn what_ended_settles_no_debt_on_its_way_back() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-01");
    earn(&mut ledger, 100, Some("2026-11-30"), 1, now, &mut out);
    ledger
        .hold(
            freeze(1),
            DEVICE,
            Millis::MAX,
            100,
            cause(Reason::Purchase, None, now),
            &mut out,
        )
        .unwrap();
    let back = cause(Reason::Returned, Some(source(Origin::Return, 1)), now);
    ledger.take_back(source(Origin::Sale, 7), 30, back, &mut out).unwrap();
    let then = at("2026-12-03");
    ledger.settle(then, &mut out);
    ledger
        .release(freeze(1), cause(Reason::Cancelled, None, then), &mut out)
        .unwrap();
    assert_eq!((ledger.balances().total(), ledger.balances().debt), (0, 30));
    folded(&out);
}

#[test]
fn amounts_that_make_no_sense_change_nothing() {
    let mut ledger = Ledger::default();
    let mut out = Vec::new();
    let now = at("2026-11-01");
    let own = source(Origin::Sale, 1);
    for amount in [0, -1, i64::MIN] {
        let why = || cause(Reason::Adjustment, None, now);
        let earned = Earned {
            amount,
            at: now,
            ready_at: None,
            ends_at: None,
        };
        let refused = Err(LedgerError::NoAmount);
        assert_eq!(ledger.earn(EntryKind::Earn, earned, why(), &mut out), refused);
        assert_eq!(
            ledger.spend(EntryKind::Spend, amount, why(), &mut out).map(|_| ()),
            refused
        );
        assert_eq!(ledger.hold(freeze(1), DEVICE, 0, amount, why(), &mut out), refused);
        assert_eq!(ledger.take_back(own, amount, why(), &mut out), refused);
    }
    for amount in [MOST + 1, i64::MAX] {
        let why = || cause(Reason::Adjustment, None, now);
        let earned = Earned {
            amount,
            at: now,
            ready_at: None,
            ends_at: None,
        };
        assert_eq!(
            ledger.earn(EntryKind::Earn, earned, why(), &mut out),
            Err(LedgerError::TooMuch)
        );
        assert_eq!(
            ledger.take_back(own, amount, why(), &mut out),
            Err(LedgerError::TooMuch)
        );
    }
    assert_eq!((ledger, out), (Ledger::default(), Vec::new()));
}

#[test]
fn what_moves_keeps_its_ends_its_holds_and_what_is_owed() {
    let (mut from, mut into) = (Ledger::default(), Ledger::default());
    let (mut out, mut there) = (Vec::new(), Vec::new());
    let now = at("2026-11-01");
    let own = earn(&mut from, 300, Some("2026-11-30"), 1, now, &mut out);
    earn(&mut from, 100, None, 2, now, &mut out);
    let pin = cause(Reason::Purchase, Some(source(Origin::Hold, 1)), now);
    from.hold(freeze(1), DEVICE, Millis::MAX, 350, pin, &mut out).unwrap();
    let other = earn(&mut into, 40, None, 3, now, &mut there);
    let shares = into
        .spend(
            EntryKind::Spend,
            40,
            cause(Reason::Exchange, Some(source(Origin::Exchange, 1)), now),
            &mut there,
        )
        .unwrap();
    let gone = cause(Reason::Returned, Some(source(Origin::Return, 1)), now);
    into.take_back(other, 40, gone, &mut there).unwrap();
    assert_eq!(into.balances().debt, 40);

    let merged = cause(Reason::Merged, None, now);
    from.move_to(&mut into, &merged, &mut out, &mut there).unwrap();
    assert_eq!(from.balances(), Balances::default());
    assert!(from.lots.is_empty() && from.holds.is_empty());
    // 50 were not pinned: 40 of them settle the debt. What is pinned stays so, of the same ends.
    let after = into.balances();
    assert_eq!((after.available, after.held, after.debt), (10, 350, 0));
    assert_eq!(into.lots[0].ends_at, out[0].lot.unwrap().ends_at);
    assert_eq!(into.held_by(freeze(1)).unwrap().amount(), 350);
    assert_eq!(folded(&out), (Vec::new(), 0));
    let (lots, owed) = folded(&there);
    let there_is: i64 = lots.iter().map(|(_, free, held)| free + held).sum();
    assert_eq!((there_is, owed), (360, 0));
    // It is spent there, and taken back from the lot that it was earned with.
    let pay = cause(Reason::Purchase, Some(source(Origin::Order, 1)), now);
    into.capture(freeze(1), 100, pay, &mut there).unwrap();
    let back = cause(Reason::Returned, Some(source(Origin::Return, 2)), now);
    into.take_back(own, 200, back, &mut there).unwrap();
    assert_eq!(into.balances().available, 60);
    assert!(into.lots.iter().all(|lot| lot.source != Some(own)), "{:?}", into.lots);
    // What was spent before comes back as a lot of its own.
    let mut spent = spent(source(Origin::Exchange, 1), 2, shares);
    let refund = cause(Reason::Returned, Some(source(Origin::Refund, 1)), now);
    into.give_back_moved(&mut spent, 40, None, refund, &mut there).unwrap();
    assert_eq!(into.balances().available, 100);
    // Too much for one account: nothing moves.
    let (mut rich, mut richer) = (Ledger::default(), Ledger::default());
    earn(&mut rich, MOST - 5, None, 4, now, &mut Vec::new());
    earn(&mut richer, 6, None, 5, now, &mut Vec::new());
    let before = rich.clone();
    let refused = rich.move_to(&mut richer, &merged, &mut Vec::new(), &mut Vec::new());
    assert_eq!((refused, rich), (Err(LedgerError::TooMuch), before));
}
