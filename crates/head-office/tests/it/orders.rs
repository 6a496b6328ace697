//! Orders placed online, on both engines: one effect each, whatever is repeated, lost or raced; and nothing is
//! unlocked without its owner's word.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use counterfoil_domain::{
    coupons::CouponState,
    ids::TenantId,
    operations::{ExceptionKind, Outcome},
    people::OperatorRole,
    transition::{
        Answer, Command,
        online::{AskedOrder, End, EndOnline, FreezeOnline, Named, OnlineOrder, OnlineStatus},
    },
    words::Word,
};
use counterfoil_head_office::{
    App, admin,
    clock::{Clock, SystemRandom},
    db::{Crash, Db, Faults},
    online::{
        id_of,
        owner::{OrderOwner, Payment},
        rows::Overdue,
        sweep,
    },
    outbox::{self, notices},
    outside::Outside,
    verify::verify,
};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::api::Api;
use crate::common::{Chain, HOUR, On, START, chain, random10, until};

counterfoil_head_office::on_both! {
    the_api_holds_confirms_and_voids,
    a_refusal_names_every_reason_and_may_be_asked_anew,
    a_cancel_that_overtakes_its_question_closes_the_door,
    duplicates_that_race_have_one_effect,
    two_orders_race_for_one_coupon,
    an_answer_that_was_lost_is_given_again_whatever_happened_since,
    one_question_at_two_programs_has_one_answer_at_once,
    a_number_that_reads_as_an_id_is_a_number,
    a_counter_that_honours_a_held_coupon_is_told_to_the_order,
    a_held_coupon_may_be_honoured_twice_in_one_push,
    only_the_owners_word_ends_an_overdue_order,
    the_owner_is_asked_over_http_and_signed,
    only_the_right_roles_may,
}

const MINUTE: i64 = 60_000;

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

fn order(chain: &Chain, number: &str, coupons: &[usize]) -> Value {
    json!({
        "order": number,
        "coupons": coupons.iter().map(|n| chain.coupons[*n].to_string()).collect::<Vec<_>>(),
        "member": "M1",
        "amount": 9_900,
        "deadline": START + 15 * MINUTE,
    })
}

async fn api(chain: &Chain) -> Api {
    Api::new(chain, chain.operator(OperatorRole::Operator).await)
}

async fn entries(chain: &Chain) -> i64 {
    chain.number("SELECT COUNT(*) FROM coupon_entries").await
}

async fn the_api_holds_confirms_and_voids(on: On) {
    let chain = chain(on, 3).await;
    let api = api(&chain).await;
    let code = chain.coupon(chain.coupons[1]).await.code;
    let mut asked = order(&chain, "W-1", &[0]);
    asked["coupons"].as_array_mut().unwrap().push(json!(code));
    let (status, held) = api.post("/v1/order-freezes", "k1", &asked).await;
    assert_eq!(status, 201, "{held}");
    assert_eq!(held["status"], "frozen");
    assert_eq!(held["coupons"][1]["code"], code);
    assert_eq!(held["coupons"][0]["standing"], "held");
    // Whatever is repeated, with the same name or another one: the same answer, no second effect.
    assert_eq!(api.post("/v1/order-freezes", "k1", &asked).await, (201, held.clone()));
    assert_eq!(api.post("/v1/order-freezes", "k2", &asked).await, (201, held.clone()));
    assert_eq!(entries(&chain).await, 2);
    let (status, other) = api.post("/v1/order-freezes", "k3", &order(&chain, "W-1", &[2])).await;
    assert_eq!((status, &other["code"]), (409, &json!("state_conflict")));
    // A counter that asks is told by whom the coupon is held.
    let counter = chain.counter().await;
    let freeze = counterfoil_domain::ids::FreezeId::new(START, random10());
    let Answer::Refused { reasons } = chain.freeze(&counter, freeze, chain.coupons[0]).await else {
        panic!()
    };
    assert_eq!(reasons, [counterfoil_domain::verdict::Reason::HeldByOrder]);

    let id = held["id"].as_str().unwrap();
    let confirm = format!("/v1/order-freezes/{id}/confirm");
    let (status, paid) = api.post(&confirm, "k4", &json!({})).await;
    assert_eq!((status, &paid["status"]), (200, &json!("confirmed")));
    assert_eq!(paid["coupons"][0]["standing"], "used");
    let (status, coupon) = api.get(&format!("/v1/coupons/{}", chain.coupons[0])).await;
    assert_eq!((status, &coupon["state"]), (200, &json!("redeemed")));
    assert_eq!(coupon["version"], 3);
    let by_code = format!("/v1/coupons/{}", coupon["code"].as_str().unwrap());
    assert_eq!(api.get(&by_code).await, (200, coupon));
    assert_eq!(api.get("/v1/coupons/999999999999999999").await.0, 404);
    assert_eq!(api.post(&confirm, "k4", &json!({})).await, (200, paid.clone()));
    assert_eq!(api.post(&confirm, "k5", &json!({})).await, (200, paid.clone()));
    // By its number too.
    assert_eq!(api.get("/v1/order-freezes/W-1").await, (200, paid));
    let (status, _) = api.post("/v1/order-freezes/W-1/cancel", "k6", &json!({})).await;
    assert_eq!(status, 409);
    assert_eq!(entries(&chain).await, 4);
    holds(&chain).await;

    let (status, voided) = api.post("/v1/order-freezes/W-1/void", "k7", &json!({})).await;
    assert_eq!((status, &voided["status"]), (200, &json!("voided")));
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    let (_, record) = api.get(&format!("/v1/coupons/{}/record", chain.coupons[0])).await;
    let lines: Vec<(&str, &str)> = record["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["what"].as_str().unwrap(), line["order"].as_str().unwrap()))
        .collect();
    assert_eq!(lines, [("frozen", "W-1"), ("redeemed", "W-1"), ("voided", "W-1")]);
    assert!(record["items"][0]["name"].as_str().unwrap().starts_with("operator-"));
    let (_, listed) = api.get("/v1/order-freezes?status=voided").await;
    assert_eq!(listed["items"][0]["order"], "W-1");
    let (_, listed) = api.get("/v1/order-freezes?status=frozen").await;
    assert_eq!(listed["items"], json!([]));
    let (status, _) = api.post("/v1/order-freezes/W-none/confirm", "k8", &json!({})).await;
    assert_eq!(status, 404);
    holds(&chain).await;
}

async fn a_refusal_names_every_reason_and_may_be_asked_anew(on: On) {
    let chain = chain(on, 2).await;
    let api = api(&chain).await;
    api.post("/v1/order-freezes", "k1", &order(&chain, "W-1", &[0])).await;
    let mut both = order(&chain, "W-2", &[0, 1]);
    both["coupons"]
        .as_array_mut()
        .unwrap()
        .push(json!("999999999999999999"));
    let (status, refused) = api.post("/v1/order-freezes", "k2", &both).await;
    assert_eq!((status, &refused["status"]), (200, &json!("refused")));
    assert_eq!(refused["refusals"].as_array().unwrap().len(), 2);
    assert_eq!(refused["refusals"][0]["reasons"][0]["code"], "held_by_order");
    assert_eq!(refused["refusals"][1]["reasons"][0]["code"], "unknown_code");
    assert_eq!(chain.coupon(chain.coupons[1]).await.state, CouponState::Available);
    holds(&chain).await;

    api.post("/v1/order-freezes/W-1/cancel", "k3", &json!({})).await;
    // The same question keeps its answer; asked anew, the coupon is free now.
    assert_eq!(api.post("/v1/order-freezes", "k2", &both).await, (200, refused));
    let (status, held) = api
        .post("/v1/order-freezes", "k4", &order(&chain, "W-2", &[0, 1]))
        .await;
    assert_eq!((status, &held["status"]), (201, &json!("frozen")));
    let twice = json!({"order": "W-3", "coupons": ["1", "1"], "amount": -1, "deadline": 0});
    let (status, problem) = api.post("/v1/order-freezes", "k5", &twice).await;
    assert_eq!((status, problem["errors"].as_array().unwrap().len()), (422, 2));
    holds(&chain).await;
}

async fn a_cancel_that_overtakes_its_question_closes_the_door(on: On) {
    let chain = chain(on, 1).await;
    let api = api(&chain).await;
    let (status, cancelled) = api.post("/v1/order-freezes/W-1/cancel", "k1", &json!({})).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")));
    let (status, late) = api.post("/v1/order-freezes", "k2", &order(&chain, "W-1", &[0])).await;
    assert_eq!((status, &late["status"]), (200, &json!("cancelled")));
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    holds(&chain).await;
}

fn asked(chain: &Chain, number: &str, coupon: usize, question: &str) -> Command {
    Command::FreezeOnline(FreezeOnline {
        asked: Arc::new(AskedOrder {
            id: id_of(chain.tenant, number),
            number: number.into(),
            question: question.into(),
            member: None,
            amount: 1,
            deadline: START + 15 * MINUTE,
            coupons: vec![Named {
                as_given: chain.coupons[coupon].to_string(),
                coupon: Some(chain.coupons[coupon]),
            }],
            by: uuid::Uuid::from_u128(1),
        }),
        now: START,
    })
}

fn ends(chain: &Chain, number: &str, end: End) -> Command {
    Command::EndOnline(EndOnline {
        id: id_of(chain.tenant, number),
        number: Some(number.into()),
        end,
        by: None,
        now: START + MINUTE,
    })
}

/// Another process on the same database.
async fn another(chain: &Chain) -> Arc<App> {
    App::open(&chain.fresh.url, chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap()
}

async fn submit(app: &App, tenant: TenantId, command: Command) -> Answer {
    app.engine.submit(tenant, vec![command]).await.unwrap().remove(0).answer
}

async fn duplicates_that_race_have_one_effect(on: On) {
    const ORDERS: usize = 20;
    let chain = Arc::new(chain(on, ORDERS).await);
    let other = another(&chain).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..ORDERS {
        for (copy, app) in [(0, &chain.app), (1, &other), (2, &chain.app)] {
            let (chain, app) = (Arc::clone(&chain), Arc::clone(app));
            tasks.spawn(async move {
                let number = format!("W-{n}");
                let steps = [
                    asked(&chain, &number, n, "q"),
                    ends(&chain, &number, End::Confirm),
                    ends(&chain, &number, if n % 2 == 0 { End::Confirm } else { End::Void }),
                    asked(&chain, &number, n, &format!("q{copy}")),
                ];
                for step in steps {
                    let answer = submit(&app, chain.tenant, step).await;
                    assert!(
                        matches!(answer, Answer::Order(_) | Answer::OrderEnded { .. }),
                        "{answer:?}"
                    );
                }
            });
        }
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    // Even ones: frozen, redeemed. Odd ones: frozen, redeemed, voided.
    assert_eq!(entries(&chain).await, (ORDERS / 2 * 2 + ORDERS / 2 * 3) as i64);
    let confirmed = "SELECT COUNT(*) FROM order_freezes WHERE status = 'confirmed'";
    assert_eq!(chain.number(confirmed).await, (ORDERS / 2) as i64);
    let redeemed = "SELECT COUNT(*) FROM coupons WHERE state = 'redeemed'";
    assert_eq!(chain.number(redeemed).await, (ORDERS / 2) as i64);
    holds(&chain).await;
    other.db.close().await;
}

async fn two_orders_race_for_one_coupon(on: On) {
    const COUPONS: usize = 20;
    let chain = Arc::new(chain(on, COUPONS).await);
    let other = another(&chain).await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..COUPONS {
        for (side, app) in [("a", &chain.app), ("b", &other)] {
            let (chain, app) = (Arc::clone(&chain), Arc::clone(app));
            tasks.spawn(async move {
                let command = asked(&chain, &format!("{side}-{n}"), n, "q");
                match submit(&app, chain.tenant, command).await {
                    Answer::Order(order) => order.status,
                    other => panic!("{other:?}"),
                }
            });
        }
    }
    let mut statuses: HashMap<&str, usize> = HashMap::new();
    while let Some(status) = tasks.join_next().await {
        *statuses.entry(status.unwrap().as_str()).or_default() += 1;
    }
    assert_eq!(statuses, HashMap::from([("frozen", COUPONS), ("refused", COUPONS)]));
    holds(&chain).await;
    other.db.close().await;
}

type Heard = Arc<Mutex<Vec<(HashMap<String, String>, String)>>>;

/// A site on this machine: keeps what it is sent, and answers what it is told to.
struct Site {
    url: String,
    heard: Heard,
    answer: Arc<Mutex<(u16, String)>>,
}

async fn a_site() -> Site {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let heard = Heard::default();
    let answer = Arc::new(Mutex::new((200, "{}".to_owned())));
    let site = Site {
        url,
        heard: Arc::clone(&heard),
        answer: Arc::clone(&answer),
    };
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut text = Vec::new();
            let mut buffer = [0u8; 4096];
            let (headers, body) = loop {
                let count = stream.read(&mut buffer).await.unwrap();
                text.extend_from_slice(&buffer[..count]);
                let all = String::from_utf8_lossy(&text).into_owned();
                if let Some((head, body)) = all.split_once("\r\n\r\n") {
                    let headers: HashMap<String, String> = head
                        .lines()
                        .skip(1)
                        .filter_map(|line| line.split_once(": "))
                        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
                        .collect();
                    let length: usize = headers["content-length"].parse().unwrap();
                    if body.len() >= length {
                        break (headers, body.to_owned());
                    }
                }
                assert!(count > 0);
            };
            heard.lock().unwrap().push((headers, body));
            let (status, answer) = answer.lock().unwrap().clone();
            let location = if (300..400).contains(&status) {
                "location: http://127.0.0.1:1/elsewhere\r\n"
            } else {
                ""
            };
            let reply = format!(
                "HTTP/1.1 {status} x\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{answer}",
                answer.len()
            );
            stream.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    site
}

impl Site {
    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }
    fn heard(&self) -> Vec<(HashMap<String, String>, String)> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

/// A shop may number its orders as it likes: also so that the number reads as an id, even as another order's.
/// The program ends at its nth commit from now.
#[derive(Debug, Default)]
struct Ends(Mutex<Option<(usize, Crash)>>);

impl Faults for Ends {
    fn at(&self, _: &'static str) -> Option<Crash> {
        let mut left = self.0.lock().unwrap();
        match *left {
            Some((0, crash)) => {
                *left = None;
                Some(crash)
            }
            Some((n, crash)) => {
                *left = Some((n - 1, crash));
                None
            }
            None => None,
        }
    }
}

/// Each step of an order, with the program ended before and after every commit on its way; somebody else then does what
/// undoes it, under a name of their own.
async fn an_answer_that_was_lost_is_given_again_whatever_happened_since(on: On) {
    const STEPS: [(&str, &[&str], &str, Option<&str>); 4] = [
        ("", &[], "frozen", Some("cancel")),
        ("confirm", &[""], "confirmed", Some("void")),
        ("cancel", &[""], "cancelled", None),
        ("void", &["", "confirm"], "voided", None),
    ];
    let chain = chain(on, 1).await;
    let token = chain.operator(OperatorRole::Operator).await;
    let others = Api::new(&chain, token.clone());
    let mut orders = 0;
    for (step, before, comes_to, undone_by) in STEPS {
        for crash in [Crash::Before, Crash::After] {
            for nth in 0.. {
                orders += 1;
                let number = format!("W-{orders}");
                let path = |step: &str| match step {
                    "" => "/v1/order-freezes".to_owned(),
                    step => format!("/v1/order-freezes/{number}/{step}"),
                };
                let body = |step: &str| match step {
                    "" => order(&chain, &number, &[0]),
                    _ => json!({}),
                };
                for step in before {
                    let (status, said) = others.post(&path(step), &format!("{number}{step}"), &body(step)).await;
                    assert!((200..300).contains(&status), "{said}");
                }
                let ends = Arc::new(Ends::default());
                let db = Db::open_with(
                    &chain.fresh.url,
                    chain.clock.as_ref(),
                    &SystemRandom,
                    2,
                    Some(Arc::clone(&ends) as Arc<dyn Faults>),
                )
                .await
                .unwrap();
                let app = App::on(db, chain.clock.clone(), Arc::new(SystemRandom), false);
                *ends.0.lock().unwrap() = Some((nth, crash));
                let key = format!("{number}-key");
                let (status, _) = Api::of(&app, token.clone()).post(&path(step), &key, &body(step)).await;
                let ended = ends.0.lock().unwrap().take().is_none();
                // Here the program lives on, and may find what was kept without its knowing.
                assert!(
                    status < 300 || (ended && status >= 500),
                    "{step} {crash:?} {nth}: {status}"
                );
                app.db.close().await;
                let (_, now) = others.get(&format!("/v1/order-freezes/{number}")).await;
                if let Some(undone_by) = undone_by
                    && now["status"] == comes_to
                {
                    let (status, said) = others
                        .post(&path(undone_by), &format!("{number}-undo"), &json!({}))
                        .await;
                    assert_eq!(status, 200, "{said}");
                }
                let (status, again) = others.post(&path(step), &key, &body(step)).await;
                assert!((200..300).contains(&status), "{step} {crash:?} {nth}: {again}");
                assert_eq!(again["status"], comes_to, "{step} {crash:?} {nth}");
                // Nothing is left held for the next round.
                for step in ["cancel", "void"] {
                    others
                        .post(&path(step), &format!("{number}-end-{step}"), &json!({}))
                        .await;
                }
                if !ended {
                    break;
                }
            }
        }
    }
    assert!(orders >= 16, "{orders}");
    holds(&chain).await;
}

/// The same question at two programs at the same moment: one effect, and both say so without having to be asked again.
async fn one_question_at_two_programs_has_one_answer_at_once(on: On) {
    let chain = chain(on, 20).await;
    let token = chain.operator(OperatorRole::Operator).await;
    let other = another(&chain).await;
    let (one, two) = (Api::new(&chain, token.clone()), Api::of(&other, token));
    for n in 0..20 {
        let number = format!("W-{n}");
        let asked = order(&chain, &number, &[n]);
        for app in [&chain.app, &other] {
            app.engine.gate().open(false);
        }
        let before = (chain.app.engine.submitted(), other.engine.submitted());
        // Both have looked whether it was asked before when the first of them is decided.
        let open = async {
            until(async || chain.app.engine.submitted() != before.0 && other.engine.submitted() != before.1).await;
            for app in [&chain.app, &other] {
                app.engine.gate().open(true);
            }
        };
        let (first, second, ()) = tokio::join!(
            one.post("/v1/order-freezes", &number, &asked),
            two.post("/v1/order-freezes", &number, &asked),
            open
        );
        assert_eq!((first.0, &first.1["status"]), (201, &json!("frozen")), "{}", first.1);
        assert_eq!(first, second);
    }
    assert_eq!(entries(&chain).await, 20);
    holds(&chain).await;
    other.db.close().await;
}

async fn a_number_that_reads_as_an_id_is_a_number(on: On) {
    let chain = chain(on, 4).await;
    let api = api(&chain).await;
    let mut made = Vec::new();
    let numbers = [
        "0f8fad5bd9cb8f9fa165708677289501".to_owned(),
        "0f8fad5b-d9cb-8f9f-a165-708677289502".to_owned(),
    ];
    for (n, number) in numbers.iter().enumerate() {
        let (status, order) = api
            .post("/v1/order-freezes", &format!("f{n}"), &order(&chain, number, &[n]))
            .await;
        assert_eq!((status, &order["status"]), (201, &json!("frozen")));
        made.push(order["id"].as_str().unwrap().to_owned());
    }
    // The third is numbered by the id of the first.
    let third = made[0].clone();
    let (status, _) = api.post("/v1/order-freezes", "f3", &order(&chain, &third, &[2])).await;
    assert_eq!(status, 201);
    for (n, number) in numbers.iter().chain([&third]).enumerate() {
        let (status, order) = api
            .post(
                &format!("/v1/order-freezes/{number}/confirm"),
                &format!("c{n}"),
                &json!({}),
            )
            .await;
        assert_eq!(
            (status, &order["status"], &order["order"]),
            (200, &json!("confirmed"), &json!(number))
        );
        let (_, shown) = api.get(&format!("/v1/order-freezes/{number}")).await;
        assert_eq!(shown["order"], json!(number));
    }
    // Where no order has such a number, the id that answers gave names it.
    let (_, shown) = api.get(&format!("/v1/order-freezes/{}", made[1])).await;
    assert_eq!(shown["order"], json!(numbers[1]));
    holds(&chain).await;
}

async fn a_counter_that_honours_a_held_coupon_is_told_to_the_order(on: On) {
    let chain = chain(on, 2).await;
    let api = api(&chain).await;
    let site = a_site().await;
    admin::set_webhook(
        &chain.app.db,
        chain.clock.as_ref(),
        &SystemRandom,
        chain.tenant,
        &site.url,
    )
    .await
    .unwrap();
    api.post("/v1/order-freezes", "k1", &order(&chain, "W-1", &[0, 1]))
        .await;
    let mut counter = chain.counter().await;
    let redeem = counter.make(chain.redeem(chain.coupons[0], None), START);
    let answers = chain.push(std::slice::from_ref(&redeem)).await;
    assert_eq!(
        answers,
        [Answer::Done {
            outcome: Outcome::AppliedWithException {
                exception: ExceptionKind::RedeemWhileFrozen
            },
            replayed: false
        }]
    );
    chain.push(std::slice::from_ref(&redeem)).await;
    let (_, shown) = api.get("/v1/order-freezes/W-1").await;
    assert_eq!(shown["status"], "frozen");
    let taken: Vec<&Value> = shown["coupons"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|coupon| coupon["standing"] == "taken")
        .collect();
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0]["taken"]["operation"], redeem.id.to_string());
    assert_eq!(taken[0]["taken"]["store"], chain.store.to_string());
    holds(&chain).await;

    // The owner is told once, however often it has to be tried.
    let outside = Outside::new(&chain.app, None).unwrap();
    site.answers(500, "");
    let counts = notices::sweep(&chain.app, &outside.caller, START, 10).await.unwrap();
    assert_eq!((counts.told, counts.failed), (0, 1));
    assert_eq!(
        notices::sweep(&chain.app, &outside.caller, START, 10).await.unwrap(),
        notices::Counts::default()
    );
    site.answers(200, "");
    let counts = notices::sweep(&chain.app, &outside.caller, START + HOUR, 10)
        .await
        .unwrap();
    assert_eq!((counts.told, counts.failed), (1, 0));
    let heard = site.heard();
    assert_eq!(heard.len(), 2);
    assert_eq!(heard[0].0[outbox::ID], heard[1].0[outbox::ID]);
    let told: Value = serde_json::from_str(&heard[1].1).unwrap();
    assert_eq!(told["kind"], "coupon_taken");
    assert_eq!(told["order"], "W-1");
    assert_eq!(told["coupon"], chain.coupons[0].to_string());
    assert_eq!(chain.number("SELECT COUNT(*) FROM notices").await, 0);

    // The order uses what it holds; the counter's use was one too many, and has its case.
    let (_, paid) = api.post("/v1/order-freezes/W-1/confirm", "k2", &json!({})).await;
    assert_eq!(paid["status"], "confirmed");
    let used = chain.coupon(chain.coupons[0]).await;
    assert!(used.state.order().is_some());
    assert_eq!(used.surplus[0].operation, redeem.id);
    let open = "SELECT COUNT(*) FROM exceptions WHERE status = 'open'";
    assert_eq!(chain.number(open).await, 1);
    holds(&chain).await;
    // Refunded, the counter's is the only use, and its case is closed.
    let (_, refunded) = api.post("/v1/order-freezes/W-1/void", "k3", &json!({})).await;
    assert_eq!(refunded["status"], "voided");
    assert!(matches!(
        chain.coupon(chain.coupons[0]).await.state,
        CouponState::Redeemed { store, .. } if store == chain.store
    ));
    assert_eq!(chain.number(open).await, 0);
    holds(&chain).await;
}

async fn a_held_coupon_may_be_honoured_twice_in_one_push(on: On) {
    let chain = chain(on, 1).await;
    let api = api(&chain).await;
    api.post("/v1/order-freezes", "k1", &order(&chain, "W-1", &[0])).await;
    let mut counter = chain.counter().await;
    let pushed: Vec<_> = (0..2)
        .map(|_| counter.make(chain.redeem(chain.coupons[0], None), START))
        .collect();
    let answers = chain.push(&pushed).await;
    let too_many = Answer::Done {
        outcome: Outcome::AppliedWithException {
            exception: ExceptionKind::RedeemWhileFrozen,
        },
        replayed: false,
    };
    assert_eq!(answers, [too_many.clone(), too_many]);
    let (_, shown) = api.get("/v1/order-freezes/W-1").await;
    assert_eq!(shown["coupons"][0]["taken"]["operation"], pushed[1].id.to_string());
    holds(&chain).await;
}

/// An owner who says what the test wants.
#[derive(Debug)]
struct Owner(Mutex<Payment>, Mutex<Vec<String>>);

impl OrderOwner for Owner {
    fn payment<'a>(&'a self, _: TenantId, order: &'a Overdue) -> Pin<Box<dyn Future<Output = Payment> + Send + 'a>> {
        self.1.lock().unwrap().push(order.number.clone());
        let payment = *self.0.lock().unwrap();
        Box::pin(async move { payment })
    }
}

async fn only_the_owners_word_ends_an_overdue_order(on: On) {
    let chain = chain(on, 3).await;
    for n in 0..3 {
        submit(&chain.app, chain.tenant, asked(&chain, &format!("W-{n}"), n, "q")).await;
    }
    submit(&chain.app, chain.tenant, ends(&chain, "W-2", End::Confirm)).await;
    let owner = Arc::new(Owner(Mutex::new(Payment::Unknown), Mutex::default()));
    let asking: Arc<dyn OrderOwner> = owner.clone();
    let sweep_at = async |now: i64| sweep::sweep(&chain.app, &asking, now, 10).await.unwrap();
    // Nobody is asked before the deadline.
    assert_eq!(sweep_at(START + 15 * MINUTE).await, sweep::Counts::default());
    let mut now = START + 17 * MINUTE;
    for round in 1..=6 {
        let counts = sweep_at(now).await;
        assert_eq!(
            (counts.unknown, counts.confirmed, counts.cancelled),
            (2, 0, 0),
            "{round}"
        );
        // Asked again later, not at once.
        assert_eq!(sweep_at(now).await, sweep::Counts::default());
        now += 2 * HOUR;
    }
    assert_eq!(owner.1.lock().unwrap().len(), 12);
    // Long after the deadline, and still held.
    let frozen = "SELECT COUNT(*) FROM coupons WHERE state = 'frozen'";
    assert_eq!(chain.number(frozen).await, 2);
    holds(&chain).await;

    *owner.0.lock().unwrap() = Payment::Failed;
    let counts = sweep::sweep(&chain.app, &asking, now, 1).await.unwrap();
    assert_eq!((counts.cancelled, counts.unknown), (1, 0));
    *owner.0.lock().unwrap() = Payment::Paid;
    assert_eq!(sweep_at(now).await.confirmed, 1);
    assert_eq!(sweep_at(now + 100 * HOUR).await, sweep::Counts::default());
    assert_eq!(chain.number(frozen).await, 0);
    let status = async |number: &str| -> OnlineStatus {
        let mut snapshot = chain.app.db.snapshot().await.unwrap();
        let ids = [id_of(chain.tenant, number)];
        let found: Vec<OnlineOrder> =
            counterfoil_head_office::online::rows::load(&mut snapshot, chain.tenant, &ids, "")
                .await
                .unwrap();
        found[0].status
    };
    let mut ended = [status("W-0").await, status("W-1").await];
    ended.sort_unstable();
    assert_eq!(ended, [OnlineStatus::Confirmed, OnlineStatus::Cancelled]);
    assert_eq!(status("W-2").await, OnlineStatus::Confirmed);
    holds(&chain).await;
}

async fn the_owner_is_asked_over_http_and_signed(on: On) {
    let chain = chain(on, 1).await;
    let site = a_site().await;
    let secret = admin::set_webhook(
        &chain.app.db,
        chain.clock.as_ref(),
        &SystemRandom,
        chain.tenant,
        &site.url,
    )
    .await
    .unwrap();
    submit(&chain.app, chain.tenant, asked(&chain, "W-1", 0, "q")).await;
    let outside = Outside::new(&chain.app, None).unwrap();
    let mut now = START + 17 * MINUTE;
    // Whatever is no clear word, a redirect included, leaves the coupon where it is.
    for (status, body) in [
        (500, ""),
        (302, ""),
        (200, ""),
        (200, "{}"),
        (200, r#"{"payment":"maybe"}"#),
        (200, r#"{"payment":"unknown"}"#),
    ] {
        site.answers(status, body);
        let counts = sweep::sweep(&chain.app, &outside.owner, now, 10).await.unwrap();
        assert_eq!(
            (counts.unknown, counts.cancelled, counts.confirmed),
            (1, 0, 0),
            "{body}"
        );
        now += 2 * HOUR;
    }
    let heard = site.heard();
    assert_eq!(heard.len(), 6);
    let (headers, body) = &heard[0];
    let id = headers[outbox::ID].parse().unwrap();
    let time: i64 = headers[outbox::TIME].parse().unwrap();
    assert_eq!(time, chain.clock.now());
    let expected = outbox::sign(secret.as_bytes(), time, id, body.as_bytes());
    assert_eq!(headers[outbox::SIGNATURE], expected);
    let sent = json!({
        "kind": "order_payment", "order": "W-1", "order_freeze": id_of(chain.tenant, "W-1"),
        "amount": 1, "deadline": START + 15 * MINUTE,
    });
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), sent);

    site.answers(200, r#"{"payment":"failed"}"#);
    let counts = sweep::sweep(&chain.app, &outside.owner, now, 10).await.unwrap();
    assert_eq!(counts.cancelled, 1);
    assert_eq!(chain.coupon(chain.coupons[0]).await.state, CouponState::Available);
    holds(&chain).await;
}

async fn only_the_right_roles_may(on: On) {
    let chain = chain(on, 1).await;
    for (role, read, write) in [
        (OperatorRole::Admin, 200, 201),
        (OperatorRole::Auditor, 200, 403),
        (OperatorRole::Warehouse, 403, 403),
    ] {
        let api = Api::new(&chain, chain.operator(role).await);
        assert_eq!(api.get("/v1/order-freezes").await.0, read, "{role:?}");
        let (status, _) = api
            .post("/v1/order-freezes", role.as_str(), &order(&chain, "W-1", &[0]))
            .await;
        assert_eq!(status, write, "{role:?}");
        let (status, _) = api.post("/v1/order-freezes/W-2/cancel", "c", &json!({})).await;
        assert_eq!(status, if write == 201 { 200 } else { 403 }, "{role:?}");
    }
    let member = Api::new(&chain, chain.session("M1").await);
    assert_eq!(member.get("/v1/order-freezes").await.0, 401);
}
