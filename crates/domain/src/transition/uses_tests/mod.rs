//! Uses that are one too many, in every order of arrival, lapse, cancel and void: as many cases as there are uses less
//! one. And who hears of what: whoever was told of a row hears of its every change, or forgets it.

mod books;

use std::collections::BTreeSet;

use proptest::prelude::*;

use self::books::{ORDER, Run, Step, Word, subject};
use super::{
    Subject,
    online::{End, OnlineStatus},
    testing::{COUPONS, DEVICES, PICKUP, TEMPLATE, coupon_id},
};
use crate::{
    coupons::FREEZE_LASTS,
    ids::OperationId,
    operations::{Action, CollectOrder, ExceptionKind, Outcome, RedeemCoupon},
    time::{DAY, MINUTE},
};

fn word() -> impl Strategy<Value = Word> {
    prop_oneof![
        3 => Just(Word::Nobodys),
        3 => Just(Word::Own),
        1 => (0..DEVICES).prop_map(Word::Of),
        1 => Just(Word::Orders),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let sold = proptest::sample::subsequence(vec![0, 1, 2], 1..=3);
    prop_oneof![
        3 => (0..DEVICES, 0..=COUPONS).prop_map(|(device, subject)| Step::Ask { device, subject }),
        1 => (0..DEVICES).prop_map(|device| Step::GiveBack { device }),
        4 => (0..DEVICES, 0..COUPONS, word()).prop_map(|(device, coupon, word)| Step::Redeem { device, coupon, word }),
        2 => (0..DEVICES, word()).prop_map(|(device, word)| Step::Collect { device, word }),
        2 => (0..DEVICES, sold, word()).prop_map(|(device, coupons, word)| Step::Sell { device, coupons, word }),
        4 => (0_usize..20).prop_map(|operation| Step::Void { operation }),
        1 => Just(Step::Hold),
        2 => proptest::sample::select(End::ALL.to_vec()).prop_map(Step::End),
        1 => prop_oneof![Just(MINUTE), Just(FREEZE_LASTS)].prop_map(Step::Wait),
        1 => (0..=COUPONS).prop_map(|subject| Step::Look { subject }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn there_are_as_many_cases_as_uses_less_one(steps in proptest::collection::vec(step(), 1..40)) {
        let mut run = Run::begin();
        for step in &steps {
            run.take(step);
            run.holds();
        }
        // Whatever is still held is let go of.
        run.take(&Step::Wait(DAY));
        if run.status() == Some(OnlineStatus::Frozen) {
            run.take(&Step::End(End::Cancel));
        }
        for subject in 0..=COUPONS {
            run.take(&Step::Look { subject });
        }
        run.holds();
        for n in 0..=COUPONS {
            let (holder, surplus, _) = run.standing(subject(n));
            let uses = run.books.uses.get(&subject(n)).map_or(0, BTreeSet::len);
            prop_assert_eq!(surplus.len(), uses.saturating_sub(1));
            prop_assert_eq!(holder.is_some(), uses > 0);
        }
    }
}

fn after(steps: &[Step]) -> Run {
    let mut run = Run::begin();
    for step in steps {
        run.take(step);
        run.holds();
    }
    run
}

#[test]
fn another_s_word_is_no_word() {
    for (word, owner) in [
        (Word::Of(0), Step::Ask { device: 0, subject: 1 }),
        (Word::Orders, Step::Hold),
    ] {
        let mut run = after(&[owner]);
        let action = Action::RedeemCoupon(RedeemCoupon {
            coupon: coupon_id(1),
            template: TEMPLATE,
            template_version: 1,
            worth: 100,
            member: None,
            freeze: run.freeze(1, word),
        });
        let (_, outcome) = run.push(1, action);
        let exception = ExceptionKind::RedeemWhileFrozen;
        assert_eq!(outcome, Outcome::AppliedWithException { exception });
        assert!(matches!(run.standing(subject(1)), (None, _, true)), "the freeze stays");
    }
    let mut run = after(&[Step::Ask {
        device: 0,
        subject: COUPONS,
    }]);
    let action = Action::CollectOrder(CollectOrder {
        order: PICKUP,
        worth: 100,
        freeze: run.freeze(1, Word::Of(0)),
    });
    let exception = ExceptionKind::RedeemWhileFrozen;
    assert_eq!(run.push(1, action).1, Outcome::AppliedWithException { exception });
}

#[test]
fn what_the_order_was_paid_with_is_redeemed_whichever_way_round() {
    let sold = Step::Redeem {
        device: 2,
        coupon: 0,
        word: Word::Nobodys,
    };
    for ends in [
        [Step::End(End::Confirm), Step::Void { operation: 0 }],
        [Step::Void { operation: 0 }, Step::End(End::Confirm)],
    ] {
        let run = after(&[Step::Hold, sold.clone(), ends[0].clone(), ends[1].clone()]);
        assert_eq!(
            run.standing(subject(0)),
            (Some(OperationId(ORDER.0)), Vec::new(), false)
        );
        assert!(run.books.cases.is_empty());
    }
}

#[test]
fn worth_below_zero_is_set_aside_and_lets_go_of_what_it_held() {
    let mut run = after(&[
        Step::Ask { device: 0, subject: 0 },
        Step::Ask {
            device: 1,
            subject: COUPONS,
        },
    ]);
    let action = Action::RedeemCoupon(RedeemCoupon {
        coupon: coupon_id(0),
        template: TEMPLATE,
        template_version: 1,
        worth: -1,
        member: None,
        freeze: run.freeze(0, Word::Own),
    });
    let (_, outcome) = run.push(0, action);
    assert!(matches!(outcome, Outcome::Quarantined { .. }));
    assert_eq!(run.standing(subject(0)), (None, Vec::new(), false));
    // Another's freeze is not let go of by naming it.
    let action = Action::CollectOrder(CollectOrder {
        order: PICKUP,
        worth: -1,
        freeze: run.freeze(0, Word::Of(1)),
    });
    assert!(matches!(run.push(0, action).1, Outcome::Quarantined { .. }));
    assert!(run.standing(Subject::Order(PICKUP)).2, "its owner still holds it");
}
