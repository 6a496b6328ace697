//! Look-ups of what was typed: members with their coupons, and limits on trying.

use counterfoil_domain::{
    coupons::Coupon,
    ids::{CouponId, MemberId},
    people::Member,
};
use counterfoil_head_office::{coupons, members};
use counterfoil_protocol::{
    paths,
    questions::{LookupRequest, LookupResponse},
    sync::{Image, Row},
};

use super::{Answer, Office, code_of, office};
use crate::common::{Counter, HOUR, On, START, random10};

counterfoil_head_office::on_both! {
    a_member_is_found_with_coupons_and_a_strangers_phone_is_masked,
    typed_codes_that_do_not_exist_are_counted_and_come_to_an_end,
}

async fn look(office: &Office, counter: &Counter, asked: LookupRequest) -> Answer<Vec<Row>> {
    let answer: Answer<LookupResponse> = office.post(counter, paths::LOOKUPS, &asked).await;
    answer.map(|response| response.rows)
}

/// A member who was never seen anywhere, with a coupon.
async fn stranger(office: &Office) -> (MemberId, CouponId) {
    let (tenant, member, coupon) = (
        office.chain.tenant,
        MemberId::new(START, random10()),
        CouponId::new(START, random10()),
    );
    let known = office.chain.coupon(office.chain.coupons[0]).await;
    let mut lease = office.chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    let person = Member {
        id: member,
        number: "M2".into(),
        name: "李".into(),
        phone: "13900001234".into(),
        recent_stores: Vec::new(),
    };
    members::rows::insert(&mut tx, tenant, &[person], START).await.unwrap();
    let theirs = Coupon {
        id: coupon,
        code: "700000000000000001".into(),
        member: Some(member),
        version: 1,
        ..known
    };
    coupons::rows::insert(&mut tx, tenant, &[theirs]).await.unwrap();
    tx.commit("test").await.unwrap();
    (member, coupon)
}

fn phone(rows: &[Row]) -> Option<String> {
    rows.iter().find_map(|row| match &row.image {
        Image::Member(member) => Some(member.phone.clone()),
        _ => None,
    })
}

fn has(rows: &[Row], coupon: CouponId) -> bool {
    rows.iter()
        .any(|row| matches!(&row.image, Image::Coupon(found) if found.id == coupon))
}

async fn a_member_is_found_with_coupons_and_a_strangers_phone_is_masked(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let (member, coupon) = stranger(&office).await;
    let fed = async || office.sync(&counter, &[]).await.unwrap().page.unwrap().rows;
    let before = fed().await.len();
    for asked in [
        LookupRequest::MemberNumber("M2".into()),
        LookupRequest::Phone("13900001234".into()),
    ] {
        let rows = look(&office, &counter, asked).await.unwrap();
        assert_eq!(rows.len(), 4, "member, account, template, coupon: {rows:?}");
        assert_eq!(phone(&rows).as_deref(), Some("139****1234"));
        assert!(has(&rows, coupon));
    }
    // A number that was typed proves nobody's presence.
    assert_eq!(fed().await.len(), before);
    let rows = look(&office, &counter, LookupRequest::MemberNumber("M1".into()))
        .await
        .unwrap();
    assert_eq!(phone(&rows).as_deref(), Some("13800000000"), "this store holds them");

    // A token does: the store holds them from now on, with their coupons.
    let rows = look(&office, &counter, LookupRequest::Member(member)).await.unwrap();
    assert_eq!(phone(&rows).as_deref(), Some("13900001234"));
    let page = fed().await;
    assert_eq!(page.len(), before + 3);
    assert!(has(&page, coupon));
    look(&office, &counter, LookupRequest::Member(member)).await.unwrap();
    assert_eq!(fed().await.len(), before + 3, "seen once is enough");
    for nobody in [
        LookupRequest::MemberNumber("M9".into()),
        LookupRequest::MemberNumber("\u{0}".into()),
        LookupRequest::Phone(String::new()),
        LookupRequest::Member(MemberId::new(START, random10())),
    ] {
        assert_eq!(look(&office, &counter, nobody).await.unwrap(), []);
    }
}

async fn typed_codes_that_do_not_exist_are_counted_and_come_to_an_end(on: On) {
    let office = office(on, 1).await;
    let counter = office.chain.counter().await;
    let wrong = |n: usize| LookupRequest::CouponCode(format!("9{n:017}"));
    // Many at once see one count.
    let asked = (0..80).map(|n| look(&office, &counter, wrong(n)));
    let mut answered = 0;
    let mut refused = 0;
    for answer in futures_of(asked).await {
        match answer {
            Ok(rows) => {
                assert_eq!(rows, []);
                answered += 1;
            }
            Err((status, problem)) => {
                assert_eq!((status.as_u16(), problem.code.as_str()), (429, "rate_limited"));
                assert!(
                    problem
                        .retry_after
                        .is_some_and(|seconds| (1..=86_400).contains(&seconds))
                );
                refused += 1;
            }
        }
    }
    assert_eq!((answered, refused), (60, 20));
    // What exists is refused too, or the answers would tell; tokens and members go on, and so does another device.
    let known = LookupRequest::CouponCode("000000000000000000".into());
    let codes = async |asked: LookupRequest| code_of(look(&office, &counter, asked).await).1;
    assert_eq!(codes(known.clone()).await, "rate_limited");
    assert_eq!(
        codes(LookupRequest::PickupCode("00000100".into())).await,
        "rate_limited"
    );
    assert_eq!(
        look(&office, &counter, LookupRequest::CouponCode("short".into()))
            .await
            .unwrap(),
        []
    );
    assert!(
        !look(&office, &counter, LookupRequest::Coupon(office.chain.coupons[0]))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        !look(&office, &counter, LookupRequest::MemberNumber("M1".into()))
            .await
            .unwrap()
            .is_empty()
    );
    let other = office.chain.counter().await;
    assert!(!look(&office, &other, known.clone()).await.unwrap().is_empty());
    // A person at head office hears of it, once.
    look(&office, &other, wrong(99)).await.unwrap();
    let alarms = office
        .chain
        .number("SELECT COUNT(*) FROM audit WHERE action = 'store.guessing'")
        .await;
    assert_eq!(alarms, 1);
    office.chain.clock.advance(24 * HOUR);
    assert!(!look(&office, &counter, known).await.unwrap().is_empty());
}

async fn futures_of<T>(asked: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    // One after the other on one task would be no race: polled together, they are under way at once.
    let mut waiting: Vec<_> = asked.map(|question| (Box::pin(question), None)).collect();
    std::future::poll_fn(|context| {
        let mut left = 0;
        for (question, answer) in &mut waiting {
            if answer.is_none() {
                match question.as_mut().poll(context) {
                    std::task::Poll::Ready(done) => *answer = Some(done),
                    std::task::Poll::Pending => left += 1,
                }
            }
        }
        if left == 0 {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    waiting.into_iter().filter_map(|(_, answer)| answer).collect()
}
