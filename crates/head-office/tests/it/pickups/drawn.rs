//! What is shown at the counter.

use counterfoil_domain::{
    people::OperatorRole,
    time::DAY,
    tokens::{Bearer, Token},
};
use counterfoil_qr::{QrStyle, svg};
use ed25519_dalek::SigningKey;
use serde_json::json;

use super::{literal, member, order, order_of, policy, who, with};
use crate::{
    api::Api,
    common::{HOUR, On, START},
};

counterfoil_head_office::on_both! {
    a_member_shows_their_order,
}

async fn a_member_shows_their_order(on: On) {
    let chain = with(on, policy(6, 10, 10)).await;
    let (_, number) = member(&chain).await;
    let mine = order_of(&chain, "M-1", Some(&number), None).await.unwrap();
    let other = order(&chain, "N-1").await;
    let key = SigningKey::from_bytes(&[7; 32]);
    let (secret, public) = (
        literal(&chain, key.as_bytes()),
        literal(&chain, key.verifying_key().as_bytes()),
    );
    chain
        .run(format!(
            "INSERT INTO token_keys (tenant, key_id, public_key, secret_key, created_at, version) SELECT tenant, 1, {public}, {secret}, 1, 1 FROM tenants"
        ))
        .await;
    let phone = Api::new(&chain, chain.session(&number).await);
    let (status, page) = phone.get("/v1/member/pickups").await;
    assert_eq!(status, 200, "{page}");
    // And the three of before.
    assert_eq!(page["items"].as_array().unwrap().len(), 4);
    let (_, first) = phone.get("/v1/member/pickups?limit=1").await;
    assert_eq!(
        (&first["items"][0]["code"], first["next"].is_string()),
        (&json!(mine.code), true)
    );
    let path = format!("/v1/member/pickups/{}/qr", mine.id);
    let (status, kind, picture) = phone.bytes(&format!("{path}?format=png")).await;
    assert_eq!((status, kind.as_str(), &picture[1..4]), (200, "image/png", &b"PNG"[..]));
    let (status, kind, drawn) = phone.bytes(&path).await;
    assert_eq!((status, kind.as_str()), (200, "image/svg+xml"));
    // It says this order, at its store, for a day, under head office's signature.
    let token = Token {
        key_id: 1,
        bearer: Bearer::Pickup(mine.id),
        store: Some(chain.store),
        issued_at: START,
        expires_at: START + DAY,
    };
    let expected = svg(&token.sign(&key), &QrStyle::default()).unwrap();
    assert_eq!(drawn, expected.as_bytes());
    assert_eq!(phone.get(&format!("/v1/member/pickups/{}/qr", other.id)).await.0, 404);
    assert_eq!(phone.get(&format!("{path}?format=gif")).await.0, 400);
    let office = who(&chain, OperatorRole::Operator).await;
    let (status, _, again) = office.bytes(&format!("/v1/pickups/{}/qr", mine.id)).await;
    // The same instant, the same token, the same picture.
    assert_eq!((status, &again), (200, &drawn));
    let auditor = who(&chain, OperatorRole::Auditor).await;
    assert_eq!(auditor.get(&format!("/v1/pickups/{}/qr", mine.id)).await.0, 403);
    // Once it was handed over there is nothing to show.
    let mut till = chain.counter().await;
    let handed = till.make(chain.collect(mine.id), START + HOUR);
    chain.push(&[handed]).await;
    let (status, body) = phone.get(&path).await;
    assert_eq!((status, body["code"].as_str()), (409, Some("state_conflict")), "{body}");
}
