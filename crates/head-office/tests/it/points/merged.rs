//! Two members become one.

use counterfoil_domain::{
    coupons::CouponState,
    ids::FreezeId,
    operations::{Action, TopUp},
    people::OperatorRole,
    points::Amounts,
    transition::{AskFreeze, Command, Subject},
};
use serde_json::json;

use super::{account, gift, holds, members, now, points, posted, publish, rule, spend};
use crate::{
    api::Api,
    common::{HOUR, On, START, chain, random10},
};

counterfoil_head_office::on_both! {
    what_one_has_becomes_the_others,
    nobody_is_merged_twice,
    every_damage_of_a_merge_is_found,
}

const DAY: i64 = 24 * HOUR;

async fn what_one_has_becomes_the_others(on: On) {
    let chain = chain(on, 2).await;
    publish(&chain, rule()).await;
    let (one, other) = (chain.member, members(&chain, 1).await.remove(0));
    chain
        .run("UPDATE coupons SET member = (SELECT id FROM members WHERE number = 'M1')")
        .await;
    let admin = Api::new(&chain, chain.operator(OperatorRole::Admin).await);
    let end = START + 30 * DAY;
    posted(&chain, gift(&chain, one, "a", 300, Some(end))).await;
    posted(&chain, gift(&chain, one, "b", 500, None)).await;
    // The other one owes 30: 50 were spent, and what earned them is taken back.
    posted(&chain, gift(&chain, other, "c", 50, None)).await;
    posted(&chain, spend(&chain, other, "y", 50)).await;
    let back = json!({ "kind": "gift", "id": "c", "refund": "back" });
    assert_eq!(admin.post("/v1/points/refunds", "c", &back).await.0, 201);
    assert_eq!(points(&chain, other).await, (0, 0, 0, 50));
    // An order was paid with 60, and another one holds 200; so does a counter 40.
    let order = |number: &str, points: i64| json!({ "order": number, "points": points, "member": "M1", "amount": 1_000, "deadline": START + DAY });
    assert_eq!(admin.post("/v1/order-freezes", "f0", &order("P-0", 60)).await.0, 201);
    let paid = json!({ "points": 60 });
    assert_eq!(admin.post("/v1/order-freezes/P-0/confirm", "c0", &paid).await.0, 200);
    assert_eq!(admin.post("/v1/order-freezes", "f1", &order("P-1", 200)).await.0, 201);
    let mut counter = chain.counter().await;
    let ask = AskFreeze {
        id: FreezeId::new(START, random10()),
        device: counter.device,
        subject: Subject::Account(one),
        amounts: Amounts { points: 40, balance: 0 },
        presented_by: None,
        now: START,
    };
    chain.submit(vec![Command::Freeze(ask.clone())]).await;
    assert_eq!(points(&chain, one).await, (500, 240, 0, 0));
    let days = "SELECT COUNT(*) FROM point_days WHERE member = (SELECT id FROM members WHERE number = 'M2')";
    assert_eq!(chain.number(days).await, 0);

    let into = json!({ "into": " m2 ".to_uppercase() });
    let (status, merged) = admin.post("/v1/members/M1/merge", "m", &into).await;
    assert_eq!(status, 200, "{merged}");
    assert_eq!(points(&chain, one).await, (0, 0, 0, 0));
    assert_eq!(points(&chain, other).await, (450, 240, 0, 0));
    assert_eq!(account(&chain, one).await.merged_into, Some(other));
    assert_eq!(chain.number(days).await, 1);
    assert_eq!(chain.coupon(chain.coupons[0]).await.member, Some(other));
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'member.merged'")
            .await,
        1
    );
    holds(&chain).await;
    // The old number finds whom they are now, and is listed no more.
    let (_, found) = admin.get("/v1/members/M1").await;
    assert_eq!(found["number"], "M2");
    let (_, listed) = admin.get("/v1/members").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    let session = Api::new(&chain, chain.session("M1").await);
    assert_eq!(session.get("/v1/member").await.1["number"], "M2");
    let (_, statement) = admin.get("/v1/members/M1/ledger").await;
    assert_eq!(statement["items"][0]["reason"], "merged");

    // What was held is spent and let go of; what was spent comes back; what was earned is taken back from its own lot.
    let spent = json!({ "points": 150 });
    assert_eq!(admin.post("/v1/order-freezes/P-1/confirm", "c1", &spent).await.0, 200);
    assert_eq!(points(&chain, other).await, (500, 40, 0, 0));
    let nothing = json!({});
    assert_eq!(admin.post("/v1/order-freezes/P-0/void", "v0", &nothing).await.0, 200);
    assert_eq!(points(&chain, other).await, (560, 40, 0, 0));
    let back = json!({ "kind": "gift", "id": "b", "refund": "back" });
    assert_eq!(admin.post("/v1/points/refunds", "b", &back).await.0, 201);
    let sums = points(&chain, other).await;
    assert_eq!((sums.0 - sums.3, sums.1), (60, 40), "{sums:?}");
    holds(&chain).await;
    // A counter that has not heard of it yet means whom they are now.
    let paid_in = Action::TopUp(TopUp {
        member: one,
        amount: 700,
        tender: "cash".into(),
        // As a device of somebody else's making may send it.
        receipt: format!("R-1\u{0}{}", "9".repeat(500)),
    });
    let arrival = counter.make(paid_in, START);
    chain.push(&[arrival]).await;
    assert_eq!(account(&chain, other).await.balance.balances().available, 700);
    assert_eq!(account(&chain, one).await.balance.balances().available, 0);
    let redeem = counter.make(chain.redeem(chain.coupons[1], None), START);
    chain.push(&[redeem]).await;
    let used = chain.coupon(chain.coupons[1]).await;
    assert!(matches!(used.state, CouponState::Redeemed { .. }), "{used:?}");
    // The counter's hold lapses in time, and all of it is there again.
    chain.clock.advance(HOUR);
    let sums = account(&chain, other).await.points.balances_at(now(&chain));
    assert_eq!((sums.available - sums.debt, sums.held), (100, 0));
    holds(&chain).await;
}

async fn nobody_is_merged_twice(on: On) {
    let chain = chain(on, 0).await;
    members(&chain, 2).await;
    let admin = Api::new(&chain, chain.operator(OperatorRole::Admin).await);
    let merge = async |key: &str, from: &str, into: &str| {
        let (status, answer) = admin
            .post(&format!("/v1/members/{from}/merge"), key, &json!({ "into": into }))
            .await;
        (status, answer["code"].as_str().unwrap_or_default().to_owned())
    };
    let conflict = (409, "state_conflict".to_owned());
    assert_eq!(merge("a", "M1", "M1").await, conflict);
    assert_eq!(merge("b", "M1", "M9").await, (404, "not_found".to_owned()));
    assert_eq!(merge("c", "M9", "M1").await, (404, "not_found".to_owned()));
    assert_eq!(merge("d", "M1", "M2").await.0, 200);
    assert_eq!(merge("e", "M1", "M2").await, conflict);
    assert_eq!(merge("f", "M2", "M1").await, conflict);
    // Whoever has one is merged in turn: both numbers find the last of them.
    assert_eq!(merge("g", "M2", "M3").await.0, 200);
    for number in ["M1", "M2", "M3"] {
        let (_, found) = admin.get(&format!("/v1/members/{number}")).await;
        assert_eq!(found["number"], "M3", "{number}");
    }
    posted(&chain, gift(&chain, chain.member, "late", 5, None)).await;
    let (_, found) = admin.get("/v1/members/M3/account").await;
    assert_eq!(found["points"]["available"], 5);
    holds(&chain).await;
    let operator = Api::new(&chain, chain.operator(OperatorRole::Operator).await);
    let (status, _) = operator
        .post("/v1/members/M3/merge", "h", &json!({ "into": "M1" }))
        .await;
    assert_eq!(status, 403);
}

async fn every_damage_of_a_merge_is_found(on: On) {
    for damage in [
        "UPDATE members SET merged_into = id WHERE number = 'M2'",
        "UPDATE members SET merged_into = NULL WHERE number = 'M1'",
        "UPDATE accounts SET merged_into = NULL",
        "UPDATE accounts SET points_available = 1 WHERE merged_into IS NOT NULL",
        "UPDATE coupons SET member = (SELECT id FROM members WHERE number = 'M1')",
    ] {
        let chain = chain(on, 1).await;
        members(&chain, 1).await;
        let admin = Api::new(&chain, chain.operator(OperatorRole::Admin).await);
        let into = json!({ "into": "M2" });
        assert_eq!(admin.post("/v1/members/M1/merge", "m", &into).await.0, 200);
        holds(&chain).await;
        chain.run(damage).await;
        let mut found = Vec::new();
        counterfoil_head_office::verify::verify(&chain.app.db, |check| {
            found.extend((!check.ok).then_some(check.check));
        })
        .await
        .unwrap();
        assert!(found.contains(&"merged_members"), "{damage}: {found:?}");
    }
}
