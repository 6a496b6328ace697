//! Members who want a coupon of which there are too few.

use std::sync::Arc;

use counterfoil_head_office::{
    clock::{Clock, SystemClock},
    members::sessions::Link,
    testing::until,
};
use counterfoil_tests::{office::Office, random::Random};
use serde_json::{Value, json};

use crate::asking::World;

/// How many coupons there are.
pub const ISSUED: usize = 40;
/// How many of them one member may take.
pub const EACH: usize = 3;
const MEMBERS: usize = 16;
/// Questions of one member.
const QUESTIONS: usize = 8;

/// Who claims what.
pub struct Members {
    /// Of which template.
    pub template: String,
    /// Their sessions, and which of them it is.
    pub tokens: Vec<(usize, String)>,
}

/// Makes the coupons and signs the members in.
pub async fn open(world: &World, office: &Office, operator: &str) -> Members {
    let key = office.command(&["admin", "tenant", "link-key", "--rotate"]);
    let mut link_key = [0; 32];
    hex::decode_to_slice(key.trim(), &mut link_key).unwrap();
    let mut database = office.database().await;
    let id: Vec<u8> = sqlx::query_scalar("SELECT id FROM templates ORDER BY id LIMIT 1")
        .fetch_one(&mut database)
        .await
        .unwrap();
    sqlx::query("UPDATE templates SET member_limit = $1, limit_counts = 'taken' WHERE id = $2")
        .bind(i64::try_from(EACH).unwrap())
        .bind(id.clone())
        .execute(&mut database)
        .await
        .unwrap();
    let template = uuid::Uuid::from_slice(&id).unwrap().to_string();
    let begun = world
        .client()
        .post(format!("{}/v1/batches", office.address))
        .bearer_auth(operator)
        .header("idempotency-key", "the batch")
        .json(&json!({"template": template, "count": ISSUED, "purpose": "claim"}));
    let begun: Value = begun.send().await.unwrap().json().await.unwrap();
    let job = begun["job"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
    until(async || {
        let job = world.client().get(format!("{}/v1/jobs/{job}", office.address));
        let job: Value = job.bearer_auth(operator).send().await.unwrap().json().await.unwrap();
        job["status"] == "done"
    })
    .await;
    let mut tokens = Vec::new();
    for (place, number) in office
        .texts("SELECT number FROM members ORDER BY number")
        .await
        .iter()
        .take(MEMBERS)
        .enumerate()
    {
        let link = Link {
            tenant: "demo",
            member: number,
            expires: SystemClock.now() + 300_000,
        };
        let body = json!({"tenant": link.tenant, "member": number, "expires": link.expires,
            "signature": link.sign(&link_key)});
        let session = world.client().post(format!("{}/v1/member/sessions", office.address));
        let session: Value = session.json(&body).send().await.unwrap().json().await.unwrap();
        tokens.push((place, session["token"].as_str().unwrap().to_owned()));
    }
    Members { template, tokens }
}

/// One member's questions, each until it is answered.
pub async fn work(world: Arc<World>, template: String, (member, token): (usize, String), mut random: Random) {
    let body = json!({"template": template});
    for question in 0..QUESTIONS {
        tokio::time::sleep(random.time(50, 1_800)).await;
        let key = format!("member {member}, question {question}");
        let answers = world
            .until_answered(&mut random, |client, address| {
                let request = client.post(format!("{address}/v1/member/claims")).bearer_auth(&token);
                request.header("idempotency-key", &key).json(&body)
            })
            .await;
        for (status, said) in answers {
            let coupon = match (status, said["code"].as_str()) {
                (201, _) => Some(said["coupon"].as_str().unwrap().to_owned()),
                (409, Some("not_claimable")) => None,
                _ => {
                    world.violation(format!("a claim was answered {status}: {said}"));
                    continue;
                }
            };
            world.count(if coupon.is_some() { "claims" } else { "claims refused" });
            let mut history = world.history.lock().unwrap();
            let before = history.claims.insert(key.clone(), (member, coupon.clone()));
            if before.is_some_and(|(_, before)| before != coupon) {
                world.violation(format!("{key} got several answers, one of them {coupon:?}"));
            }
        }
    }
}
