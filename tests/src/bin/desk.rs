//! A counter without a window, driven by the journeys: JSON lines in, JSON lines out.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use counterfoil_counter::{
    Basket, BasketLine, Confirmation, Counter, Input, Language, MemberAnswer, Selection, Settled, SyncHandle, System,
    Tender,
};
use counterfoil_domain::{ids::ClerkId, sales::ReturnPolicy, settlement::returns::Units};
use counterfoil_scan::{Scanned as Read, Source, classify};
use serde_json::{Value, json};

fn scanned(code: &str) -> Input {
    match classify(code, Source::Scanned) {
        Read::Coupon(text) => Input::CouponCode(text),
        Read::Pickup(text) => Input::PickupCode(text),
        Read::Token(text) => Input::Token(text),
        Read::Phone(text) => Input::Phone(text),
        Read::Member(text) => Input::MemberNumber(text),
        other => Input::Other(format!("{other:?}")),
    }
}

struct Desk {
    folder: PathBuf,
    counter: Counter,
    sync: Option<SyncHandle>,
}

impl Desk {
    async fn manager(&self) -> anyhow::Result<ClerkId> {
        let people = self.counter.clerks().await?;
        let manager = people.into_iter().find(|person| person.role.may_approve());
        Ok(manager.context("no manager")?.id)
    }

    /// `{"lines": [["SKU", 2], ...], "member": "000110000001", "coupons": ["..."]}`.
    async fn basket(&self, command: &Value) -> anyhow::Result<Basket> {
        let list = |name: &str| command[name].as_array().cloned().unwrap_or_default();
        let lines = list("lines").into_iter().map(|line| BasketLine {
            sku: line[0].as_str().unwrap_or_default().to_owned(),
            quantity: line[1].as_i64().unwrap_or(1),
            unit_price: line[2].as_i64(),
        });
        let member = match command["member"].as_str() {
            None => None,
            Some(number) => match self
                .counter
                .find_member(&Input::MemberNumber(number.to_owned()))
                .await?
            {
                MemberAnswer::Found(card) => Some(card.member.id),
                MemberAnswer::Unknown(verdict) => anyhow::bail!("no member {number}: {verdict:?}"),
            },
        };
        Ok(Basket {
            lines: lines.collect(),
            member,
            coupons: list("coupons")
                .iter()
                .filter_map(|code| code.as_str().map(scanned))
                .collect(),
            select: Selection::Best,
            points: 0,
        })
    }

    async fn answer(&mut self, command: &Value) -> anyhow::Result<Value> {
        let text = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
        let counter = &self.counter;
        Ok(match text("do").as_str() {
            "enrol" => {
                counter.enrol(&text("address"), &text("code"), "test").await?;
                json!({})
            }
            "hurry" => {
                counter.hurry();
                json!({})
            }
            "doctor" => {
                let system = Arc::new(System::new());
                json!({"checks": counterfoil_counter::doctor(&self.folder, system.clone(), system).await})
            }
            "stop_sync" => {
                if let Some(sync) = self.sync.take() {
                    sync.stop().await;
                }
                json!({})
            }
            "start_sync" => {
                self.sync = Some(counter.start_sync());
                json!({})
            }
            "look" => json!({"verdict": counter.look_up(&scanned(&text("code")), None).await?}),
            "redeem" => {
                let verdict = counter.look_up(&scanned(&text("code")), None).await?;
                let Some(ticket) = &verdict.ticket else {
                    return Ok(json!({"result": "refused", "verdict": verdict}));
                };
                let clerk = counter.clerks().await?.first().context("no clerk")?.id;
                match counter.confirm(ticket, clerk).await? {
                    Confirmation::Done(receipt) => json!({"result": "done", "receipt": receipt}),
                    Confirmation::Refused(verdict) => json!({"result": "refused", "verdict": verdict}),
                }
            }
            "member" => match counter.find_member(&scanned(&text("code"))).await? {
                MemberAnswer::Found(card) => json!({"card": card}),
                MemberAnswer::Unknown(verdict) => json!({"verdict": verdict}),
            },
            "products" => json!({"products": counter.find_products(&text("text"), 50).await?}),
            "quote" => json!({"quote": counter.quote(&self.basket(command).await?).await?}),
            "sell" => {
                let quote = counter.quote(&self.basket(command).await?).await?;
                let ticket = quote.ticket.as_ref().context("an empty basket")?;
                let clerk = counter.clerks().await?.first().context("no clerk")?.id;
                let tender = Tender {
                    tender: "cash".to_owned(),
                    receipt: text("receipt"),
                    balance: 0,
                };
                match counter.settle(ticket, &tender, clerk).await? {
                    Settled::Done(receipt) => json!({"result": "done", "receipt": receipt, "quote": quote}),
                    Settled::Refused(refusal) => json!({"result": "refused", "refusal": refusal, "quote": quote}),
                }
            }
            "sales" => json!({"sales": counter.sales(None).await?}),
            "return" => {
                let units: Vec<Units> = serde_json::from_value(command["units"].clone())?;
                let sale = text("op").parse()?;
                let preview = counter.return_preview(sale, &units, ReturnPolicy::Keep).await?;
                let manager = self.manager().await?;
                let receipt = counter
                    .return_sale(
                        sale,
                        &units,
                        ReturnPolicy::Keep,
                        preview.refund,
                        "test",
                        manager,
                        &text("pin"),
                    )
                    .await?;
                json!({"receipt": receipt, "preview": preview})
            }
            "slip" => {
                let pdf = counter.slip(text("op").parse()?, Language::Zh).await?;
                json!({"bytes": pdf.len()})
            }
            "void" => {
                let manager = self.manager().await?;
                let receipt = counter.void(text("op").parse()?, "test", manager, &text("pin")).await?;
                json!({"receipt": receipt})
            }
            "status" => serde_json::to_value(counter.status().await?)?,
            "queue" => json!({"entries": counter.queue(None, None, 500).await?}),
            other => anyhow::bail!("what is {other}?"),
        })
    }
}

/// Notes what a clerk is about to be told is done. What the kernel has taken survives a kill.
fn note(notes: &mut Option<File>, what: &str, answer: &Value) -> anyhow::Result<()> {
    if let (Some(notes), Some(operation)) = (notes, answer["receipt"]["opId"].as_str()) {
        notes.write_all(format!("{}\n", json!([operation, what])).as_bytes())?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let folder = PathBuf::from(std::env::args().nth(1).context("a data folder")?);
    let mut notes = match std::env::args().nth(2) {
        Some(file) => Some(OpenOptions::new().create(true).append(true).open(file)?),
        None => None,
    };
    let system = Arc::new(System::new());
    let counter = Counter::open(&folder, system.clone(), system).await?;
    counter.set_auto_lock(Duration::from_secs(86_400));
    let sync = Some(counter.start_sync());
    let mut desk = Desk { folder, counter, sync };
    let (lines, mut received) = tokio::sync::mpsc::channel(1_000);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    while let Some(line) = received.recv().await {
        let command: Value = serde_json::from_str(&line)?;
        let mut answer = match desk.answer(&command).await {
            Ok(answer) => answer,
            Err(error) => {
                let code = error
                    .downcast_ref::<counterfoil_counter::Error>()
                    .map(|error| error.code());
                json!({"ok": false, "code": code, "error": format!("{error:#}")})
            }
        };
        if answer["ok"].is_null() {
            answer["ok"] = json!(true);
        }
        note(&mut notes, command["do"].as_str().unwrap_or_default(), &answer)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
