//! Messages, reminders and expiry, on both engines.

use std::sync::{Arc, Mutex};

use counterfoil_domain::{
    coupons::CouponState,
    ids::{FreezeId, MemberId, TenantId},
    people::{Member, OperatorRole},
    transition::{AskFreeze, Command, Subject},
};
use counterfoil_head_office::{
    coupons::{days, expiry, reminders},
    members,
    messages::notify::{Channel, Mail, NotTold, Notice, Notifier, Telling},
    messages::reminding::Counts,
    outside::Outside,
    verify::verify,
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::api::Api;
use crate::common::{Chain, HOUR, On, START, chain, random10};

counterfoil_head_office::on_both! {
    a_message_to_all_costs_one_row_until_somebody_looks,
    who_registers_later_does_not_get_it,
    a_message_by_name_is_there_at_once,
    coupons_end_once_and_their_record_says_so,
    a_coupon_in_use_at_its_end_is_looked_at_again,
    members_are_reminded_once_of_what_they_still_have,
    a_channel_that_fails_is_tried_again_and_the_others_are_not,
    a_reminder_goes_out_by_mail,
    coupons_are_listed_as_they_stand_now,
}

const DAY: i64 = 24 * HOUR;

async fn holds(chain: &Chain) {
    let mut broken = Vec::new();
    verify(&chain.app.db, |check| {
        if !check.ok {
            broken.push(check.clone());
        }
    })
    .await
    .unwrap();
    assert_eq!(broken, []);
}

async fn add_member(chain: &Chain, number: &str, at: i64) -> MemberId {
    let member = Member {
        id: MemberId::new(at, random10()),
        number: number.into(),
        name: "李".into(),
        phone: "13900000000".into(),
        recent_stores: vec![chain.store],
    };
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    members::rows::insert(&mut tx, chain.tenant, std::slice::from_ref(&member), at)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    member.id
}

fn message(title: &str) -> Value {
    json!({"title_zh": title, "title_en": title, "body_zh": "一\n二", "body_en": "one\ntwo"})
}

async fn a_message_to_all_costs_one_row_until_somebody_looks(on: On) {
    let chain = chain(on, 0).await;
    add_member(&chain, "M2", START).await;
    let operator = Api::new(&chain, chain.operator(OperatorRole::Operator).await);
    let rows = "SELECT (SELECT COUNT(*) FROM messages) * 100 + (SELECT COUNT(*) FROM member_messages)";
    for (key, title) in [("k1", "first"), ("k1", "first"), ("k2", "second")] {
        let (status, sent) = operator.post("/v1/messages", key, &message(title)).await;
        assert_eq!((status, &sent["to_all"]), (201, &json!(true)), "{sent}");
        chain.clock.advance(1);
    }
    assert_eq!(chain.number(rows).await, 200);

    let one = Api::new(&chain, chain.session("M1").await);
    assert_eq!(one.get("/v1/member/messages/unread").await.1, json!({"unread": 2}));
    // Counting is not looking.
    assert_eq!(chain.number(rows).await, 200);
    let (status, page) = one.get("/v1/member/messages?limit=1").await;
    assert_eq!((status, &page["items"][0]["title_en"]), (200, &json!("second")));
    assert_eq!(chain.number(rows).await, 202);
    let next = page["next"].as_str().unwrap();
    let (_, page) = one.get(&format!("/v1/member/messages?limit=1&after={next}")).await;
    assert_eq!(page["items"][0]["title_en"], "first");
    assert_eq!(page.get("next"), None);
    assert_eq!(one.get("/v1/member/messages/unread").await.1, json!({"unread": 2}));

    let id = page["items"][0]["id"].as_str().unwrap();
    let path = format!("/v1/member/messages/{id}/read");
    for key in ["r1", "r1", "r2"] {
        assert_eq!(one.post(&path, key, &json!({})).await, (200, json!({"unread": 1})));
    }
    assert_eq!(
        one.post("/v1/member/messages/read", "r3", &json!({})).await.1,
        json!({"unread": 0})
    );

    // Another member reads one that they never saw in a list.
    let two = Api::new(&chain, chain.session("M2").await);
    assert_eq!(two.post(&path, "r1", &json!({})).await, (200, json!({"unread": 1})));
    let nobodys = uuid::Uuid::from_u128(7);
    let (status, _) = two
        .post(&format!("/v1/member/messages/{nobodys}/read"), "r2", &json!({}))
        .await;
    assert_eq!(status, 404);
    assert_eq!(chain.number(rows).await, 204);
    holds(&chain).await;
}

async fn who_registers_later_does_not_get_it(on: On) {
    let chain = chain(on, 0).await;
    let operator = Api::new(&chain, chain.operator(OperatorRole::Admin).await);
    chain.clock.advance(HOUR);
    operator.post("/v1/messages", "k1", &message("before")).await;
    chain.clock.advance(HOUR);
    add_member(&chain, "M2", START + 2 * HOUR).await;
    let late = Api::new(&chain, chain.session("M2").await);
    assert_eq!(late.get("/v1/member/messages/unread").await.1, json!({"unread": 0}));
    chain.clock.advance(HOUR / 2);
    operator.post("/v1/messages", "k2", &message("after")).await;
    let (_, page) = late.get("/v1/member/messages").await;
    let titles: Vec<&Value> = page["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["title_en"])
        .collect();
    assert_eq!(titles, ["after"]);
    holds(&chain).await;
}

async fn a_message_by_name_is_there_at_once(on: On) {
    let chain = chain(on, 0).await;
    add_member(&chain, "M2", START).await;
    let operator = Api::new(&chain, chain.operator(OperatorRole::Operator).await);
    let mut named = message("only you");
    named["members"] = json!(["M2", "M2"]);
    assert_eq!(operator.post("/v1/messages", "k1", &named).await.0, 201);
    named["members"] = json!(["M2", "nobody"]);
    let (status, problem) = operator.post("/v1/messages", "k2", &named).await;
    assert_eq!((status, &problem["errors"][0]["field"]), (422, &json!("members")));
    let auditor = Api::new(&chain, chain.operator(OperatorRole::Auditor).await);
    assert_eq!(auditor.post("/v1/messages", "k3", &message("x")).await.0, 403);
    assert_eq!(
        auditor.get("/v1/messages").await.1["items"].as_array().unwrap().len(),
        1
    );
    let one = Api::new(&chain, chain.session("M1").await);
    assert_eq!(one.get("/v1/member/messages").await.1["items"], json!([]));
    let two = Api::new(&chain, chain.session("M2").await);
    let (_, page) = two.get("/v1/member/messages").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["items"][0]["body_en"], "one\ntwo");
    holds(&chain).await;
}

async fn coupons_end_once_and_their_record_says_so(on: On) {
    let chain = chain(on, 450).await;
    let mut counter = chain.counter().await;
    let redeem = counter.make(chain.redeem(chain.coupons[0], None), START);
    chain.push(&[redeem]).await;
    let days = "SELECT COUNT(*) FROM coupon_days";
    // They end within three days of being given: nobody is reminded, all end.
    assert_eq!(chain.number(days).await, 450);
    assert_eq!(
        expiry::sweep(&chain.app, START + DAY - 1, 1_000).await.unwrap(),
        expiry::Counts::default()
    );
    chain.clock.advance(DAY);
    let counts = expiry::sweep(&chain.app, START + DAY, 1_000).await.unwrap();
    assert_eq!((counts.expired, counts.settled, counts.later), (449, 1, 0));
    assert_eq!(chain.number(days).await, 0);
    assert_eq!(chain.coupon(chain.coupons[1]).await.state, CouponState::Expired);
    let lines = "SELECT COUNT(*) FROM coupon_entries WHERE what = 'expired'";
    assert_eq!(chain.number(lines).await, 449);
    let told = "SELECT COUNT(*) FROM feed WHERE entity = 'coupon'";
    assert_eq!(chain.number(told).await, 450);
    assert_eq!(
        expiry::sweep(&chain.app, START + DAY, 1_000).await.unwrap(),
        expiry::Counts::default()
    );
    holds(&chain).await;
}

async fn a_coupon_in_use_at_its_end_is_looked_at_again(on: On) {
    let chain = chain(on, 2).await;
    let counter = chain.counter().await;
    chain.clock.advance(DAY - 60_000);
    let command = Command::Freeze(AskFreeze {
        amounts: counterfoil_domain::points::Amounts::default(),
        id: FreezeId::new(START, random10()),
        device: counter.device,
        subject: Subject::Coupon(chain.coupons[0]),
        presented_by: None,
        now: START + DAY - 60_000,
    });
    chain.submit(vec![command]).await;
    chain.clock.advance(60_000);
    let counts = expiry::sweep(&chain.app, START + DAY, 1_000).await.unwrap();
    assert_eq!((counts.expired, counts.settled, counts.later), (1, 0, 1));
    assert_eq!(
        expiry::sweep(&chain.app, START + DAY, 1_000).await.unwrap(),
        expiry::Counts::default()
    );
    chain.clock.advance(HOUR);
    let counts = expiry::sweep(&chain.app, START + DAY + HOUR, 1_000).await.unwrap();
    assert_eq!((counts.expired, counts.later), (1, 0));
    holds(&chain).await;
}

/// Coupons that end in ten days, as if they had been given so.
async fn far_away(on: On, count: usize) -> Chain {
    let chain = chain(on, count).await;
    let mut lease = chain.app.db.lease().await.unwrap();
    let mut tx = lease.begin().await.unwrap();
    sqlx::query("UPDATE coupons SET valid_until = $1")
        .bind(START + 10 * DAY)
        .execute(&mut *tx)
        .await
        .unwrap();
    sqlx::query("DELETE FROM coupon_days").execute(&mut *tx).await.unwrap();
    let mut coupons = Vec::new();
    coupons.extend(
        counterfoil_head_office::coupons::rows::load(&mut tx, chain.tenant, &chain.coupons, "")
            .await
            .unwrap(),
    );
    days::insert(&mut tx, chain.tenant, &coupons, START).await.unwrap();
    days::insert(&mut tx, chain.tenant, &coupons, START).await.unwrap();
    sqlx::query("UPDATE members SET email = 'wang@example.test'")
        .execute(&mut *tx)
        .await
        .unwrap();
    tx.commit("test").await.unwrap();
    drop(lease);
    chain
}

async fn members_are_reminded_once_of_what_they_still_have(on: On) {
    let chain = far_away(on, 3).await;
    let mut counter = chain.counter().await;
    let redeem = counter.make(chain.redeem(chain.coupons[0], None), START);
    chain.push(&[redeem]).await;
    let outside = Outside::new(&chain.app, None).unwrap();
    let remind = async |now: i64| {
        reminders::sweep(&chain.app, &outside.notifiers, now, 1_000)
            .await
            .unwrap()
    };
    assert_eq!(remind(START + 7 * DAY - 1).await, Counts::default());
    let counts = remind(START + 7 * DAY).await;
    assert_eq!((counts.sent, counts.skipped, counts.failed), (2, 1, 0));
    assert_eq!(remind(START + 7 * DAY).await, Counts::default());
    let moved = "SELECT COUNT(*) FROM coupon_days WHERE what = 'expire' AND day = expires_at / 86400000";
    assert_eq!(chain.number(moved).await, 3);
    let member = Api::new(&chain, chain.session("M1").await);
    let (_, page) = member.get("/v1/member/messages").await;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["kind"], "coupon_expiring");
    // Ten days after START, in Shanghai.
    let body = page["items"][0]["body_zh"].as_str().unwrap();
    assert!(body.contains("2026-11-28"), "{body}");
    holds(&chain).await;

    chain.clock.advance(10 * DAY);
    let counts = expiry::sweep(&chain.app, START + 10 * DAY, 1_000).await.unwrap();
    assert_eq!((counts.expired, counts.settled), (2, 1));
    holds(&chain).await;
}

/// A channel that fails as long as it is told to.
#[derive(Debug, Default)]
struct Wobbly {
    fails: Mutex<bool>,
    told: Mutex<Vec<String>>,
}

impl Notifier for Wobbly {
    fn channel(&self) -> Channel {
        Channel::Email
    }
    fn tell<'a>(&'a self, _: TenantId, notices: &'a [Notice]) -> Telling<'a> {
        let fails = *self.fails.lock().unwrap();
        let told = notices
            .iter()
            .map(|notice| {
                if fails {
                    return Err(NotTold("down".into()));
                }
                self.told.lock().unwrap().push(notice.id.to_string());
                Ok(())
            })
            .collect();
        Box::pin(async move { told })
    }
}

async fn a_channel_that_fails_is_tried_again_and_the_others_are_not(on: On) {
    let chain = far_away(on, 2).await;
    let wobbly = Arc::new(Wobbly::default());
    *wobbly.fails.lock().unwrap() = true;
    let mut outside = Outside::new(&chain.app, None).unwrap();
    outside.notifiers.push(wobbly.clone());
    let mut now = START + 7 * DAY;
    for tries in 1..=3 {
        let counts = reminders::sweep(&chain.app, &outside.notifiers, now, 1_000)
            .await
            .unwrap();
        assert_eq!((counts.sent, counts.failed), (0, 2), "{tries}");
        let again = reminders::sweep(&chain.app, &outside.notifiers, now, 1_000)
            .await
            .unwrap();
        assert_eq!(again, Counts::default());
        now += 7 * HOUR;
    }
    let failed = "SELECT COUNT(*) FROM coupon_days WHERE status = 'failed' AND tries = 3 AND told = 3";
    assert_eq!(chain.number(failed).await, 2);
    // The inbox took it the first time, and only then.
    assert_eq!(chain.number("SELECT COUNT(*) FROM member_messages").await, 2);
    holds(&chain).await;
    *wobbly.fails.lock().unwrap() = false;
    let counts = reminders::sweep(&chain.app, &outside.notifiers, now, 1_000)
        .await
        .unwrap();
    assert_eq!((counts.sent, counts.failed), (2, 0));
    assert_eq!(wobbly.told.lock().unwrap().len(), 2);
    let moved = "SELECT COUNT(*) FROM coupon_days WHERE what = 'expire' AND status = 'pending' AND tries = 0";
    assert_eq!(chain.number(moved).await, 2);
    holds(&chain).await;
}

/// A mail server that speaks just enough of the protocol; answers with the lines of each mail.
async fn a_mail_server() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("smtp://{}", listener.local_addr().unwrap());
    let mails: Arc<Mutex<Vec<String>>> = Arc::default();
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            let (mut mail, mut in_data) = (String::new(), false);
            writer.write_all(b"220 test ESMTP\r\n").await.unwrap();
            while let Ok(Some(line)) = lines.next_line().await {
                let reply: &[u8] = if in_data {
                    if line == "." {
                        in_data = false;
                        kept.lock().unwrap().push(std::mem::take(&mut mail));
                        b"250 kept\r\n"
                    } else {
                        mail.push_str(&line);
                        mail.push('\n');
                        continue;
                    }
                } else if line.starts_with("EHLO") {
                    b"250-test\r\n250 8BITMIME\r\n"
                } else if line == "DATA" {
                    in_data = true;
                    b"354 go on\r\n"
                } else if line == "QUIT" {
                    b"221 bye\r\n"
                } else {
                    mail.push_str(&line);
                    mail.push('\n');
                    b"250 ok\r\n"
                };
                if writer.write_all(reply).await.is_err() {
                    break;
                }
            }
        }
    });
    (url, mails)
}

async fn a_reminder_goes_out_by_mail(on: On) {
    let chain = far_away(on, 1).await;
    let operator = Api::new(&chain, chain.operator(OperatorRole::Operator).await);
    let path = "/v1/members/M1/email";
    assert_eq!(operator.put(path, &json!({"email": null})).await.0, 204);
    assert_eq!(
        operator
            .put(path, &json!({"email": "wang@example.test\r\nBcc: x@y.z"}))
            .await
            .0,
        422
    );
    assert_eq!(operator.put(path, &json!({"email": "wang@example.test"})).await.0, 204);
    assert_eq!(
        operator.put("/v1/members/none/email", &json!({"email": null})).await.0,
        404
    );
    let (url, mails) = a_mail_server().await;
    let mail = Mail::new(&url, "Shop <no-reply@shop.test>").unwrap();
    let outside = Outside::new(&chain.app, Some(mail)).unwrap();
    let counts = reminders::sweep(&chain.app, &outside.notifiers, START + 7 * DAY, 10)
        .await
        .unwrap();
    assert_eq!((counts.sent, counts.failed), (1, 0));
    let mails = mails.lock().unwrap().clone();
    assert_eq!(mails.len(), 1);
    for part in [
        "MAIL FROM:<no-reply@shop.test>",
        "RCPT TO:<wang@example.test>",
        "Message-ID: <",
        "Subject: ",
    ] {
        assert!(mails[0].contains(part), "{part}: {}", mails[0]);
    }
    // A server that is not there: tried again later, and no address in what is logged or kept.
    let gone = Mail::new("smtp://127.0.0.1:1", "no-reply@shop.test").unwrap();
    let notice = Notice {
        id: counterfoil_domain::ids::MessageId::new(START, random10()),
        kind: "coupon_expiring",
        member: chain.member,
        number: "M1".into(),
        email: Some("wang@example.test".into()),
        words: counterfoil_head_office::messages::Words {
            title_zh: "甲".into(),
            title_en: "A".into(),
            body_zh: "甲".into(),
            body_en: "A".into(),
        },
        data: Value::Null,
        at: START,
    };
    let told = gone.tell(chain.tenant, &[notice.clone(), notice]).await;
    assert_eq!(told.len(), 2);
    assert!(
        told.iter()
            .all(|told| told.as_ref().is_err_and(|error| !error.0.contains("example")))
    );
    assert!(Mail::new("not a url", "no-reply@shop.test").is_err());
    assert!(Mail::new("smtps://u:p@mail.test", "nobody").is_err());
}

async fn coupons_are_listed_as_they_stand_now(on: On) {
    let chain = chain(on, 6).await;
    let mut counter = chain.counter().await;
    let redeem = counter.make(chain.redeem(chain.coupons[0], None), START);
    chain.push(&[redeem]).await;
    let operator = Api::new(&chain, chain.operator(OperatorRole::Operator).await);
    let order = json!({"order": "W-1", "coupons": [chain.coupons[1]], "amount": 1, "deadline": START + HOUR});
    assert_eq!(operator.post("/v1/order-freezes", "k", &order).await.0, 201);
    let freeze = FreezeId::new(START, random10());
    chain.freeze(&counter, freeze, chain.coupons[2]).await;
    let listed = async |api: &Api, path: &str| -> Vec<String> {
        let (status, page) = api.get(path).await;
        assert_eq!(status, 200, "{page}");
        page["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["id"].as_str().unwrap().to_owned())
            .collect()
    };
    let ids = |places: &[usize]| -> Vec<String> { places.iter().map(|n| chain.coupons[*n].to_string()).collect() };
    let member = Api::new(&chain, chain.session("M1").await);
    let of = |state: &str| format!("/v1/member/coupons?state={state}");
    assert_eq!(listed(&member, &of("redeemed")).await, ids(&[0]));
    assert_eq!(listed(&member, &of("frozen")).await, ids(&[1, 2]));
    assert_eq!(listed(&member, &of("available")).await, ids(&[3, 4, 5]));
    assert_eq!(listed(&member, &of("expired")).await, ids(&[]));
    let (_, page) = member.get("/v1/member/coupons?limit=4").await;
    assert_eq!(page["items"][0]["template"]["name_zh"], "减");
    assert_eq!(page["items"][0]["state"], "redeemed");
    let next = page["next"].as_str().unwrap();
    assert_eq!(
        listed(&member, &format!("/v1/member/coupons?limit=4&after={next}")).await,
        ids(&[4, 5])
    );
    assert_eq!(
        listed(&operator, "/v1/members/M1/coupons?state=frozen").await,
        ids(&[1, 2])
    );
    assert_eq!(operator.get("/v1/members/none/coupons").await.0, 404);
    assert_eq!(member.get("/v1/member/coupons?state=lost").await.0, 400);

    // A counter's freeze lapses by itself, an order's does not.
    chain.clock.advance(5 * 60_000);
    assert_eq!(listed(&member, &of("frozen")).await, ids(&[1]));
    assert_eq!(listed(&member, &of("available")).await, ids(&[2, 3, 4, 5]));
    // Time over is expired at once, whatever the sweeper has done.
    chain.clock.advance(DAY);
    let member = Api::new(&chain, chain.session("M1").await);
    assert_eq!(listed(&member, &of("available")).await, ids(&[]));
    assert_eq!(listed(&member, &of("expired")).await, ids(&[2, 3, 4, 5]));
    assert_eq!(listed(&member, &of("frozen")).await, ids(&[1]));
    expiry::sweep(&chain.app, START + DAY + HOUR, 100).await.unwrap();
    assert_eq!(listed(&member, &of("expired")).await, ids(&[2, 3, 4, 5]));
    holds(&chain).await;
}
