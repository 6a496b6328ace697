//! Commands on both engines against ledgers that never saw a database: what is stored is what was decided, after every
//! step.

use std::collections::BTreeMap;

use counterfoil_domain::{
    ids::{FreezeId, MemberId},
    points::{Account, Amounts, Asset, Origin, Reason},
    transition::{Answer, AskFreeze, CancelFreeze, Command, Post, PostAnswer, Posting, State, Subject, decide},
};
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::{account, cause, gift, holds, members, source, spend};
use crate::common::{Chain, Counter, HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    what_is_stored_is_what_the_model_says,
}

#[derive(Debug, Clone)]
enum Step {
    Gift {
        who: usize,
        points: i64,
        hours: Option<i64>,
    },
    Spend {
        who: usize,
        points: i64,
    },
    TakeBack {
        which: usize,
    },
    Hold {
        who: usize,
        points: i64,
    },
    Cancel {
        which: usize,
    },
    Wait(i64),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_usize, 0..50_i64, proptest::option::of(1..20_i64))
            .prop_map(|(who, points, hours)| Step::Gift { who, points, hours }),
        3 => (0..3_usize, 0..60_i64).prop_map(|(who, points)| Step::Spend { who, points }),
        2 => (0..40_usize).prop_map(|which| Step::TakeBack { which }),
        2 => (0..3_usize, 1..40_i64).prop_map(|(who, points)| Step::Hold { who, points }),
        1 => (0..20_usize).prop_map(|which| Step::Cancel { which }),
        2 => (1..5_i64).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ]
}

/// The same commands on rows in memory.
struct Model {
    state: State,
}

impl Model {
    fn does(&mut self, command: &Command, now: i64) -> Answer {
        loop {
            match decide(&self.state, command, now) {
                Ok((answer, changes)) => {
                    self.state.absorb(&changes);
                    return answer;
                }
                Err(counterfoil_domain::transition::NeedKeys(keys)) => {
                    keys.into_iter().for_each(|key| self.state.note_missing(key));
                }
            }
        }
    }
}

async fn what_is_stored_is_what_the_model_says(on: On) {
    let chain = chain(on, 0).await;
    let mut people = vec![chain.member];
    people.extend(members(&chain, 2).await);
    let counter = chain.counter().await;
    let mut model = Model {
        state: State::default(),
    };
    for member in &people {
        let mut snapshot = chain.app.db.snapshot().await.unwrap();
        let found = counterfoil_head_office::members::rows::load(&mut snapshot, chain.tenant, &[*member], "")
            .await
            .unwrap();
        for (version, member) in found {
            model.state.members.found_at(version, member);
        }
    }
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    for device in
        counterfoil_head_office::stores::rows::load_devices(&mut snapshot, chain.tenant, &[counter.device], "")
            .await
            .unwrap()
    {
        model.state.devices.found(device);
    }
    drop(snapshot);
    // The same steps every time: the rules have property tests of their own, this is about rows.
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let steps = proptest::collection::vec(step(), 250);
    let steps = steps.new_tree(&mut runner).unwrap().current();
    let mut gifts: Vec<(MemberId, String)> = Vec::new();
    let mut freezes: Vec<FreezeId> = Vec::new();
    for (n, step) in steps.into_iter().enumerate() {
        let now = super::now(&chain);
        let name = format!("n{n}");
        let command = match step {
            Step::Wait(hours) => {
                chain.clock.advance(hours * HOUR);
                continue;
            }
            Step::Sweep => {
                counterfoil_head_office::points::sweep::sweep(&chain.app, now, 100)
                    .await
                    .unwrap();
                continue;
            }
            Step::Gift { who, points, hours } => {
                gifts.push((people[who], name.clone()));
                gift(
                    &chain,
                    people[who],
                    &name,
                    points,
                    hours.map(|hours| now + hours * HOUR),
                )
            }
            Step::Spend { who, points } => spend(&chain, people[who], &name, points),
            Step::TakeBack { which } => {
                let Some((member, earned)) = gifts.get(which).cloned() else {
                    continue;
                };
                take_back(&chain, member, &earned, &name)
            }
            Step::Hold { who, points } => {
                let id = FreezeId::new(START, random10());
                freezes.push(id);
                hold(&counter, people[who], id, points, now)
            }
            Step::Cancel { which } => {
                let Some(id) = freezes.get(which) else { continue };
                Command::CancelFreeze(CancelFreeze {
                    id: *id,
                    device: counter.device,
                    now,
                })
            }
        };
        let foreseen = model.does(&command, now);
        let answer = chain.submit(vec![command.clone()]).await.remove(0).answer;
        match (&answer, &foreseen) {
            // What it comes to is compared below, lots and all.
            (
                Answer::Posted(PostAnswer::Posted { amount, replayed, .. }),
                Answer::Posted(PostAnswer::Posted {
                    amount: a, replayed: r, ..
                }),
            ) => assert_eq!((amount, replayed), (a, r), "{command:?}"),
            _ => assert_eq!(answer, foreseen, "{command:?}"),
        }
        let mut told: BTreeMap<MemberId, Account> = BTreeMap::new();
        for member in &people {
            told.insert(*member, account(&chain, *member).await);
        }
        for (member, stored) in told {
            let known = model.state.accounts.get(&member).and_then(Option::as_ref);
            let known = known.cloned().unwrap_or_else(|| Account::new(member));
            // The sweep writes down what the model only sees.
            for asset in [Asset::Points, Asset::Balance] {
                let (stored, known) = (stored.ledger(asset).at(now), known.ledger(asset).at(now));
                assert_eq!(stored.balances(), known.balances(), "{command:?}");
                let lots = |ledger: &counterfoil_domain::points::Ledger| -> Vec<_> {
                    ledger
                        .lots
                        .iter()
                        .map(|lot| (lot.free, lot.held, lot.ends_at))
                        .collect()
                };
                assert_eq!(lots(&stored), lots(&known), "{command:?}");
                assert_eq!(stored.debt, known.debt);
                assert_eq!(stored.holds.len(), known.holds.len());
            }
        }
        if n % 25 == 0 {
            holds(&chain).await;
        }
    }
    holds(&chain).await;
}

fn take_back(chain: &Chain, member: MemberId, earned: &str, name: &str) -> Command {
    Command::Post(Post {
        member,
        asset: Asset::Points,
        what: Posting::TakeBack {
            earned: source(chain, Origin::Gift, earned),
            stays: 0,
        },
        cause: cause(Reason::Returned, source(chain, Origin::Return, name), super::now(chain)),
    })
}

fn hold(counter: &Counter, member: MemberId, id: FreezeId, points: i64, now: i64) -> Command {
    Command::Freeze(AskFreeze {
        id,
        device: counter.device,
        subject: Subject::Account(member),
        amounts: Amounts { points, balance: 0 },
        presented_by: None,
        now,
    })
}
