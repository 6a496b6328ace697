//! Who hears of a change: the row's own store, its member's stores, where it happens, and whoever was told before.

use super::{
    Answer, Card, Changes, Command, Entity, Seen, State, decide, effect,
    online::{AskedOrder, FreezeOnline, Named},
    testing::{
        MEMBER, NOW, PICKUP, basket, chain, collect, coupon, coupon_id, doing, freeze_id, id, operation_id, order,
        redeem, store_of,
    },
};
use crate::{
    ids::{ClerkId, StoreId},
    operations::Action,
    sales::{Return, ReturnLine, ReturnPolicy},
};

fn there() -> StoreId {
    store_of(0)
}
fn elsewhere() -> StoreId {
    store_of(2)
}
const THIRD: StoreId = StoreId(id(3, 7));

fn does(state: &State, device: u128, action: &Action) -> Changes {
    effect(state, action, &doing(device, operation_id(1))).unwrap().1
}

fn told(changes: &Changes, entity: Entity) -> Vec<StoreId> {
    let told = changes.feed.iter().filter(|(_, what)| *what == entity);
    told.map(|(store, _)| *store).collect()
}

/// Of whom nothing else would say it is written into the row, once.
#[test]
fn a_coupon_is_told_to_its_store_and_where_it_is_used_and_to_whom_it_was_told() {
    for (number, device, before, hear, after) in [
        (1, 0, vec![], vec![there()], vec![]),
        (1, 2, vec![], vec![there(), elsewhere()], vec![elsewhere()]),
        (1, 2, vec![elsewhere()], vec![there(), elsewhere()], vec![elsewhere()]),
        (1, 0, vec![elsewhere()], vec![there(), elsewhere()], vec![elsewhere()]),
        (1, 0, vec![there(), THIRD], vec![there(), THIRD], vec![there(), THIRD]),
        (2, 0, vec![], vec![there()], vec![there()]),
        (2, 2, vec![THIRD], vec![THIRD, elsewhere()], vec![THIRD, elsewhere()]),
        (0, 0, vec![], vec![there()], vec![]),
        (0, 0, vec![THIRD], vec![there(), THIRD], vec![THIRD]),
        (0, 2, vec![], vec![elsewhere(), there()], vec![]),
    ] {
        let mut state = chain();
        coupon(&mut state, number).told = before.clone();
        let changes = does(&state, device, &redeem(number, None));
        let rule = format!("coupon {number} by device {device}, told {before:?}");
        assert_eq!(told(&changes, Entity::Coupon(coupon_id(number))), hear, "{rule}");
        assert_eq!(changes.coupons[0].told, after, "{rule}");
    }
}

#[test]
fn what_head_office_does_itself_happens_in_no_store() {
    let mut state = chain();
    state.online.insert(freeze_id(0), None);
    coupon(&mut state, 2).told = vec![THIRD];
    let asked = AskedOrder {
        amounts: crate::points::Amounts::default(),
        id: freeze_id(0),
        number: "1".into(),
        question: "q".into(),
        member: None,
        amount: 1,
        deadline: NOW,
        coupons: [0, 2]
            .map(|n| Named {
                as_given: String::new(),
                coupon: Some(coupon_id(n)),
            })
            .to_vec(),
        by: id(8, 0),
    };
    let command = Command::FreezeOnline(FreezeOnline {
        asked: asked.into(),
        now: NOW,
    });
    let (_, changes) = decide(&state, &command, NOW).unwrap();
    assert_eq!(
        changes.feed,
        [
            (there(), Entity::Coupon(coupon_id(0))),
            (THIRD, Entity::Coupon(coupon_id(2)))
        ]
    );
    assert_eq!((changes.members.len(), &changes.coupons[1].told), (0, &vec![THIRD]));
}

#[test]
fn an_order_is_its_store_s_whoever_it_is_for() {
    for (device, before, hear, after) in [
        (0, vec![], vec![there()], vec![]),
        (2, vec![], vec![there(), elsewhere()], vec![elsewhere()]),
        (0, vec![THIRD], vec![there(), THIRD], vec![THIRD]),
    ] {
        let mut state = chain();
        order(&mut state).told = before;
        order(&mut state).member = Some(MEMBER);
        if let Some(Some(member)) = state.members.get_mut(&MEMBER) {
            member.recent_stores = vec![StoreId(id(3, 8))];
        }
        let changes = does(&state, device, &collect(None));
        assert_eq!(told(&changes, Entity::Order(PICKUP)), hear);
        assert_eq!((&changes.orders[0].told, changes.members.len()), (&after, 0));
    }
}

/// The store holds the member from now on.
fn card(store: StoreId) -> Card {
    Card { store, member: MEMBER }
}

#[test]
fn a_sale_is_its_store_s_and_its_member_is_seen_there() {
    let mut settled = basket(&[]);
    settled.member = Some(MEMBER);
    let mut state = chain();
    let changes = does(&state, 2, &Action::SettleSale(settled));
    let sold = Entity::Sale(operation_id(1));
    assert_eq!(changes.feed, [(there(), Entity::Member(MEMBER)), (elsewhere(), sold)]);
    assert_eq!(changes.cards, [card(elsewhere())]);
    assert_eq!(changes.members[0].recent_stores, [elsewhere(), there()]);
    state.absorb(&changes);
    let back = Action::ReturnSale(Return {
        member: None,
        to_balance: 0,
        target: operation_id(1),
        lines: vec![ReturnLine {
            line: 0,
            quantity: 1,
            refund: 1_000,
        }],
        policy: ReturnPolicy::Keep,
        coupons: Vec::new(),
        approved_by: ClerkId(id(7, 0)),
        reason: String::new(),
    });
    let changes = does(&state, 0, &back);
    assert_eq!(changes.feed, [(elsewhere(), sold), (there(), sold)]);
    state.absorb(&changes);
    let changes = does(&state, 2, &back);
    assert_eq!(
        changes.feed,
        [(elsewhere(), sold), (there(), sold)],
        "who was told once hears the rest"
    );
    assert_eq!(changes.sales[0].told, [there()]);
}

#[test]
fn a_member_is_seen_once_however_often_they_are_named() {
    let mut state = chain();
    for n in [1, 2] {
        coupon(&mut state, n).member = Some(MEMBER);
    }
    let mut settled = basket(&[(0, None), (1, None), (2, None)]);
    settled.member = Some(MEMBER);
    let changes = does(&state, 2, &Action::SettleSale(settled));
    assert_eq!(changes.members.len(), 1);
    assert_eq!(told(&changes, Entity::Member(MEMBER)), [there()]);
    assert_eq!(changes.cards, [card(elsewhere())]);
    for n in 0..3 {
        assert_eq!(told(&changes, Entity::Coupon(coupon_id(n))).len(), 2);
    }
    // Where they were seen before nothing has to be said.
    let seen = |store| Command::Seen(Seen { member: MEMBER, store });
    assert_eq!(decide(&state, &seen(there()), NOW).unwrap().1, Changes::default());
    state.members.insert(MEMBER, None);
    assert_eq!(decide(&state, &seen(elsewhere()), NOW).unwrap().1, Changes::default());
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
