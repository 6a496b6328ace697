//! What head office is asked, by counters, shops, members and operators.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use axum::http::Method;
use counterfoil_counter::{Error, Turn};
use counterfoil_domain::{
    ids::{OperationId, TemplateId},
    pickups::OrderLine,
    time::{DAY, MINUTE},
};
use counterfoil_head_office::{admin, members::sessions::Link};
use serde_json::{Value, json};

use super::desk::said;
use crate::{
    ambient::until,
    net::Call,
    step::Online,
    world::{Question, World, pick},
};

/// Lets the exchanges of several counters reach head office's writer together.
pub(super) async fn in_one_group(world: &mut World, places: &[usize], revoke: bool) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    app.engine.gate().open(false);
    world.net.side_by_side(true);
    let mut exchanges: Vec<tokio::task::JoinHandle<Result<Turn, Error>>> = Vec::new();
    for place in places {
        let Some(counter) = world.counter(*place) else { continue };
        let before = app.engine.submitted();
        // The next one begins when this one's operations wait, so that the order is always the same.
        let exchange = tokio::spawn(async move { counter.sync_turn().await });
        until(|| exchange.is_finished() || app.engine.submitted() > before).await;
        exchanges.push(exchange);
    }
    if revoke && let Some(first) = places.first() {
        decide(world, *first, true).await?;
    }
    app.engine.gate().open(true);
    let mut words = Vec::new();
    for exchange in exchanges {
        words.push(match exchange.await.context("an exchange was cut off")? {
            Ok(turn) => match turn {
                Turn::Asked { more } => format!("{more}"),
                Turn::Resting { .. } => "resting".into(),
            },
            Err(error) => said(&error),
        });
    }
    world.net.side_by_side(false);
    Ok(words.join(" "))
}

/// Asks head office as the shop's own site or a member does, under a name: a question that was asked before is asked in
/// the same words. `effect` says whether its effect is to be seen, before and after.
pub(super) async fn post(
    world: &mut World,
    token: &str,
    key: String,
    new: Question,
    effect: Option<&Effect<'_>>,
) -> Result<String> {
    let question = world.asked.entry(key.clone()).or_insert(new).clone();
    let call = Call {
        method: Method::POST,
        path: question.path.clone(),
        headers: vec![
            ("authorization".into(), format!("Bearer {token}")),
            ("idempotency-key".into(), key.clone()),
        ],
        body: serde_json::to_vec(&question.body)?,
    };
    let before = standing(world, effect).await?;
    let answer = world.net.ask(&call).await;
    let after = standing(world, effect).await?;
    let effect_now = before != after && effect.is_some_and(|effect| after.as_deref() == Some(effect.comes_to));
    let Some(question) = world.asked.get_mut(&key) else {
        return Ok("nobody asked".into());
    };
    question.happened |= effect_now;
    // A page of a network's own is no answer.
    let answer = answer.and_then(|(status, body)| Some((status, serde_json::from_slice::<Value>(&body).ok()?)));
    let Some((status, body)) = answer else {
        return Ok("unanswered".into());
    };
    let word = body["status"].as_str().or(body["code"].as_str()).unwrap_or_default();
    let said = format!("{status} {word}");
    if status >= 500 || status == 429 || word == "in_flight" {
        return Ok(said);
    }
    if question.happened && status >= 300 {
        world.net.differs(format!("{key} happened, and was answered {said}"));
    }
    match &question.heard {
        Some(before) if *before != said => world.net.differs(format!("{key} was {before} and is now {said}")),
        Some(_) => {}
        None => {
            question.heard = Some(said.clone());
            // A coupon that was claimed.
            world
                .coupons
                .extend(body["code"].as_str().filter(|_| status == 201).map(str::to_owned));
        }
    }
    Ok(said)
}

/// What a question about an order placed online comes to.
pub(super) struct Effect<'a> {
    number: &'a str,
    comes_to: &'static str,
}

/// Where the order stands, in head office's file.
pub(super) async fn standing(world: &World, effect: Option<&Effect<'_>>) -> Result<Option<String>> {
    let Some(effect) = effect else { return Ok(None) };
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(world.office_file());
    let mut db = sqlx::ConnectOptions::connect(&options).await?;
    let status = sqlx::query_scalar("SELECT status FROM order_freezes WHERE number = $1")
        .bind(effect.number)
        .fetch_optional(&mut db)
        .await?;
    sqlx::Connection::close(db).await?;
    Ok(status)
}

pub(super) async fn online(world: &mut World, order: usize, step: Online, coupons: &[usize]) -> Result<String> {
    // A number is used once more some time after it has ended.
    let number = format!("W-{order}");
    let token = world.base.operator.clone();
    let (path, body) = match step {
        Online::Freeze => {
            let coupons: BTreeSet<&str> = coupons.iter().map(|coupon| pick(&world.coupons, *coupon)).collect();
            let body = json!({
                "order": number, "coupons": coupons, "amount": 1_000,
                "deadline": world.time.now() + 20 * MINUTE,
            });
            ("/v1/order-freezes".to_owned(), body)
        }
        Online::Confirm => (format!("/v1/order-freezes/{number}/confirm"), json!({})),
        Online::Cancel => (format!("/v1/order-freezes/{number}/cancel"), json!({})),
        Online::Void => (format!("/v1/order-freezes/{number}/void"), json!({})),
    };
    let comes_to = match step {
        Online::Freeze => "frozen",
        Online::Confirm => "confirmed",
        Online::Cancel => "cancelled",
        Online::Void => "voided",
    };
    // One question of each kind an order and quarter of an hour: asking again within it is asking the same.
    let key = format!("{number}-{step:?}-{}", world.time.now() / (15 * MINUTE));
    let effect = Effect {
        number: &number,
        comes_to,
    };
    let question = Question::new(path, body, world.time.now());
    post(world, &token, key, question, Some(&effect)).await
}

pub(super) async fn ask_again(world: &mut World, question: usize) -> Result<String> {
    // Answers are kept for seven days.
    let recent = world.time.now() - 6 * DAY;
    let of_orders =
        |(_, question): &(&String, &Question)| question.path.starts_with("/v1/order-freezes") && question.at > recent;
    let asked: Vec<&String> = world.asked.iter().filter(of_orders).map(|(key, _)| key).collect();
    let Some(key) = asked.get(question % asked.len().max(1)).map(|key| (*key).clone()) else {
        return Ok("nothing was asked".into());
    };
    let again = world.asked[&key].clone();
    let token = world.base.operator.clone();
    post(world, &token, key, again, None).await
}

pub(super) async fn claim(world: &mut World, member: usize) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let number = world.base.members[member % world.base.members.len()].1.clone();
    let link = Link {
        tenant: counterfoil_head_office::seed::TENANT,
        member: &number,
        expires: app.clock.now() + 5 * MINUTE,
    };
    let signature = link.sign(&world.base.link_key);
    let Ok((token, _)) = counterfoil_head_office::members::sessions::begin(&app, &link, &signature).await else {
        return Ok("no session".into());
    };
    let asked_at = world.time.now();
    let key = format!("claim-{member}-{}", asked_at / (10 * MINUTE));
    let body = json!({ "template": world.base.claimable });
    post(
        world,
        &token,
        key,
        Question::new("/v1/member/claims".into(), body, asked_at),
        None,
    )
    .await
}

pub(super) async fn grant(world: &mut World, member: usize, like: usize) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let code = pick(&world.coupons, like);
    let mut snapshot = app.db.snapshot().await?;
    let template: Option<Vec<u8>> = sqlx::query_scalar("SELECT template FROM coupons WHERE code = $1")
        .bind(code.to_owned())
        .fetch_optional(&mut *snapshot)
        .await?;
    drop(snapshot);
    // A backup was restored, and knows nothing of it.
    let Some(template) = template else {
        return Ok("like nothing".into());
    };
    let template = TemplateId::from_bytes(&template)?;
    let new = admin::NewGrant {
        member: &world.base.members[member % world.base.members.len()].1,
        template,
        count: 1,
    };
    let granted = admin::grant_coupons(
        &app.db,
        app.clock.as_ref(),
        app.random.as_ref(),
        world.base.tenant,
        &new,
    )
    .await;
    Ok(match granted {
        Ok(granted) => {
            world.coupons.extend(granted.coupons.into_iter().map(|(_, code)| code));
            "granted".into()
        }
        Err(error) => format!("error {}", error.code()),
    })
}

pub(super) async fn supply(world: &mut World, store: usize, member: Option<usize>) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    world.orders_made += 1;
    let number = format!("S-{}", world.orders_made);
    let new = admin::NewOrder {
        store: world.base.stores[store % world.base.stores.len()],
        number: &number,
        code: None,
        lines: vec![OrderLine {
            sku: "A".into(),
            name_zh: "甲".into(),
            name_en: "A".into(),
            quantity: 1,
            unit_price: 500,
        }],
        collector: "somebody",
        member: member.map(|member| world.base.members[member % world.base.members.len()].1.as_str()),
        days: None,
    };
    let added = admin::add_order(
        &app.db,
        app.clock.as_ref(),
        app.random.as_ref(),
        world.base.tenant,
        &new,
    )
    .await;
    Ok(match added {
        Ok(order) => {
            world.orders.push(order.code);
            "added".into()
        }
        Err(error) => format!("error {}", error.code()),
    })
}

/// An operator revokes a device, or lets one go on whose journal forked.
pub async fn decide(world: &mut World, place: usize, revoke: bool) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let device = world.tills[place].device;
    let (clock, random) = (app.clock.as_ref(), app.random.as_ref());
    let decided = if revoke {
        world.count("revoke");
        let mut snapshot = app.db.snapshot().await?;
        let known = sqlx::query_scalar::<_, Vec<u8>>("SELECT id FROM operations WHERE device = $1")
            .bind(device.bytes().to_vec())
            .fetch_all(&mut *snapshot)
            .await?;
        drop(snapshot);
        let known = known
            .iter()
            .map(|id| OperationId::from_bytes(id))
            .collect::<Result<_, _>>()?;
        let revoked = admin::revoke(&app.db, clock, random, device).await;
        // One that nobody heard of is judged from the next time on.
        if revoked.is_ok() {
            world.revoked.entry(device).or_insert(known);
        }
        revoked
    } else {
        admin::new_epoch(&app.db, clock, random, device).await
    };
    Ok(match decided {
        Ok(_) => {
            // What a backup of before says of the device no longer holds.
            world.backup = None;
            "decided".into()
        }
        Err(error) => format!("error {}", error.code()),
    })
}
