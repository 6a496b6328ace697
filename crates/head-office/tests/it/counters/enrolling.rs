//! A new device gets its place with a code.

use counterfoil_head_office::stores;
use counterfoil_protocol::{
    enrolment::{EnrolRequest, EnrolResponse},
    paths,
    problem::Problem,
};
use ed25519_dalek::SigningKey;

use super::office;
use crate::common::{HOUR, On};

counterfoil_head_office::on_both! {
    a_device_enrols_once_with_a_code_and_again_with_the_same_key,
}

async fn a_device_enrols_once_with_a_code_and_again_with_the_same_key(on: On) {
    let office = office(on, 0).await;
    let (app, chain) = (&office.chain.app, &office.chain);
    let code = stores::enrol::make_code(
        &app.db,
        chain.clock.as_ref(),
        app.random.as_ref(),
        chain.tenant,
        chain.store,
    )
    .await
    .unwrap();
    let enrol = async |code: &str, key: &SigningKey| {
        let request = EnrolRequest {
            code: code.to_lowercase(),
            public_key: hex::encode(key.verifying_key().to_bytes()),
            proof: EnrolRequest::prove(code, key),
            name: " till\r\n1\t\u{1b}[31m\u{7f}\0 ".into(),
            app_version: "1".into(),
        };
        office
            .client
            .post(format!("{}{}", office.address, paths::ENROL))
            .json(&request)
            .send()
            .await
            .unwrap()
    };
    let (mine, other) = (SigningKey::from_bytes(&[5; 32]), SigningKey::from_bytes(&[6; 32]));
    let first: EnrolResponse = enrol(&code, &mine).await.json().await.unwrap();
    assert_eq!(first.store.id, chain.store);
    // The answer was lost: asking again gives the same place. Somebody else gets nothing.
    let again: EnrolResponse = enrol(&code, &mine).await.json().await.unwrap();
    assert_eq!(again.device, first.device);
    let refused: Problem = enrol(&code, &other).await.json().await.unwrap();
    assert_eq!(refused.code, "enrol_code_invalid");
    let unknown: Problem = enrol("AAAAA-AAAAA", &mine).await.json().await.unwrap();
    assert_eq!(unknown.code, "enrol_code_invalid");
    let late = stores::enrol::make_code(
        &app.db,
        chain.clock.as_ref(),
        app.random.as_ref(),
        chain.tenant,
        chain.store,
    )
    .await
    .unwrap();
    chain.clock.advance(HOUR / 4);
    assert_eq!(
        enrol(&late, &other).await.json::<Problem>().await.unwrap().code,
        "enrol_code_invalid"
    );
    assert_eq!(chain.number("SELECT COUNT(*) FROM devices").await, 1);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM devices WHERE name = 'till 1 [31m'")
            .await,
        1
    );
    let long = office
        .client
        .post(format!("{}{}", office.address, paths::ENROL))
        .body(" ".repeat(1024 * 1024));
    let long = long.send().await.unwrap();
    assert_eq!(
        (long.status().as_u16(), &long.headers()["content-type"]),
        (
            413,
            &reqwest::header::HeaderValue::from_static("application/problem+json")
        )
    );
    assert_eq!(long.json::<Problem>().await.unwrap().code, "too_large");
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'device.enrolled'")
            .await,
        1
    );
}
