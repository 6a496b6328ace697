//! What is posted is stored as it was decided, and stays.

use counterfoil_domain::{
    points::{Asset, EntryKind, LedgerError, Origin, Reason, earning::EarningRule},
    transition::{Command, Post, PostAnswer, Posting},
};
use counterfoil_head_office::points::{rows, sweep};

use super::{account, arc, cause, gift, holds, members, points, post, posted, publish, rule, source, spend};
use crate::common::{HOUR, On, START, chain};

counterfoil_head_office::on_both! {
    what_is_posted_is_read_back,
    a_thing_earns_once,
    what_was_refunded_is_taken_back_by_the_rule_that_counted_then,
    what_ended_is_over_before_any_sweep_and_written_down_by_it,
    nobody_spends_what_is_not_there,
    an_unknown_member_has_no_account,
    a_statement_says_where_everything_came_from,
    what_only_becomes_available_does_not_keep_the_sweep_busy,
}

async fn what_is_posted_is_read_back(on: On) {
    let chain = chain(on, 0).await;
    let member = chain.member;
    posted(&chain, gift(&chain, member, "a", 300, Some(START + 10 * HOUR))).await;
    posted(&chain, gift(&chain, member, "b", 500, None)).await;
    assert_eq!(posted(&chain, spend(&chain, member, "x", 400)).await, -400);
    let read = account(&chain, member).await;
    let lots: Vec<_> = read.points.lots.iter().map(|lot| (lot.number, lot.free)).collect();
    assert_eq!(lots, [(2, 400)]);
    assert_eq!((read.version, read.points.entries), (3, 3));
    holds(&chain).await;
}

async fn a_thing_earns_once(on: On) {
    let chain = chain(on, 0).await;
    let other = members(&chain, 1).await.remove(0);
    let member = chain.member;
    assert_eq!(posted(&chain, gift(&chain, member, "a", 300, None)).await, 300);
    let again = post(&chain, gift(&chain, member, "a", 300, None)).await;
    assert!(
        matches!(
            again,
            PostAnswer::Posted {
                amount: 300,
                replayed: true,
                ..
            }
        ),
        "{again:?}"
    );
    let foreign = post(&chain, gift(&chain, other, "a", 300, None)).await;
    assert_eq!(foreign, PostAnswer::AnotherEarning);
    let more = post(&chain, gift(&chain, member, "a", 301, None)).await;
    assert_eq!(more, PostAnswer::AnotherEarning);
    // Twice within one group, too.
    let twice = vec![gift(&chain, member, "b", 1, None), gift(&chain, member, "b", 1, None)];
    chain.submit(twice).await;
    assert_eq!(posted(&chain, spend(&chain, member, "x", 10)).await, -10);
    let again = post(&chain, spend(&chain, member, "x", 10)).await;
    assert!(matches!(again, PostAnswer::Posted { replayed: true, .. }), "{again:?}");
    assert_eq!(points(&chain, member).await, (291, 0, 0, 0));
    holds(&chain).await;
}

async fn what_was_refunded_is_taken_back_by_the_rule_that_counted_then(on: On) {
    let chain = chain(on, 0).await;
    let member = chain.member;
    publish(&chain, rule()).await;
    let mut richer = rule();
    richer.version = 2;
    richer.rates[0].points = 10;
    publish(&chain, richer).await;
    let line = source(&chain, Origin::OrderLine, "W-1/1");
    let earn = |rule| {
        Command::Post(Post {
            member,
            asset: Asset::Points,
            what: Posting::Earn {
                amount: None,
                rule: Some(rule),
                paid: 19_950,
                category: None,
                at: START,
                ends_at: None,
            },
            cause: cause(Reason::Purchase, line, START),
        })
    };
    assert_eq!(posted(&chain, earn(1)).await, 199);
    assert_eq!(
        post(&chain, earn(3)).await,
        PostAnswer::Posted {
            amount: 199,
            replayed: true,
            account: Box::new(account(&chain, member).await),
        }
    );
    posted(&chain, spend(&chain, member, "x", 150)).await;
    let refund = |name: &str, stays| {
        Command::Post(Post {
            member,
            asset: Asset::Points,
            what: Posting::TakeBack { earned: line, stays },
            cause: cause(Reason::Returned, source(&chain, Origin::Return, name), START),
        })
    };
    assert_eq!(posted(&chain, refund("r1", 9_970)).await, -100);
    assert_eq!(points(&chain, member).await, (0, 0, 0, 51));
    // The same again, and a refund that says the same of what stays.
    assert_eq!(posted(&chain, refund("r1", 9_970)).await, -100);
    assert_eq!(posted(&chain, refund("r2", 9_970)).await, 0);
    assert_eq!(points(&chain, member).await, (0, 0, 0, 51));
    assert_eq!(posted(&chain, refund("r3", 0)).await, -99);
    assert_eq!(points(&chain, member).await, (0, 0, 0, 150));
    holds(&chain).await;
}

async fn what_ended_is_over_before_any_sweep_and_written_down_by_it(on: On) {
    let chain = chain(on, 0).await;
    let member = chain.member;
    posted(&chain, gift(&chain, member, "a", 100, Some(START + HOUR))).await;
    posted(&chain, spend(&chain, member, "x", 30)).await;
    chain.clock.advance(HOUR);
    assert_eq!(points(&chain, member).await, (0, 0, 0, 0));
    let short = post(&chain, spend(&chain, member, "y", 1)).await;
    assert_eq!(short, PostAnswer::Refused(LedgerError::Short { available: 0 }));
    // A refusal writes nothing; the sweep does.
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM ledger_entries WHERE kind = 'expire'")
            .await,
        0
    );
    assert_eq!(sweep::sweep(&chain.app, super::now(&chain), 10).await.unwrap(), 1);
    assert_eq!(sweep::sweep(&chain.app, super::now(&chain), 10).await.unwrap(), 0);
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let lines = rows::statement(&mut snapshot, chain.tenant, (member, Asset::Points), None, 10)
        .await
        .unwrap();
    let last = &lines[0];
    assert_eq!(
        (last.kind, last.amount, last.after.available),
        (EntryKind::Expire, -70, 0)
    );
    drop(snapshot);
    holds(&chain).await;
}

async fn nobody_spends_what_is_not_there(on: On) {
    let chain = chain(on, 0).await;
    let member = chain.member;
    for amount in [0, -1, i64::MIN] {
        let refused = post(&chain, spend(&chain, member, "x", amount)).await;
        assert_eq!(refused, PostAnswer::Refused(LedgerError::NoAmount));
    }
    let refused = post(&chain, spend(&chain, member, "x", 1)).await;
    assert_eq!(refused, PostAnswer::Refused(LedgerError::Short { available: 0 }));
    let refused = post(&chain, gift(&chain, member, "a", i64::MAX, None)).await;
    assert_eq!(refused, PostAnswer::Refused(LedgerError::TooMuch));
    assert_eq!(chain.number("SELECT COUNT(*) FROM accounts").await, 0);
    holds(&chain).await;
}

async fn an_unknown_member_has_no_account(on: On) {
    let chain = chain(on, 0).await;
    let stranger = counterfoil_domain::ids::MemberId::new(START, [9; 10]);
    let answer = post(&chain, gift(&chain, stranger, "a", 1, None)).await;
    assert_eq!(answer, PostAnswer::UnknownMember);
    assert_eq!(chain.number("SELECT COUNT(*) FROM accounts").await, 0);
}

async fn a_statement_says_where_everything_came_from(on: On) {
    let chain = chain(on, 0).await;
    let member = chain.member;
    posted(&chain, gift(&chain, member, "a", 300, None)).await;
    let mut pending = gift(&chain, member, "b", 40, None);
    if let Command::Post(post) = &mut pending {
        post.cause.note = arc("for the holidays");
    }
    posted(&chain, pending).await;
    posted(&chain, spend(&chain, member, "x", 310)).await;
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let lines = rows::statement(&mut snapshot, chain.tenant, (member, Asset::Points), None, 10)
        .await
        .unwrap();
    let shown: Vec<_> = lines
        .iter()
        .map(|line| {
            let shares: Vec<_> = line.shares.iter().map(|share| (share.lot, share.free)).collect();
            (
                line.number,
                line.kind,
                line.amount,
                shares,
                line.after.available,
                line.note.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            (3, EntryKind::Spend, -310, vec![(1, -300), (2, -10)], 30, None),
            (2, EntryKind::Earn, 40, vec![(2, 40)], 340, Some("for the holidays")),
            (1, EntryKind::Earn, 300, vec![(1, 300)], 300, None),
        ]
    );
    let older = rows::statement(&mut snapshot, chain.tenant, (member, Asset::Points), Some(2), 10)
        .await
        .unwrap();
    assert_eq!(older.iter().map(|line| line.number).collect::<Vec<_>>(), [1]);
}

/// Lots that become available leave no entry; they are looked at once all the same, and nobody waits behind them.
async fn what_only_becomes_available_does_not_keep_the_sweep_busy(on: On) {
    const MANY: u32 = 45;
    let chain = chain(on, 0).await;
    publish(
        &chain,
        EarningRule {
            pending_days: 1,
            ..rule()
        },
    )
    .await;
    for (n, member) in members(&chain, MANY).await.into_iter().enumerate() {
        let mut earned = gift(&chain, member, &format!("m{n}"), 0, None);
        if let Command::Post(post) = &mut earned {
            post.what = Posting::Earn {
                amount: Some(10),
                rule: Some(1),
                paid: 0,
                category: None,
                at: START,
                ends_at: None,
            };
        }
        posted(&chain, earned).await;
    }
    posted(&chain, gift(&chain, chain.member, "ends", 50, Some(START + 72 * HOUR))).await;
    chain.clock.advance(80 * HOUR);
    let mut sweeps = 0;
    while sweep::sweep(&chain.app, START + 80 * HOUR, 40).await.unwrap() > 0 {
        sweeps += 1;
        assert!(sweeps < 4, "it does not come to an end");
    }
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 0));
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM ledger_entries WHERE kind = 'expire'")
            .await,
        1
    );
    let waiting = "SELECT COUNT(*) FROM accounts WHERE points_pending <> 0 OR due_at IS NOT NULL";
    assert_eq!(chain.number(waiting).await, 0);
    let available = "SELECT CAST(SUM(points_available) AS BIGINT) FROM accounts";
    assert_eq!(chain.number(available).await, i64::from(MANY) * 10);
    holds(&chain).await;
}
