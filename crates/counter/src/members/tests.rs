//! Who is this: here, and at head office.

use counterfoil_domain::{ids::FreezeId, people::mask_phone, time::DAY};

use super::*;
use crate::testing::{HeadOffice, Line, NOW, Shop, coupon, coupon_id, device, member, member_id, store_id};

async fn found(shop: &Shop, scanned: &Input) -> MemberCard {
    match find(&shop.inner, scanned).await.unwrap() {
        MemberAnswer::Found(card) => *card,
        MemberAnswer::Unknown(verdict) => panic!("{verdict:?}"),
    }
}

async fn unknown_as(shop: &Shop, scanned: &Input) -> (Decision, String) {
    match find(&shop.inner, scanned).await.unwrap() {
        MemberAnswer::Found(card) => panic!("{card:?}"),
        MemberAnswer::Unknown(verdict) => (verdict.decision, verdict.reasons[0].code.clone()),
    }
}

fn number(n: u8) -> Input {
    Input::MemberNumber(member(n).number)
}

#[tokio::test]
async fn a_member_is_found_by_number_and_phone_with_coupons_by_state() {
    let mut office = HeadOffice::new(0, 0);
    let mut put = |n: u8, change: &dyn Fn(&mut Coupon)| {
        let mut coupon = coupon(n, 1);
        change(&mut coupon);
        office.put_coupon(coupon);
    };
    put(1, &|coupon| coupon.valid_until = Some(NOW + DAY));
    put(2, &|coupon| coupon.valid_until = None);
    put(3, &|coupon| coupon.valid_until = Some(NOW));
    put(4, &|coupon| coupon.valid_from = Some(NOW + 1));
    put(5, &|coupon| {
        coupon.state = CouponState::Frozen {
            freeze: FreezeId::new(NOW, [1; 10]),
            until: NOW + 1,
            device: device(2),
        };
    });
    // A freeze that has lapsed holds nothing.
    put(6, &|coupon| {
        coupon.state = CouponState::Frozen {
            freeze: FreezeId::new(NOW, [2; 10]),
            until: NOW,
            device: device(2),
        };
    });
    put(7, &|coupon| {
        coupon.state = CouponState::Redeemed {
            operation: counterfoil_domain::ids::OperationId::new(NOW, [3; 10]),
            at: NOW,
            store: store_id(2),
        };
    });
    put(8, &|coupon| coupon.member = Some(member_id(2)));
    put(9, &|coupon| coupon.template_version = 9);
    let shop = Shop::of(&mut office).await;
    shop.go_offline();
    let card = found(&shop, &number(1)).await;
    assert_eq!((card.member.id, card.asked), (member_id(1), false));
    let shown: Vec<_> = card
        .coupons
        .iter()
        .map(|coupon| (coupon.coupon.id, coupon.state, coupon.decision))
        .collect();
    assert_eq!(
        shown,
        [
            (coupon_id(1), CardState::Available, Decision::HonourOffline),
            (coupon_id(6), CardState::Available, Decision::HonourOffline),
            (coupon_id(2), CardState::Available, Decision::HonourOffline),
            (coupon_id(4), CardState::Available, Decision::Refuse),
            (coupon_id(9), CardState::Available, Decision::Refuse),
            (coupon_id(5), CardState::Frozen, Decision::Refuse),
            (coupon_id(7), CardState::Redeemed, Decision::Refuse),
            (coupon_id(3), CardState::Expired, Decision::Refuse),
        ]
    );
    assert_eq!(card.coupons[3].reasons[0].code, "not_started");
    let by_phone = found(&shop, &Input::Phone(member(1).phone)).await;
    assert_eq!(by_phone.coupons.len(), card.coupons.len());
    assert_eq!(
        local_card(&shop.inner, member_id(1)).await.unwrap().unwrap().coupons,
        card.coupons
    );
    assert_eq!(local_card(&shop.inner, member_id(9)).await.unwrap(), None);

    assert_eq!(
        unknown_as(&shop, &number(7)).await,
        (Decision::Unconfirmed, "unknown_offline".into())
    );
    let other = Input::CouponCode(coupon(1, 1).code);
    assert_eq!(unknown_as(&shop, &other).await, (Decision::Refuse, "not_a_code".into()));
    let forged = Input::Token("CF1:RUBBISH".into());
    assert_eq!(
        unknown_as(&shop, &forged).await,
        (Decision::Refuse, "malformed_code".into())
    );
}

#[tokio::test]
async fn one_who_is_not_here_is_asked_for_and_stays_without_being_counted_as_a_guess() {
    let mut office = HeadOffice::new(0, 0);
    let shop = Shop::of(&mut office).await;
    office.state.members.insert(member_id(3), Some(member(3)));
    let theirs = Coupon {
        member: Some(member_id(3)),
        ..coupon(30, 1)
    };
    office.state.coupons.insert(theirs.id, Some(theirs));
    let line = Line::of(&shop, office).await;
    for _ in 0..8 {
        assert_eq!(
            unknown_as(&shop, &number(8)).await,
            (Decision::Refuse, "unknown_code".into())
        );
    }
    // Whoever typed the phone number knows it; head office does not say it.
    let card = found(&shop, &Input::Phone(member(3).phone)).await;
    assert_eq!(
        (card.member.phone.clone(), card.asked, card.coupons.len()),
        (member(3).phone, true, 1)
    );
    assert_ne!(mask_phone(&card.member.phone), card.member.phone);
    // Asked for once more while the line is up, found here when it is not.
    let asked = line.count("POST /v1/lookups");
    found(&shop, &number(3)).await;
    assert_eq!(line.count("POST /v1/lookups"), asked + 1);
    shop.go_offline();
    let card = found(&shop, &Input::Phone(member(3).phone)).await;
    assert_eq!((card.asked, card.coupons.len()), (false, 1));
    assert_eq!(line.count("POST /v1/lookups"), asked + 1);
    let guessed = crate::status::status(&shop.inner)
        .await
        .unwrap()
        .placed
        .unwrap()
        .guessing;
    assert_eq!(guessed.device_today, 0);
}
