//! Steps that are repeated, raced, or whose answer is lost have one effect.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use counterfoil_domain::{
    people::OperatorRole,
    transition::{Answer, online::End},
    words::Word,
};
use counterfoil_head_office::{
    App,
    clock::SystemRandom,
    db::{Crash, Db, Faults},
};
use serde_json::json;

use super::{asked, ends, entries, holds, order, submit};
use crate::{
    api::Api,
    common::{Chain, On, chain, until},
};

counterfoil_head_office::on_both! {
    duplicates_that_race_have_one_effect,
    two_orders_race_for_one_coupon,
    an_answer_that_was_lost_is_given_again_whatever_happened_since,
    one_question_at_two_programs_has_one_answer_at_once,
}

/// Another process on the same database.
async fn another(chain: &Chain) -> Arc<App> {
    App::open(&chain.fresh.url, chain.clock.clone(), Arc::new(SystemRandom))
        .await
        .unwrap()
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
