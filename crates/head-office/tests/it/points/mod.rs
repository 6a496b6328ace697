//! Points and stored value on SQLite and on PostgreSQL. Here stands what the tests share.

mod api;
mod damaged;
mod ledger;
mod merged;
mod model;
mod moving;
mod raced;
mod reminded;
mod sales;

use std::sync::Arc;

use counterfoil_domain::{
    ids::MemberId,
    people::Member,
    points::{
        Account, Amounts, Asset, Cause, Origin, Reason, Source,
        earning::{EarningRule, EndOf, Life, Rate, Rounding, Spending},
    },
    transition::{Answer, Command, Post, PostAnswer, Posting},
};
use counterfoil_head_office::{
    clock::Clock,
    members,
    points::{rows, source_of},
    verify::verify,
};

use crate::common::{Chain, START};

/// One point for each whole 1.00, pays 0.01.
fn rule() -> EarningRule {
    EarningRule {
        version: 1,
        time_zone: "Asia/Shanghai".into(),
        rates: vec![Rate {
            category: None,
            points: 1,
            per: 100,
        }],
        rounding: Rounding::Down,
        factors: Vec::new(),
        cap_a_day: None,
        review: 5,
        pending_days: 0,
        life: Life::Never,
        ends: EndOf::Day,
        grace_days: 0,
        spending: Some(Spending {
            minor_per_point: 1,
            max_share_bp: 10_000,
            offline_limit: 0,
        }),
        adjusted_alone: Amounts {
            points: 100,
            balance: 0,
        },
    }
}

fn now(chain: &Chain) -> i64 {
    chain.clock.now()
}

async fn publish(chain: &Chain, rule: EarningRule) {
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    let published = rows::Published {
        rule,
        at: START,
        by: None,
    };
    rows::insert_rule(&mut tx, chain.tenant, &published).await.unwrap();
    tx.commit("test").await.unwrap();
}

/// More members, whose numbers go on behind the first one's.
async fn members(chain: &Chain, count: u32) -> Vec<MemberId> {
    let people: Vec<Member> = (0..count)
        .map(|n| Member {
            id: MemberId::new(START + i64::from(n), crate::common::random10()),
            number: format!("M{}", n + 2),
            name: "李".into(),
            phone: format!("1390000{n:04}"),
            recent_stores: vec![chain.store],
        })
        .collect();
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    members::rows::insert(&mut tx, chain.tenant, &people, START)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    people.into_iter().map(|member| member.id).collect()
}

fn cause(reason: Reason, source: Source, at: i64) -> Cause {
    Cause {
        source: Some(source),
        ..Cause::own(reason, at)
    }
}

fn source(chain: &Chain, of: Origin, name: &str) -> Source {
    source_of(chain.tenant, of, name)
}

/// Points of the chain, as they are.
fn gift(chain: &Chain, member: MemberId, name: &str, points: i64, ends_at: Option<i64>) -> Command {
    let now = now(chain);
    Command::Post(Post {
        member,
        asset: Asset::Points,
        what: Posting::Earn {
            amount: Some(points),
            rule: None,
            paid: 0,
            category: None,
            at: now,
            ends_at,
        },
        cause: cause(Reason::Gift, source(chain, Origin::Gift, name), now),
    })
}

fn spend(chain: &Chain, member: MemberId, name: &str, points: i64) -> Command {
    Command::Post(Post {
        member,
        asset: Asset::Points,
        what: Posting::Spend(points),
        cause: cause(Reason::Adjustment, source(chain, Origin::Adjustment, name), now(chain)),
    })
}

async fn post(chain: &Chain, command: Command) -> PostAnswer {
    match chain.submit(vec![command]).await.remove(0).answer {
        Answer::Posted(answer) => answer,
        other => panic!("{other:?}"),
    }
}

async fn posted(chain: &Chain, command: Command) -> i64 {
    match post(chain, command).await {
        PostAnswer::Posted { amount, .. } => amount,
        other => panic!("{other:?}"),
    }
}

async fn account(chain: &Chain, member: MemberId) -> Account {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let found = rows::load(&mut snapshot, chain.tenant, &[member], "").await.unwrap();
    found.into_iter().next().unwrap_or_else(|| Account::new(member))
}

/// What is available, held, pending and owed of points now.
async fn points(chain: &Chain, member: MemberId) -> (i64, i64, i64, i64) {
    let sums = account(chain, member).await.points.balances_at(now(chain));
    (sums.available, sums.held, sums.pending, sums.debt)
}

async fn holds(chain: &Chain) {
    let mut broken = Vec::new();
    verify(&chain.app.db, |check| {
        if !check.ok && check.check != "batches" {
            broken.push(check.clone());
        }
    })
    .await
    .unwrap();
    assert!(broken.is_empty(), "{broken:?}");
}

fn arc(text: &str) -> Option<Arc<str>> {
    Some(Arc::from(text))
}
