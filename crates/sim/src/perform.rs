//! What each step does, by what a person or a program would call.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use axum::http::Method;
use counterfoil_counter::{
    Basket, BasketLine, Confirmation, Error, Input, MemberAnswer, Selection, Settled, Tender, Turn,
};
use counterfoil_domain::{
    ids::{OperationId, TemplateId},
    pickups::OrderLine,
    sales::ReturnPolicy,
    settlement::returns::Units,
    time::{DAY, MINUTE},
};
use counterfoil_head_office::{admin, coupons::expiry, exceptions::lapse, jobs::upkeep, members::sessions::Link};
use serde_json::{Value, json};
use sqlx::Row;

use crate::{
    ambient::until,
    base::{FILE, PIN, till_folder},
    hostile,
    net::Call,
    step::{At, Online, Step, What},
    world::{Question, World, copy_folder, pick, replace_folder},
};

/// Exchanges that deliver and read everything, as a rule.
const ENOUGH: u32 = 5;
/// Coupons and orders that a sweep looks at.
const SWEPT: i64 = 500;

/// Does one step; what came of it, in words that are the same in every run.
pub async fn perform(world: &mut World, step: &Step) -> Result<String> {
    // Who is online delivers at once, and has heard of what others did within a second.
    let online = step.what.till().filter(|_| world.faults.is_calm());
    if let Some(till) = online {
        sync(world, till % world.tills.len(), ENOUGH).await?;
    }
    // Whoever wants to use a counter that is off switches it on.
    if let Some(till) = step.what.till() {
        world.start_till(till % world.tills.len()).await?;
    }
    world.net.plan(&step.fates);
    let done = what(world, &step.what).await?;
    world.net.plan(&[]);
    if let Some(till) = online {
        sync(world, till % world.tills.len(), ENOUGH).await?;
    }
    for place in 0..world.tills.len() {
        world.settle(place).await;
        world.bury(place).await?;
    }
    if world.office_doom.struck() {
        world.stop_office().await;
    }
    Ok(done)
}

async fn what(world: &mut World, what: &What) -> Result<String> {
    let tills = world.tills.len();
    match what {
        What::Redeem { till, coupon } => {
            let code = pick(&world.coupons, *coupon).to_owned();
            redeem(world, till % tills, Input::CouponCode(code), "redeem").await
        }
        What::Collect { till, order } => {
            let code = pick(&world.orders, *order).to_owned();
            redeem(world, till % tills, Input::PickupCode(code), "collect").await
        }
        What::Sell {
            till,
            skus,
            member,
            coupons,
        } => sell(world, till % tills, skus, *member, coupons).await,
        What::Void { till, back } => void(world, till % tills, *back).await,
        What::Return { till, back, units } => take_back(world, till % tills, *back, *units).await,
        What::Guess { till, code } => {
            redeem(world, till % tills, Input::PickupCode(format!("{code:08}")), "guess").await
        }
        What::Greet { till, member } => {
            let place = till % tills;
            let number = world.base.members[member % world.base.members.len()].1.clone();
            let Some(counter) = world.counter(place) else {
                return Ok("down".into());
            };
            let found = counter.find_member(&Input::MemberNumber(number)).await;
            Ok(match found {
                Ok(MemberAnswer::Found(card)) => format!("{} coupons", card.coupons.len()),
                Ok(MemberAnswer::Unknown(_)) => "unknown".into(),
                Err(error) => error.code().into(),
            })
        }
        What::Sync { till, turns } => sync(world, till % tills, *turns).await,
        What::Together {
            tills: together,
            revoke,
        } => {
            let places: BTreeSet<usize> = together.iter().map(|till| till % tills).collect();
            in_one_group(world, &places.into_iter().collect::<Vec<_>>(), *revoke).await
        }
        What::Wait { ms } => {
            world.pass(*ms).await;
            Ok(String::new())
        }
        What::Order { order, step, coupons } => online(world, *order, *step, coupons).await,
        What::AskAgain { question } => ask_again(world, *question).await,
        What::Claim { member } => claim(world, *member).await,
        What::Grant { member, like } => grant(world, *member, *like).await,
        What::Supply { store, member } => supply(world, *store, *member).await,
        What::Sweep => sweep(world).await,
        What::Deliver => {
            let late = world.net.late();
            world.net.deliver_late().await;
            Ok(format!("{late} late"))
        }
        What::KillOffice { at: At { nth, after } } => {
            if world.app().is_some() {
                world.office_doom.arm(*nth, *after);
                world.count("crash_office");
            }
            Ok(String::new())
        }
        What::StartOffice => {
            world.start_office().await?;
            Ok(String::new())
        }
        What::KillTill {
            till,
            at: At { nth, after },
        } => {
            world.tills[till % tills].doom.arm(*nth, *after);
            world.count("crash_till");
            Ok(String::new())
        }
        What::StartTill { till } => {
            world.start_till(till % tills).await?;
            Ok(String::new())
        }
        What::Cut { till, cut } => {
            world.net.cut(till % tills, *cut);
            if *cut {
                world.count("cut");
            }
            Ok(String::new())
        }
        What::BackUp => back_up(world).await,
        What::Restore => restore(world).await,
        What::CopyTill { till } => copy_till(world, till % tills).await,
        What::SetTillBack { till } => set_back(world, till % tills).await,
        What::Clone { till } => clone(world, till % tills).await,
        What::SetClock { till, off } => {
            world.set_clock(till % tills, *off);
            world.count("clock");
            Ok(String::new())
        }
        What::Revoke { till } => decide(world, till % tills, true).await,
        What::Decide { till } => decide(world, till % tills, false).await,
        What::FillOffice { full } => {
            let Some(app) = world.app() else {
                return Ok("down".into());
            };
            if world.office_full != *full {
                app.db.fill_the_disk(*full).await?;
                world.office_full = *full;
                if *full {
                    world.count("disk_office");
                }
            }
            Ok(String::new())
        }
        What::FillTill { till, full } => {
            let place = till % tills;
            let Some(counter) = world.counter(place) else {
                return Ok("down".into());
            };
            counter.fill_the_disk(*full).await?;
            world.tills[place].full = *full;
            if *full {
                world.count("disk_till");
            }
            Ok(String::new())
        }
        What::Attack { attack, coupon } => {
            world.count("hostile");
            hostile::attack(world, *attack, *coupon).await
        }
    }
}

fn said(error: &Error) -> String {
    format!("error {}", error.code())
}

async fn redeem(world: &mut World, place: usize, scanned: Input, what: &'static str) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    let clerk = world.tills[place].clerk;
    let verdict = match counter.look_up(&scanned, None).await {
        Ok(verdict) => verdict,
        Err(error) => return Ok(said(&error)),
    };
    let Some(ticket) = verdict.ticket else {
        let reasons: Vec<String> = verdict.reasons.iter().map(|reason| reason.code.clone()).collect();
        return Ok(format!("{:?} {}", verdict.decision, reasons.join(" ")));
    };
    match counter.confirm(&ticket, clerk).await {
        Ok(Confirmation::Done(receipt)) => {
            world.acknowledge(place, receipt.op_id, what);
            Ok(format!("done {} {:?}", receipt.op_id, receipt.delivery))
        }
        Ok(Confirmation::Refused(verdict)) => Ok(format!("refused {:?}", verdict.decision)),
        Err(error) => Ok(said(&error)),
    }
}

async fn sell(
    world: &mut World,
    place: usize,
    skus: &[usize],
    member: Option<usize>,
    coupons: &[usize],
) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    let base = std::sync::Arc::clone(&world.base);
    let member = match member {
        None => None,
        Some(member) => {
            let number = base.members[member % base.members.len()].1.clone();
            match counter.find_member(&Input::MemberNumber(number)).await {
                Ok(MemberAnswer::Found(card)) => Some(card.member.id),
                Ok(MemberAnswer::Unknown(_)) => None,
                Err(error) => return Ok(said(&error)),
            }
        }
    };
    let basket = Basket {
        lines: skus
            .iter()
            .map(|sku| BasketLine {
                sku: base.skus[sku % base.skus.len()].clone(),
                quantity: 2,
                unit_price: None,
            })
            .collect(),
        member,
        coupons: coupons
            .iter()
            .map(|coupon| Input::CouponCode(pick(&world.coupons, *coupon).to_owned()))
            .collect(),
        select: Selection::Best,
    };
    let quote = match counter.quote(&basket).await {
        Ok(quote) => quote,
        Err(error) => return Ok(said(&error)),
    };
    let Some(ticket) = quote.ticket else {
        return Ok("nothing to sell".into());
    };
    let tender = Tender {
        tender: "cash".into(),
        receipt: format!("R-{}", world.acknowledged.len()),
    };
    let clerk = world.tills[place].clerk;
    match counter.settle(&ticket, &tender, clerk).await {
        Ok(Settled::Done(receipt)) => {
            world.acknowledge(place, receipt.op_id, "sell");
            Ok(format!("done {} {}", receipt.op_id, quote.discount))
        }
        Ok(_) => Ok("refused".into()),
        Err(error) => Ok(said(&error)),
    }
}

fn latest(world: &World, place: usize, back: usize) -> Option<OperationId> {
    let done = &world.tills[place].done;
    done.len().checked_sub(1 + back).and_then(|at| done.get(at)).copied()
}

async fn void(world: &mut World, place: usize, back: usize) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    let Some(operation) = latest(world, place, back) else {
        return Ok("nothing to undo".into());
    };
    let manager = world.tills[place].manager;
    match counter.void(operation, "by mistake", manager, PIN).await {
        Ok(receipt) => {
            world.acknowledge(place, receipt.op_id, "void");
            Ok(format!("done {}", receipt.op_id))
        }
        Err(error) => Ok(said(&error)),
    }
}

async fn take_back(world: &mut World, place: usize, back: usize, units: i64) -> Result<String> {
    let Some(counter) = world.counter(place) else {
        return Ok("down".into());
    };
    // Any sale that this store's counters know: also another counter's.
    let sales = match counter.sales(None).await {
        Ok(sales) => sales,
        Err(error) => return Ok(said(&error)),
    };
    let Some(sale) = sales.get(back).map(|sale| sale.op_id) else {
        return Ok("no sale".into());
    };
    let wanted = [Units {
        line: 0,
        quantity: units,
    }];
    let preview = match counter.return_preview(sale, &wanted, ReturnPolicy::Keep).await {
        Ok(preview) => preview,
        Err(error) => return Ok(said(&error)),
    };
    let manager = world.tills[place].manager;
    let done = counter
        .return_sale(
            sale,
            &wanted,
            ReturnPolicy::Keep,
            preview.refund,
            "broken",
            manager,
            PIN,
        )
        .await;
    match done {
        Ok(receipt) => {
            world.acknowledge(place, receipt.op_id, "return");
            Ok(format!("done {} {}", receipt.op_id, preview.refund))
        }
        Err(error) => Ok(said(&error)),
    }
}

async fn sync(world: &mut World, place: usize, turns: u32) -> Result<String> {
    let mut words = String::new();
    for _ in 0..turns {
        let Some(counter) = world.counter(place) else {
            return Ok(words + "down");
        };
        match counter.sync_turn().await {
            Ok(Turn::Asked { more }) => {
                words.push_str(if more { "more " } else { "all " });
                if !more {
                    break;
                }
            }
            Ok(Turn::Resting { .. }) => {
                words.push_str("resting");
                break;
            }
            Err(error) => {
                words.push_str(&said(&error));
                break;
            }
        }
        if world.bury(place).await? {
            words.push_str("ended");
            break;
        }
    }
    Ok(words)
}

/// Lets the exchanges of several counters reach head office's writer together.
async fn in_one_group(world: &mut World, places: &[usize], revoke: bool) -> Result<String> {
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
async fn post(
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
struct Effect<'a> {
    number: &'a str,
    comes_to: &'static str,
}

/// Where the order stands, in head office's file.
async fn standing(world: &World, effect: Option<&Effect<'_>>) -> Result<Option<String>> {
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

async fn online(world: &mut World, order: usize, step: Online, coupons: &[usize]) -> Result<String> {
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

async fn ask_again(world: &mut World, question: usize) -> Result<String> {
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

async fn claim(world: &mut World, member: usize) -> Result<String> {
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

async fn grant(world: &mut World, member: usize, like: usize) -> Result<String> {
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

async fn supply(world: &mut World, store: usize, member: Option<usize>) -> Result<String> {
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

/// What head office does by itself, once.
pub async fn sweep(world: &mut World) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let now = app.clock.now();
    let lapsed = lapse::sweep(&app, now, SWEPT).await;
    let expired = expiry::sweep(&app, now, SWEPT).await;
    let forgotten = upkeep::forget(&app).await;
    Ok(match (lapsed, expired, forgotten) {
        (Ok(lapsed), Ok(expired), Ok(_)) => format!("{lapsed} lapsed, {} expired", expired.expired),
        _ => "error".into(),
    })
}

async fn back_up(world: &mut World) -> Result<String> {
    let Some(app) = world.app() else {
        return Ok("down".into());
    };
    let copy = world.folder.path().join("backup.db");
    if copy.exists() {
        std::fs::remove_file(&copy)?;
    }
    let sql = format!("VACUUM INTO '{}'", copy.display());
    let mut reader = app.db.reader().acquire().await?;
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut *reader).await?;
    world.backup = Some(world.time.now());
    Ok(String::new())
}

async fn restore(world: &mut World) -> Result<String> {
    // Counters keep what they delivered for 90 days: an older backup has lost something for good.
    let recent = world.backup.is_some_and(|at| world.time.now() - at < 80 * DAY);
    if !recent {
        return Ok("no backup".into());
    }
    world.stop_office().await;
    for ending in ["", "-wal", "-shm"] {
        let file = world.folder.path().join(format!("{FILE}{ending}"));
        if file.exists() {
            std::fs::remove_file(file)?;
        }
    }
    std::fs::copy(world.folder.path().join("backup.db"), world.office_file())?;
    world.office_doom.revive();
    world.net.forget_outcomes();
    world.asked.clear();
    world.restored += 1;
    world.unsettled += 1;
    // The backup is of the history that was then.
    world.history = None;
    world.count("restore_office");
    world.start_office().await?;
    Ok("restored".into())
}

fn copy_of(world: &World, place: usize) -> std::path::PathBuf {
    world.folder.path().join(format!("copy-{place}"))
}

async fn copy_till(world: &mut World, place: usize) -> Result<String> {
    if world.tills[place].retired {
        return Ok("retired".into());
    }
    world.stop_till(place).await?;
    let to = copy_of(world, place);
    if to.exists() {
        std::fs::remove_dir_all(&to)?;
    }
    copy_folder(&world.tills[place].folder, &to)?;
    world.tills[place].copied = Some(world.tills[place].done.iter().copied().collect());
    world.start_till(place).await?;
    Ok(String::new())
}

async fn set_back(world: &mut World, place: usize) -> Result<String> {
    let Some(copied) = world.tills[place].copied.clone() else {
        return Ok("no copy".into());
    };
    if world.tills[place].retired {
        return Ok("retired".into());
    }
    world.stop_till(place).await?;
    // What was on that disk alone is gone with it.
    let lost = pending(&world.tills[place].folder).await?;
    world.gone.extend(lost);
    replace_folder(&copy_of(world, place), &world.tills[place].folder)?;
    let since: Vec<OperationId> = world.tills[place]
        .done
        .iter()
        .filter(|operation| !copied.contains(operation))
        .copied()
        .collect();
    world.fragile.extend(since);
    world.tills[place].done.retain(|operation| copied.contains(operation));
    world.tills[place].torn = true;
    world.count("restore_till");
    world.start_till(place).await?;
    Ok("set back".into())
}

/// The operations of a counter's folder that wait to be delivered.
pub async fn pending(folder: &std::path::Path) -> Result<Vec<OperationId>> {
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(folder.join("counter.sqlite"));
    let mut db = sqlx::ConnectOptions::connect(&options).await?;
    let rows = sqlx::query("SELECT op_id FROM journal WHERE state = 'pending' ORDER BY epoch, seq")
        .fetch_all(&mut db)
        .await?;
    sqlx::Connection::close(db).await?;
    rows.iter()
        .map(|row| Ok(OperationId::from_bytes(&row.try_get::<Vec<u8>, _>(0)?)?))
        .collect()
}

async fn clone(world: &mut World, place: usize) -> Result<String> {
    // Two at most: each is a whole counter.
    if world.tills[place].retired || world.tills.len() > 9 {
        return Ok("no".into());
    }
    world.stop_till(place).await?;
    let to = till_folder(world.folder.path(), world.tills.len());
    copy_folder(&world.tills[place].folder, &to)?;
    let store = world.tills[place].store;
    let done = world.tills[place].done.clone();
    world.start_till(place).await?;
    let twin = world.add_till(to, store).await?;
    world.tills[twin].done = done;
    world.tills[place].torn = true;
    world.tills[twin].torn = true;
    world.count("clone");
    Ok(format!("{twin} is a copy of {place}"))
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
