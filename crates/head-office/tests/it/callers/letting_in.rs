//! Who is let in, for how long, and who is heard no more.

use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::{
    admin,
    clock::{Clock, SystemRandom},
    http::caller::BELIEVED,
    members::sessions::{LINK_LASTS, Link, SESSION_LASTS},
};
use reqwest::Method;

use super::{office, terms};
use crate::common::On;

counterfoil_head_office::on_both! {
    a_token_lets_in_whom_it_names_until_it_is_taken_away,
    roles_decide_what_an_operator_may,
    a_signed_link_is_traded_for_a_session,
    an_address_that_guesses_is_heard_no_more,
}

async fn a_token_lets_in_whom_it_names_until_it_is_taken_away(on: On) {
    let office = office(on).await;
    let token = office.chain.operator(OperatorRole::Admin).await;
    let listing = "/v1/templates";
    assert_eq!(office.get(listing, &token).await.status, 200);
    for wrong in [None, Some("x"), Some("cfo_00"), Some(token.trim_start_matches("cfo_"))] {
        let answer = office.ask(Method::GET, listing, wrong, None, None).await;
        assert_eq!(answer.code(), (401, "unauthenticated"), "{wrong:?}");
    }
    let unknown = format!("cfo_{}", "0".repeat(64));
    assert_eq!(office.get(listing, &unknown).await.code(), (401, "unauthenticated"));
    let response = office
        .client
        .get(format!("{}{listing}", office.address))
        .send()
        .await
        .unwrap();
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    // A member's token is no operator's.
    let member = office.chain.session("M1").await;
    assert_eq!(office.get(listing, &member).await.code().0, 401);
    assert_eq!(office.get("/v1/member", &token).await.code().0, 401);

    let (app, tenant) = (&office.chain.app, office.chain.tenant);
    let known = admin::operators(&app.db, tenant).await.unwrap();
    let name = &known[0].name;
    admin::deactivate_operator(&app.db, office.chain.clock.as_ref(), &SystemRandom, tenant, name)
        .await
        .unwrap();
    // What was read a moment ago may still be believed; not for long.
    office.chain.clock.advance(BELIEVED);
    assert_eq!(office.get(listing, &token).await.code(), (401, "unauthenticated"));
    assert!(
        admin::deactivate_operator(&app.db, office.chain.clock.as_ref(), &SystemRandom, tenant, name)
            .await
            .is_err()
    );
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM audit WHERE action = 'operator.deactivated'")
            .await,
        1
    );
}

async fn roles_decide_what_an_operator_may(on: On) {
    let office = office(on).await;
    let mut tokens = Vec::new();
    for &role in OperatorRole::ALL {
        tokens.push((role, office.chain.operator(role).await));
    }
    for (role, token) in &tokens {
        let reads = office.get("/v1/templates", token).await.status;
        let writes = office.post("/v1/templates", token, "k", &terms()).await.status;
        let expected = match role {
            OperatorRole::Admin | OperatorRole::Operator => (200, 201),
            OperatorRole::Auditor => (200, 403),
            OperatorRole::Warehouse => (403, 403),
        };
        assert_eq!((reads.as_u16(), writes.as_u16()), expected, "{role:?}");
    }
    // The same key of two people is two questions.
    assert_eq!(
        office
            .chain
            .number("SELECT COUNT(*) FROM templates WHERE status = 'draft'")
            .await,
        2
    );
}

async fn a_signed_link_is_traded_for_a_session(on: On) {
    let office = office(on).await;
    let key = office.link_key().await;
    let now = office.chain.clock.now();
    let link = Link {
        tenant: "demo",
        member: "M1",
        expires: now + LINK_LASTS,
    };
    let session = office.sign_in(link, &link.sign(&key)).await.done(201);
    let token = session["token"].as_str().unwrap();
    assert_eq!(session["member"], office.chain.member.to_string());
    let me = office.get("/v1/member", token).await.done(200);
    assert_eq!(me["number"], "M1");

    let far = Link {
        expires: now + LINK_LASTS + 1,
        ..link
    };
    let stranger = Link { member: "M2", ..link };
    let nobody = Link { tenant: "x", ..link };
    for (link, signature) in [
        (far, far.sign(&key)),
        (stranger, stranger.sign(&key)),
        (nobody, nobody.sign(&key)),
        (stranger, link.sign(&key)),
        (link, link.sign(&[0; 32])),
        (link, String::new()),
    ] {
        assert_eq!(
            office.sign_in(link, &signature).await.code(),
            (401, "link_invalid"),
            "{link:?}"
        );
    }
    // Another key: links signed with the old one are no longer good.
    let rotated = office.link_key().await;
    assert_eq!(office.sign_in(link, &link.sign(&key)).await.code().1, "link_invalid");
    office.sign_in(link, &link.sign(&rotated)).await.done(201);
    office.chain.clock.advance(LINK_LASTS);
    assert_eq!(
        office.sign_in(link, &link.sign(&rotated)).await.code(),
        (401, "link_expired")
    );
    // Signed out is out; the other session ends by itself.
    let out = office
        .ask(Method::DELETE, "/v1/member/sessions", Some(token), None, None)
        .await;
    assert_eq!(out.status, 204);
    assert_eq!(office.get("/v1/member", token).await.code().0, 401);
    let other = office.chain.session("M1").await;
    assert_eq!(office.get("/v1/member", &other).await.status, 200);
    office.chain.clock.advance(SESSION_LASTS);
    assert_eq!(office.get("/v1/member", &other).await.code(), (401, "unauthenticated"));
    // Only hashes are kept, and the next sign-in clears up.
    office.chain.session("M1").await;
    assert_eq!(office.chain.number("SELECT COUNT(*) FROM member_sessions").await, 1);
}

async fn an_address_that_guesses_is_heard_no_more(on: On) {
    let office = office(on).await;
    let good = office.chain.operator(OperatorRole::Admin).await;
    let fresh = office.chain.operator(OperatorRole::Admin).await;
    let from = async |address: &str, token: &str| {
        let request = office.client.get(format!("{}/v1/templates", office.address));
        let response = request.bearer_auth(token).header("x-forwarded-for", address);
        response.send().await.unwrap().status().as_u16()
    };
    assert_eq!(from("192.0.2.1", &good).await, 200);
    let mut limited = 0;
    for guess in 0..200 {
        match from("192.0.2.1", &format!("cfo_{guess:064}")).await {
            401 => assert_eq!(limited, 0, "heard again"),
            429 => limited += 1,
            other => panic!("{other}"),
        }
    }
    assert!(limited > 100, "{limited}");
    // Whoever was let in lately goes on, also from there; others come from elsewhere.
    assert_eq!(from("192.0.2.1", &good).await, 200);
    assert_eq!(from("192.0.2.1", &fresh).await, 429);
    assert_eq!(from("192.0.2.2", &fresh).await, 200);
}
