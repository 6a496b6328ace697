//! What must hold at the end: read plainly from the files and the database, operation by operation.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use sqlx::{AnyConnection, Connection, Row};

use super::clerk::Clerk;

/// What was found.
#[derive(Default)]
pub struct Judged {
    /// Acknowledged to a clerk.
    pub acknowledged: usize,
    /// By kind.
    pub operations: BTreeMap<String, u64>,
    /// By outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Broken rules, in words.
    pub violations: Vec<String>,
}

/// An operation as head office has it.
struct Operation {
    kind: String,
    outcome: String,
    detail: Option<String>,
    fingerprint: Vec<u8>,
    action: Value,
}

type Operations = BTreeMap<String, Operation>;

/// Judges what was acknowledged against what is at head office.
pub async fn judge(url: &str, clerks: &[Clerk]) -> Judged {
    let mut judged = Judged::default();
    let mut office = AnyConnection::connect(url).await.unwrap();
    let operations = operations(&mut office, &mut judged.violations).await;
    for operation in operations.values() {
        *judged.operations.entry(operation.kind.clone()).or_default() += 1;
        let outcome = operation.detail.as_ref().unwrap_or(&operation.outcome);
        *judged.outcomes.entry(outcome.clone()).or_default() += 1;
    }
    let mut journaled = BTreeSet::new();
    for clerk in clerks {
        judged.acknowledged += delivered(clerk, &operations, &mut judged.violations);
        judged
            .violations
            .extend(journal(clerk, &operations, &mut journaled).await);
    }
    for id in operations.keys().filter(|id| !journaled.contains(*id)) {
        judged
            .violations
            .push(format!("{id} is at head office and in no journal"));
    }
    judged.violations.extend(uses(&mut office, &operations).await);
    judged
}

fn uuid(bytes: &[u8]) -> String {
    uuid::Uuid::from_slice(bytes).unwrap().to_string()
}

async fn operations(office: &mut AnyConnection, violations: &mut Vec<String>) -> Operations {
    let mut operations = Operations::new();
    let rows = sqlx::query("SELECT id, outcome, detail, fingerprint, body FROM operations")
        .fetch_all(&mut *office)
        .await
        .unwrap();
    for row in rows {
        let id = uuid(&row.get::<Vec<u8>, _>("id"));
        let body: Value = serde_json::from_slice(&row.get::<Vec<u8>, _>("body")).unwrap();
        let operation = Operation {
            kind: body["action"]["kind"].as_str().unwrap_or_default().to_owned(),
            outcome: row.get("outcome"),
            detail: row.get("detail"),
            fingerprint: row.get("fingerprint"),
            action: body["action"].clone(),
        };
        if operation.outcome == "quarantined" {
            violations.push(format!("{id} was set aside: {:?}", operation.detail));
        }
        if operations.insert(id.clone(), operation).is_some() {
            violations.push(format!("{id} is at head office twice"));
        }
    }
    let forks: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM branches")
        .fetch_one(office)
        .await
        .unwrap();
    if forks != 0 {
        violations.push(format!("{forks} operations of second branches"));
    }
    operations
}

/// Everything that a clerk was told is done is at head office, and is what the clerk was told.
fn delivered(clerk: &Clerk, operations: &Operations, violations: &mut Vec<String>) -> usize {
    let notes = std::fs::read_to_string(&clerk.notes).unwrap_or_default();
    let mut seen = BTreeSet::new();
    for line in notes.lines() {
        let (id, what): (String, String) = serde_json::from_str(line).unwrap();
        let kinds: &[&str] = match what.as_str() {
            "redeem" => &["redeem_coupon", "collect_order"],
            "sell" => &["settle_sale"],
            "return" => &["return_sale"],
            _ => &["void_redemption"],
        };
        match operations.get(&id) {
            None => violations.push(format!("{what} {id} of {} is lost", clerk.folder.display())),
            Some(operation) if !kinds.contains(&operation.kind.as_str()) => {
                violations.push(format!("{what} {id} arrived as {}", operation.kind));
            }
            Some(_) => {}
        }
        if !seen.insert(id.clone()) {
            violations.push(format!("{id} was acknowledged twice"));
        }
    }
    seen.len()
}

/// A counter's journal and head office agree on every operation and on how it ended.
async fn journal(clerk: &Clerk, operations: &Operations, journaled: &mut BTreeSet<String>) -> Vec<String> {
    let mut violations = Vec::new();
    let file = format!("sqlite:{}/counter.sqlite", clerk.folder.display());
    let mut counter = AnyConnection::connect(&file).await.unwrap();
    let rows = sqlx::query("SELECT op_id, state, outcome, detail, fingerprint FROM journal ORDER BY epoch, seq")
        .fetch_all(&mut counter)
        .await
        .unwrap();
    for row in rows {
        let id = uuid(&row.get::<Vec<u8>, _>("op_id"));
        let said = (
            row.get::<Option<String>, _>("outcome"),
            row.get::<Option<String>, _>("detail"),
        );
        match operations.get(&id) {
            None => violations.push(format!("{id} of {} is lost", clerk.folder.display())),
            Some(_) if row.get::<String, _>("state") != "settled" => violations.push(format!("{id} still waits")),
            Some(there) if there.fingerprint != row.get::<Vec<u8>, _>("fingerprint") => {
                violations.push(format!("{id} is not what was made"));
            }
            Some(there) if (Some(there.outcome.clone()), there.detail.clone()) != said => violations.push(format!(
                "{id} ended as {} {:?}, and its counter says {said:?}",
                there.outcome, there.detail
            )),
            Some(_) => {}
        }
        if !journaled.insert(id.clone()) {
            violations.push(format!("{id} is in two journals"));
        }
    }
    violations
}

/// Nothing is used more often than once, but for the uses that have a case; and what is used says so.
async fn uses(office: &mut AnyConnection, operations: &Operations) -> Vec<String> {
    let open: BTreeSet<String> = sqlx::query_scalar("SELECT operation FROM exceptions WHERE status <> 'voided'")
        .fetch_all(&mut *office)
        .await
        .unwrap()
        .iter()
        .map(|id: &Vec<u8>| uuid(id))
        .collect();
    let (mut undone, mut given_back) = (BTreeSet::new(), BTreeSet::new());
    for operation in operations
        .values()
        .filter(|operation| operation.outcome != "quarantined")
    {
        let target = operation.action["target"].as_str().unwrap_or_default().to_owned();
        match operation.kind.as_str() {
            "void_redemption" => {
                undone.insert(target);
            }
            "return_sale" => {
                given_back.extend(list(&operation.action["coupons"]).map(|coupon| (target.clone(), text(coupon))))
            }
            _ => {}
        }
    }
    let mut uses: BTreeMap<(&str, String), Vec<&String>> = BTreeMap::new();
    for (id, operation) in operations {
        if operation.outcome == "quarantined" || undone.contains(id) {
            continue;
        }
        let action = &operation.action;
        match operation.kind.as_str() {
            "redeem_coupon" => uses.entry(("coupons", text(&action["coupon"]))).or_default().push(id),
            "collect_order" => uses.entry(("orders", text(&action["order"]))).or_default().push(id),
            "settle_sale" => {
                for used in list(&action["coupons"]) {
                    let coupon = text(&used["coupon"]);
                    if !given_back.contains(&(id.clone(), coupon.clone())) {
                        uses.entry(("coupons", coupon)).or_default().push(id);
                    }
                }
            }
            _ => {}
        }
    }
    let mut violations = Vec::new();
    for ((what, id), by) in &uses {
        let without_case: Vec<_> = by.iter().filter(|by| !open.contains(**by)).collect();
        if without_case.len() > 1 {
            violations.push(format!(
                "{what} {id} is used by {without_case:?}, and none of them has a case"
            ));
        }
    }
    for (what, used) in [("coupons", "redeemed"), ("orders", "collected")] {
        let sql = format!("SELECT id, state, holder FROM {what} WHERE holder IS NOT NULL OR state = '{used}'");
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_all(&mut *office)
            .await
            .unwrap();
        let mut held = BTreeSet::new();
        for row in rows {
            let id = uuid(&row.get::<Vec<u8>, _>("id"));
            let holder = row.get::<Option<Vec<u8>>, _>("holder").map(|holder| uuid(&holder));
            let is_used = row.get::<String, _>("state") == used;
            // The seed has some that were used before there were journals.
            if let Some(holder) = holder.filter(|holder| is_used && operations.contains_key(holder))
                && !uses.get(&(what, id.clone())).is_some_and(|by| by.contains(&&holder))
            {
                violations.push(format!(
                    "{what} {id} is used by {holder}, which was undone or is of something else"
                ));
            }
            held.insert(id);
        }
        for ((_, id), by) in uses.iter().filter(|((kind, _), _)| *kind == what) {
            if !held.contains(id) {
                violations.push(format!(
                    "{what} {id} was used by {by:?}, and head office says it was not"
                ));
            }
        }
    }
    violations
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
