//! Uses that are one too many, in every order of arrival, lapse, cancel and void: as many cases as there are uses less
//! one. And who hears of what: whoever was told of a row hears of its every change, or forgets it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::prelude::*;
use uuid::Uuid;

use super::{
    Answer, Arrival, AskFreeze, CancelFreeze, Card, Changes, Command, Entity, Excused, Lapse, Seen, State, Subject,
    decide,
    online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineStatus},
    testing::{COUPONS, DEVICES, MEMBER, NOW, PICKUP, TEMPLATE, basket, chain, coupon_id, device_id, id, store_of},
};
use crate::{
    coupons::{Coupon, CouponState, FREEZE_LASTS},
    ids::{ClerkId, FreezeId, OperationId, StoreId},
    operations::{Action, CollectOrder, ExceptionKind, Outcome, RedeemCoupon, VoidRedemption},
    pickups::{Order, OrderState},
    time::{DAY, MINUTE, Millis},
};

const ORDER: FreezeId = FreezeId(Uuid::from_u128(0xA0));

/// Whose word an operation names.
#[derive(Debug, Clone, Copy)]
enum Word {
    Nobodys,
    Own,
    /// The latest freeze of this device, whoever asks.
    Of(u128),
    Orders,
}

#[derive(Debug, Clone)]
enum Step {
    Ask {
        device: u128,
        subject: u128,
    },
    GiveBack {
        device: u128,
    },
    Redeem {
        device: u128,
        coupon: u128,
        word: Word,
    },
    Collect {
        device: u128,
        word: Word,
    },
    Sell {
        device: u128,
        coupons: Vec<u128>,
        word: Word,
    },
    Void {
        operation: usize,
    },
    Hold,
    End(End),
    Wait(Millis),
    Look {
        subject: u128,
    },
}

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

fn subject(n: u128) -> Subject {
    if n < COUPONS {
        Subject::Coupon(coupon_id(n))
    } else {
        Subject::Order(PICKUP)
    }
}

/// What a plain reading of the rule says there must be.
#[derive(Debug, Default)]
struct Books {
    /// Who has used what and has not undone it.
    uses: BTreeMap<Subject, BTreeSet<OperationId>>,
    /// What each operation used.
    made: Vec<(OperationId, u128, Vec<Subject>)>,
    voided: BTreeSet<OperationId>,
    cases: BTreeMap<OperationId, i64>,
    /// What each store was told, by the version it saw.
    copies: BTreeMap<(StoreId, Subject), i64>,
    /// The version of each row that whoever holds it must have seen.
    loud: BTreeMap<Subject, i64>,
}

struct Run {
    state: State,
    now: Millis,
    books: Books,
    freezes: BTreeMap<u128, FreezeId>,
    next: u128,
}

impl Run {
    fn do_it(&mut self, command: &Command) -> Answer {
        loop {
            match decide(&self.state, command, self.now) {
                Ok((answer, changes)) => {
                    self.state.absorb(&changes);
                    self.note(&changes);
                    // A counter's own freeze is told to nobody: it is over before it would be read.
                    let quiet = matches!(command, Command::Freeze(_) | Command::CancelFreeze(_));
                    for id in changes.coupons.iter().map(|coupon| coupon.id) {
                        let used = matches!(
                            self.state.coupons[&id],
                            Some(Coupon {
                                state: CouponState::Redeemed { .. },
                                ..
                            })
                        );
                        if !quiet || used {
                            self.books
                                .loud
                                .insert(Subject::Coupon(id), self.version(Subject::Coupon(id)));
                        }
                    }
                    for id in changes.orders.iter().map(|order| order.id) {
                        let used = matches!(
                            self.state.orders[&id],
                            Some(Order {
                                state: OrderState::Collected { .. },
                                ..
                            })
                        );
                        if !quiet || used {
                            self.books
                                .loud
                                .insert(Subject::Order(id), self.version(Subject::Order(id)));
                        }
                    }
                    for sale in &changes.sales {
                        self.books
                            .loud
                            .insert(Subject::Sale(sale.id), self.version(Subject::Sale(sale.id)));
                    }
                    return answer;
                }
                Err(need) => need.0.into_iter().for_each(|key| self.state.note_missing(key)),
            }
        }
    }

    fn note(&mut self, changes: &Changes) {
        for case in &changes.cases {
            self.books.cases.insert(case.operation, case.loss);
        }
        for Excused { operation, loss } in &changes.excused {
            *self.books.cases.get_mut(operation).expect("a case to excuse") -= loss;
        }
        for operation in &changes.closed_cases {
            self.books.cases.remove(operation);
        }
        for (store, entity) in &changes.feed {
            match entity {
                Entity::Coupon(id) => self.tell(*store, Subject::Coupon(*id)),
                Entity::Order(id) => self.tell(*store, Subject::Order(*id)),
                Entity::Sale(id) => self.tell(*store, Subject::Sale(*id)),
                Entity::Member(_) => {}
            }
        }
        for card in &changes.cards {
            self.tell(card.store, Subject::Coupon(coupon_id(0)));
        }
    }

    fn tell(&mut self, store: StoreId, subject: Subject) {
        let version = self.version(subject);
        self.books.copies.insert((store, subject), version);
    }

    fn version(&self, subject: Subject) -> i64 {
        match subject {
            Subject::Coupon(id) => self.state.coupons[&id].as_ref().unwrap().version,
            Subject::Order(id) => self.state.orders[&id].as_ref().unwrap().version,
            Subject::Sale(id) => self.state.sales[&id].as_ref().unwrap().version,
        }
    }

    fn push(&mut self, device: u128, action: Action) -> (OperationId, Outcome) {
        self.next += 1;
        let known = self.state.devices[&device_id(device)].clone().unwrap();
        let operation = OperationId(id(9, self.next));
        let mut fingerprint = [0; 32];
        fingerprint[..16].copy_from_slice(operation.0.as_bytes());
        let arrival = Arrival {
            id: operation,
            device: known.id,
            epoch: 1,
            seq: known.last_seq + 1,
            prev_hash: known.last_hash,
            fingerprint,
            actor: None,
            occurred_at: self.now,
            action: Some(action),
            body: Arc::from(&b"{}"[..]),
        };
        match self.do_it(&Command::Operation(arrival)) {
            Answer::Done { outcome, .. } => (operation, outcome),
            other => panic!("{other:?}"),
        }
    }

    fn freeze(&self, device: u128, word: Word) -> Option<FreezeId> {
        match word {
            Word::Nobodys => None,
            Word::Own => self.freezes.get(&device).copied(),
            Word::Of(other) => self.freezes.get(&other).copied(),
            Word::Orders => Some(ORDER),
        }
    }

    fn used(&mut self, operation: OperationId, device: u128, subjects: Vec<Subject>) {
        for subject in &subjects {
            self.books.uses.entry(*subject).or_default().insert(operation);
        }
        self.books.made.push((operation, device, subjects));
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Ask { device, subject: about } => {
                self.next += 1;
                let freeze = FreezeId(id(8, self.next));
                self.freezes.insert(*device, freeze);
                self.do_it(&Command::Freeze(AskFreeze {
                    id: freeze,
                    device: device_id(*device),
                    subject: subject(*about),
                    presented_by: None,
                    now: self.now,
                }));
            }
            Step::GiveBack { device } => {
                if let Some(id) = self.freezes.get(device).copied() {
                    self.do_it(&Command::CancelFreeze(CancelFreeze {
                        id,
                        device: device_id(*device),
                        now: self.now,
                    }));
                }
            }
            Step::Redeem { device, coupon, word } => {
                let action = Action::RedeemCoupon(RedeemCoupon {
                    coupon: coupon_id(*coupon),
                    template: TEMPLATE,
                    template_version: 1,
                    worth: 100,
                    member: None,
                    freeze: self.freeze(*device, *word),
                });
                let (operation, _) = self.push(*device, action);
                self.used(operation, *device, vec![subject(*coupon)]);
            }
            Step::Collect { device, word } => {
                let action = Action::CollectOrder(CollectOrder {
                    order: PICKUP,
                    worth: 100,
                    freeze: self.freeze(*device, *word),
                });
                let (operation, _) = self.push(*device, action);
                self.used(operation, *device, vec![Subject::Order(PICKUP)]);
            }
            Step::Sell { device, coupons, word } => {
                let freeze = self.freeze(*device, *word);
                let used: Vec<_> = coupons.iter().map(|coupon| (*coupon, freeze)).collect();
                let settled = basket(&used);
                let (operation, outcome) = self.push(*device, Action::SettleSale(settled));
                assert!(!matches!(outcome, Outcome::Quarantined { .. }));
                self.used(operation, *device, coupons.iter().copied().map(subject).collect());
            }
            Step::Void { operation } => {
                let Some((target, device, subjects)) = self.books.made.get(*operation).cloned() else {
                    return;
                };
                if !self.books.voided.insert(target) {
                    return;
                }
                let action = Action::VoidRedemption(VoidRedemption {
                    target,
                    reason: "wrong".into(),
                    approved_by: ClerkId(id(7, 0)),
                });
                let (_, outcome) = self.push(device, action);
                assert_eq!(outcome, Outcome::Applied, "a first void always fits");
                for subject in subjects {
                    self.books.uses.entry(subject).or_default().remove(&target);
                }
            }
            Step::Hold => {
                let asked = AskedOrder {
                    id: ORDER,
                    number: "W".into(),
                    question: "q".into(),
                    member: None,
                    amount: 1,
                    deadline: NOW + DAY,
                    coupons: (0..2)
                        .map(|n| Named {
                            as_given: n.to_string(),
                            coupon: Some(coupon_id(n)),
                        })
                        .collect(),
                    by: Uuid::nil(),
                };
                self.do_it(&Command::FreezeOnline(FreezeOnline {
                    asked: Arc::new(asked),
                    now: self.now,
                }));
            }
            Step::End(end) => {
                let before = self.status();
                self.do_it(&Command::EndOnline(EndOnline {
                    id: ORDER,
                    number: None,
                    end: *end,
                    by: None,
                    now: self.now,
                }));
                let used = OperationId(ORDER.0);
                let after = self.status();
                for n in 0..2 {
                    let uses = self.books.uses.entry(subject(n)).or_default();
                    match (before, after) {
                        (Some(OnlineStatus::Frozen), Some(OnlineStatus::Confirmed)) => drop(uses.insert(used)),
                        (Some(OnlineStatus::Confirmed), Some(OnlineStatus::Voided)) => drop(uses.remove(&used)),
                        _ => {}
                    }
                }
            }
            Step::Wait(time) => self.now += time,
            Step::Look { subject: about } => {
                self.do_it(&Command::Lapse(Lapse {
                    subject: subject(*about),
                    now: self.now,
                }));
            }
        }
    }

    fn status(&self) -> Option<OnlineStatus> {
        Some(self.state.online.get(&ORDER)?.as_ref()?.status)
    }

    /// Who has it, who used it besides, whether a freeze holds it still.
    fn standing(&self, subject: Subject) -> (Option<OperationId>, Vec<OperationId>, bool) {
        match subject {
            Subject::Coupon(id) => {
                let coupon = self.state.coupons[&id].as_ref().unwrap();
                let holder = match coupon.state {
                    CouponState::Redeemed { operation, .. } => Some(operation),
                    _ => None,
                };
                let surplus = coupon.surplus.iter().map(|used| used.operation).collect();
                (holder, surplus, matches!(coupon.state, CouponState::Frozen { .. }))
            }
            Subject::Order(id) => {
                let order = self.state.orders[&id].as_ref().unwrap();
                let holder = match order.state {
                    OrderState::Collected { operation, .. } => Some(operation),
                    _ => None,
                };
                let surplus = order.surplus.iter().map(|used| used.operation).collect();
                (
                    holder,
                    surplus,
                    matches!(order.state, OrderState::Ready { freeze: Some(_) }),
                )
            }
            Subject::Sale(_) => unreachable!("nobody uses a sale"),
        }
    }

    fn holds(&self) {
        for n in 0..=COUPONS {
            let subject = subject(n);
            let (holder, surplus, held) = self.standing(subject);
            let uses = self.books.uses.get(&subject).cloned().unwrap_or_default();
            let known: BTreeSet<OperationId> = holder.into_iter().chain(surplus.iter().copied()).collect();
            assert_eq!(known, uses, "{subject:?}: who used it");
            assert_eq!(known.len(), surplus.len() + holder.iter().count(), "nobody twice");
            assert!(
                surplus.is_empty() || holder.is_some() || held,
                "{subject:?} is nobody's"
            );
            for used in &surplus {
                assert!(self.books.cases.contains_key(used), "{used} has no case");
            }
        }
        // What breaks no other rule has a case for each use that is one too many, and no other.
        let elsewhere: BTreeSet<OperationId> = self
            .books
            .made
            .iter()
            .filter(|(_, device, subjects)| {
                subjects.contains(&Subject::Order(PICKUP)) && store_of(*device) != store_of(0)
            })
            .map(|(operation, ..)| *operation)
            .collect();
        let too_many: usize = (0..=COUPONS).map(|n| self.standing(subject(n)).1.len()).sum();
        let losses: i64 = self
            .books
            .cases
            .iter()
            .filter(|(operation, _)| !elsewhere.contains(operation))
            .map(|(_, loss)| loss)
            .sum();
        let elsewhere_too_many = self.standing(Subject::Order(PICKUP)).1;
        let counted = too_many
            - elsewhere_too_many
                .iter()
                .filter(|used| elsewhere.contains(used))
                .count();
        assert_eq!(losses, 100 * i64::try_from(counted).unwrap(), "{:?}", self.books.cases);
        for ((store, subject), seen) in &self.books.copies {
            let must = self.books.loud.get(subject).copied().unwrap_or(0);
            assert!(
                *seen >= must,
                "{store} holds {subject:?} as of {seen}, it stands at {must}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn there_are_as_many_cases_as_uses_less_one(steps in proptest::collection::vec(step(), 1..40)) {
        let mut run = Run {
            state: chain(),
            now: NOW,
            books: Books::default(),
            freezes: BTreeMap::new(),
            next: 0,
        };
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
    let mut run = Run {
        state: chain(),
        now: NOW,
        books: Books::default(),
        freezes: BTreeMap::new(),
        next: 0,
    };
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

#[test]
fn a_store_that_drops_out_of_a_member_s_eight_is_told_and_the_new_one_gets_all() {
    let mut state = chain();
    let mut stores: Vec<StoreId> = (10..18).map(|n| StoreId(id(3, n))).collect();
    if let Some(Some(member)) = state.members.get_mut(&MEMBER) {
        member.recent_stores = stores.clone();
    }
    let new = StoreId(id(3, 99));
    let seen = Command::Seen(Seen {
        member: MEMBER,
        store: new,
    });
    let (answer, changes) = decide(&state, &seen, NOW).unwrap();
    assert_eq!(answer, Answer::Noted);
    let told: Vec<_> = stores.iter().map(|store| (*store, Entity::Member(MEMBER))).collect();
    let card = Card {
        store: new,
        member: MEMBER,
    };
    assert_eq!(changes.cards, [card]);
    assert_eq!(changes.feed, told);
    stores.pop();
    stores.insert(0, new);
    assert_eq!(changes.members[0].recent_stores, stores);
}
