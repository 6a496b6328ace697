//! Questions that wait for an answer: freezes, and rows by their code.

use counterfoil_domain::{
    ids::{FreezeId, StoreId},
    people::Store,
    transition::Subject,
};
use counterfoil_head_office::stores;
use counterfoil_protocol::{
    paths,
    questions::{FreezeRequest, FreezeResponse, LookupRequest, LookupResponse},
    signing,
    sync::Image,
};
use reqwest::Method;

use super::{Answer, code_of, office};
use crate::common::{On, START, random10};

counterfoil_head_office::on_both! {
    questions_are_answered_once,
    rows_are_looked_up_by_code,
}

async fn questions_are_answered_once(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let ask = FreezeRequest {
        amounts: counterfoil_domain::points::Amounts::default(),
        id: FreezeId::new(START, random10()),
        subject: Subject::Coupon(office.chain.coupons[0]),
        presented_by: None,
    };
    let body = serde_json::to_vec(&ask).unwrap();
    let missing: Answer<FreezeResponse> = office
        .send(&counter, Method::POST, paths::FREEZES, body.clone(), |r| r)
        .await;
    assert_eq!(code_of(missing), (400, "idempotency_key_missing".into()));
    let key = ask.id.to_string();
    for _ in 0..2 {
        let granted: Answer<FreezeResponse> = office
            .send(&counter, Method::POST, paths::FREEZES, body.clone(), |r| {
                r.header(signing::IDEMPOTENCY_KEY, &key)
            })
            .await;
        assert!(matches!(granted, Ok(FreezeResponse::Granted { .. })));
    }
    let another = FreezeRequest {
        subject: Subject::Order(office.chain.orders[0]),
        ..ask
    };
    let body = serde_json::to_vec(&another).unwrap();
    let reused: Answer<FreezeResponse> = office
        .send(&counter, Method::POST, paths::FREEZES, body, |r| {
            r.header(signing::IDEMPOTENCY_KEY, &key)
        })
        .await;
    assert_eq!(code_of(reused), (422, "idempotency_key_reused".into()));
    let path = format!("{}/{key}", paths::FREEZES);
    let cancelled: Answer<FreezeResponse> = office.send(&counter, Method::DELETE, &path, vec![], |r| r).await;
    assert_eq!(cancelled, Ok(FreezeResponse::Cancelled));
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM coupons WHERE state = 'available'")
            .await,
        1
    );
}

async fn rows_are_looked_up_by_code(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let look = async |asked: LookupRequest| {
        office
            .post::<_, LookupResponse>(&counter, paths::LOOKUPS, &asked)
            .await
            .unwrap()
            .rows
    };
    let coupon = look(LookupRequest::CouponCode("000000000000000000".into())).await;
    let kinds: Vec<_> = coupon.iter().map(|row| std::mem::discriminant(&row.image)).collect();
    assert_eq!(kinds.len(), 3, "template, member, coupon: {coupon:?}");
    assert!(matches!(coupon[2].image, Image::Coupon(_)));
    assert_eq!(look(LookupRequest::CouponCode("000000000000000009".into())).await, []);
    let order = look(LookupRequest::PickupCode("00000100".into())).await;
    assert!(matches!(&order[2].image, Image::Order(order) if order.number == "O1"));
    assert_eq!(look(LookupRequest::Order(office.chain.orders[2])).await.len(), 3);
    assert_eq!(look(LookupRequest::CouponCode("\u{0}".into())).await, []);
    // Of an order that waits elsewhere: where, and nothing of what or whose it is.
    let elsewhere = Store {
        id: StoreId::new(START, random10()),
        code: "s-02".into(),
        name_zh: "二店".into(),
        name_en: "Second".into(),
        time_zone: "Asia/Shanghai".into(),
    };
    let mut lease = office.chain.app.db.lease().await.unwrap();
    let mut transaction = lease.begin().await.unwrap();
    stores::rows::insert_store(
        &mut transaction,
        office.chain.tenant,
        &elsewhere,
        &Default::default(),
        START,
    )
    .await
    .unwrap();
    sqlx::query("UPDATE orders SET store = $1")
        .bind(elsewhere.id.bytes().to_vec())
        .execute(&mut *transaction)
        .await
        .unwrap();
    transaction.commit("test").await.unwrap();
    drop(lease);
    let found = look(LookupRequest::PickupCode("00000100".into())).await;
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(matches!(&found[0].image, Image::Store(store) if store.id == elsewhere.id));
    assert!(matches!(&found[1].image, Image::Order(order) if order.lines.is_empty() && order.member.is_none()));
}
