//! Orders placed online, on both engines: one effect each, whatever is repeated, lost or raced; and nothing is
//! unlocked without its owner's word. Here stands what the tests share.

mod honoured;
mod owner;
mod raced;
mod site;
mod steps;

use std::sync::Arc;

use counterfoil_domain::{
    ids::TenantId,
    people::OperatorRole,
    transition::{
        Answer, Command,
        online::{AskedOrder, End, EndOnline, FreezeOnline, Named},
    },
};
use counterfoil_head_office::{App, online::id_of, verify::verify};
use serde_json::{Value, json};

use crate::{
    api::Api,
    common::{Chain, START},
};

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

fn asked(chain: &Chain, number: &str, coupon: usize, question: &str) -> Command {
    Command::FreezeOnline(FreezeOnline {
        asked: Arc::new(AskedOrder {
            amounts: counterfoil_domain::points::Amounts::default(),
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
        spent: counterfoil_domain::transition::online::Spent::default(),
        id: id_of(chain.tenant, number),
        number: Some(number.into()),
        end,
        by: None,
        now: START + MINUTE,
    })
}

async fn submit(app: &App, tenant: TenantId, command: Command) -> Answer {
    app.engine.submit(tenant, vec![command]).await.unwrap().remove(0).answer
}
