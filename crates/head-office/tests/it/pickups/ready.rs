//! A member hears once that their order waits, by every channel.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use counterfoil_domain::{ids::TenantId, people::OperatorRole};
use counterfoil_head_office::{
    messages::notify::{Channel, NotTold, Notice, Notifier, Notifiers, Telling},
    outbox,
    processes::Role,
};
use serde_json::{Value, json};

use super::{member, policy, sound, who, with};
use crate::{
    api::Api,
    common::{Chain, HOUR, On, START},
};

counterfoil_head_office::on_both! {
    a_member_is_told_once_by_every_channel,
}

/// A site that is down at first.
#[derive(Debug, Default)]
struct Site {
    up: AtomicBool,
    told: Mutex<Vec<Notice>>,
}

impl Notifier for Site {
    fn channel(&self) -> Channel {
        Channel::Webhook
    }
    fn tell<'a>(&'a self, _: TenantId, notices: &'a [Notice]) -> Telling<'a> {
        Box::pin(async move {
            if !self.up.load(Ordering::SeqCst) {
                return vec![Err(NotTold("it is down".into())); notices.len()];
            }
            self.told.lock().unwrap().extend_from_slice(notices);
            vec![Ok(()); notices.len()]
        })
    }
}

async fn turn(chain: &Chain) {
    let consumers = outbox::consumers(&chain.app, &Role::ALL);
    while outbox::turn(&chain.app, &consumers).await.unwrap() > 0 {}
}

async fn messages(chain: &Chain, number: &str) -> Value {
    // A session does not last for hours.
    let phone = Api::new(chain, chain.session(number).await);
    let (status, page) = phone.get("/v1/member/messages").await;
    assert_eq!(status, 200, "{page}");
    page
}

async fn place(site: &Api, chain: &Chain, number: &str, member: Option<&str>) -> Value {
    let mut asked = json!({
        "number": number, "store": chain.store, "collector": "Anna",
        "lines": [{"sku": "A", "name_zh": "甲", "name_en": "A", "quantity": 2, "unit_price": 500}],
    });
    if let Some(member) = member {
        asked["member"] = json!(member);
    }
    let (status, body) = site.post("/v1/pickups", number, &asked).await;
    assert_eq!(status, 201, "{body}");
    body
}

async fn a_member_is_told_once_by_every_channel(on: On) {
    let chain = with(on, policy(6, 4, 4)).await;
    let down = Arc::new(Site::default());
    let notifiers: Vec<Arc<dyn Notifier>> = vec![Arc::clone(&down) as Arc<dyn Notifier>];
    assert!(chain.app.own.of::<Notifiers>().set(notifiers).is_ok());
    let (_, number) = member(&chain).await;
    let site = who(&chain, OperatorRole::Operator).await;
    let placed = place(&site, &chain, "W-1", Some(&number)).await;
    // Nobody hears of an order that is nobody's.
    place(&site, &chain, "W-2", None).await;
    turn(&chain).await;
    let page = messages(&chain, &number).await;
    let told = page["items"].as_array().unwrap();
    assert_eq!(
        (told.len(), told[0]["kind"].as_str()),
        (1, Some("pickup_ready")),
        "{page}"
    );
    let said = told[0].to_string();
    assert!(
        said.contains("W-1") && !said.contains(placed["code"].as_str().unwrap()),
        "{said}"
    );
    // The one that is down is told later, and the member hears nothing twice meanwhile.
    assert!(down.told.lock().unwrap().is_empty());
    down.up.store(true, Ordering::SeqCst);
    chain.clock.advance(HOUR);
    turn(&chain).await;
    // Whoever confirmed it died before that was stored.
    chain
        .run("UPDATE outbox SET status = 'sent', confirmed_at = NULL, next_try_at = 1 WHERE topic = 'pickup_ready'")
        .await;
    turn(&chain).await;
    assert_eq!(messages(&chain, &number).await["items"], page["items"]);
    {
        let heard = down.told.lock().unwrap();
        assert_eq!((heard.len(), heard[0].number.as_str()), (1, number.as_str()));
        assert_eq!(heard[0].data["number"], "W-1");
        assert_eq!(told[0]["id"], json!(heard[0].id));
    }
    // Of one that was collected before anybody came to say so, nothing is said.
    let quick = place(&site, &chain, "W-3", Some(&number)).await;
    let mut till = chain.counter().await;
    let handed = till.make(
        chain.collect(quick["id"].as_str().unwrap().parse().unwrap()),
        START + HOUR,
    );
    chain.push(&[handed]).await;
    turn(&chain).await;
    assert_eq!(messages(&chain, &number).await["items"], page["items"]);
    assert_eq!(
        chain
            .number("SELECT COUNT(*) FROM outbox WHERE status <> 'confirmed'")
            .await,
        0
    );
    sound(&chain).await;
}
