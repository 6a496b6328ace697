//! Sales on SQLite and on PostgreSQL: settled, returned, voided; and nothing breaks an invariant.

use counterfoil_domain::{
    coupons::CouponState,
    ids::{ClerkId, CouponId, FreezeId, OperationId},
    operations::{Action, ExceptionKind, FailedAttempt, Outcome, QuarantineReason, VoidRedemption},
    sales::{Return, ReturnLine, ReturnPolicy, Sale, SaleLine, Settlement, UsedCoupon},
    transition::Answer,
};
use counterfoil_head_office::{sales::rows, verify::verify};
use counterfoil_protocol::operation::open;

use crate::common::{Chain, HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    a_sale_redeems_its_coupons_once_and_replays,
    a_freeze_for_each_coupon_is_confirmed,
    a_coupon_used_in_two_sales_is_the_second_ones_loss,
    a_sale_that_breaks_three_rules_has_three_cases,
    what_was_late_besides_is_a_case_once_it_counts,
    no_more_comes_back_than_was_sold,
    a_return_gives_a_coupon_back_expired_when_its_time_is_over,
    a_void_gives_every_coupon_back,
    a_return_that_names_itself_is_a_case_and_breaks_nothing,
    numbers_that_do_not_go_together_are_set_aside,
    a_text_that_no_column_holds_is_cleaned_and_the_sale_applies,
    whatever_the_order_every_coupon_is_used_once_and_the_losses_add_up,
    every_damage_of_a_sale_is_found,
}

const APPLIED: Answer = Answer::Done {
    outcome: Outcome::Applied,
    replayed: false,
};

fn exception(exception: ExceptionKind) -> Answer {
    Answer::Done {
        outcome: Outcome::AppliedWithException { exception },
        replayed: false,
    }
}

/// Two lines, 3 x 10.00 and 1 x 20.00, with 5.00 off by each coupon: 3.00 and 2.00.
fn settled(chain: &Chain, coupons: &[CouponId]) -> Settlement {
    let line = |sku: &str, unit_price, quantity| SaleLine {
        sku: sku.into(),
        name_zh: "茶".into(),
        name_en: "Tea".into(),
        category: Some("tea".into()),
        merchant: None,
        unit_price,
        quantity,
    };
    Settlement {
        account: counterfoil_domain::points::AccountUse::default(),
        currency: "CNY".into(),
        lines: vec![line("A", 1_000, 3), line("B", 2_000, 1)],
        coupons: coupons
            .iter()
            .map(|coupon| UsedCoupon {
                coupon: *coupon,
                template: chain.template,
                template_version: 1,
                discount: 500,
                shares: vec![300, 200],
                freeze: None,
            })
            .collect(),
        member: Some(chain.member),
        payable: 5_000 - 500 * i64::try_from(coupons.len()).unwrap(),
        tender: "cash".into(),
        receipt: "R-1".into(),
    }
}

fn sell(chain: &Chain, coupons: &[CouponId]) -> Action {
    Action::SettleSale(settled(chain, coupons))
}

fn back(target: OperationId, lines: &[(i64, i64, i64)], coupons: &[CouponId]) -> Action {
    Action::ReturnSale(Return {
        member: None,
        to_balance: 0,
        target,
        lines: lines
            .iter()
            .map(|&(line, quantity, refund)| ReturnLine { line, quantity, refund })
            .collect(),
        policy: ReturnPolicy::Keep,
        coupons: coupons.to_vec(),
        approved_by: ClerkId::new(START, [9; 10]),
        reason: "too bitter".into(),
    })
}

fn void(target: OperationId) -> Action {
    Action::VoidRedemption(VoidRedemption {
        target,
        reason: "wrong basket".into(),
        approved_by: ClerkId::new(START, [9; 10]),
    })
}

async fn sale(chain: &Chain, id: OperationId) -> Sale {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    let mut found = rows::load(&mut snapshot, chain.tenant, &[id], "").await.unwrap();
    found.remove(0)
}

async fn holds(chain: &Chain) {
    // The fixture's batch says ten coupons, however many there are.
    holds_but(chain, &["batches"]).await;
}

async fn holds_but(chain: &Chain, known: &[&str]) {
    let mut broken = Vec::new();
    verify(&chain.app.db, |check| {
        if !check.ok && !known.contains(&check.check) {
            broken.push(check.clone());
        }
    })
    .await
    .unwrap();
    assert!(broken.is_empty(), "{broken:?}");
}

async fn a_sale_redeems_its_coupons_once_and_replays(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let one = counter.make(sell(&chain, &chain.coupons), START);
    let other = counter.make(sell(&chain, &[]), START);
    assert_eq!(chain.push(&[one.clone(), other.clone()]).await, [APPLIED, APPLIED]);
    for id in &chain.coupons {
        let state = chain.coupon(*id).await.state;
        assert!(matches!(state, CouponState::Redeemed { operation, .. } if operation == one.id));
    }
    let row = sale(&chain, one.id).await;
    assert_eq!((row.payable, row.lines[0].net, row.lines[1].net), (4_000, 2_400, 1_600));
    assert_eq!((row.member, row.version), (Some(chain.member), 1));
    let feed = chain.number("SELECT COUNT(*) FROM feed WHERE entity = 'sale'").await;
    assert_eq!(feed, 2);
    let answers = chain.push(&[one, other]).await;
    assert!(answers.iter().all(|answer| matches!(
        answer,
        Answer::Done {
            outcome: Outcome::Applied,
            replayed: true
        }
    )));
    assert_eq!(chain.number("SELECT COUNT(*) FROM sales").await, 2);
    assert_eq!(chain.number("SELECT COUNT(*) FROM coupon_entries").await, 2);
    holds(&chain).await;
}

async fn a_freeze_for_each_coupon_is_confirmed(on: On) {
    let chain = chain(on, 2).await;
    let mut counter = chain.counter().await;
    let freezes = [1_u8, 2].map(|_| FreezeId::new(START, random10()));
    for (id, coupon) in freezes.iter().zip(&chain.coupons) {
        assert!(matches!(
            chain.freeze(&counter, *id, *coupon).await,
            Answer::Granted { .. }
        ));
    }
    let mut with = settled(&chain, &chain.coupons);
    for (used, freeze) in with.coupons.iter_mut().zip(freezes) {
        used.freeze = Some(freeze);
    }
    // Another counter's sale without a word comes in between: it loses, and the sale that has the word does not.
    let mut hasty = chain.counter().await;
    let first = hasty.make(sell(&chain, &chain.coupons[..1]), START);
    assert_eq!(
        chain.push(&[first]).await,
        [exception(ExceptionKind::RedeemWhileFrozen)]
    );
    let second = counter.make(Action::SettleSale(with), START);
    assert_eq!(chain.push(std::slice::from_ref(&second)).await, [APPLIED]);
    let row = sale(&chain, second.id).await;
    assert_eq!(row.coupons[0].exception, None);
    assert_eq!(row.coupons[1].exception, None);
    assert_eq!(chain.number("SELECT COUNT(*) FROM exceptions").await, 1);
    holds(&chain).await;
}

async fn a_coupon_used_in_two_sales_is_the_second_ones_loss(on: On) {
    let chain = chain(on, 3).await;
    let (mut here, mut there) = (chain.counter().await, chain.counter().await);
    let [a, b, c] = [0, 1, 2].map(|n| chain.coupons[n]);
    let first = here.make(sell(&chain, &[a, b]), START);
    let second = there.make(sell(&chain, &[b, c]), START);
    assert_eq!(chain.push(std::slice::from_ref(&first)).await, [APPLIED]);
    assert_eq!(
        chain.push(std::slice::from_ref(&second)).await,
        [exception(ExceptionKind::DoubleRedeem)]
    );
    // Only its discount is lost, not what the sale's other coupon took.
    assert_eq!(
        chain.number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions").await,
        500
    );
    let state = chain.coupon(b).await.state;
    assert!(matches!(state, CouponState::Redeemed { operation, .. } if operation == first.id));
    // Voiding the second gives back what it holds, and closes its case.
    assert_eq!(chain.push(&[there.make(void(second.id), START)]).await, [APPLIED]);
    assert_eq!(chain.coupon(c).await.state, CouponState::Available);
    assert!(matches!(chain.coupon(b).await.state, CouponState::Redeemed { .. }));
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM exceptions WHERE status = 'voided'")
            .await,
        1
    );
    holds(&chain).await;
}

async fn a_return_that_names_itself_is_a_case_and_breaks_nothing(on: On) {
    let chain = chain(on, 0).await;
    let mut counter = chain.counter().await;
    let other = OperationId::new(START, [3; 10]);
    let text = counter.seal(back(other, &[(0, 1, 1)], &[]), START);
    let (_, made) = open(0, &text).unwrap();
    let (_, itself) = open(0, &text.replace(&other.to_string(), &made.id.to_string())).unwrap();
    assert_eq!(chain.push(&[itself]).await, [exception(ExceptionKind::StateConflict)]);
    holds(&chain).await;
}

/// All cases: the rule, the loss, where it stands.
async fn cases(chain: &Chain) -> Vec<(String, i64, String)> {
    let mut snapshot = chain.app.db.snapshot().await.unwrap();
    sqlx::query_as("SELECT kind, loss, status FROM exceptions ORDER BY kind")
        .fetch_all(&mut *snapshot)
        .await
        .unwrap()
}

async fn stand(chain: &Chain, expected: &[(&str, i64, &str)]) {
    let expected: Vec<_> = expected
        .iter()
        .map(|(kind, loss, status)| ((*kind).to_owned(), *loss, (*status).to_owned()))
        .collect();
    assert_eq!(cases(chain).await, expected);
    // Days of coupons are not what the test made them.
    holds_but(chain, &["batches", "coupon_days"]).await;
}

async fn a_sale_that_breaks_three_rules_has_three_cases(on: On) {
    let chain = chain(on, 3).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let [late, one, other] = [0, 1, 2].map(|n| chain.coupons[n]);
    let code = chain.coupon(late).await.code;
    chain
        .run(format!(
            "UPDATE coupons SET valid_until = {START} WHERE code = '{code}'"
        ))
        .await;
    let uses = [one, other].map(|id| first.make(chain.redeem(id, None), START));
    assert_eq!(chain.push(&uses).await, [APPLIED, APPLIED]);
    let unknown = CouponId::new(START, random10());
    let sold = second.make(sell(&chain, &[late, one, unknown, other]), START);
    assert_eq!(
        chain.push(std::slice::from_ref(&sold)).await,
        [exception(ExceptionKind::Late)]
    );
    let (late, unknown) = (("late", 500, "open"), ("state_conflict", 500, "open"));
    stand(&chain, &[("double_redeem", 1_000, "open"), late, unknown]).await;
    // One after the other comes to count: that case shrinks and closes, and the others stay.
    for (used, double) in uses
        .iter()
        .zip([("double_redeem", 500, "open"), ("double_redeem", 500, "voided")])
    {
        let gone = first.make(void(used.id), START);
        assert_eq!(chain.push(&[gone]).await, [APPLIED]);
        stand(&chain, &[double, late, unknown]).await;
    }
    let gone = second.make(void(sold.id), START);
    assert_eq!(chain.push(&[gone]).await, [APPLIED]);
    let closed = ["double_redeem", "late", "state_conflict"].map(|kind| (kind, 500, "voided"));
    stand(&chain, &closed).await;
}

async fn what_was_late_besides_is_a_case_once_it_counts(on: On) {
    let chain = chain(on, 3).await;
    let (mut first, mut second) = (chain.counter().await, chain.counter().await);
    let uses = [0, 1].map(|n| first.make(chain.redeem(chain.coupons[n], None), START));
    assert_eq!(chain.push(&uses).await, [APPLIED, APPLIED]);
    chain.run(format!("UPDATE coupons SET valid_until = {START}")).await;
    let sold = second.make(sell(&chain, &chain.coupons), START);
    let double = exception(ExceptionKind::DoubleRedeem);
    assert_eq!(chain.push(std::slice::from_ref(&sold)).await, [double]);
    stand(&chain, &[("double_redeem", 1_000, "open"), ("late", 500, "open")]).await;
    // Both cease to be one too many in one group: what they broke besides comes to the case that is there.
    let gone = [0, 1].map(|n| first.make(void(uses[n].id), START));
    assert_eq!(chain.push(&gone).await, [APPLIED, APPLIED]);
    stand(&chain, &[("double_redeem", 500, "voided"), ("late", 1_500, "open")]).await;
}

async fn no_more_comes_back_than_was_sold(on: On) {
    let chain = chain(on, 1).await;
    let (mut here, mut there) = (chain.counter().await, chain.counter().await);
    let sold = here.make(sell(&chain, &chain.coupons), START);
    assert_eq!(chain.push(std::slice::from_ref(&sold)).await, [APPLIED]);
    let one = here.make(back(sold.id, &[(0, 2, 1_800)], &[]), START);
    assert_eq!(chain.push(std::slice::from_ref(&one)).await, [APPLIED]);
    // Another counter of the store has not heard of it: two of the line are one too many.
    let two = there.make(back(sold.id, &[(0, 2, 1_800), (1, 1, 1_800)], &chain.coupons), START);
    let conflict = exception(ExceptionKind::StateConflict);
    assert_eq!(
        chain.push(std::slice::from_ref(&two)).await,
        std::slice::from_ref(&conflict)
    );
    let row = sale(&chain, sold.id).await;
    let line = |n: usize| (row.lines[n].returned, row.lines[n].paid_back, row.lines[n].net);
    assert_eq!((line(0), line(1)), ((3, 2_700, 2_700), (1, 1_800, 1_800)));
    assert_eq!((row.paid_back(), row.version), (row.payable, 3));
    assert!(row.coupons[0].given_back);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    // 36.00 went out for what was worth 27.00 still.
    let loss = chain.number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions").await;
    assert_eq!(loss, 900);
    // Replays change nothing.
    for again in [one, two] {
        let answers = chain.push(&[again]).await;
        assert!(matches!(answers[0], Answer::Done { replayed: true, .. }));
    }
    assert_eq!(sale(&chain, sold.id).await, row);
    // Nothing is left, of this sale or of one that never was.
    let more = there.make(back(sold.id, &[(0, 1, 100)], &[]), START);
    let never = there.make(back(OperationId::new(START, random10()), &[(0, 1, 100)], &[]), START);
    assert_eq!(chain.push(&[more, never]).await, [conflict.clone(), conflict]);
    // A return is not undone, and a sale with returns loses what went back.
    assert_eq!(
        chain.push(&[here.make(void(sold.id), START)]).await,
        [exception(ExceptionKind::StateConflict)]
    );
    assert_eq!(
        chain.number("SELECT CAST(MAX(loss) AS BIGINT) FROM exceptions").await,
        row.payable
    );
    holds(&chain).await;
}

async fn a_return_gives_a_coupon_back_expired_when_its_time_is_over(on: On) {
    let chain = chain(on, 1).await;
    let mut counter = chain.counter().await;
    let sold = counter.make(sell(&chain, &chain.coupons), START);
    assert_eq!(chain.push(std::slice::from_ref(&sold)).await, [APPLIED]);
    chain.clock.advance(48 * HOUR);
    let all = [(0, 3, 2_700), (1, 1, 1_800)];
    let returned = counter.make(back(sold.id, &all, &chain.coupons), START + 48 * HOUR);
    assert_eq!(chain.push(&[returned]).await, [APPLIED]);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Expired);
    holds(&chain).await;
}

async fn a_void_gives_every_coupon_back(on: On) {
    let chain = chain(on, 2).await;
    let (mut here, mut there) = (chain.counter().await, chain.counter().await);
    let sold = here.make(sell(&chain, &chain.coupons), START);
    let undone = here.make(void(sold.id), START);
    // In one group with what it undoes.
    assert_eq!(chain.push(&[sold.clone(), undone.clone()]).await, [APPLIED, APPLIED]);
    for id in &chain.coupons {
        assert_eq!(chain.coupon(*id).await.state, CouponState::Available);
    }
    assert_eq!(sale(&chain, sold.id).await.voided_by, Some(undone.id));
    // Undone once; and what comes back afterwards is lost.
    let again = here.make(void(sold.id), START);
    let late = there.make(back(sold.id, &[(0, 1, 700)], &[]), START);
    assert_eq!(chain.push(&[again]).await, [exception(ExceptionKind::StateConflict)]);
    assert_eq!(chain.push(&[late]).await, [exception(ExceptionKind::StateConflict)]);
    assert_eq!(
        chain.number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions").await,
        700
    );
    // The coupons are free for another sale.
    let anew = there.make(sell(&chain, &chain.coupons), START);
    assert_eq!(chain.push(&[anew]).await, [APPLIED]);
    holds(&chain).await;
}

async fn a_text_that_no_column_holds_is_cleaned_and_the_sale_applies(on: On) {
    let chain = chain(on, 1).await;
    let (mut odd, mut other) = (chain.counter().await, chain.counter().await);
    let nul = |text: &str| format!("{text}\0");
    let mut settled = settled(&chain, &chain.coupons);
    settled.currency = nul("CNY");
    settled.tender = "ca\0sh\r\nand coins".into();
    settled.receipt = nul("R-1");
    for line in &mut settled.lines {
        line.sku = nul(&line.sku);
        line.name_zh = nul(&line.name_zh);
        line.name_en = "T\u{1b}ea\0".into();
        line.category = Some(nul("tea"));
        line.merchant = Some(nul("m"));
    }
    let sold = odd.make(Action::SettleSale(settled), START);
    let Action::ReturnSale(mut back) = back(sold.id, &[(0, 1, 800)], &[]) else {
        panic!()
    };
    back.reason = nul("too bitter");
    let returned = odd.make(Action::ReturnSale(back), START);
    let mut undo = void(sold.id);
    if let Action::VoidRedemption(VoidRedemption { reason, .. }) = &mut undo {
        *reason = nul("wrong");
    }
    let undone = odd.make(undo, START);
    let attempt = odd.make(Action::FailedAttempt(FailedAttempt { digest: nul("d") }), START);
    // Another device's work in the same group is none the worse for it.
    let beside = other.make(sell(&chain, &[]), START);
    let group = [sold.clone(), beside, returned, undone, attempt];
    let answers = chain.push(&group).await;
    let exceptions: Vec<usize> = (0..group.len()).filter(|n| answers[*n] != APPLIED).collect();
    assert_eq!(exceptions, [3], "{answers:?}: only the void after a return is one");
    assert_eq!(answers[3], exception(ExceptionKind::StateConflict));
    let row = sale(&chain, sold.id).await;
    assert_eq!(
        (row.currency.as_str(), row.tender.as_str(), row.receipt.as_str()),
        ("CNY", "cash\nand coins", "R-1")
    );
    let line = &row.lines[0].sold;
    assert_eq!((line.sku.as_str(), line.name_en.as_str()), ("A", "Tea"));
    assert_eq!(line.category.as_deref(), Some("tea"));
    // What was signed is what is kept.
    let body = sold.body.iter().copied().collect::<Vec<u8>>();
    assert!(std::str::from_utf8(&body).unwrap().contains("\\u0000"));
    holds(&chain).await;
}

async fn numbers_that_do_not_go_together_are_set_aside(on: On) {
    let chain = chain(on, 1).await;
    let mut counter = chain.counter().await;
    let good = settled(&chain, &chain.coupons);
    let twice = [good.coupons[0].clone(), good.coupons[0].clone()].to_vec();
    let mut bad = vec![
        Settlement {
            payable: 4_999,
            ..good.clone()
        },
        Settlement {
            lines: Vec::new(),
            payable: 0,
            coupons: Vec::new(),
            ..good.clone()
        },
        Settlement {
            coupons: twice,
            payable: 4_000,
            ..good.clone()
        },
    ];
    for shares in [vec![500], vec![600, -100], vec![0, 499], vec![-1, 501]] {
        let mut other = good.clone();
        other.coupons[0].shares = shares;
        bad.push(other);
    }
    let mut huge = good.clone();
    huge.lines[0].unit_price = i64::MAX;
    bad.push(huge);
    let mut actions: Vec<Action> = bad.into_iter().map(Action::SettleSale).collect();
    let target = OperationId::new(START, random10());
    for lines in [
        &[][..],
        &[(0, 0, 5)],
        &[(0, 1, -1)],
        &[(-1, 1, 1)],
        &[(0, 1, 1), (0, 1, 1)],
    ] {
        actions.push(back(target, lines, &[]));
    }
    let arrivals: Vec<_> = actions.into_iter().map(|action| counter.make(action, START)).collect();
    for answer in chain.push(&arrivals).await {
        let outcome = Outcome::Quarantined {
            reason: QuarantineReason::Unreadable,
        };
        assert_eq!(
            answer,
            Answer::Done {
                outcome,
                replayed: false
            }
        );
    }
    assert_eq!(chain.number("SELECT COUNT(*) FROM sales").await, 0);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    holds(&chain).await;
}

/// Four counters, all offline, with the same coupons: their journals arrive in any order of the counters.
async fn whatever_the_order_every_coupon_is_used_once_and_the_losses_add_up(on: On) {
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    for order in orders {
        let chain = chain(on, 3).await;
        let [a, b, c] = [0, 1, 2].map(|n| chain.coupons[n]);
        let mut journals = Vec::new();
        for used in [[a, b], [b, c], [c, a]] {
            let mut counter = chain.counter().await;
            let sold = counter.make(sell(&chain, &used), START);
            let returned = counter.make(back(sold.id, &[(0, 1, 800)], &[]), START);
            journals.push([sold, returned]);
        }
        for place in order {
            for answer in chain.push(&journals[place]).await {
                assert!(matches!(answer, Answer::Done { replayed: false, .. }));
            }
        }
        let used = chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'")
            .await;
        assert_eq!(used, 3);
        // Six uses of three coupons: three times a discount is lost, whoever comes late.
        let loss = chain.number("SELECT CAST(SUM(loss) AS BIGINT) FROM exceptions").await;
        assert_eq!(loss, 3 * 500, "{order:?}");
        assert_eq!(
            chain.number("SELECT CAST(SUM(units_back) AS BIGINT) FROM sales").await,
            3
        );
        holds(&chain).await;
    }
}

async fn every_damage_of_a_sale_is_found(on: On) {
    for damage in [
        "UPDATE sales SET tender = 'card'",
        "UPDATE sales SET lines = REPLACE(lines, '\"returned\":1', '\"returned\":2')",
        "UPDATE sales SET lines = REPLACE(lines, '\"paid_back\":800', '\"paid_back\":700')",
        "UPDATE sales SET lines = REPLACE(lines, '\"quantity\":3', '\"quantity\":4')",
        "UPDATE sales SET coupons = REPLACE(coupons, '\"discount\":500', '\"discount\":400')",
        "DELETE FROM sales",
        "UPDATE coupon_entries SET what = 'frozen'",
    ] {
        let chain = chain(on, 1).await;
        let mut counter = chain.counter().await;
        let sold = counter.make(sell(&chain, &chain.coupons), START);
        let returned = counter.make(back(sold.id, &[(0, 1, 800)], &[]), START);
        assert_eq!(chain.push(&[sold, returned]).await, [APPLIED, APPLIED]);
        holds(&chain).await;
        chain.run(damage).await;
        let mut found = false;
        verify(&chain.app.db, |check| found |= check.check == "sales" && !check.ok)
            .await
            .unwrap();
        assert!(found, "{damage}");
    }
}
