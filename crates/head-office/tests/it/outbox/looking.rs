//! Operators see each message, and hand one over at once.

use counterfoil_domain::people::OperatorRole;
use counterfoil_head_office::outbox::NotDone;
use serde_json::json;

use super::{Scripted, drain, send, stand, to};
use crate::{
    api::Api,
    common::{On, chain},
};

counterfoil_head_office::on_both! {
    messages_are_listed_and_shown,
    one_is_handed_over_at_once,
}

async fn messages_are_listed_and_shown(on: On) {
    let chain = chain(on, 0).await;
    let consumer = Scripted::new(|message| match message.key.as_str() {
        "bad" => Err(NotDone::Later("the carrier is away".into())),
        _ => Ok(()),
    });
    send(
        &chain.app,
        chain.tenant,
        &[to("a", "1"), to("bad", "2"), to("bad", "3")],
    )
    .await;
    drain(&chain.app, consumer).await;
    chain.clock.advance(1);
    let mut other = to("a", "4");
    other.topic = "letters";
    send(&chain.app, chain.tenant, &[other]).await;
    let api = Api::new(&chain, chain.operator(OperatorRole::Auditor).await);
    let sources = async |path: &str| -> Vec<String> {
        let mut sources = Vec::new();
        let mut next = String::new();
        loop {
            let (status, page) = api.get(&format!("/v1/outbox?limit=1&{path}{next}")).await;
            assert_eq!(status, 200, "{page}");
            for item in page["items"].as_array().unwrap() {
                assert!(item.get("body").is_none());
                sources.push(item["source"].as_str().unwrap().to_owned());
            }
            match page["next"].as_str() {
                Some(after) => next = format!("&after={after}"),
                None => break,
            }
        }
        sources.sort();
        sources
    };
    assert_eq!(sources("").await, ["1", "2", "3", "4"]);
    assert_eq!(sources("status=pending").await, ["3", "4"]);
    assert_eq!(sources("status=sent").await, ["2"]);
    assert_eq!(sources("status=confirmed").await, ["1"]);
    assert_eq!(sources("key=a").await, ["1", "4"]);
    assert_eq!(sources("topic=letters").await, ["4"]);
    assert_eq!(sources("topic=parcels&key=a").await, ["1"]);
    assert_eq!(sources("status=pending&topic=parcels&key=bad").await, ["3"]);
    assert_eq!(sources("topic=none").await, [""; 0]);
    let (status, _) = api.get("/v1/outbox?status=lost").await;
    assert_eq!(status, 400);

    let (_, page) = api.get("/v1/outbox?status=sent").await;
    let id = page["items"][0]["id"].as_str().unwrap();
    let (status, message) = api.get(&format!("/v1/outbox/{id}")).await;
    assert_eq!(status, 200);
    assert_eq!(message["body"], "{\"about\":\"2\"}");
    assert_eq!(message["last_error"], "the carrier is away");
    assert_eq!((&message["tries"], &message["number"]), (&json!(1), &json!(1)));
    let (status, _) = api.get(&format!("/v1/outbox/{}", uuid::Uuid::nil())).await;
    assert_eq!(status, 404);
}

async fn one_is_handed_over_at_once(on: On) {
    let chain = chain(on, 0).await;
    let consumer = Scripted::new(|message| match message.tries {
        1 => Err(NotDone::Bad("no".into())),
        _ => Ok(()),
    });
    send(&chain.app, chain.tenant, &[to("a", "1"), to("a", "2")]).await;
    assert_eq!(drain(&chain.app, consumer).await, 1);
    let api = Api::new(&chain, chain.operator(OperatorRole::Warehouse).await);
    let id = async |status: &str| -> String {
        let (_, page) = api.get(&format!("/v1/outbox?status={status}")).await;
        page["items"][0]["id"].as_str().unwrap().to_owned()
    };
    let (first, second) = (id("sent").await, id("pending").await);
    let retry = async |id: &str, key: &str| api.post(&format!("/v1/outbox/{id}/retry"), key, &json!({})).await;
    let (status, problem) = retry(&second, "k1").await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("state_conflict")),
        "{problem}"
    );
    let (status, _) = retry(&uuid::Uuid::nil().to_string(), "k2").await;
    assert_eq!(status, 404);
    assert_eq!(drain(&chain.app, consumer).await, 0);

    let mut bell = chain.app.db.broker().bell();
    let (status, message) = retry(&first, "k3").await;
    assert_eq!((status, message["status"].as_str()), (200, Some("sent")), "{message}");
    crate::common::in_time(bell.rung()).await;
    assert_eq!(drain(&chain.app, consumer).await, 2);
    assert_eq!((stand(&chain, "confirmed").await, stand(&chain, "sent").await), (1, 1));
    let (status, problem) = retry(&first, "k4").await;
    assert_eq!(
        (status, problem["code"].as_str()),
        (409, Some("state_conflict")),
        "{problem}"
    );
    let audited = "SELECT COUNT(*) FROM audit WHERE action = 'outbox.retry' AND actor LIKE 'operator:%'";
    assert_eq!(chain.number(audited).await, 1);
    let nobody = Api::new(&chain, chain.operator(OperatorRole::Auditor).await);
    let (status, _) = nobody
        .post(&format!("/v1/outbox/{first}/retry"), "k5", &json!({}))
        .await;
    assert_eq!(status, 403);
}
