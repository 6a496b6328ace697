//! Many at once, by two programs: nobody overdraws, and the sums are right.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{FreezeId, MemberId},
    points::{Amounts, Asset, Origin, Reason},
    transition::{
        Answer, Command, Post, PostAnswer, Posting,
        online::{AskedOrder, End, EndOnline, FreezeOnline, OnlineStatus, Spent},
    },
};
use counterfoil_head_office::{App, clock::SystemRandom, online::id_of};

use super::{account, cause, gift, holds, members, posted, source};
use crate::common::{Chain, HOUR, On, START, chain};

counterfoil_head_office::on_both! {
    many_at_once_never_overdraw,
    five_of_six_holds_are_granted,
    an_order_holds_all_or_nothing_and_spends_a_part,
}

const CLIENTS: usize = 64;
const ACCOUNTS: u32 = 10;
const EACH: usize = 12;

fn asked(chain: &Chain, number: &str, member: MemberId, points: i64) -> Command {
    Command::FreezeOnline(FreezeOnline {
        asked: Arc::new(AskedOrder {
            id: id_of(chain.tenant, number),
            number: number.into(),
            question: "q".into(),
            member: Some(member),
            amount: 1,
            deadline: START + HOUR,
            coupons: Vec::new(),
            amounts: Amounts { points, balance: 0 },
            by: uuid::Uuid::from_u128(1),
        }),
        now: START,
    })
}

fn ends(chain: &Chain, number: &str, end: End, spent: Option<i64>) -> Command {
    Command::EndOnline(EndOnline {
        id: id_of(chain.tenant, number),
        number: Some(number.into()),
        end,
        spent: Spent {
            points: spent,
            balance: None,
        },
        by: None,
        now: START,
    })
}

async fn does(app: &App, chain: &Chain, command: Command) -> Answer {
    app.engine
        .submit(chain.tenant, vec![command])
        .await
        .unwrap()
        .remove(0)
        .answer
}

fn status(answer: &Answer) -> OnlineStatus {
    match answer {
        Answer::Order(order) => order.status,
        other => panic!("{other:?}"),
    }
}

async fn many_at_once_never_overdraw(on: On) {
    let chain = Arc::new(chain(on, 0).await);
    let people = members(&chain, ACCOUNTS).await;
    for (n, member) in people.iter().enumerate() {
        posted(
            &chain,
            gift(&chain, *member, &format!("start{n}"), 1_000, Some(START + HOUR)),
        )
        .await;
    }
    let other = App::open(&chain.fresh.url, chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for client in 0..CLIENTS {
        let (chain, other, people) = (Arc::clone(&chain), Arc::clone(&other), people.clone());
        tasks.spawn(async move {
            // How much this client has put in, and taken out for good, of which account.
            let mut net = vec![0_i64; people.len()];
            for turn in 0..EACH {
                let place = (client * 7 + turn * 3) % people.len();
                let member = people[place];
                let app = if (client + turn) % 2 == 0 { &chain.app } else { &other };
                let name = format!("{client}-{turn}");
                let amount = i64::try_from(20 + (client * turn) % 60).unwrap();
                match turn % 4 {
                    0 => {
                        does(app, &chain, gift(&chain, member, &name, amount, None)).await;
                        net[place] += amount;
                        // Half of them are taken back.
                        if client % 2 == 0 {
                            let back = Command::Post(Post {
                                member,
                                asset: Asset::Points,
                                what: Posting::TakeBack {
                                    earned: source(&chain, Origin::Gift, &name),
                                    stays: 0,
                                },
                                cause: cause(Reason::Returned, source(&chain, Origin::Return, &name), START),
                            });
                            let answer = does(app, &chain, back).await;
                            assert!(
                                matches!(answer, Answer::Posted(PostAnswer::Posted { .. })),
                                "{answer:?}"
                            );
                            net[place] -= amount;
                        }
                    }
                    1 => {
                        let answer = does(app, &chain, super::spend(&chain, member, &name, amount)).await;
                        match answer {
                            Answer::Posted(PostAnswer::Posted { amount, .. }) => net[place] += amount,
                            Answer::Posted(PostAnswer::Refused(_)) => {}
                            other => panic!("{other:?}"),
                        }
                    }
                    2 => {
                        if status(&does(app, &chain, asked(&chain, &name, member, amount)).await)
                            == OnlineStatus::Frozen
                        {
                            let spent = amount / 2;
                            let answer = does(app, &chain, ends(&chain, &name, End::Confirm, Some(spent))).await;
                            assert_eq!(status(&answer), OnlineStatus::Confirmed);
                            net[place] -= spent;
                            if client % 3 == 0 {
                                does(app, &chain, ends(&chain, &name, End::Void, None)).await;
                                net[place] += spent;
                            }
                        }
                    }
                    _ => {
                        does(app, &chain, asked(&chain, &name, member, amount)).await;
                        does(app, &chain, ends(&chain, &name, End::Cancel, None)).await;
                    }
                }
            }
            net
        });
    }
    let mut net = vec![1_000_i64; people.len()];
    while let Some(done) = tasks.join_next().await {
        for (sum, more) in net.iter_mut().zip(done.unwrap()) {
            *sum += more;
        }
    }
    for (member, expected) in people.iter().zip(net) {
        let sums = account(&chain, *member).await.points.balances();
        assert_eq!((sums.total() - sums.debt, sums.held), (expected, 0));
    }
    holds(&chain).await;
    other.db.close().await;
}

async fn five_of_six_holds_are_granted(on: On) {
    let chain = Arc::new(chain(on, 0).await);
    let member = chain.member;
    posted(&chain, gift(&chain, member, "a", 5_000, None)).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..6 {
        let chain = Arc::clone(&chain);
        tasks.spawn(async move {
            let number = format!("W-{n}");
            let answer = does(&chain.app, &chain, asked(&chain, &number, member, 1_000)).await;
            (number, status(&answer))
        });
    }
    let (mut granted, mut refused) = (Vec::new(), Vec::new());
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            (number, OnlineStatus::Frozen) => granted.push(number),
            (number, OnlineStatus::Refused) => refused.push(number),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((granted.len(), refused.len()), (5, 1));
    does(&chain.app, &chain, ends(&chain, &granted[0], End::Cancel, None)).await;
    let again = does(&chain.app, &chain, asked(&chain, "W-7", member, 1_000)).await;
    assert_eq!(status(&again), OnlineStatus::Frozen);
    let again = does(&chain.app, &chain, asked(&chain, "W-8", member, 1_000)).await;
    assert_eq!(status(&again), OnlineStatus::Refused);
    holds(&chain).await;
}

async fn an_order_holds_all_or_nothing_and_spends_a_part(on: On) {
    let chain = chain(on, 0).await;
    let member = chain.member;
    posted(&chain, gift(&chain, member, "a", 300, None)).await;
    let app = &chain.app;
    assert_eq!(
        status(&does(app, &chain, asked(&chain, "W-1", member, 200)).await),
        OnlineStatus::Frozen
    );
    let over = does(app, &chain, ends(&chain, "W-1", End::Confirm, Some(201))).await;
    assert_eq!(
        over,
        Answer::OverHold(Amounts {
            points: 200,
            balance: 0
        })
    );
    assert_eq!(super::points(&chain, member).await, (100, 200, 0, 0));
    let paid = does(app, &chain, ends(&chain, "W-1", End::Confirm, Some(150))).await;
    assert_eq!(status(&paid), OnlineStatus::Confirmed);
    assert_eq!(super::points(&chain, member).await, (150, 0, 0, 0));
    // The same again is answered alike; a second capture, a release, or anything after it is refused.
    for spent in [Some(150), None] {
        let again = does(app, &chain, ends(&chain, "W-1", End::Confirm, spent)).await;
        assert_eq!(status(&again), OnlineStatus::Confirmed);
    }
    let second = does(app, &chain, ends(&chain, "W-1", End::Confirm, Some(10))).await;
    assert!(matches!(second, Answer::OrderEnded { .. }), "{second:?}");
    let cancel = does(app, &chain, ends(&chain, "W-1", End::Cancel, None)).await;
    assert!(matches!(cancel, Answer::OrderEnded { .. }), "{cancel:?}");
    assert_eq!(super::points(&chain, member).await, (150, 0, 0, 0));
    does(app, &chain, ends(&chain, "W-1", End::Void, None)).await;
    does(app, &chain, ends(&chain, "W-1", End::Void, None)).await;
    assert_eq!(super::points(&chain, member).await, (300, 0, 0, 0));
    assert!(
        account(&chain, member)
            .await
            .points
            .held_by(FreezeId(uuid::Uuid::nil()))
            .is_none()
    );
    holds(&chain).await;
}
