//! A run of steps, kept in books by a plain reading of the rules, and held against what the transition makes of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use uuid::Uuid;

use super::super::{
    Answer, Arrival, AskFreeze, CancelFreeze, Changes, Command, Lapse, State, Subject, decide,
    online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineStatus},
    testing::{COUPONS, NOW, PICKUP, TEMPLATE, basket, chain, coupon_id, device_id, id, store_of},
};
use crate::{
    coupons::{Coupon, CouponState},
    ids::{ClerkId, FreezeId, OperationId, StoreId},
    operations::{Action, CollectOrder, ExceptionKind, Outcome, RedeemCoupon, VoidRedemption},
    pickups::{Order, OrderState},
    time::{DAY, Millis},
};

pub(super) const ORDER: FreezeId = FreezeId(Uuid::from_u128(0xA0));

/// Whose word an operation names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Word {
    Nobodys,
    Own,
    /// The latest freeze of this device, whoever asks.
    Of(u128),
    Orders,
}

#[derive(Debug, Clone)]
pub(super) enum Step {
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

pub(super) fn subject(n: u128) -> Subject {
    if n < COUPONS {
        Subject::Coupon(coupon_id(n))
    } else {
        Subject::Order(PICKUP)
    }
}

/// What a plain reading of the rule says there must be.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Who has used what and has not undone it.
    pub(super) uses: BTreeMap<Subject, BTreeSet<OperationId>>,
    /// What each operation used.
    made: Vec<(OperationId, u128, Vec<Subject>)>,
    voided: BTreeSet<OperationId>,
    pub(super) cases: BTreeMap<(OperationId, ExceptionKind), i64>,
    /// What each store was told, by the version it saw.
    copies: BTreeMap<(StoreId, Subject), i64>,
    /// The version of each row that whoever holds it must have seen.
    loud: BTreeMap<Subject, i64>,
}

pub(super) struct Run {
    state: State,
    now: Millis,
    pub(super) books: Books,
    freezes: BTreeMap<u128, FreezeId>,
    next: u128,
}

impl Run {
    pub(super) fn begin() -> Self {
        Self {
            state: chain(),
            now: NOW,
            books: Books::default(),
            freezes: BTreeMap::new(),
            next: 0,
        }
    }

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
        for case in changes.cases.iter().chain(&changes.more_cases) {
            *self.books.cases.entry((case.operation, case.kind)).or_default() += case.loss;
        }
        for excused in &changes.excused {
            let case = (excused.operation, excused.kind);
            *self.books.cases.get_mut(&case).expect("a case to excuse") -= excused.loss;
        }
        for closed in &changes.closed_cases {
            self.books.cases.retain(|(operation, kind), _| {
                *operation != closed.operation || closed.kind.is_some_and(|only| only != *kind)
            });
        }
        for (store, entity) in &changes.feed {
            if let Some(subject) = entity.subject() {
                self.tell(*store, subject);
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
            // Nothing else is played with here.
            sale => {
                let id = OperationId::from_bytes(sale.bytes()).unwrap();
                self.state.sales[&id].as_ref().unwrap().version
            }
        }
    }

    pub(super) fn push(&mut self, device: u128, action: Action) -> (OperationId, Outcome) {
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

    pub(super) fn freeze(&self, device: u128, word: Word) -> Option<FreezeId> {
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

    pub(super) fn take(&mut self, step: &Step) {
        match step {
            Step::Ask { device, subject: about } => {
                self.next += 1;
                let freeze = FreezeId(id(8, self.next));
                self.freezes.insert(*device, freeze);
                self.do_it(&Command::Freeze(AskFreeze {
                    amounts: crate::points::Amounts::default(),
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
                    amounts: crate::points::Amounts::default(),
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
                    spent: crate::transition::online::Spent::default(),
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

    pub(super) fn status(&self) -> Option<OnlineStatus> {
        Some(self.state.online.get(&ORDER)?.as_ref()?.status)
    }

    /// Who has it, who used it besides, whether a freeze holds it still.
    pub(super) fn standing(&self, subject: Subject) -> (Option<OperationId>, Vec<OperationId>, bool) {
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
            other => unreachable!("nobody uses {other:?}"),
        }
    }

    pub(super) fn holds(&self) {
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
                assert!(
                    self.books.cases.keys().any(|(operation, _)| operation == used),
                    "{used} has no case"
                );
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
            .filter(|((operation, _), _)| !elsewhere.contains(operation))
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
