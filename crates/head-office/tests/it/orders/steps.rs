//! The steps of an order as its site sees them.

use counterfoil_domain::{coupons::CouponState, people::OperatorRole, transition::Answer, words::Word};
use serde_json::json;

use super::{api, entries, holds, order};
use crate::{
    api::Api,
    common::{On, START, chain, random10},
};

counterfoil_head_office::on_both! {
    the_api_holds_confirms_and_voids,
    a_refusal_names_every_reason_and_may_be_asked_anew,
    a_cancel_that_overtakes_its_question_closes_the_door,
    a_number_that_reads_as_an_id_is_a_number,
    only_the_right_roles_may,
}

async fn the_api_holds_confirms_and_voids(on: On) {
    let chain = chain(on, 3).await;
    let api = api(&chain).await;
    let code = chain.coupon(chain.coupons[1]).await.code;
    let mut asked = order(&chain, "W-1", &[0]);
    asked["coupons"].as_array_mut().unwrap().push(json!(code));
    let (status, held) = api.post("/v1/order-freezes", "k1", &asked).await;
    assert_eq!(status, 201, "{held}");
    assert_eq!(held["status"], "frozen");
    assert_eq!(held["coupons"][1]["code"], code);
    assert_eq!(held["coupons"][0]["standing"], "held");
    // Whatever is repeated, with the same name or another one: the same answer, no second effect.
    assert_eq!(api.post("/v1/order-freezes", "k1", &asked).await, (201, held.clone()));
    assert_eq!(api.post("/v1/order-freezes", "k2", &asked).await, (201, held.clone()));
    assert_eq!(entries(&chain).await, 2);
    let (status, other) = api.post("/v1/order-freezes", "k3", &order(&chain, "W-1", &[2])).await;
    assert_eq!((status, &other["code"]), (409, &json!("state_conflict")));
    // A counter that asks is told by whom the coupon is held.
    let counter = chain.counter().await;
    let freeze = counterfoil_domain::ids::FreezeId::new(START, random10());
    let Answer::Refused { reasons } = chain.freeze(&counter, freeze, chain.coupons[0]).await else {
        panic!()
    };
    assert_eq!(reasons, [counterfoil_domain::verdict::Reason::HeldByOrder]);

    let id = held["id"].as_str().unwrap();
    let confirm = format!("/v1/order-freezes/{id}/confirm");
    let (status, paid) = api.post(&confirm, "k4", &json!({})).await;
    assert_eq!((status, &paid["status"]), (200, &json!("confirmed")));
    assert_eq!(paid["coupons"][0]["standing"], "used");
    let (status, coupon) = api.get(&format!("/v1/coupons/{}", chain.coupons[0])).await;
    assert_eq!((status, &coupon["state"]), (200, &json!("redeemed")));
    assert_eq!(coupon["version"], 3);
    let by_code = format!("/v1/coupons/{}", coupon["code"].as_str().unwrap());
    assert_eq!(api.get(&by_code).await, (200, coupon));
    assert_eq!(api.get("/v1/coupons/999999999999999999").await.0, 404);
    assert_eq!(api.post(&confirm, "k4", &json!({})).await, (200, paid.clone()));
    assert_eq!(api.post(&confirm, "k5", &json!({})).await, (200, paid.clone()));
    // By its number too.
    assert_eq!(api.get("/v1/order-freezes/W-1").await, (200, paid));
    let (status, _) = api.post("/v1/order-freezes/W-1/cancel", "k6", &json!({})).await;
    assert_eq!(status, 409);
    assert_eq!(entries(&chain).await, 4);
    holds(&chain).await;

    let (status, voided) = api.post("/v1/order-freezes/W-1/void", "k7", &json!({})).await;
    assert_eq!((status, &voided["status"]), (200, &json!("voided")));
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    let (_, record) = api.get(&format!("/v1/coupons/{}/record", chain.coupons[0])).await;
    let lines: Vec<(&str, &str)> = record["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["what"].as_str().unwrap(), line["order"].as_str().unwrap()))
        .collect();
    assert_eq!(lines, [("frozen", "W-1"), ("redeemed", "W-1"), ("voided", "W-1")]);
    assert!(record["items"][0]["name"].as_str().unwrap().starts_with("operator-"));
    let (_, listed) = api.get("/v1/order-freezes?status=voided").await;
    assert_eq!(listed["items"][0]["order"], "W-1");
    let (_, listed) = api.get("/v1/order-freezes?status=frozen").await;
    assert_eq!(listed["items"], json!([]));
    let (status, _) = api.post("/v1/order-freezes/W-none/confirm", "k8", &json!({})).await;
    assert_eq!(status, 404);
    holds(&chain).await;
}

async fn a_refusal_names_every_reason_and_may_be_asked_anew(on: On) {
    let chain = chain(on, 2).await;
    let api = api(&chain).await;
    api.post("/v1/order-freezes", "k1", &order(&chain, "W-1", &[0])).await;
    let mut both = order(&chain, "W-2", &[0, 1]);
    both["coupons"]
        .as_array_mut()
        .unwrap()
        .push(json!("999999999999999999"));
    let (status, refused) = api.post("/v1/order-freezes", "k2", &both).await;
    assert_eq!((status, &refused["status"]), (200, &json!("refused")));
    assert_eq!(refused["refusals"].as_array().unwrap().len(), 2);
    assert_eq!(refused["refusals"][0]["reasons"][0]["code"], "held_by_order");
    assert_eq!(refused["refusals"][1]["reasons"][0]["code"], "unknown_code");
    assert_eq!(chain.coupon(chain.coupons[1]).await.state, CouponState::Available);
    holds(&chain).await;

    api.post("/v1/order-freezes/W-1/cancel", "k3", &json!({})).await;
    // The same question keeps its answer; asked anew, the coupon is free now.
    assert_eq!(api.post("/v1/order-freezes", "k2", &both).await, (200, refused));
    let (status, held) = api
        .post("/v1/order-freezes", "k4", &order(&chain, "W-2", &[0, 1]))
        .await;
    assert_eq!((status, &held["status"]), (201, &json!("frozen")));
    let twice = json!({"order": "W-3", "coupons": ["1", "1"], "amount": -1, "deadline": 0});
    let (status, problem) = api.post("/v1/order-freezes", "k5", &twice).await;
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2));
    holds(&chain).await;
}

async fn a_cancel_that_overtakes_its_question_closes_the_door(on: On) {
    let chain = chain(on, 1).await;
    let api = api(&chain).await;
    let (status, cancelled) = api.post("/v1/order-freezes/W-1/cancel", "k1", &json!({})).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    let (status, late) = api.post("/v1/order-freezes", "k2", &order(&chain, "W-1", &[0])).await;
    assert_eq!((status, &late["status"]), (200, &json!("cancelled")));
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    holds(&chain).await;
}

/// A shop may number its orders as it likes: also so that the number reads as an id, even as another order's.
async fn a_number_that_reads_as_an_id_is_a_number(on: On) {
    let chain = chain(on, 4).await;
    let api = api(&chain).await;
    let mut made = Vec::new();
    let numbers = [
        "0f8fad5bd9cb8f9fa165708677289501".to_owned(),
        "0f8fad5b-d9cb-8f9f-a165-708677289502".to_owned(),
    ];
    for (n, number) in numbers.iter().enumerate() {
        let (status, order) = api
            .post("/v1/order-freezes", &format!("f{n}"), &order(&chain, number, &[n]))
            .await;
        assert_eq!((status, &order["status"]), (201, &json!("frozen")));
        made.push(order["id"].as_str().unwrap().to_owned());
    }
    // The third is numbered by the id of the first.
    let third = made[0].clone();
    let (status, _) = api.post("/v1/order-freezes", "f3", &order(&chain, &third, &[2])).await;
    assert_eq!(status, 201);
    for (n, number) in numbers.iter().chain([&third]).enumerate() {
        let (status, order) = api
            .post(
                &format!("/v1/order-freezes/{number}/confirm"),
                &format!("c{n}"),
                &json!({}),
            )
            .await;
        assert_eq!(
            (status, &order["status"], &order["order"]),
            (200, &json!("confirmed"), &json!(number))
        );
        let (_, shown) = api.get(&format!("/v1/order-freezes/{number}")).await;
        assert_eq!(shown["order"], json!(number));
    }
    // Where no order has such a number, the id that answers gave names it.
    let (_, shown) = api.get(&format!("/v1/order-freezes/{}", made[1])).await;
    assert_eq!(shown["order"], json!(numbers[1]));
    holds(&chain).await;
}

async fn only_the_right_roles_may(on: On) {
    let chain = chain(on, 1).await;
    for (role, read, write) in [
        (OperatorRole::Admin, 200, 201),
        (OperatorRole::Auditor, 200, 403),
        (OperatorRole::Warehouse, 403, 403),
    ] {
        let api = Api::new(&chain, chain.operator(role).await);
        assert_eq!(api.get("/v1/order-freezes").await.0, read, "{role:?}");
        let (status, _) = api
            .post("/v1/order-freezes", role.as_str(), &order(&chain, "W-1", &[0]))
            .await;
        assert_eq!(status, write, "{role:?}");
        let (status, _) = api.post("/v1/order-freezes/W-2/cancel", "c", &json!({})).await;
        assert_eq!(status, if write == 201 { 200 } else { 403 }, "{role:?}");
    }
    let member = Api::new(&chain, chain.session("M1").await);
    assert_eq!(member.get("/v1/order-freezes").await.0, 401);
}
