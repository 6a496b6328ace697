//! Points: given, taken back, held by orders placed online, and what the rule of earning gives for a purchase.

use anyhow::Result;
use counterfoil_counter::{Input, MemberAnswer, PaidIn};
use counterfoil_domain::{
    operations::Action,
    time::{DAY, MINUTE},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;

use super::{
    Kind,
    exchange::said,
    questions::{Effect, Online, post},
};
use crate::{
    judge::{Judged, Violations},
    step::Making,
    world::{Question, World},
};

/// Names of what earns: few, so that they meet.
const THINGS: usize = 40;
/// Numbers of orders that hold points.
const ORDERS: usize = 12;

/// A thing earns points, or gives them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earn {
    member: usize,
    thing: usize,
    points: i64,
    /// After how many days they are over.
    days: Option<i64>,
}

impl Kind for Earn {
    const WEIGHT: u32 = 45;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            member: making.dice.usize(..9),
            thing: making.dice.usize(..THINGS),
            points: making.dice.i64(1..500),
            days: making.dice.bool().then(|| making.dice.i64(1..10)),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let now = world.time.now();
        let number = world.base.members[self.member % world.base.members.len()].1.clone();
        let mut body = json!({
            "member": number, "kind": "gift", "id": format!("T-{}", self.thing), "points": self.points,
        });
        if let Some(days) = self.days {
            body["ends_at"] = (now + days * DAY).into();
        }
        let key = format!("earn-{}-{}", self.thing, now / (15 * MINUTE));
        let token = world.base.operator.clone();
        let question = Question::new("/v1/points/earnings".into(), body, now);
        post(world, &token, key, question, None).await
    }

    /// What was earned is still there, was spent, ended or was taken back: nothing else becomes of a point.
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let mut snapshot = judged.app.db.snapshot().await?;
        let row = sqlx::query(
            "SELECT CAST(COALESCE(SUM(points_available + points_held + points_pending - points_debt), 0) AS BIGINT) AS there, \
             (SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM ledger_entries WHERE asset = 'points') AS folded, \
             (SELECT COUNT(*) FROM ledger_entries WHERE kind IN ('hold') AND amount <> 0) AS odd, \
             (SELECT COUNT(*) FROM ledger_holds h WHERE h.until <= $1) AS lapsed FROM accounts",
        )
        .bind(judged.world.time.now())
        .fetch_one(&mut *snapshot)
        .await?;
        let mut violations = Violations::new();
        let (there, folded): (i64, i64) = (row.try_get("there")?, row.try_get("folded")?);
        if there != folded {
            violations.push(format!("{there} points are there, and entries come to {folded}"));
        }
        if row.try_get::<i64, _>("odd")? > 0 {
            violations.push("a hold made or took points".into());
        }
        if row.try_get::<i64, _>("lapsed")? > 0 {
            violations.push("a hold lapsed and still pins points".into());
        }
        // A restored backup may have lost what somebody was told had earned; nothing else may.
        if judged.world.restored == 0 {
            for (key, question) in &judged.world.asked {
                let earned = question.path == "/v1/points/earnings"
                    && question.heard.as_deref().is_some_and(|heard| heard.starts_with("201"));
                let thing = question.body["id"].as_str().unwrap_or_default().to_owned();
                if !earned {
                    continue;
                }
                let known: i64 =
                    sqlx::query_scalar("SELECT COUNT(*) FROM ledger_entries WHERE kind = 'earn' AND note = $1")
                        .bind(thing)
                        .fetch_one(&mut *snapshot)
                        .await?;
                if known != 1 {
                    violations.push(format!("{key} was answered, and there are {known} entries of it"));
                }
            }
        }
        Ok(violations)
    }
}

/// What earned is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TakeBack {
    thing: usize,
}

impl Kind for TakeBack {
    const WEIGHT: u32 = 20;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            thing: making.dice.usize(..THINGS),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let now = world.time.now();
        let body = json!({ "kind": "gift", "id": format!("T-{}", self.thing), "refund": "back" });
        let key = format!("back-{}-{}", self.thing, now / (15 * MINUTE));
        let token = world.base.operator.clone();
        let question = Question::new("/v1/points/refunds".into(), body, now);
        post(world, &token, key, question, None).await
    }
}

/// An order placed online that holds points.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    order: usize,
    step: Online,
    member: usize,
    points: i64,
    /// How many tenths of them are spent.
    tenths: i64,
}

impl Kind for Hold {
    const WEIGHT: u32 = 90;
    const RECORDED: bool = true;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            order: making.dice.usize(..ORDERS),
            step: match making.dice.u8(..8) {
                0..=3 => Online::Freeze,
                4..=5 => Online::Confirm,
                6 => Online::Cancel,
                _ => Online::Void,
            },
            member: making.dice.usize(..9),
            // Now and then more than anybody has.
            points: match making.dice.u8(..6) {
                0 => making.dice.i64(400..4_000),
                _ => making.dice.i64(1..400),
            },
            tenths: match making.dice.bool() {
                true => 10,
                false => making.dice.i64(0..10),
            },
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let now = world.time.now();
        // A number is used once more some time after it has ended.
        let number = format!("P-{}-{}", self.order, now / (2 * DAY));
        let member = world.base.members[self.member % world.base.members.len()].1.clone();
        let (path, body, comes_to) = match self.step {
            Online::Freeze => {
                let body = json!({
                    "order": number, "points": self.points, "member": member, "amount": 1_000,
                    "deadline": now + 20 * MINUTE,
                });
                ("/v1/order-freezes".to_owned(), body, "frozen")
            }
            Online::Confirm => {
                let points = self.points * self.tenths / 10;
                (
                    format!("/v1/order-freezes/{number}/confirm"),
                    json!({ "points": points }),
                    "confirmed",
                )
            }
            Online::Cancel => (format!("/v1/order-freezes/{number}/cancel"), json!({}), "cancelled"),
            Online::Void => (format!("/v1/order-freezes/{number}/void"), json!({}), "voided"),
        };
        let key = format!("{number}-{:?}-{}", self.step, now / (15 * MINUTE));
        let token = world.base.operator.clone();
        let effect = Effect {
            number: &number,
            comes_to,
        };
        let question = Question::new(path, body, now);
        post(world, &token, key, question, Some(&effect)).await
    }

    /// What an order was paid with left the account, once.
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let mut violations = Violations::new();
        // A restored backup may have lost what somebody was told was paid; nothing else may.
        if judged.world.restored > 0 {
            return Ok(violations);
        }
        let mut snapshot = judged.app.db.snapshot().await?;
        for question in judged.world.asked.values() {
            let number = question.path.strip_prefix("/v1/order-freezes/P-");
            let number = number.and_then(|rest| rest.strip_suffix("/confirm"));
            let paid = question.heard.as_deref().is_some_and(|heard| heard.starts_with("200"));
            let (Some(number), true) = (number, paid) else { continue };
            let spent = question.body["points"].as_i64().unwrap_or(0);
            let taken: i64 = sqlx::query_scalar(
                "SELECT CAST(COALESCE(SUM(0 - amount), 0) AS BIGINT) FROM ledger_entries WHERE kind = 'capture' AND note = $1",
            )
            .bind(format!("P-{number}"))
            .fetch_one(&mut *snapshot)
            .await?;
            if taken != spent {
                violations.push(format!(
                    "order P-{number} was paid with {spent} points, and {taken} were taken"
                ));
            }
        }
        Ok(violations)
    }
}

/// A member pays money in at a counter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayIn {
    till: usize,
    member: usize,
    amount: u32,
}

impl Kind for PayIn {
    const WEIGHT: u32 = 30;

    fn make(making: &mut Making<'_>, till: usize) -> Self {
        Self {
            till,
            member: making.dice.usize(..9),
            amount: making.dice.u32(1..200),
        }
    }
    fn till(&self) -> Option<usize> {
        Some(self.till)
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let place = self.till % world.tills.len();
        let number = world.base.members[self.member % world.base.members.len()].1.clone();
        let Some(counter) = world.counter(place) else {
            return Ok("down".into());
        };
        let member = match counter.find_member(&Input::MemberNumber(number)).await {
            Ok(MemberAnswer::Found(card)) => card.member.id,
            Ok(MemberAnswer::Unknown(_)) => return Ok("unknown".into()),
            Err(error) => return Ok(said(&error)),
        };
        let paid = PaidIn {
            member,
            amount: self.amount.to_string(),
            tender: "cash".into(),
            receipt: "R".into(),
        };
        match counter.top_up(&paid, world.tills[place].clerk).await {
            Ok(receipt) => {
                world.acknowledge(place, receipt.op_id, "top-up");
                Ok(format!("done {}", receipt.op_id))
            }
            Err(error) => Ok(said(&error)),
        }
    }

    /// What was paid in and not undone is there, once.
    async fn judge(judged: &Judged<'_>) -> Result<Violations> {
        let voided = judged.journals.voided();
        let entries = judged.journals.entries.iter().filter(|(id, _)| !voided.contains(id));
        let due: i64 = entries
            .filter(|(id, _)| !judged.journals.is_no_use(id))
            .map(|(_, entry)| match &entry.action {
                Action::TopUp(paid) => paid.amount,
                _ => 0,
            })
            .sum();
        let mut snapshot = judged.app.db.snapshot().await?;
        let there: i64 = sqlx::query_scalar(
            "SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM ledger_entries WHERE asset = 'balance'",
        )
        .fetch_one(&mut *snapshot)
        .await?;
        Ok(match there == due {
            true => Violations::new(),
            false => vec![format!("{due} were paid in, and {there} are there")],
        })
    }
}

/// Two members turn out to be one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merge {
    from: usize,
    into: usize,
}

impl Kind for Merge {
    const WEIGHT: u32 = 4;

    fn make(making: &mut Making<'_>, _: usize) -> Self {
        Self {
            from: making.dice.usize(..9),
            into: making.dice.usize(..9),
        }
    }
    async fn perform(&self, world: &mut World) -> Result<String> {
        let number = |place: usize| world.base.members[place % world.base.members.len()].1.clone();
        let (from, into) = (number(self.from), number(self.into));
        let now = world.time.now();
        let token = world.base.operator.clone();
        let key = format!("merge-{from}-{into}-{}", now / (15 * MINUTE));
        let question = Question::new(format!("/v1/members/{from}/merge"), json!({ "into": into }), now);
        post(world, &token, key, question, None).await
    }
}
