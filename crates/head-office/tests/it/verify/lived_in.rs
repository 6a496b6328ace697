//! A chain that has seen everything.

use std::sync::Arc;

use counterfoil_domain::{
    ids::{FreezeId, MessageId},
    operations::{Action, ExceptionKind, FailedAttempt, Outcome, VoidRedemption},
    sales::{Return, ReturnLine, ReturnPolicy, SaleLine, Settlement},
    transition::{
        Answer, AskFreeze, CancelFreeze, Command, Subject,
        online::{AskedOrder, End, EndOnline, FreezeOnline, Named},
    },
};
use counterfoil_head_office::{
    admin,
    clock::{Clock, SystemRandom},
    messages, online,
};

use crate::common::{Chain, Counter, HOUR, On, START, chain, random10};

fn clone(counter: &Counter) -> Counter {
    Counter {
        key: counter.key.clone(),
        ..*counter
    }
}

fn attempt() -> Action {
    Action::FailedAttempt(FailedAttempt { digest: "00".into() })
}

/// Every state and every outcome that there is.
pub(super) async fn lived_in(on: On) -> Chain {
    let chain = chain(on, 12).await;
    let (mut a, mut b) = (chain.counter().await, chain.counter().await);
    let coupon = |n: usize| chain.coupons[n];
    let void = |target| {
        Action::VoidRedemption(VoidRedemption {
            target,
            reason: "by mistake".into(),
            approved_by: counterfoil_domain::ids::ClerkId::new(START, random10()),
        })
    };

    // Redeemed twice; redeemed and voided; redeemed, voided and redeemed again; the second of two voided.
    let first = a.make(chain.redeem(coupon(0), None), START);
    let second = b.make(chain.redeem(coupon(0), None), START);
    let third = a.make(chain.redeem(coupon(1), None), START);
    let undone = a.make(void(third.id), START);
    let fourth = a.make(chain.redeem(coupon(2), None), START);
    let undone_too = a.make(void(fourth.id), START);
    let again = a.make(chain.redeem(coupon(2), None), START);
    chain.push(&[first, third, undone, fourth, undone_too, again]).await;
    let double = Answer::Done {
        outcome: Outcome::AppliedWithException {
            exception: ExceptionKind::DoubleRedeem,
        },
        replayed: false,
    };
    assert_eq!(chain.push(&[second]).await, [double]);
    let fifth = a.make(chain.redeem(coupon(8), None), START);
    let sixth = b.make(chain.redeem(coupon(8), None), START);
    let closed = b.make(void(sixth.id), START);
    chain.push(&[fifth]).await;
    chain.push(&[sixth, closed]).await;

    // Frozen and redeemed; frozen; frozen and given back; refused.
    let freeze = || FreezeId::new(START, random10());
    let (confirmed, held, given_back) = (freeze(), freeze(), freeze());
    chain.freeze(&b, confirmed, coupon(3)).await;
    let by_freeze = b.make(chain.redeem(coupon(3), Some(confirmed)), START);
    chain.push(&[by_freeze]).await;
    chain.freeze(&b, held, coupon(4)).await;
    chain.freeze(&b, given_back, coupon(5)).await;
    chain
        .submit(vec![Command::CancelFreeze(CancelFreeze {
            id: given_back,
            device: b.device,
            now: START,
        })])
        .await;
    assert!(matches!(
        chain.freeze(&b, freeze(), coupon(0)).await,
        Answer::Refused { .. }
    ));

    // Handed over twice; handed over and taken back; frozen.
    let collected = a.make(chain.collect(chain.orders[0]), START);
    let returned = a.make(chain.collect(chain.orders[1]), START);
    let taken_back = a.make(void(returned.id), START);
    chain.push(&[collected, returned, taken_back]).await;
    let twice = b.make(chain.collect(chain.orders[0]), START);
    chain.push(&[twice]).await;
    chain
        .submit(vec![Command::Freeze(AskFreeze {
            amounts: counterfoil_domain::points::Amounts::default(),
            id: freeze(),
            device: b.device,
            subject: Subject::Order(chain.orders[2]),
            presented_by: None,
            now: START,
        })])
        .await;

    // A sale, and some of it back.
    let mut till = chain.counter().await;
    let line = SaleLine {
        sku: "A".into(),
        name_zh: "茶".into(),
        name_en: "Tea".into(),
        category: None,
        merchant: None,
        unit_price: 1_000,
        quantity: 2,
    };
    let sold = till.make(
        Action::SettleSale(Settlement {
            account: counterfoil_domain::points::AccountUse::default(),
            currency: "CNY".into(),
            lines: vec![line],
            coupons: Vec::new(),
            member: None,
            payable: 2_000,
            tender: "cash".into(),
            receipt: "1".into(),
        }),
        START,
    );
    let back = ReturnLine {
        line: 0,
        quantity: 1,
        refund: 1_000,
    };
    let brought_back = till.make(
        Action::ReturnSale(Return {
            member: None,
            to_balance: 0,
            target: sold.id,
            lines: vec![back],
            policy: ReturnPolicy::Keep,
            coupons: Vec::new(),
            approved_by: counterfoil_domain::ids::ClerkId::new(START, random10()),
            reason: "by mistake".into(),
        }),
        START,
    );
    chain.push(&[sold, brought_back]).await;

    // A payload of the future; a fork with both branches, the tail of the old epoch, the new one; a revoked device.
    let text = a.seal(attempt(), START).replace("\"version\":1", "\"version\":9");
    let unreadable = counterfoil_protocol::operation::open(0, &text).unwrap().1;
    a.head = unreadable.fingerprint;
    chain.push(&[unreadable]).await;
    let mut forked = chain.counter().await;
    let common_past = forked.make(attempt(), START);
    let mut other = clone(&forked);
    let own = forked.make(attempt(), START);
    let tail = forked.make(attempt(), START);
    chain.push(&[common_past, own]).await;
    let branch = other.make(attempt(), START + 1);
    assert_eq!(chain.push(&[branch]).await, [Answer::Fork]);
    admin::new_epoch(&chain.app.db, chain.clock.as_ref(), &SystemRandom, forked.device)
        .await
        .unwrap();
    (forked.epoch, forked.seq) = (2, 0);
    let next = forked.make(attempt(), START);
    chain.push(&[tail]).await;
    chain.push(&[next]).await;
    let mut revoked = chain.counter().await;
    admin::revoke(&chain.app.db, chain.clock.as_ref(), &SystemRandom, revoked.device)
        .await
        .unwrap();
    let late_word = revoked.make(attempt(), START);
    chain.push(&[late_word]).await;

    // An order placed online that holds a coupon, and one that has used its own; a message that somebody has seen.
    for (number, coupon) in [("W-1", coupon(10)), ("W-2", coupon(11))] {
        let asked = AskedOrder {
            amounts: counterfoil_domain::points::Amounts::default(),
            id: online::id_of(chain.tenant, number),
            number: number.into(),
            question: "q".into(),
            member: Some(chain.member),
            amount: 1,
            deadline: START + HOUR,
            coupons: vec![Named {
                as_given: coupon.to_string(),
                coupon: Some(coupon),
            }],
            by: uuid::Uuid::from_u128(1),
        };
        let asked = Command::FreezeOnline(FreezeOnline {
            asked: Arc::new(asked),
            now: START,
        });
        chain.submit(vec![asked]).await;
    }
    let paid = Command::EndOnline(EndOnline {
        spent: counterfoil_domain::transition::online::Spent::default(),
        id: online::id_of(chain.tenant, "W-2"),
        number: None,
        end: End::Confirm,
        by: None,
        now: START,
    });
    chain.submit(vec![paid]).await;
    say_something(&chain).await;

    // Too late, and yet used.
    chain.clock.advance(48 * HOUR);
    let now = chain.clock.now();
    let late = a.make(chain.redeem(coupon(6), None), now);
    chain.push(&[late]).await;
    chain
}

async fn say_something(chain: &Chain) {
    let words = || "x".to_owned();
    let message = messages::Message {
        id: MessageId::new(START, random10()),
        kind: "news".into(),
        words: messages::Words {
            title_zh: words(),
            title_en: words(),
            body_zh: words(),
            body_en: words(),
        },
        sent_at: START,
        sent_by: None,
    };
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    messages::send_to_all(&mut tx, chain.tenant, &message).await.unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    let seen = messages::look(&chain.app.db, chain.tenant, chain.member, START, None, 10).await;
    assert_eq!(seen.unwrap().len(), 1);
}
