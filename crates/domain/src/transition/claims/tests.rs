//! Claims against a plain model: never above the batch, never above the limit, and a replay changes nothing.

use std::collections::BTreeMap;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::transition::{Audience, Command, Grant, Part, TakeGrant, decide};

const NOW: Millis = 1_795_000_000_000;

fn member(n: u8) -> MemberId {
    MemberId(Uuid::from_u128(u128::from(n) + 1))
}

const TEMPLATE: TemplateId = TemplateId(Uuid::from_u128(77));

fn terms(version: i64, limit: i64, counts: LimitCounts) -> Terms {
    Terms {
        version,
        published: true,
        claim_from: None,
        claim_until: None,
        member_limit: limit,
        limit_counts: counts,
        valid_from: None,
        valid_until: None,
        valid_days: Some(30),
    }
}

fn batch(n: u8, version: i64, made: i64, size: i64) -> Batch {
    Batch {
        id: BatchId::new(NOW, [n; 10]),
        template: TEMPLATE,
        template_version: version,
        size,
        made,
        claimed: 0,
        status: if made < size {
            BatchStatus::Making
        } else {
            BatchStatus::Ready
        },
    }
}

/// The rows of members 0 to 7 who never claimed anything.
fn state(terms: Vec<Terms>, batches: Vec<Batch>) -> State {
    let mut state = State::default();
    for n in 0..8 {
        let person = Member {
            id: member(n),
            number: format!("M{n}"),
            name: String::new(),
            phone: String::new(),
            recent_stores: Vec::new(),
        };
        state.members.insert(person.id, Some(person));
        state.holdings.insert((member(n), TEMPLATE), None);
    }
    let offer = Offer {
        template: TEMPLATE,
        terms,
        batches: batches.iter().map(|batch| batch.id).collect(),
    };
    state.offers.insert(TEMPLATE, Some(offer));
    state.batches = batches.into_iter().collect();
    state
}

fn ask(state: &mut State, who: MemberId, key: u8, now: Millis) -> Answer {
    let command = Command::Claim(ClaimCoupon {
        member: who,
        template: TEMPLATE,
        key: ClaimKey([key; 16]),
    });
    let (answer, changes) = decide(state, &command, now).unwrap();
    state.absorb(&changes);
    answer
}

fn reasons(answer: Answer) -> Vec<NotClaimable> {
    match answer {
        Answer::NotGiven { reasons, .. } => reasons,
        other => panic!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn never_above_the_stock_nor_the_limit(
        claims in prop::collection::vec((0u8..8, 0u8..24), 0..120),
        stock in 0i64..40,
        limit in 0i64..5,
    ) {
        let mut state = state(vec![terms(1, limit, LimitCounts::Taken)], vec![batch(1, 1, stock, stock)]);
        let mut coupons: BTreeMap<CouponId, MemberId> = BTreeMap::new();
        let mut answers: BTreeMap<(MemberId, u8), Answer> = BTreeMap::new();
        for (who, key) in claims {
            let who = member(who);
            let answer = ask(&mut state, who, key, NOW);
            match (answers.get(&(who, key)), answer) {
                (Some(Answer::Given { coupon, .. }), again) => {
                    prop_assert_eq!(again, Answer::Given { coupon: *coupon, replayed: true });
                }
                (Some(Answer::NotGiven { reasons, .. }), again) => {
                    prop_assert_eq!(again, Answer::NotGiven { reasons: reasons.clone(), replayed: true });
                }
                (Some(other), _) => prop_assert!(false, "{:?}", other),
                (None, answer) => {
                    let had = coupons.values().filter(|owner| **owner == who).count() as i64;
                    let mut expected = Vec::new();
                    if limit > 0 && had >= limit {
                        expected.push(NotClaimable::LimitReached { limit, counts: LimitCounts::Taken });
                    }
                    if coupons.len() as i64 == stock {
                        expected.push(NotClaimable::OutOfStock);
                    }
                    match &answer {
                        Answer::Given { coupon, replayed: false } => {
                            prop_assert!(expected.is_empty());
                            prop_assert_eq!(coupons.insert(*coupon, who), None);
                        }
                        Answer::NotGiven { reasons, replayed: false } => prop_assert_eq!(reasons, &expected),
                        other => prop_assert!(false, "{:?}", other),
                    }
                    answers.insert((who, key), answer);
                }
            }
        }
        let given: i64 = state.batches.values().flatten().map(|batch| batch.claimed).sum();
        prop_assert_eq!(given, coupons.len() as i64);
        let taken: i64 = state.holdings.values().flatten().map(|holding| holding.taken).sum();
        prop_assert_eq!(taken, given);
    }

    #[test]
    fn positions_and_coupons_are_one_to_one(a: u32, b: u32, n: u8) {
        let batch = BatchId::new(NOW, [n; 10]);
        prop_assert_eq!(a == b, batch.coupon(a) == batch.coupon(b));
        prop_assert_eq!(batch.coupon(a).0.get_version_num(), 7);
        prop_assert_eq!(a.cmp(&b), batch.coupon(a).cmp(&batch.coupon(b)));
    }
}

#[test]
fn every_reason_is_told_at_once() {
    let mut late = terms(1, 1, LimitCounts::Taken);
    late.claim_until = Some(NOW);
    late.published = false;
    late.valid_days = None;
    late.valid_until = Some(NOW - 1);
    let mut state = state(vec![late], vec![]);
    state.holdings.insert(
        (member(0), TEMPLATE),
        Some(Holding {
            taken: 1,
            version: 1,
            ..Holding::none(member(0), TEMPLATE)
        }),
    );
    assert_eq!(
        reasons(ask(&mut state, member(0), 1, NOW)),
        vec![
            NotClaimable::Retired,
            NotClaimable::ClaimOver { at: NOW },
            NotClaimable::ValidityOver { at: NOW - 1 },
            NotClaimable::LimitReached {
                limit: 1,
                counts: LimitCounts::Taken
            },
            NotClaimable::OutOfStock,
        ]
    );
}

#[test]
fn what_is_held_is_limited_whatever_was_taken() {
    let mut state = state(vec![terms(1, 1, LimitCounts::Held)], vec![batch(1, 1, 9, 9)]);
    let mut holding = Holding {
        taken: 5,
        version: 5,
        ..Holding::none(member(0), TEMPLATE)
    };
    state.holdings.insert((member(0), TEMPLATE), Some(holding.clone()));
    assert!(matches!(ask(&mut state, member(0), 1, NOW), Answer::Given { .. }));
    assert_eq!(
        reasons(ask(&mut state, member(0), 2, NOW)),
        vec![NotClaimable::LimitReached {
            limit: 1,
            counts: LimitCounts::Held
        }]
    );
    // They used it up.
    holding.held = 0;
    state.holdings.insert((member(0), TEMPLATE), Some(holding));
    assert!(matches!(ask(&mut state, member(0), 3, NOW), Answer::Given { .. }));
}

#[test]
fn the_newest_version_with_stock_is_taken() {
    let mut soon = terms(3, 0, LimitCounts::Taken);
    soon.claim_from = Some(NOW + 1);
    let all = vec![soon, terms(2, 0, LimitCounts::Taken), terms(1, 0, LimitCounts::Taken)];
    let batches = vec![batch(1, 1, 1, 1), batch(2, 2, 1, 1), batch(3, 3, 1, 1)];
    let mut state = state(all, batches.clone());
    let mut from = |key| match ask(&mut state, member(0), key, NOW) {
        Answer::Given { coupon, .. } => coupon,
        other => panic!("{other:?}"),
    };
    assert_eq!(from(1), batches[1].id.coupon(0));
    assert_eq!(from(2), batches[0].id.coupon(0));
    assert_eq!(
        reasons(ask(&mut state, member(0), 3, NOW)),
        vec![NotClaimable::ClaimNotStarted { at: NOW + 1 }]
    );
}

#[test]
fn while_codes_are_made_the_answer_is_neither_yes_nor_no() {
    let mut state = state(vec![terms(1, 2, LimitCounts::Taken)], vec![batch(1, 1, 1, 5)]);
    assert!(matches!(ask(&mut state, member(0), 1, NOW), Answer::Given { .. }));
    assert_eq!(ask(&mut state, member(0), 2, NOW), Answer::ComeBack);
    // Nothing was kept of it: once there are more, the same question is answered.
    let id = batch(1, 1, 1, 5).id;
    let more = state.batches[&id].clone().map(|batch| Batch { made: 3, ..batch });
    state.batches.insert(id, more);
    assert!(matches!(
        ask(&mut state, member(0), 2, NOW),
        Answer::Given { replayed: false, .. }
    ));
    // Whoever has had theirs is told so at once.
    assert_eq!(reasons(ask(&mut state, member(0), 3, NOW)).len(), 1);
}

#[test]
fn one_name_is_one_question() {
    let mut state = state(vec![terms(1, 0, LimitCounts::Taken)], vec![batch(1, 1, 5, 5)]);
    ask(&mut state, member(0), 1, NOW);
    let another = Command::Claim(ClaimCoupon {
        member: member(0),
        template: TemplateId(Uuid::from_u128(78)),
        key: ClaimKey([1; 16]),
    });
    assert_eq!(decide(&state, &another, NOW).unwrap().0, Answer::AnotherQuestion);
    let unknown = MemberId(Uuid::from_u128(99));
    state.members.insert(unknown, None);
    assert_eq!(
        reasons(ask(&mut state, unknown, 9, NOW)),
        vec![NotClaimable::UnknownMember]
    );
}

fn granting(audience: Audience, open: bool) -> (State, Grant) {
    let batch = Batch {
        status: BatchStatus::Ready,
        ..batch(9, 1, 0, 0)
    };
    let mut state = state(vec![terms(1, 1, LimitCounts::Taken)], vec![]);
    let grant = Grant {
        id: GrantId::new(NOW, [1; 10]),
        template: TEMPLATE,
        template_version: 1,
        batch: batch.id,
        audience,
        open,
    };
    state.batches.insert(batch.id, Some(batch));
    state.grants.insert(grant.id, Some(grant.clone()));
    for n in 0..8 {
        let part = (audience == Audience::List && n < 4).then_some(Part {
            grant: grant.id,
            member: member(n),
            given: None,
        });
        state.parts.insert((grant.id, member(n)), part);
    }
    (state, grant)
}

#[test]
fn a_grant_gives_each_member_one() {
    let (mut state, grant) = granting(Audience::List, true);
    let mut coupons = BTreeMap::new();
    for _ in 0..3 {
        for n in 0..8 {
            let command = Command::TakeGrant(TakeGrant {
                grant: grant.id,
                member: member(n),
            });
            let (answer, changes) = decide(&state, &command, NOW).unwrap();
            state.absorb(&changes);
            match answer {
                Answer::Given { coupon, .. } => {
                    assert_eq!(*coupons.entry(coupon).or_insert(n), n);
                }
                other => assert_eq!((reasons(other), n >= 4), (vec![NotClaimable::NotListed], true)),
            }
        }
    }
    assert_eq!(coupons.len(), 4);
    let batch = state.batches[&grant.batch].clone().unwrap();
    assert_eq!((batch.size, batch.made, batch.claimed), (4, 4, 4));
}

#[test]
fn a_templates_end_stops_grants() {
    let (mut state, grant) = granting(Audience::All, true);
    let command = Command::TakeGrant(TakeGrant {
        grant: grant.id,
        member: member(0),
    });
    let mut offer = state.offers[&TEMPLATE].clone().unwrap();
    offer.terms[0].published = false;
    offer.terms[0].claim_until = Some(NOW);
    state.offers.insert(TEMPLATE, Some(offer));
    assert_eq!(
        reasons(decide(&state, &command, NOW).unwrap().0),
        vec![NotClaimable::Retired, NotClaimable::ClaimOver { at: NOW }]
    );
    let (state, _) = granting(Audience::All, false);
    assert_eq!(
        reasons(decide(&state, &command, NOW).unwrap().0),
        vec![NotClaimable::GrantNotOpen]
    );
}

fn claimed(state: &mut State, key: u8, now: Millis) -> Coupon {
    let command = Command::Claim(ClaimCoupon {
        member: member(0),
        template: TEMPLATE,
        key: ClaimKey([key; 16]),
    });
    let (answer, changes) = decide(state, &command, now).unwrap();
    assert!(matches!(answer, Answer::Given { replayed: false, .. }), "{answer:?}");
    state.absorb(&changes);
    changes.given[0].coupon.clone()
}

#[test]
fn a_coupon_is_valid_as_its_terms_say() {
    let fixed = Some(NOW + 5 * DAY);
    for (days, from, until, validity) in [
        (None, None, None, (None, None)),
        (None, None, fixed, (None, fixed)),
        (None, Some(NOW + DAY), fixed, (Some(NOW + DAY), fixed)),
        (Some(30), None, None, (None, Some(NOW + 30 * DAY))),
        (Some(30), Some(NOW), fixed, (Some(NOW), Some(NOW + 30 * DAY))),
        (Some(i64::MAX), None, None, (None, Some(i64::MAX))),
    ] {
        let terms = Terms {
            valid_days: days,
            valid_from: from,
            valid_until: until,
            ..terms(1, 0, LimitCounts::Taken)
        };
        let mut state = state(vec![terms], vec![batch(1, 1, 1, 1)]);
        let coupon = claimed(&mut state, 1, NOW);
        assert_eq!((coupon.valid_from, coupon.valid_until), validity);
        assert_eq!((coupon.member, coupon.version), (Some(member(0)), Coupon::ISSUED));
    }
}

#[test]
fn it_can_be_claimed_from_the_first_instant_to_the_last() {
    let limits = Terms {
        claim_from: Some(NOW),
        claim_until: Some(NOW + DAY),
        valid_days: None,
        valid_until: Some(NOW + 2 * DAY),
        ..terms(1, 0, LimitCounts::Taken)
    };
    for (now, ended) in [
        (NOW - 1, vec![NotClaimable::ClaimNotStarted { at: NOW }]),
        (NOW, vec![]),
        (NOW + DAY - 1, vec![]),
        (NOW + DAY, vec![NotClaimable::ClaimOver { at: NOW + DAY }]),
        (
            NOW + 2 * DAY,
            vec![
                NotClaimable::ClaimOver { at: NOW + DAY },
                NotClaimable::ValidityOver { at: NOW + 2 * DAY },
            ],
        ),
    ] {
        let mut state = state(vec![limits.clone()], vec![batch(1, 1, 1, 1)]);
        match ask(&mut state, member(0), 1, now) {
            Answer::Given { .. } => assert_eq!(ended, [], "{now}"),
            other => assert_eq!(reasons(other), ended, "{now}"),
        }
    }
}

#[test]
fn what_a_member_had_grows_with_every_claim_and_with_nothing_else() {
    let mut state = state(vec![terms(1, 3, LimitCounts::Taken)], vec![batch(1, 1, 9, 9)]);
    for n in 1..=3 {
        claimed(&mut state, n, NOW);
        let had = Holding {
            member: member(0),
            template: TEMPLATE,
            taken: i64::from(n),
            held: i64::from(n),
            version: i64::from(n),
        };
        assert_eq!(state.holdings[&(member(0), TEMPLATE)], Some(had));
    }
    let before = state.holdings.clone();
    ask(&mut state, member(0), 3, NOW);
    ask(&mut state, member(0), 4, NOW);
    assert_eq!(state.holdings, before);
}
