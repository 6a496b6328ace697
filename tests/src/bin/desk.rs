//! A counter without a window, driven by the journeys: JSON lines in, JSON lines out.

use std::{
    io::{BufRead, Write},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use anyhow::Context;
use counterfoil_counter::{Confirmation, Counter, Scanned, SyncHandle, System};
use counterfoil_scan::{Scanned as Read, Source, classify};
use serde_json::{Value, json};

fn scanned(code: &str) -> Scanned {
    match classify(code, Source::Scanned) {
        Read::Coupon(text) => Scanned::CouponCode(text),
        Read::Pickup(text) => Scanned::PickupCode(text),
        Read::Token(text) => Scanned::Token(text),
        other => Scanned::Other(format!("{other:?}")),
    }
}

struct Desk {
    folder: PathBuf,
    counter: Counter,
    sync: Option<SyncHandle>,
}

impl Desk {
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
            "void" => {
                let manager = counter
                    .clerks()
                    .await?
                    .into_iter()
                    .find(|person| person.role.may_void())
                    .context("no manager")?;
                let receipt = counter
                    .void(text("op").parse()?, "test", manager.id, &text("pin"))
                    .await?;
                json!({"receipt": receipt})
            }
            "status" => serde_json::to_value(counter.status().await?)?,
            "queue" => json!({"entries": counter.queue(None, None, 500).await?}),
            other => anyhow::bail!("what is {other}?"),
        })
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let folder = PathBuf::from(std::env::args().nth(1).context("a data folder")?);
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
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
