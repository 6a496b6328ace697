//! Codes that head office signed.

use super::*;

fn token(bearer: Bearer, issued_at: Millis) -> Token {
    Token {
        key_id: 1,
        bearer,
        store: None,
        issued_at,
        expires_at: issued_at + MINUTE,
    }
}

fn coupon_bearer(coupon: CouponId, template: u8) -> Bearer {
    Bearer::Coupon {
        coupon,
        template: template_id(template),
        template_version: 1,
    }
}

#[tokio::test]
async fn tokens_are_checked_without_asking_anybody() {
    let mut office = HeadOffice::new(2, 1);
    let shop = offline_shop(&mut office).await;
    let key = SigningKey::from_bytes(&[3; 32]);
    let public_key = hex::encode(key.verifying_key().to_bytes());
    receive(&shop, vec![Image::TokenKey(TokenKey { key_id: 1, public_key })]).await;
    let known = token(coupon_bearer(coupon_id(0), 1), NOW);
    let bound = Token {
        store: Some(store_id(2)),
        ..known
    };
    let strange = Token { key_id: 2, ..known };
    for (text, decision, reasons) in [
        (known.sign(&key), Decision::HonourOffline, vec![]),
        (
            token(Bearer::Pickup(order_id(0)), NOW).sign(&key),
            Decision::HonourOffline,
            vec![],
        ),
        (
            token(Bearer::Member(member_id(1)), NOW).sign(&key),
            Decision::Info,
            vec![],
        ),
        (
            token(Bearer::Pickup(OrderId::new(1, [1; 10])), NOW).sign(&key),
            Decision::Unconfirmed,
            vec!["unknown_offline"],
        ),
        (bound.sign(&key), Decision::Refuse, vec!["store_not_allowed"]),
        (strange.sign(&key), Decision::Unconfirmed, vec!["unknown_key"]),
        (
            known.sign(&SigningKey::from_bytes(&[4; 32])),
            Decision::Refuse,
            vec!["bad_signature"],
        ),
        (
            token(known.bearer, NOW - HOUR).sign(&key),
            Decision::Refuse,
            vec!["token_expired"],
        ),
    ] {
        let verdict = see(&shop, &Input::Token(text)).await;
        assert_eq!((verdict.decision, codes(&verdict)), (decision, reasons));
    }
}

#[tokio::test]
async fn a_coupon_known_by_its_token_only_goes_by_its_policy_once() {
    let mut office = HeadOffice::new(1, 0);
    let shop = offline_shop(&mut office).await;
    let key = SigningKey::from_bytes(&[3; 32]);
    let public_key = hex::encode(key.verifying_key().to_bytes());
    let floor = template(3, OfflinePolicy::FloorLimit);
    receive(
        &shop,
        vec![
            Image::TokenKey(TokenKey { key_id: 1, public_key }),
            Image::Template(floor.clone()),
        ],
    )
    .await;
    office
        .state
        .templates
        .insert((floor.id, 1), Some(std::sync::Arc::new(floor)));
    let unheard = coupon(77, 3);
    let at = |template| Input::Token(token(coupon_bearer(unheard.id, template), NOW).sign(&key));
    assert_eq!(codes(&see(&shop, &at(2)).await), ["online_only"]);
    assert_eq!(codes(&see(&shop, &at(1)).await), ["not_home_store"]);
    let strange = see(&shop, &at(50)).await;
    assert_eq!(
        (strange.decision, codes(&strange)),
        (Decision::Unconfirmed, vec!["template_unknown"])
    );

    let tickets = [
        see(&shop, &at(3)).await.ticket.unwrap(),
        see(&shop, &at(3)).await.ticket.unwrap(),
    ];
    assert!(matches!(
        confirm(&shop.inner, &tickets[0], clerk_id(1)).await.unwrap(),
        Confirmation::Done(_)
    ));
    assert!(matches!(
        confirm(&shop.inner, &tickets[1], clerk_id(1)).await.unwrap(),
        Confirmation::Refused(_)
    ));
    assert_eq!(codes(&see(&shop, &at(3)).await), ["redeemed"]);
    // Its row comes before the operation is delivered: the operation lies over it.
    office.put_coupon(unheard.clone());
    shop.exchange(&mut office, 0, 1_000, true, true).await;
    assert_eq!(journaled(&shop).await, 1);
    assert_eq!(codes(&see(&shop, &code(&unheard)).await), ["redeemed"]);
    shop.settle(&mut office).await;
    assert_eq!(journaled(&shop).await, 0);
    shop.go_offline();
    assert_eq!(codes(&see(&shop, &code(&unheard)).await), ["redeemed"]);
}
