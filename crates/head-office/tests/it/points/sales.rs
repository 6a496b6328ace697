//! Sales that are paid with points and stored value and earn points.

use counterfoil_domain::{
    ids::{ClerkId, FreezeId, OperationId},
    operations::{Action, ExceptionKind, Outcome, VoidRedemption},
    points::{AccountUse, Amounts, Asset, PaidBalance, UsedPoints},
    sales::{Return, ReturnLine, ReturnPolicy, SaleLine, Settlement},
    transition::{Answer, AskFreeze, CancelFreeze, Command, Subject},
    verdict::Reason,
};

use super::{account, gift, holds, points, posted, publish, rule, spend};
use crate::common::{Chain, Counter, HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    a_sale_earns_spends_and_gives_back_what_it_took,
    the_previous_version_still_applies,
    a_part_return_gives_back_by_what_came_back_so_far,
    a_debt_is_settled_to_the_number,
    a_hold_is_captured_by_its_own_device_alone_and_lapses,
    what_is_short_is_the_stores_loss,
    a_thousand_loops_of_buying_and_refunding_net_to_nothing,
    a_late_sale_takes_what_is_there,
    a_sale_that_is_set_aside_lets_go_of_every_hold,
    an_operation_that_found_nothing_is_named_all_the_same,
    what_does_not_fit_is_not_credited_and_is_counted_once,
    what_a_wrong_clock_earned_is_taken_back_whole,
}

const APPLIED: Answer = Answer::Done {
    outcome: Outcome::Applied,
    replayed: false,
};

/// Lines of one unit each.
fn sale(chain: &Chain, prices: &[i64], account: AccountUse) -> Settlement {
    let by_points = |line: usize| account.points.as_ref().map_or(0, |used| used.shares[line]);
    let lines: Vec<SaleLine> = prices
        .iter()
        .map(|price| SaleLine {
            sku: "A".into(),
            name_zh: "茶".into(),
            name_en: "Tea".into(),
            category: None,
            merchant: None,
            unit_price: *price,
            quantity: 1,
        })
        .collect();
    let payable = prices
        .iter()
        .enumerate()
        .map(|(line, price)| price - by_points(line))
        .sum();
    Settlement {
        currency: "CNY".into(),
        lines,
        coupons: Vec::new(),
        member: Some(chain.member),
        payable,
        tender: "cash".into(),
        receipt: "R-1".into(),
        account,
    }
}

fn earning() -> AccountUse {
    AccountUse {
        rule: Some(1),
        ..AccountUse::default()
    }
}

fn back(chain: &Chain, target: OperationId, lines: &[(i64, i64)], to_balance: i64) -> Action {
    Action::ReturnSale(Return {
        target,
        lines: lines
            .iter()
            .map(|&(line, refund)| ReturnLine {
                line,
                quantity: 1,
                refund,
            })
            .collect(),
        policy: ReturnPolicy::Keep,
        coupons: Vec::new(),
        member: Some(chain.member),
        to_balance,
        approved_by: ClerkId::new(START, [9; 10]),
        reason: "too bitter".into(),
    })
}

async fn does(chain: &Chain, counter: &mut Counter, action: Action) -> (OperationId, Answer) {
    let made = counter.make(action, super::now(chain));
    let answer = chain.push(std::slice::from_ref(&made)).await.remove(0);
    (made.id, answer)
}

async fn top_up(chain: &Chain, amount: i64) {
    let Command::Post(mut post) = gift(chain, chain.member, "money", amount, None) else {
        unreachable!()
    };
    post.asset = Asset::Balance;
    posted(chain, Command::Post(post)).await;
}

async fn a_sale_earns_spends_and_gives_back_what_it_took(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    posted(&chain, gift(&chain, chain.member, "a", 1_000, None)).await;
    top_up(&chain, 5_000).await;
    let mut counter = chain.counter().await;
    let used = AccountUse {
        points: Some(UsedPoints {
            points: 400,
            minor_per_point: 1,
            shares: vec![100, 300],
            freeze: None,
        }),
        balance: Some(PaidBalance {
            amount: 2_000,
            freeze: None,
        }),
        rule: Some(1),
    };
    let settled = sale(&chain, &[1_000, 3_000], used);
    assert_eq!(settled.payable, 3_600);
    let (id, answer) = does(&chain, &mut counter, Action::SettleSale(settled)).await;
    assert_eq!(answer, APPLIED);
    // Nothing is earned on what points paid: 36.00 earn 36.
    assert_eq!(points(&chain, chain.member).await, (636, 0, 0, 0));
    assert_eq!(account(&chain, chain.member).await.balance.balances().available, 3_000);
    let void = Action::VoidRedemption(VoidRedemption {
        target: id,
        reason: "wrong basket".into(),
        approved_by: ClerkId::new(START, [9; 10]),
    });
    assert_eq!(does(&chain, &mut counter, void).await.1, APPLIED);
    assert_eq!(points(&chain, chain.member).await, (1_000, 0, 0, 0));
    assert_eq!(account(&chain, chain.member).await.balance.balances().available, 5_000);
    holds(&chain).await;
}

async fn the_previous_version_still_applies(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    let mut counter = chain.counter().await;
    let old = counter.seal(Action::SettleSale(sale(&chain, &[1_000], AccountUse::default())), START);
    assert!(old.contains("\"version\":1") && !old.contains("\"account\""), "{old}");
    let newer = chain
        .counter()
        .await
        .seal(Action::SettleSale(sale(&chain, &[1_000], earning())), START);
    assert!(newer.contains("\"version\":2"), "{newer}");
    let (_, arrival) = counterfoil_protocol::operation::open(0, &old).unwrap();
    assert_eq!(chain.push(&[arrival]).await, [APPLIED]);
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 0));
    holds(&chain).await;
}

async fn a_part_return_gives_back_by_what_came_back_so_far(on: On) {
    let chain = chain(on, 0).await;
    posted(&chain, gift(&chain, chain.member, "a", 101, None)).await;
    let mut counter = chain.counter().await;
    // 300.00, of which 101 points pay 101.00.
    let used = AccountUse {
        points: Some(UsedPoints {
            points: 101,
            minor_per_point: 100,
            shares: vec![5_050, 5_050],
            freeze: None,
        }),
        ..AccountUse::default()
    };
    let (id, answer) = does(
        &chain,
        &mut counter,
        Action::SettleSale(sale(&chain, &[15_000, 15_000], used)),
    )
    .await;
    assert_eq!(answer, APPLIED);
    assert_eq!(points(&chain, chain.member).await.0, 0);
    assert_eq!(
        does(&chain, &mut counter, back(&chain, id, &[(0, 9_950)], 0)).await.1,
        APPLIED
    );
    assert_eq!(points(&chain, chain.member).await.0, 50);
    assert_eq!(
        does(&chain, &mut counter, back(&chain, id, &[(1, 9_950)], 0)).await.1,
        APPLIED
    );
    assert_eq!(points(&chain, chain.member).await.0, 101);
    holds(&chain).await;
}

async fn a_debt_is_settled_to_the_number(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    posted(&chain, gift(&chain, chain.member, "a", 50, None)).await;
    let mut counter = chain.counter().await;
    let (id, answer) = does(
        &chain,
        &mut counter,
        Action::SettleSale(sale(&chain, &[9_980, 9_970], earning())),
    )
    .await;
    assert_eq!(answer, APPLIED);
    assert_eq!(points(&chain, chain.member).await, (249, 0, 0, 0));
    posted(&chain, spend(&chain, chain.member, "x", 220)).await;
    assert_eq!(points(&chain, chain.member).await, (29, 0, 0, 0));
    does(&chain, &mut counter, back(&chain, id, &[(0, 9_980)], 0)).await;
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 71));
    posted(&chain, gift(&chain, chain.member, "b", 60, None)).await;
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 11));
    does(&chain, &mut counter, back(&chain, id, &[(1, 9_970)], 0)).await;
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 110));
    holds(&chain).await;
}

fn ask(chain: &Chain, counter: &Counter, id: FreezeId, amounts: Amounts) -> Command {
    Command::Freeze(AskFreeze {
        id,
        device: counter.device,
        subject: Subject::Account(chain.member),
        amounts,
        presented_by: Some(chain.member),
        now: super::now(chain),
    })
}

async fn a_hold_is_captured_by_its_own_device_alone_and_lapses(on: On) {
    let chain = chain(on, 0).await;
    posted(&chain, gift(&chain, chain.member, "a", 100, None)).await;
    let (mut mine, mut other) = (chain.counter().await, chain.counter().await);
    let id = FreezeId::new(START, random10());
    let amounts = Amounts { points: 80, balance: 0 };
    let granted = chain
        .submit(vec![ask(&chain, &mine, id, amounts)])
        .await
        .remove(0)
        .answer;
    assert!(matches!(granted, Answer::Granted { .. }), "{granted:?}");
    let again = chain
        .submit(vec![ask(&chain, &mine, id, amounts)])
        .await
        .remove(0)
        .answer;
    assert_eq!(again, granted);
    let differs = Amounts { points: 81, balance: 0 };
    let reused = chain
        .submit(vec![ask(&chain, &mine, id, differs)])
        .await
        .remove(0)
        .answer;
    assert_eq!(reused, Answer::AnotherQuestion);
    assert_eq!(points(&chain, chain.member).await, (20, 80, 0, 0));
    let more = Amounts { points: 30, balance: 1 };
    let refused = chain
        .submit(vec![ask(&chain, &other, FreezeId::new(START, random10()), more)])
        .await
        .remove(0)
        .answer;
    let reasons = vec![
        Reason::PointsShort { available: 20 },
        Reason::BalanceShort { available: 0 },
    ];
    assert_eq!(refused, Answer::Refused { reasons });
    let use_hold = |points| AccountUse {
        points: Some(UsedPoints {
            points,
            minor_per_point: 1,
            shares: vec![points],
            freeze: Some(id),
        }),
        ..AccountUse::default()
    };
    // Another device that names it has no word: it gets what is available.
    let (_, answer) = does(
        &chain,
        &mut other,
        Action::SettleSale(sale(&chain, &[1_000], use_hold(60))),
    )
    .await;
    let short = Answer::Done {
        outcome: Outcome::AppliedWithException {
            exception: ExceptionKind::PointsShort,
        },
        replayed: false,
    };
    assert_eq!(answer, short);
    assert_eq!(points(&chain, chain.member).await, (0, 80, 0, 0));
    let (_, answer) = does(
        &chain,
        &mut mine,
        Action::SettleSale(sale(&chain, &[1_000], use_hold(60))),
    )
    .await;
    assert_eq!(answer, APPLIED);
    assert_eq!(points(&chain, chain.member).await, (20, 0, 0, 0));
    // The next one is given back, and the one after that lapses.
    let next = FreezeId::new(START, random10());
    let few = Amounts { points: 20, balance: 0 };
    chain.submit(vec![ask(&chain, &mine, next, few)]).await;
    let cancel = Command::CancelFreeze(CancelFreeze {
        id: next,
        device: mine.device,
        now: START,
    });
    assert_eq!(chain.submit(vec![cancel]).await.remove(0).answer, Answer::Cancelled);
    assert_eq!(points(&chain, chain.member).await, (20, 0, 0, 0));
    let last = FreezeId::new(START, random10());
    chain.submit(vec![ask(&chain, &mine, last, few)]).await;
    assert_eq!(points(&chain, chain.member).await, (0, 20, 0, 0));
    chain.clock.advance(HOUR);
    assert_eq!(points(&chain, chain.member).await, (20, 0, 0, 0));
    holds(&chain).await;
}

async fn what_is_short_is_the_stores_loss(on: On) {
    let chain = chain(on, 0).await;
    posted(&chain, gift(&chain, chain.member, "a", 30, None)).await;
    let mut counter = chain.counter().await;
    let used = AccountUse {
        points: Some(UsedPoints {
            points: 100,
            minor_per_point: 2,
            shares: vec![200],
            freeze: None,
        }),
        balance: Some(PaidBalance {
            amount: 50,
            freeze: None,
        }),
        rule: None,
    };
    let (id, answer) = does(&chain, &mut counter, Action::SettleSale(sale(&chain, &[1_000], used))).await;
    assert!(
        matches!(
            answer,
            Answer::Done {
                outcome: Outcome::AppliedWithException { .. },
                ..
            }
        ),
        "{answer:?}"
    );
    let loss = chain.number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions").await;
    assert_eq!(loss, 70 * 2 + 50);
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 0));
    // No more goes back than there was.
    does(&chain, &mut counter, back(&chain, id, &[(0, 800)], 0)).await;
    assert_eq!(points(&chain, chain.member).await, (30, 0, 0, 0));
    holds(&chain).await;
}

async fn a_thousand_loops_of_buying_and_refunding_net_to_nothing(on: On) {
    let chain = chain(on, 0).await;
    publish(&chain, rule()).await;
    posted(&chain, gift(&chain, chain.member, "a", 500, None)).await;
    let mut counter = chain.counter().await;
    for _ in 0..20 {
        let mut pushed = Vec::new();
        for _ in 0..50 {
            let used = AccountUse {
                points: Some(UsedPoints {
                    points: 70,
                    minor_per_point: 1,
                    shares: vec![30, 40],
                    freeze: None,
                }),
                balance: None,
                rule: Some(1),
            };
            let bought = counter.make(Action::SettleSale(sale(&chain, &[2_030, 3_040], used)), START);
            let id = bought.id;
            pushed.push(bought);
            pushed.push(counter.make(back(&chain, id, &[(0, 2_000)], 0), START));
            pushed.push(counter.make(back(&chain, id, &[(1, 3_000)], 0), START));
        }
        assert!(chain.push(&pushed).await.iter().all(|answer| *answer == APPLIED));
    }
    assert_eq!(points(&chain, chain.member).await, (500, 0, 0, 0));
    holds(&chain).await;
}

async fn a_late_sale_takes_what_is_there(on: On) {
    let chain = chain(on, 0).await;
    posted(&chain, gift(&chain, chain.member, "a", 100, Some(START + HOUR))).await;
    let mut counter = chain.counter().await;
    let used = AccountUse {
        points: Some(UsedPoints {
            points: 100,
            minor_per_point: 1,
            shares: vec![100],
            freeze: None,
        }),
        ..AccountUse::default()
    };
    let made = counter.make(Action::SettleSale(sale(&chain, &[1_000], used)), START);
    chain.clock.advance(2 * HOUR);
    let answer = chain.push(&[made]).await.remove(0);
    let short = Answer::Done {
        outcome: Outcome::AppliedWithException {
            exception: ExceptionKind::PointsShort,
        },
        replayed: false,
    };
    assert_eq!(answer, short);
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 0));
    holds(&chain).await;
}

/// A sale that counts for nothing names two holds of one account: both are let go of, and the account goes on.
async fn a_sale_that_is_set_aside_lets_go_of_every_hold(on: On) {
    let chain = chain(on, 0).await;
    let mut counter = chain.counter().await;
    posted(&chain, gift(&chain, chain.member, "a", 100, None)).await;
    let mut freezes = Vec::new();
    for points in [30, 40] {
        let id = FreezeId::new(START, random10());
        let asked = Command::Freeze(AskFreeze {
            id,
            device: counter.device,
            subject: Subject::Account(chain.member),
            amounts: Amounts { points, balance: 0 },
            presented_by: Some(chain.member),
            now: super::now(&chain),
        });
        let answer = chain.submit(vec![asked]).await.remove(0).answer;
        assert!(matches!(answer, Answer::Granted { .. }), "{answer:?}");
        freezes.push(id);
    }
    assert_eq!(points(&chain, chain.member).await, (30, 70, 0, 0));
    chain.run("UPDATE devices SET status = 'revoked'").await;
    let used = AccountUse {
        points: Some(UsedPoints {
            points: 30,
            minor_per_point: 1,
            shares: vec![30],
            freeze: Some(freezes[0]),
        }),
        balance: Some(PaidBalance {
            amount: 10,
            freeze: Some(freezes[1]),
        }),
        rule: None,
    };
    let settled = sale(&chain, &[1_000], used);
    let (_, answer) = does(&chain, &mut counter, Action::SettleSale(settled)).await;
    assert!(
        matches!(
            answer,
            Answer::Done {
                outcome: Outcome::Quarantined { .. },
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(points(&chain, chain.member).await, (100, 0, 0, 0));
    posted(&chain, gift(&chain, chain.member, "b", 1, None)).await;
    holds(&chain).await;
}

/// There was nothing to take: the account names the operation, so that its counter does not wait for it.
async fn an_operation_that_found_nothing_is_named_all_the_same(on: On) {
    let chain = chain(on, 0).await;
    let mut counter = chain.counter().await;
    let used = AccountUse {
        points: Some(UsedPoints {
            points: 30,
            minor_per_point: 1,
            shares: vec![30],
            freeze: None,
        }),
        ..AccountUse::default()
    };
    let settled = sale(&chain, &[1_000], used);
    let (id, answer) = does(&chain, &mut counter, Action::SettleSale(settled)).await;
    assert!(
        matches!(
            answer,
            Answer::Done {
                outcome: Outcome::AppliedWithException { .. },
                ..
            }
        ),
        "{answer:?}"
    );
    assert_eq!(account(&chain, chain.member).await.latest, [id]);
    holds(&chain).await;
}

/// What cases say was lost, in the order in which they were opened.
async fn losses(chain: &Chain) -> i64 {
    chain
        .number("SELECT CAST(COALESCE(SUM(loss), 0) AS BIGINT) FROM exceptions")
        .await
}

async fn what_does_not_fit_is_not_credited_and_is_counted_once(on: On) {
    let chain = chain(on, 0).await;
    top_up(&chain, 3_000).await;
    let mut counter = chain.counter().await;
    let paid = |amount| AccountUse {
        balance: Some(PaidBalance { amount, freeze: None }),
        ..AccountUse::default()
    };
    let balance = async || account(&chain, chain.member).await.balance.balances().available;
    // 10.00, half of it from stored value. Half comes back, then the same half again and something that was never sold.
    let settled = sale(&chain, &[500, 500], paid(500));
    let (id, _) = does(&chain, &mut counter, Action::SettleSale(settled)).await;
    let (_, answer) = does(&chain, &mut counter, back(&chain, id, &[(0, 500)], 300)).await;
    assert_eq!(answer, APPLIED);
    assert_eq!((balance().await, losses(&chain).await), (2_800, 0));
    let (_, answer) = does(&chain, &mut counter, back(&chain, id, &[(0, 500)], 500)).await;
    assert!(matches!(
        answer,
        Answer::Done {
            outcome: Outcome::AppliedWithException { .. },
            ..
        }
    ));
    // Nothing of it fitted, and all of it was to go where it did not go: nobody has lost anything.
    assert_eq!((balance().await, losses(&chain).await), (2_800, 0));
    let (_, _) = does(&chain, &mut counter, back(&chain, id, &[(0, 500)], 100)).await;
    assert_eq!((balance().await, losses(&chain).await), (2_800, 400));
    // The whole sale is undone: of what went back before, 2.00 had been money.
    let void = Action::VoidRedemption(VoidRedemption {
        target: id,
        reason: "wrong basket".into(),
        approved_by: ClerkId::new(START, [9; 10]),
    });
    does(&chain, &mut counter, void).await;
    assert_eq!((balance().await, losses(&chain).await), (3_000, 600));

    // 35.00 from stored value that has 30.00: a case. All of it comes back: no second one.
    let settled = sale(&chain, &[3_500], paid(3_500));
    let (id, _) = does(&chain, &mut counter, Action::SettleSale(settled)).await;
    assert_eq!((balance().await, losses(&chain).await), (0, 1_100));
    let (_, answer) = does(&chain, &mut counter, back(&chain, id, &[(0, 3_500)], 3_500)).await;
    assert_eq!(answer, APPLIED);
    assert_eq!((balance().await, losses(&chain).await), (3_000, 1_100));
    holds(&chain).await;
}

/// A device whose clock is years behind sells on a day that counts double at head office: what was earned goes back.
async fn what_a_wrong_clock_earned_is_taken_back_whole(on: On) {
    let chain = chain(on, 0).await;
    let today: jiff::civil::Date = jiff::Timestamp::from_millisecond(START)
        .unwrap()
        .to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap())
        .date();
    let mut doubled = rule();
    doubled.factors = vec![counterfoil_domain::points::earning::Factor {
        weekdays: Vec::new(),
        days: Vec::new(),
        from: Some(today),
        until: Some(today),
        factor_bp: 20_000,
    }];
    publish(&chain, doubled).await;
    let mut counter = chain.counter().await;
    let settled = sale(&chain, &[1_000, 500], earning());
    let made = counter.make(Action::SettleSale(settled), START + 400 * 24 * HOUR);
    assert_eq!(chain.push(std::slice::from_ref(&made)).await.remove(0), APPLIED);
    assert_eq!(points(&chain, chain.member).await, (30, 0, 0, 0));
    does(&chain, &mut counter, back(&chain, made.id, &[(1, 500)], 0)).await;
    assert_eq!(points(&chain, chain.member).await, (20, 0, 0, 0));
    does(&chain, &mut counter, back(&chain, made.id, &[(0, 1_000)], 0)).await;
    assert_eq!(points(&chain, chain.member).await, (0, 0, 0, 0));
    holds(&chain).await;
}
