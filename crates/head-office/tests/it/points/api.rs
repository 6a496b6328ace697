//! Points over HTTP: who may, what they are answered, and what is not acceptable.

use counterfoil_domain::people::OperatorRole;
use serde_json::{Value, json};

use super::holds;
use crate::{
    api::Api,
    common::{Chain, HOUR, On, START, chain},
};

counterfoil_head_office::on_both! {
    a_purchase_earns_and_its_refund_takes_back,
    a_rule_is_published_and_told,
    large_adjustments_take_two,
    money_is_paid_in_once,
    what_is_not_acceptable_changes_nothing,
    an_order_holds_points,
}

async fn who(chain: &Chain, role: OperatorRole) -> Api {
    Api::new(chain, chain.operator(role).await)
}

fn rule() -> Value {
    json!({
        "time_zone": "Asia/Shanghai",
        "rates": [{"points": 1, "per": 100}],
        "review": 5,
        "adjusted_alone": {"points": 100},
        "spending": {"minor_per_point": 1, "max_share_bp": 5000},
    })
}

async fn a_purchase_earns_and_its_refund_takes_back(on: On) {
    let chain = chain(on, 0).await;
    let admin = who(&chain, OperatorRole::Admin).await;
    assert_eq!(admin.post("/v1/earning-rules", "r", &rule()).await.0, 201);
    let earn = json!({"member": "M1", "kind": "order_line", "id": "W-1/1", "paid": 19_950});
    let (status, body) = admin.post("/v1/points/earnings", "k1", &earn).await;
    assert_eq!(
        (status, &body["amount"], &body["replayed"]),
        (201, &json!(199), &json!(false)),
        "{body}"
    );
    assert_eq!(body["account"]["points"]["available"], 199);
    // By another key it is the same thing.
    let (status, body) = admin.post("/v1/points/earnings", "k2", &earn).await;
    assert_eq!((status, &body["replayed"]), (200, &json!(true)));
    let review = json!({"member": "M1", "kind": "review", "id": "7"});
    assert_eq!(admin.post("/v1/points/earnings", "k3", &review).await.1["amount"], 5);
    let back = json!({"kind": "order_line", "id": "W-1/1", "refund": "r1", "stays": 9_970});
    let (status, body) = admin.post("/v1/points/refunds", "k4", &back).await;
    assert_eq!((status, &body["amount"]), (201, &json!(-100)), "{body}");
    // An order and a review of one number, refunded under one name, are two things.
    let order = json!({"member": "M1", "kind": "order", "id": "7", "paid": 300});
    assert_eq!(admin.post("/v1/points/earnings", "k6", &order).await.1["amount"], 3);
    let back = json!({"kind": "order", "id": "7", "refund": "deleted"});
    assert_eq!(admin.post("/v1/points/refunds", "k7", &back).await.1["amount"], -3);
    let gone = json!({"kind": "review", "id": "7", "refund": "deleted"});
    assert_eq!(admin.post("/v1/points/refunds", "k5", &gone).await.1["amount"], -5);
    let (status, body) = admin.get("/v1/members/M1/account").await;
    assert_eq!((status, &body["points"]["available"]), (200, &json!(99)));
    let member = Api::new(&chain, chain.session("M1").await);
    assert_eq!(member.get("/v1/member/account").await.1, body);
    let (_, first) = member.get("/v1/member/ledger?limit=3").await;
    let kinds: Vec<_> = first["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line["kind"].clone())
        .collect();
    assert_eq!(kinds, ["return", "return", "earn"]);
    assert_eq!(first["items"][0]["amount"], -5);
    let next = first["next"].as_str().unwrap();
    let (_, rest) = member.get(&format!("/v1/member/ledger?after={next}")).await;
    assert_eq!(rest["items"].as_array().unwrap().len(), 3);
    holds(&chain).await;
}

async fn a_rule_is_published_and_told(on: On) {
    let chain = chain(on, 0).await;
    let operator = who(&chain, OperatorRole::Operator).await;
    assert_eq!(operator.post("/v1/earning-rules", "r", &rule()).await.0, 403);
    let admin = who(&chain, OperatorRole::Admin).await;
    for n in 1..=2 {
        let (status, body) = admin.post("/v1/earning-rules", &format!("r{n}"), &rule()).await;
        assert_eq!((status, &body["version"]), (201, &json!(n)), "{body}");
    }
    let (_, listed) = operator.get("/v1/earning-rules").await;
    assert_eq!(listed["items"][0]["version"], 2);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM feed WHERE entity = 'earning_rule'")
            .await,
        2
    );
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'earning_rule.published'")
            .await,
        2
    );
    let bad = json!({"time_zone": "Mars", "rates": [{"points": -1, "per": 0}], "pending_days": -1});
    let (status, body) = admin.post("/v1/earning-rules", "bad", &bad).await;
    assert_eq!((status, body["errors"].as_array().unwrap().len()), (422, 4), "{body}");
}

async fn large_adjustments_take_two(on: On) {
    let chain = chain(on, 0).await;
    let admin = who(&chain, OperatorRole::Admin).await;
    admin.post("/v1/earning-rules", "r", &rule()).await;
    let (one, two) = (
        who(&chain, OperatorRole::Operator).await,
        who(&chain, OperatorRole::Operator).await,
    );
    let adjust = |amount: i64| json!({"member": "M1", "asset": "points", "amount": amount, "reason": "a mistake"});
    assert_eq!(one.post("/v1/points/adjustments", "a", &adjust(100)).await.0, 201);
    // Many small ones are one large one; another person, and tomorrow, are another matter.
    assert_eq!(one.post("/v1/points/adjustments", "a1", &adjust(1)).await.0, 202);
    assert_eq!(two.post("/v1/points/adjustments", "a2", &adjust(1)).await.0, 201);
    chain.clock.advance(25 * HOUR);
    assert_eq!(one.post("/v1/points/adjustments", "a3", &adjust(-1)).await.0, 201);
    let (status, body) = one.post("/v1/points/adjustments", "b", &adjust(101)).await;
    assert_eq!((status, &body["status"]), (202, &json!("waiting")), "{body}");
    assert_eq!(
        one.post("/v1/points/adjustments", "b", &adjust(101)).await,
        (202, body.clone())
    );
    let id = body["id"].as_str().unwrap();
    let path = format!("/v1/points/adjustments/{id}/approve");
    assert_eq!(one.post(&path, "c", &json!({})).await.0, 403);
    let (status, body) = two.post(&path, "d", &json!({})).await;
    assert_eq!((status, &body["amount"]), (201, &json!(101)), "{body}");
    // Again, by another key: it is not posted twice.
    assert_eq!(two.post(&path, "e", &json!({})).await.0, 200);
    assert_eq!(one.get("/v1/members/M1/account").await.1["points"]["available"], 201);
    let (status, body) = one.post("/v1/points/adjustments", "f", &adjust(-1_000)).await;
    assert_eq!(status, 202, "{body}");
    let id = body["id"].as_str().unwrap().to_owned();
    // It would overdraw: refused with its reason, and nothing was changed.
    let (status, body) = two
        .post(&format!("/v1/points/adjustments/{id}/approve"), "g", &json!({}))
        .await;
    assert_eq!((status, &body["code"]), (409, &json!("not_posted")), "{body}");
    assert_eq!(body["reasons"][0], json!({"code": "short", "available": 201}));
    let refuse = format!("/v1/points/adjustments/{id}/refuse");
    assert_eq!(two.post(&refuse, "h", &json!({})).await.1["code"], "state_conflict");
    // Whoever may approve it posts it once there is enough; who asked for it may not.
    let three = who(&chain, OperatorRole::Operator).await;
    let gift = json!({"member": "M1", "kind": "gift", "id": "more", "points": 1_000});
    assert_eq!(three.post("/v1/points/earnings", "i", &gift).await.0, 201);
    let approve = format!("/v1/points/adjustments/{id}/approve");
    assert_eq!(one.post(&approve, "j", &json!({})).await.0, 409);
    let (status, body) = three.post(&approve, "k", &json!({})).await;
    assert_eq!((status, &body["amount"]), (201, &json!(-1_000)), "{body}");
    assert_eq!(two.post(&approve, "l", &json!({})).await.0, 200);
    assert_eq!(one.get("/v1/members/M1/account").await.1["points"]["available"], 201);
    assert_eq!(
        one.get("/v1/points/adjustments?status=approved").await.1["items"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'adjustment.approved'")
            .await,
        2
    );
    holds(&chain).await;
}

async fn money_is_paid_in_once(on: On) {
    let chain = chain(on, 0).await;
    let operator = who(&chain, OperatorRole::Operator).await;
    let top_up = |amount: i64| json!({"member": "M1", "amount": amount, "receipt": "R-1"});
    assert_eq!(operator.post("/v1/points/top-ups", "a", &top_up(5_000)).await.0, 201);
    assert_eq!(operator.post("/v1/points/top-ups", "b", &top_up(5_000)).await.0, 200);
    let (status, body) = operator.post("/v1/points/top-ups", "c", &top_up(6_000)).await;
    assert_eq!((status, &body["code"]), (409, &json!("state_conflict")));
    assert_eq!(
        operator.get("/v1/members/M1/account").await.1["balance"]["available"],
        5_000
    );
    holds(&chain).await;
}

async fn what_is_not_acceptable_changes_nothing(on: On) {
    let chain = chain(on, 0).await;
    let admin = who(&chain, OperatorRole::Admin).await;
    let tries = [
        (
            "/v1/points/earnings",
            json!({"member": "M1", "kind": "order", "id": "1", "paid": 1}),
            422,
        ),
        (
            "/v1/points/earnings",
            json!({"member": "M1", "kind": "gift", "id": "1"}),
            422,
        ),
        (
            "/v1/points/earnings",
            json!({"member": "M1", "kind": "gift", "id": "1", "points": 0}),
            422,
        ),
        (
            "/v1/points/earnings",
            json!({"member": "M1", "kind": "gift", "id": "1", "points": i64::MAX}),
            422,
        ),
        (
            "/v1/points/earnings",
            json!({"member": "nobody", "kind": "gift", "id": "1", "points": 1}),
            422,
        ),
        (
            "/v1/points/earnings",
            json!({"member": "M1", "kind": "theft", "id": "1", "points": 1}),
            400,
        ),
        (
            "/v1/points/earnings",
            json!({"member": "M1", "kind": "gift", "id": "1", "points": 1, "at": START + 1}),
            422,
        ),
        (
            "/v1/points/refunds",
            json!({"kind": "gift", "id": "1", "refund": "r"}),
            404,
        ),
        (
            "/v1/points/top-ups",
            json!({"member": "M1", "amount": -1, "receipt": "R"}),
            422,
        ),
        (
            "/v1/points/adjustments",
            json!({"member": "M1", "asset": "gold", "amount": 1, "reason": "x"}),
            422,
        ),
        (
            "/v1/points/adjustments",
            json!({"member": "M1", "asset": "points", "amount": 0, "reason": "x"}),
            422,
        ),
        (
            "/v1/points/adjustments",
            json!({"member": "M1", "asset": "points", "amount": i64::MIN, "reason": "x"}),
            422,
        ),
    ];
    for (n, (path, body, expected)) in tries.iter().enumerate() {
        let (status, answer) = admin.post(path, &format!("k{n}"), body).await;
        assert_eq!(status, *expected, "{path} {body}: {answer}");
        assert!(answer["code"].is_string());
    }
    assert_eq!(chain.number("SELECT COUNT(*) FROM ledger_entries").await, 0);
    assert_eq!(admin.get("/v1/members/nobody/account").await.0, 404);
    assert_eq!(admin.get("/v1/members/M1/ledger?asset=gold").await.0, 400);
    let warehouse = who(&chain, OperatorRole::Warehouse).await;
    assert_eq!(warehouse.get("/v1/members/M1/account").await.0, 403);
}

async fn an_order_holds_points(on: On) {
    let chain = chain(on, 1).await;
    let admin = who(&chain, OperatorRole::Admin).await;
    let gift = json!({"member": "M1", "kind": "gift", "id": "1", "points": 300});
    admin.post("/v1/points/earnings", "g", &gift).await;
    let order = |number: &str, points: i64| {
        json!({
            "order": number, "coupons": [chain.coupons[0].to_string()], "points": points, "member": "M1",
            "amount": 9_900, "deadline": START + 60_000,
        })
    };
    // More than there is: the coupon is not held either.
    let (status, body) = admin.post("/v1/order-freezes", "o1", &order("W-1", 301)).await;
    assert_eq!((status, &body["status"]), (200, &json!("refused")), "{body}");
    assert_eq!(body["refusals"][0]["coupon"], "points");
    assert_eq!(
        body["refusals"][0]["reasons"][0],
        json!({"code": "points_short", "available": 300})
    );
    let (status, body) = admin.post("/v1/order-freezes", "o2", &order("W-1", 200)).await;
    assert_eq!((status, &body["points"]), (201, &json!(200)), "{body}");
    let (status, body) = admin
        .post("/v1/order-freezes/W-1/confirm", "o3", &json!({"points": 201}))
        .await;
    assert_eq!(
        (status, &body["reasons"][0]),
        (409, &json!({"code": "over_hold", "held": 200})),
        "{body}"
    );
    let (status, body) = admin
        .post("/v1/order-freezes/W-1/confirm", "o4", &json!({"points": 150}))
        .await;
    assert_eq!((status, &body["points"]), (200, &json!(150)), "{body}");
    assert_eq!(admin.get("/v1/members/M1/account").await.1["points"]["available"], 150);
    let alone = json!({"order": "W-2", "points": 1, "amount": 1, "deadline": START + 60_000});
    assert_eq!(admin.post("/v1/order-freezes", "o5", &alone).await.0, 422);
    holds(&chain).await;
}
