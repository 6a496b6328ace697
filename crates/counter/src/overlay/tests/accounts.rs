//! Accounts under this counter's own sales and returns, before and after head office has told of them.

use counterfoil_domain::{
    ids::OperationId,
    operations::{ExceptionKind, Outcome},
    points::{AccountUse, Balances, PaidBalance, UsedPoints},
    sales::Return,
};

use super::*;
use crate::{
    QueueState,
    basket::{Basket, BasketLine, Selection, Settled, Tender, quote, settle},
    points::{self, AccountCard},
    queue, replica,
    testing::{HeadOffice, Shop, account, rule},
};

/// 100.00 paid with 200 points of 0.10, which earns 80.
fn spent(points: i64) -> Settlement {
    let amount = points * 10;
    let mut sold = settlement(&[]);
    sold.payable -= amount;
    sold.account = AccountUse {
        points: (points > 0).then(|| UsedPoints {
            points,
            minor_per_point: 10,
            shares: vec![amount],
            freeze: None,
        }),
        balance: None,
        rule: Some(1),
    };
    sold
}

fn one(n: usize, action: Action) -> Laid {
    let id = operation(n);
    Laid {
        place: Place {
            epoch: 1,
            seq: i64::try_from(n).unwrap() + 1,
        },
        doing: doing(id),
        over: action.touches(id),
        action,
        outcome: None,
    }
}

fn ground(account: counterfoil_domain::points::Account) -> (Subject, Ground) {
    (Subject::Account(account.member), Ground::Account(Some(account)))
}

fn points_of(seen: &Seen) -> Balances {
    match &seen.rows[&Subject::Account(member_id(1))] {
        Ground::Account(Some(row)) => row.points.balances(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_sale_spends_and_earns_on_the_copy_as_it_will_at_head_office() {
    let laid = [one(0, Action::SettleSale(spent(200)))];
    let sale = (Subject::Sale(operation(0)), Ground::Sale(None));
    let bare = BTreeMap::from([ground(account(500, 0)), sale.clone()]);
    let seen = lay_over(bare.clone(), &laid, &[], &[rule()]).unwrap();
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (380, 0));
    let row = sale_of(&seen, operation(0));
    assert_eq!(row.account.earned.unwrap().points, 80);
    assert_eq!(row.account.points.unwrap().taken, 200);
    // By a rule that is not here nothing is earned yet.
    let unknown = lay_over(bare, &laid, &[], &[]).unwrap();
    assert_eq!(points_of(&unknown).available, 300);
    // Too few: a conflict is foretold.
    let poor = BTreeMap::from([ground(account(150, 0)), sale]);
    let seen = lay_over(poor, &laid, &[], &[rule()]).unwrap();
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (80, 1));
}

#[test]
fn of_an_account_that_is_not_here_nothing_is_foretold() {
    let mut sold = spent(200);
    sold.account.balance = Some(PaidBalance {
        amount: 100,
        freeze: None,
    });
    let laid = [one(0, Action::SettleSale(sold.clone()))];
    let rows = BTreeMap::from([(Subject::Sale(operation(0)), Ground::Sale(None))]);
    let seen = lay_over(rows.clone(), &laid, &[], &[rule()]).unwrap();
    assert!(seen.conflicts.is_empty());
    let row = sale_of(&seen, operation(0));
    assert_eq!((row.account.points.unwrap().taken, row.account.earned), (200, None));
    assert_eq!(row.account.balance.unwrap().taken, 100);

    // A coupon that is not here hides nothing of an account that is.
    sold.coupons = settlement(&[coupon_id(0)]).coupons;
    sold.payable -= 2_000;
    let laid = [one(0, Action::SettleSale(sold))];
    let mut rows = rows;
    rows.extend([ground(account(150, 100))]);
    let seen = lay_over(rows, &laid, &[], &[rule()]).unwrap();
    assert_eq!(seen.conflicts, BTreeSet::from([laid[0].place]));
}

#[test]
fn an_account_that_shows_the_sale_already_is_not_changed_twice() {
    let laid = [
        one(0, Action::SettleSale(spent(200))),
        one(1, Action::SettleSale(spent(0))),
    ];
    let sales = [0, 1].map(|n| (Subject::Sale(operation(n)), Ground::Sale(None)));
    let mut rows = BTreeMap::from(sales);
    rows.extend([ground(account(500, 0))]);
    let plain = lay_over(rows.clone(), &laid, &[], &[rule()]).unwrap();
    assert_eq!(points_of(&plain).available, 480);
    // Head office has applied the first, and something else besides; its row of the account came before its outcome.
    let first = lay_over(rows.clone(), &laid[..1], &[], &[rule()]).unwrap();
    let Ground::Account(Some(mut fresh)) = first.rows[&Subject::Account(member_id(1))].clone() else {
        panic!()
    };
    assert_eq!(fresh.latest, [operation(0)]);
    fresh.posted_by(OperationId::new(NOW, bytes(21, 7)));
    rows.extend([ground(fresh.clone())]);
    let seen = lay_over(rows.clone(), &laid, &[], &[rule()]).unwrap();
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (480, 0));
    // The sale is made of it all the same.
    let row = sale_of(&seen, operation(0));
    assert_eq!(
        (row.account.points.unwrap().taken, row.account.earned.unwrap().points),
        (200, 80)
    );
    // Nothing was left after the first: that there was enough before it is not doubted.
    for lot in &mut fresh.points.lots {
        lot.free = 0;
    }
    rows.extend([ground(fresh)]);
    let seen = lay_over(rows, &laid, &[], &[rule()]).unwrap();
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (100, 0));
}

#[test]
fn goods_that_come_back_give_and_take_points_once() {
    let back = |n, member| {
        one(
            n,
            Action::ReturnSale(Return {
                member,
                to_balance: 0,
                ..match goods_back(operation(0), Vec::new()) {
                    Action::ReturnSale(back) => back,
                    other => panic!("{other:?}"),
                }
            }),
        )
    };
    let mut laid = vec![one(0, Action::SettleSale(spent(200))), back(1, Some(member_id(1)))];
    let mut rows = BTreeMap::from([(Subject::Sale(operation(0)), Ground::Sale(None))]);
    rows.extend([ground(account(500, 0))]);
    let seen = lay_over(rows.clone(), &laid, &[], &[rule()]).unwrap();
    // 40 of 200 points go back; of 80 earned 10 are taken back, for 70.00 stays.
    let row = sale_of(&seen, operation(0)).account;
    assert_eq!(
        (row.points.unwrap().given_back, row.earned.unwrap().taken_back),
        (40, 10)
    );
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (410, 0));
    // Undone as a whole, the sale leaves the account as it was.
    let voided = [laid[0].clone(), {
        let mut void = one(1, void_of(operation(0)));
        void.over = laid[0].over.clone();
        void
    }];
    let seen = lay_over(rows.clone(), &voided, &[], &[rule()]).unwrap();
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (500, 0));
    // Once head office has the sale, to which lots points go back is its to know; that they do is seen of the sale.
    let sold = lay_over(rows, &laid[..1], &[], &[rule()]).unwrap().rows;
    let seen = lay_over(sold, &laid.split_off(1), &[], &[rule()]).unwrap();
    assert_eq!((points_of(&seen).available, seen.conflicts.len()), (370, 0));
    assert_eq!(sale_of(&seen, operation(0)).account.points.unwrap().given_back, 40);
}

async fn sell(shop: &Shop, points: i64) -> OperationId {
    let basket = Basket {
        lines: vec![BasketLine {
            sku: "P2".into(),
            quantity: 5,
            unit_price: None,
        }],
        member: Some(member_id(1)),
        coupons: Vec::new(),
        select: Selection::Best,
        points,
    };
    let quote = quote(&shop.inner, &basket).await.unwrap();
    let tender = Tender {
        tender: "cash".into(),
        receipt: "R-1".into(),
        balance: 0,
    };
    match settle(&shop.inner, &quote.ticket.unwrap(), &tender, clerk_id(1))
        .await
        .unwrap()
    {
        Settled::Done(receipt) => receipt.op_id,
        Settled::Refused(refusal) => panic!("{refusal:?}"),
    }
}

async fn available(shop: &Shop) -> i64 {
    let mut db = shop.inner.db.read().await.unwrap();
    let held = points::account(&mut db, member_id(1)).await.unwrap().unwrap();
    AccountCard::of(&held.row, NOW).points.available
}

async fn touched(shop: &Shop) -> bool {
    let mut db = shop.inner.db.read().await.unwrap();
    points::account(&mut db, member_id(1)).await.unwrap().unwrap().touched
}

#[tokio::test]
async fn a_fresher_row_over_an_own_sale_and_its_outcome_after_it_count_once() {
    let mut office = HeadOffice::new(0, 0);
    office.put_rule(rule());
    office.put_account(account(300, 0));
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let first = sell(&shop, 100).await;
    // 90.00 paid: 90 earned.
    assert_eq!(available(&shop).await, 290);
    // Somewhere else 50 more are earned; that row comes before the sale is sent.
    let mut fresh = office.account(member_id(1));
    fresh.points = account(350, 0).points;
    fresh.version += 1;
    office.put_account(fresh);
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    assert_eq!((available(&shop).await, touched(&shop).await), (340, true));
    // Head office takes the sale, and the answer is lost; the next page shows its effect before its outcome is heard.
    shop.exchange(&mut office, 1, 0, true, false).await;
    assert_eq!(office.account(member_id(1)).latest, [first]);
    assert_eq!(available(&shop).await, 340);
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    assert_eq!((available(&shop).await, touched(&shop).await), (340, true));
    // Another one meanwhile, over the row that shows the first.
    let second = sell(&shop, 100).await;
    assert_eq!(available(&shop).await, 330);
    shop.settle(&mut office).await;
    assert_eq!((available(&shop).await, touched(&shop).await), (330, false));
    assert_eq!(office.account(member_id(1)).points.balances().available, 330);
    for id in [first, second] {
        let entry = queue::find(&mut shop.inner.db.read().await.unwrap(), id).await.unwrap();
        assert_eq!(entry.unwrap().state, QueueState::Applied);
    }
}

#[tokio::test]
async fn points_that_were_spent_elsewhere_meanwhile_are_foreseen_as_a_conflict() {
    let mut office = HeadOffice::new(0, 0);
    office.put_rule(rule());
    office.put_account(account(100, 0));
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let id = sell(&shop, 100).await;
    let mut spent = office.account(member_id(1));
    spent.points = account(30, 0).points;
    spent.version += 1;
    office.put_account(spent);
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    let state = async || {
        let entry = queue::find(&mut shop.inner.db.read().await.unwrap(), id).await.unwrap();
        let entry = entry.unwrap();
        (entry.state, entry.exception)
    };
    assert_eq!(state().await.0, QueueState::ConflictExpected);
    shop.settle(&mut office).await;
    assert_eq!(state().await, (QueueState::Exception, Some("points_short".into())));
    let applied = office.state.operations[&id].clone().unwrap();
    assert_eq!(
        applied.outcome,
        Outcome::AppliedWithException {
            exception: ExceptionKind::PointsShort
        }
    );
    // What there was is taken, and what was paid has earned.
    assert_eq!(
        (
            available(&shop).await,
            office.account(member_id(1)).points.balances().available
        ),
        (90, 90)
    );
    let sale = replica::sale(&mut shop.inner.db.read().await.unwrap(), id)
        .await
        .unwrap();
    assert_eq!(sale.unwrap().account.points.unwrap().taken, 30);
}
